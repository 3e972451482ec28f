// Persistent MALA (reference/mcmc/langevin.py): all K steps of many chains in one launch, for a perceptron energy E.
//
//   x' = x + eta grad log p(x) + sqrt(2 eta) xi,   log p(x) = -E(x) + log rho(x),   rho = N(0, sd^2 I) or 1
//   kept where  uniform < exp(log p(x') - log p(x) + log q(x | x') - log q(x' | x))
//
// A block owns `pitch` chains. The weights stay in shared memory for all steps, and so do the chains: shared memory is a
// table of rows, one number for every chain in each, with pitch columns. A layer is a small matrix product, rows in, rows out:
// LANES threads share CHAINS neighbouring chains, and each computes UNITS units of the layer for them, so that a weight
// once read serves CHAINS chains and a chain's number UNITS units. On the way back the gradient of a layer takes the place
// of its activations, which give the activation's slope just before. What belongs to one chain alone (propose, decide) is
// done by its owner, thread c of the block for its chain c.
#include "philox.cuh"
#include "perceptron.cuh"

// Where the rows of one block begin.
struct Rows {
  REAL *units, *output, *x, *score, *proposal;
};

// One chain, as its owner sees it: column c of the rows.
struct Chain {
  REAL log_p, mean_distance;  // mean_distance: |x' - x - eta grad log p(x)|^2
  bool finite, failed;
};

// The numbers of a run that every chain shares.
struct Run {
  int d, pitch;
  REAL step_size, root;              // eta, sqrt(2 eta)
  REAL tilted, inverse_sd, constant; // log rho = constant - |x / sd|^2 / 2 where tilted, else 0
};

// Is x, for its log p, outside the support?
__device__ bool outside(REAL log_p) { return isinf(log_p) && log_p < 0; }

// Coordinate j of x'. The network is asked at 0 where x' is not finite.
__device__ void propose(const Run& run, const Rows& rows, Chain& chain, int c, int j, REAL noise) {
  const int at = j * run.pitch + c;
  const REAL mean = rows.x[at] + run.step_size * rows.score[at], there = mean + run.root * noise;
  chain.mean_distance += (there - mean) * (there - mean);
  chain.finite = chain.finite && isfinite(there);
  rows.proposal[at] = there;
}

// What the network is given: x', or zeros.
__device__ void ask(const Run& run, const Rows& rows, const Chain& chain, int c) {
  for (int j = 0; j < run.d; j++) rows.units[j * run.pitch + c] = chain.finite ? rows.proposal[j * run.pitch + c] : 0;
}

// log p(x') from E(x'); -inf where x' is not finite
__device__ REAL log_density(const Run& run, const Rows& rows, const Chain& chain, int c, REAL energy) {
  if (!chain.finite) return log(REAL(0));
  REAL log_rho = 0;
  if (run.tilted) {
    for (int j = 0; j < run.d; j++) {
      const REAL w = rows.proposal[j * run.pitch + c] * run.inverse_sd;
      log_rho -= w * w / 2;
    }
    log_rho += run.constant;
  }
  return -energy + log_rho;
}

// grad log p(x') out of grad E(x'), in its place; 0 where log p(x') is -inf. Returns whether it is finite.
__device__ bool turn_gradient(const Run& run, const Rows& rows, int c, REAL log_p) {
  bool finite = true;
  for (int j = 0; j < run.d; j++) {
    const int at = j * run.pitch + c;
    const REAL pull = run.tilted ? rows.proposal[at] * run.inverse_sd * run.inverse_sd : 0;
    rows.units[at] = outside(log_p) ? 0 : -rows.units[at] - pull;
    finite = finite && isfinite(rows.units[at]);
  }
  return finite;
}

// log of p(x') q(x | x') / p(x) q(x' | x)
__device__ REAL acceptance(const Run& run, const Rows& rows, const Chain& chain, int c, REAL log_p) {
  if (outside(log_p)) return log_p;
  REAL back = 0;
  for (int j = 0; j < run.d; j++) {
    const int at = j * run.pitch + c;
    const REAL u = rows.x[at] - (rows.proposal[at] + run.step_size * rows.units[at]);
    back += u * u;
  }
  return log_p - chain.log_p - back / (4 * run.step_size) + chain.mean_distance / (4 * run.step_size);
}

// NaN compares false: such a proposal is refused. A uniform that was rounded to 1 refuses as well.
__device__ bool accepts(REAL uniform, REAL log_ratio) { return uniform < (log_ratio > 0 ? REAL(1) : exp(log_ratio)); }

