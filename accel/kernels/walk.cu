// All K steps of many chains in one launch, for a perceptron energy E: the moves of reference/mcmc.
//
//   MALA         x' = x + eta grad log p(x) + sqrt(2 eta) xi,  kept where  u < exp(log p(x') - log p(x) + log q(x | x') - log q(x' | x))
//   ULA          the same x', always
//   RANDOM_WALK  x' = x + s xi,                                kept where  u < exp(log p(x') - log p(x))
//   HMC          m = xi;  L times  m += eps/2 grad log p(x),  x += eps m,  m += eps/2 grad log p(x):  from (x, m) to (x', m'),
//                                                              kept where  u < exp(H(x, m) - H(x', m')),  H = |m|^2 / 2 - log p
//
// A block owns blockDim.y * CHAINS chains. The weights stay in shared memory for all steps, and so do the chains, each in its
// column of a table (perceptron.cuh). What belongs to one chain alone is done by its owner, thread c of the block for column c.
#include "philox.cuh"
#include "density.cuh"

enum Move { MALA, ULA, RANDOM_WALK, HMC };

#ifndef MOVE
#define MOVE MALA
#endif

constexpr bool FOLLOWS = MOVE != RANDOM_WALK;  // the gradient

// Where those rows begin that are not the network's: x and its score, x', the noise and behind it u, m.
struct Rows {
  REAL *x, *score, *proposal, *noise, *momentum;
};

// One chain, as its owner sees it: column c of the rows.
struct Chain {
  REAL log_p, uniform;
  REAL before;  // what the ratio has to know of the way there: |x' - x - eta grad log p(x)|^2, or |m|^2 / 2
  bool failed;
};

// The numbers of a run that every chain shares.
struct Run {
  int d, chains;               // chains: of the block
  REAL step_size, root;        // eta, sqrt(2 eta)
};

struct Noise {
  const REAL *normal, *uniform;  // (steps, chains, d), (steps, chains), or null
  Key key;
  int chains, steps;
};

// xi and u of a step, by all threads of the block.
__device__ void draw(const Run& run, const Network& net, const Rows& rows, const Noise& noise, int step) {
  if (step >= noise.steps) return;
  for (int t = thread(); t < (run.d + (MOVE != ULA)) * run.chains; t += threads()) {
    const int j = t / run.chains, c = t - j * run.chains;
    const long long i = (long long)blockIdx.x * run.chains + c, at = (long long)step * noise.chains + i;
    REAL there = 0;
    if (i < noise.chains && j < run.d)
      there = noise.normal ? noise.normal[at * run.d + j] : normal_at(noise.key.seed, noise.key.call, at * run.d + j);
    else if (i < noise.chains)
      there = noise.uniform ? noise.uniform[at] : uniform_at(noise.key.seed, noise.key.call, at);
    rows.noise[j * net.pitch + c] = there;
  }
}

// x' for the network, and for the chain.
__device__ void go(const Network& net, const Rows& rows, int at, REAL there) { net.rows[at] = rows.proposal[at] = there; }

// m after half a step, at a point with this score; and x' a step further.
__device__ REAL kick(const Run& run, REAL momentum, REAL score) { return momentum + run.step_size / 2 * score; }

__device__ void propose(const Run& run, const Network& net, const Rows& rows, Chain& chain, int c) {
  chain.before = 0;
  if (MOVE != ULA) chain.uniform = rows.noise[run.d * net.pitch + c];
  for (int at = c; at < run.d * net.pitch; at += net.pitch) {
    const REAL xi = rows.noise[at];
    if (MOVE == HMC) {
      chain.before += xi * xi / 2;
      rows.momentum[at] = kick(run, xi, rows.score[at]);
      go(net, rows, at, rows.x[at] + run.step_size * rows.momentum[at]);
    } else {
      const REAL mean = FOLLOWS ? rows.x[at] + run.step_size * rows.score[at] : rows.x[at];
      const REAL there = mean + (FOLLOWS ? run.root : run.step_size) * xi;
      chain.before += (there - mean) * (there - mean);
      go(net, rows, at, there);
    }
  }
}

// HMC: the second half of a leapfrog step, and the beginning of the next one.
__device__ void leap(const Run& run, const Network& net, const Rows& rows, int c, bool last) {
  for (int at = c; at < run.d * net.pitch; at += net.pitch) {
    REAL m = kick(run, rows.momentum[at], net.rows[at]);
    if (!last) {
      m = kick(run, m, net.rows[at]);
      go(net, rows, at, rows.proposal[at] + run.step_size * m);
    }
    rows.momentum[at] = m;
  }
}

// log of p(x') q(x | x') / p(x) q(x' | x), or of e^(H(x, m) - H(x', m'))
__device__ REAL acceptance(const Run& run, const Network& net, const Rows& rows, const Chain& chain, int c, REAL log_p) {
  if (MOVE == ULA) return 0;
  if (MOVE == RANDOM_WALK) return log_p - chain.log_p;
  if (MOVE == MALA && outside(log_p)) return log_p;
  REAL after = 0;
  for (int at = c; at < run.d * net.pitch; at += net.pitch) {
    const REAL u = MOVE == HMC ? rows.momentum[at] : rows.x[at] - (rows.proposal[at] + run.step_size * net.rows[at]);
    after += MOVE == HMC ? u * u / 2 : u * u;
  }
  if (MOVE == HMC) return log_p - chain.log_p - after + chain.before;
  return log_p - chain.log_p - after / (4 * run.step_size) + chain.before / (4 * run.step_size);
}

