// Random numbers that are a function of their place: Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011).
//
//   four words = ten rounds of the block cipher, key = seed (64 bits), plaintext = (block number (64 bits), stream, call)
//
// Number i of the array that (seed, call) stands for comes from block i / 4 in float, i / 2 in double; nothing is stored from
// one number to the next, so every thread finds its own. Not NumPy's Philox, which has words of 64 bits.

struct Words {
  unsigned int w[4];
};

enum Stream { NORMAL, UNIFORM };

// Seed and call: as a launch brings them along, or, where they change from one launch to the next of a recording, from the
// device's memory: at seed_at, call_at, if these are not null. Of the call 32 bits count.
struct Key {
  unsigned long long seed;
  unsigned int call;
};

using AT = const unsigned long long*;

__device__ inline Key key_of(unsigned long long seed, unsigned int call, AT seed_at, AT call_at) {
  return {seed_at ? *seed_at : seed, call_at ? (unsigned int)*call_at : call};
}

__device__ inline Words philox(Words c, unsigned int key0, unsigned int key1) {
  for (int round = 0; round < 10; round++) {
    unsigned int low0 = 0xD2511F53u * c.w[0], high0 = __umulhi(0xD2511F53u, c.w[0]);
    unsigned int low2 = 0xCD9E8D57u * c.w[2], high2 = __umulhi(0xCD9E8D57u, c.w[2]);
    c = {{high2 ^ c.w[1] ^ key0, low2, high0 ^ c.w[3] ^ key1, low0}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

__device__ inline Words words(unsigned long long seed, unsigned int call, Stream stream, unsigned long long block) {
  Words place = {{(unsigned int)block, (unsigned int)(block >> 32), (unsigned int)stream, call}};
  return philox(place, (unsigned int)seed, (unsigned int)(seed >> 32));
}

// The largest of 24 bits, over 2^24, is a float below 1; all 32 bits would round to 1. A double takes 53 bits of two words.
__device__ inline void fraction(const unsigned int* w, float& u) { u = (w[0] >> 8) * 0x1p-24f; }
__device__ inline void fraction(const unsigned int* w, double& u) { u = ((w[0] >> 5) * 0x1p26 + (w[1] >> 6)) * 0x1p-53; }

constexpr int PER_BLOCK = 16 / sizeof(REAL);
constexpr int WORDS = 4 / PER_BLOCK;  // that one number takes

// Uniform in [0, 1).
__device__ inline REAL uniform_at(unsigned long long seed, unsigned int call, unsigned long long i) {
  Words block = words(seed, call, UNIFORM, i / PER_BLOCK);
  REAL u;
  fraction(block.w + i % PER_BLOCK * WORDS, u);
  return u;
}

// Box & Muller (1958): from two uniforms two normals, r cos(2 pi v) and r sin(2 pi v) with r = sqrt(-2 log(1 - u)).
__device__ inline REAL normal_at(unsigned long long seed, unsigned int call, unsigned long long i) {
  Words block = words(seed, call, NORMAL, i / PER_BLOCK);
  const unsigned int* pair = block.w + i % PER_BLOCK / 2 * 2 * WORDS;
  REAL u, v, s, c;
  fraction(pair, u);
  fraction(pair + WORDS, v);
  sincospi(2 * v, &s, &c);
  return sqrt(-2 * log(1 - u)) * (i % 2 ? s : c);
}
