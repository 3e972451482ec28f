// The stable order of rows: in row r the numbers x (rows, m), then y (rows, n), laid behind each other; place p is where a number
// was. Sorted are (key, place): a key compares, as an integer, as its number does, -0 like 0, NaN last; the places make all
// different, so that any sorting network keeps the order of equals. Bitonic, `padded` entries a row, a power of two:
//
// Grids are (rows, parts of a row): the first axis has room for many.
//
//   sort_chunks    `size` neighbouring entries at a time in shared memory, upwards and downwards in turns
//                  (8,192 float32: 91 steps of 128 KB there and back, 55 us a row counted, and 132 rows at a time on an H100)
//   exchange       one step of a merge that reaches beyond a chunk
//   merge_chunks   the steps of a merge that stay inside one
template <int BYTES> struct Bits;
template <> struct Bits<4> { typedef unsigned int type; };
template <> struct Bits<8> { typedef unsigned long long type; };
typedef Bits<sizeof(REAL)>::type Key;

constexpr Key NEGATIVE = Key(1) << (8 * sizeof(Key) - 1);
constexpr int MOST = 1024;

__device__ inline Key key_of(REAL x) {
  if (isnan(x)) return ~Key(0);
  x += 0;  // -0 becomes 0
  const Key bits = reinterpret_cast<const Key&>(x);
  return bits & NEGATIVE ? ~bits : bits | NEGATIVE;
}

// Entries i < j in their order, or, downwards, in the other one.
__device__ inline void arrange(Key* keys, int* places, long long i, long long j, bool down) {
  const Key a = keys[i], b = keys[j];
  const int p = places[i], q = places[j];
  if ((a > b || (a == b && p > q)) == down) return;
  keys[i] = b, keys[j] = a;
  places[i] = q, places[j] = p;
}

// The first of the p-th pair of entries that are `apart`, a power of two.
__device__ inline int first_of(int p, int apart) { return 2 * p - (p & (apart - 1)); }

__device__ inline void merge(Key* keys, int* places, int size, int apart, int first, int run) {
  for (; apart; apart /= 2) {
    for (int p = threadIdx.x; p < size / 2; p += blockDim.x) {
      const int i = first_of(p, apart);
      arrange(keys, places, i, i + apart, (first + i) & run);
    }
    __syncthreads();
  }
}

extern "C" __global__ void __launch_bounds__(MOST) sort_chunks(
    const REAL* x, const REAL* y, int m, int n, int padded, int size, Key* keys, int* places) {
  extern __shared__ Key memory[];
  Key* key = memory;
  int* place = reinterpret_cast<int*>(memory + size);
  const int first = blockIdx.y * size;
  const long long row = blockIdx.x;
  for (int e = threadIdx.x; e < size; e += blockDim.x) {
    const int p = first + e;
    place[e] = p;
    key[e] = p < m ? key_of(x[row * m + p]) : p < m + n ? key_of(y[row * n + p - m]) : ~Key(0);
  }
  __syncthreads();
  for (int run = 2; run <= size; run *= 2) merge(key, place, size, run / 2, first, run);
  for (int e = threadIdx.x; e < size; e += blockDim.x) {
    keys[row * padded + first + e] = key[e];
    places[row * padded + first + e] = place[e];
  }
}

extern "C" __global__ void __launch_bounds__(MOST) exchange(Key* keys, int* places, int padded, int apart, int run) {
  const int p = blockIdx.y * blockDim.x + threadIdx.x, i = first_of(p, apart);
  const long long row = (long long)blockIdx.x * padded;
  if (p < padded / 2) arrange(keys, places, row + i, row + i + apart, i & run);
}

extern "C" __global__ void __launch_bounds__(MOST) merge_chunks(Key* keys, int* places, int padded, int size, int run) {
  extern __shared__ Key memory[];
  Key* key = memory;
  int* place = reinterpret_cast<int*>(memory + size);
  const int first = blockIdx.y * size;
  const long long start = (long long)blockIdx.x * padded + first;
  for (int e = threadIdx.x; e < size; e += blockDim.x) key[e] = keys[start + e], place[e] = places[start + e];
  __syncthreads();
  merge(key, place, size, size / 2, first, run);
  for (int e = threadIdx.x; e < size; e += blockDim.x) keys[start + e] = key[e], places[start + e] = place[e];
}