// NaN compares false: such a proposal is refused. A uniform that was rounded to 1 refuses as well.
__device__ bool accepts(REAL uniform, REAL log_ratio) { return uniform < (log_ratio > 0 ? REAL(1) : exp(log_ratio)); }

__device__ void move(const Run& run, const Network& net, const Rows& rows, int c) {
  for (int at = c; at < run.d * net.pitch; at += net.pitch) {
    rows.x[at] = rows.proposal[at];
    if (FOLLOWS) rows.score[at] = net.rows[at];
  }
}

// What the launch leaves, see below.
struct Told {
  REAL *trace, *log_ps, *log_ratios;
  unsigned char* accepted;
  REAL* last;
  int* failed;
};

// Where chain i (column c) is after a step; `score` if it is to be kept, else null.
__device__ void tell(
    const Run& run, const Network& net, const Told& told, long long at, long long i, int c, REAL log_p, const REAL* x,
    const REAL* score) {
  told.log_ps[at] = log_p;
  for (int j = 0; j < run.d; j++) {
    told.trace[at * run.d + j] = x[j * net.pitch + c];
    if (score) told.last[i * run.d + j] = score[j * net.pitch + c];
  }
}

// weights: W (row-major) and b of each layer, one after the other, the last b if `biased`; sizes (layers + 1): d, the hidden
// widths, 1.  x, score
// (chains, d), log_p (chains): the start.  normal (steps, chains, d), uniform (steps, chains), or null: drawn from seed and call,
// the numbers of random.cu.  step_size: at step_size_at unless that is null; leaps: L, else 1.  -> trace (steps, chains, d),
// log_ps, log_ratios, accepted (steps, chains), last (chains, d) the final score; failed (chains): 0, or 1 + the evaluation (of
// steps L) at which log p was NaN or +inf, its gradient not finite or, in ULA, log p -inf. That step then holds x' and log p(x')
// in trace and log_ps, and last the gradient; the chain stops there.
extern "C" __global__ void __launch_bounds__(256, 1) walk(
    const REAL* weights, const int* sizes, int layers, int biased, const REAL* x, const REAL* log_p, const REAL* score, const REAL* normal,
    const REAL* uniform, unsigned long long seed, unsigned int call, AT seed_at, AT call_at, REAL step_size,
    const REAL* step_size_at, REAL tilted, REAL inverse_sd, REAL constant, int chains, int steps, int leaps, REAL* trace,
    REAL* log_ps, REAL* log_ratios, unsigned char* accepted, REAL* last, int* failed) {
  extern __shared__ __align__(16) REAL shared[];
  const Network net = network(shared, weights, sizes, layers, biased);
  const REAL eta = step_size_at ? *step_size_at : step_size;
  const Run run = {sizes[0], (int)blockDim.y * CHAINS, eta, sqrt(2 * eta)};
  const Tilt tilt = {tilted, inverse_sd, constant};
  const Noise noise = {normal, uniform, key_of(seed, call, seed_at, call_at), chains, steps};
  const int block = run.d * net.pitch, c = thread();
  REAL* free = net.free;
  const Rows rows = {free, free + block, free + 2 * block, free + 3 * block, free + 4 * block + net.pitch};
  const Told told = {trace, log_ps, log_ratios, accepted, last, failed};
  const long long i = (long long)blockIdx.x * run.chains + c;
  const bool owner = c < run.chains, mine = owner && i < chains;
  Chain chain = {mine ? log_p[i] : 0, 0, 0, !mine};
  for (int j = 0; owner && j < run.d; j++) {
    rows.x[j * net.pitch + c] = mine ? x[i * run.d + j] : 0;
    rows.score[j * net.pitch + c] = mine && FOLLOWS ? score[i * run.d + j] : 0;
  }
  if (mine) failed[i] = 0;
  draw(run, net, rows, noise, 0);
  __syncthreads();
  for (int step = 0; step < steps; step++) {
    const long long at = (long long)step * chains + i;
    REAL there = 0;
    if (owner) propose(run, net, rows, chain, c);
    for (int l = 0; l < leaps; l++) {
      __syncthreads();
      if (l == 0) draw(run, net, rows, noise, step + 1);  // propose has taken what was there
      evaluate(net, FOLLOWS);
      if (!owner || chain.failed) continue;  // to the next barrier, with all the others
      there = finite_at(net, rows.proposal, c) ? log_density(net, tilt, rows.proposal, c) : log(REAL(0));
      const bool finite = !FOLLOWS || turn_gradient(net, tilt, rows.proposal, c, there);
      chain.failed = !finite || !possible(there) || (MOVE == ULA && outside(there));
      if (chain.failed) {
        failed[i] = 1 + step * leaps + l;
        tell(run, net, told, at, i, c, there, rows.proposal, FOLLOWS ? net.rows : nullptr);
      } else if (MOVE == HMC) {
        leap(run, net, rows, c, l == leaps - 1);
      }
    }
    if (!owner || chain.failed) continue;
    const REAL log_ratio = acceptance(run, net, rows, chain, c, there);
    const bool accept = MOVE == ULA || accepts(chain.uniform, log_ratio);
    if (accept) {
      move(run, net, rows, c);
      chain.log_p = there;
    }
    log_ratios[at] = log_ratio;
    accepted[at] = accept;
    tell(run, net, told, at, i, c, chain.log_p, rows.x, FOLLOWS && step == steps - 1 ? rows.score : nullptr);
  }
}