__device__ void move(const Run& run, const Rows& rows, int c) {
  for (int at = c; at < run.d * run.pitch; at += run.pitch) {
    rows.x[at] = rows.proposal[at];
    rows.score[at] = rows.units[at];
  }
}

// x, score (chains, d), log_p (chains): the start.  normal (steps, chains, d), uniform (steps, chains), or null: drawn from
// seed and call, the numbers of random.cu.  weights: W (row-major) and b of each layer, one after the other; sizes
// (layers + 1): d, the hidden widths, 1.  -> trace (steps, chains, d), log_ps, log_ratios, accepted (steps, chains), last
// (chains, d) the final score; failed (chains), all 0 before: 1 + the step at which log p was NaN or +inf, or its gradient
// not finite. That step then holds x' and log p(x') in trace and log_ps, and last the gradient; the chain stops there.
extern "C" __global__ void __launch_bounds__(256) mala(
    const REAL* x, const REAL* log_p, const REAL* score, const REAL* normal, const REAL* uniform, unsigned long long seed,
    unsigned int call, AT seed_at, AT call_at, const REAL* weights, const int* sizes, int layers, int activation,
    REAL step_size, REAL root, REAL tilted, REAL inverse_sd, REAL constant, int chains, int steps, REAL* trace, REAL* log_ps, REAL* log_ratios,
    unsigned char* accepted, REAL* last, int* failed) {
  extern __shared__ __align__(16) REAL shared[];
  const Key key = key_of(seed, call, seed_at, call_at);
  const Run run = {sizes[0], (int)blockDim.y * CHAINS, step_size, root, tilted, inverse_sd, constant};
  int units = 0;
  for (int l = 0; l < layers; l++) units += sizes[l];
  const Rows rows = {shared, shared + units * run.pitch, shared + (units + 1) * run.pitch,
                     shared + (units + 1 + run.d) * run.pitch, shared + (units + 1 + 2 * run.d) * run.pitch};
  REAL* network = rows.proposal + run.d * run.pitch;
  load_weights(network, weights, sizes, layers);

  const int c = threadIdx.y * LANES + threadIdx.x;
  const long long i = (long long)blockIdx.x * run.pitch + c;
  const bool owner = c < run.pitch, mine = owner && i < chains;
  Chain chain = {mine ? log_p[i] : 0, 0, true, !mine};
  for (int j = 0; owner && j < run.d; j++) {
    rows.x[j * run.pitch + c] = mine ? x[i * run.d + j] : 0;
    rows.score[j * run.pitch + c] = mine ? score[i * run.d + j] : 0;
  }
  for (int step = 0; step < steps; step++) {
    const long long at = (long long)step * chains + i;
    if (owner) {
      chain.mean_distance = 0;
      chain.finite = true;
      for (int j = 0; j < run.d; j++)
        propose(run, rows, chain, c, j, !mine ? 0 : normal ? normal[at * run.d + j] : normal_at(key.seed, key.call, at * run.d + j));
      ask(run, rows, chain, c);
    }
    __syncthreads();
    forward(rows.units, run.pitch, network, sizes, layers, activation);
    REAL there = 0;
    if (owner) {
      there = log_density(run, rows, chain, c, rows.output[c]);
      rows.output[c] = 1;  // dE / dE
    }
    __syncthreads();
    backward(rows.output, run.pitch, network, sizes, layers, activation);
    if (chain.failed) continue;  // every thread is here: no barrier follows until the step ends
    const bool good = turn_gradient(run, rows, c, there) && (isfinite(there) || outside(there));
    if (good) {
      const REAL log_ratio = acceptance(run, rows, chain, c, there);
      const bool accept = accepts(uniform ? uniform[at] : uniform_at(key.seed, key.call, at), log_ratio);
      if (accept) {
        move(run, rows, c);
        chain.log_p = there;
      }
      log_ratios[at] = log_ratio;
      accepted[at] = accept;
    } else {
      failed[i] = 1 + step;
      chain.failed = true;
    }
    log_ps[at] = good ? chain.log_p : there;
    const REAL* to = good ? rows.x : rows.proposal;
    for (int j = 0; j < run.d; j++) trace[at * run.d + j] = to[j * run.pitch + c];
    if (!good || step == steps - 1)
      for (int j = 0; j < run.d; j++) last[i * run.d + j] = (good ? rows.score : rows.units)[j * run.pitch + c];
  }
}
