// i-SIR (reference/mcmc/independence.py), after the flow has proposed: log p at all proposals, their weights, and the choice.
//
//   log w_i = log p(x_i) - log lambda(x_i),   slot i with probability w_i / sum w:  where the running sum of w first exceeds u sum w
//
// Slot 0 is the current state, its M others are x[c M], ..., x[c M + M - 1] for chain c. A block owns `each` neighbouring chains;
// their log weights stay behind its table in shared memory.
#include "density.cuh"

// What a proposal weighs: 0 where it overflowed, or where rounding put it where lambda = 0. bad: what is an error.
struct Weighed {
  REAL log_p, log_lambda;
  bool bad;
};

__device__ Weighed weigh(const Network& net, const Tilt& tilt, const REAL* x, int c, REAL log_lambda) {
  const REAL none = log(REAL(0));
  if (!finite_at(net, x, c)) return {none, 0, false};
  const REAL log_p = log_density(net, tilt, x, c);
  const bool bad = !possible(log_p) || !possible(log_lambda);
  if (outside(log_lambda)) return {none, 0, bad};
  return {log_p, log_lambda, bad};
}

// The slot where the running sum of the weights w first exceeds uniform times their sum.
__device__ int resample(const REAL* w, int N, REAL uniform) {
  REAL total = 0, reached = 0;
  int chosen = 0;
  for (int i = 0; i < N; i++) total += w[i];
  for (int i = 0; i < N; i++) {
    reached += w[i];
    chosen += uniform * total >= reached && reached < total;  // the second: a last slot without weight
  }
  return chosen;
}

// x (chains M, d), log_lambda (chains M): the proposals; x_0 (chains, d), log_p_0, log_lambda_0, uniform (chains).
// -> log_w (chains, M + 1), moved (chains), the next state to_x, to_log_p, to_log_lambda; log_p (chains M) and bad (chains M):
// 1 where log p is NaN or +inf though x is finite, or log lambda is.
extern "C" __global__ void __launch_bounds__(256, 1) isir(
    const REAL* weights, const int* sizes, int layers, int biased, const REAL* x, const REAL* log_lambda, const REAL* x_0,
    const REAL* log_p_0, const REAL* log_lambda_0, const REAL* uniform, REAL tilted, REAL inverse_sd, REAL constant, int chains,
    int M, int each, REAL* log_p, REAL* log_w, unsigned char* moved, REAL* to_x, REAL* to_log_p, REAL* to_log_lambda,
    unsigned char* bad) {
  extern __shared__ __align__(16) REAL shared[];
  const Network net = network(shared, weights, sizes, layers, biased);
  const Tilt tilt = {tilted, inverse_sd, constant};
  const int d = sizes[0], columns = blockDim.y * CHAINS, c = thread(), N = M + 1;
  const int chain = blockIdx.x * each, mine = min(each, chains - chain);
  REAL *w = net.free, *top = w + each * N;
  const long long start = (long long)chain * M;
  for (int first = 0; first < mine * M; first += columns) {
    const int p = first + c;
    const long long i = start + p;
    for (int j = 0; c < columns && j < d; j++) net.rows[j * net.pitch + c] = p < mine * M ? x[i * d + j] : 0;
    __syncthreads();
    evaluate(net, false);
    if (c < columns && p < mine * M) {
      const Weighed there = weigh(net, tilt, net.rows, c, log_lambda[i]);
      log_p[i] = there.log_p;
      bad[i] = there.bad;
      w[p / M * N + 1 + p % M] = there.log_p - there.log_lambda;
    }
  }
  for (int g = c; g < mine; g += threads()) w[g * N] = log_p_0[chain + g] - log_lambda_0[chain + g];
  __syncthreads();
  for (int k = c; k < mine * N; k += threads()) log_w[(long long)chain * N + k] = w[k];
  for (int g = c; g < mine; g += threads()) {
    top[g] = w[g * N];
    for (int i = 1; i < N; i++) top[g] = w[g * N + i] > top[g] ? w[g * N + i] : top[g];
  }
  __syncthreads();
  for (int k = c; k < mine * N; k += threads())  // the weights; an infinite one takes all
    w[k] = w[k] == top[k / N] ? REAL(1) : exp(w[k] - top[k / N]);
  __syncthreads();
  for (int g = c; g < mine; g += threads()) {
    const int chosen = resample(w + g * N, N, uniform[chain + g]);
    const long long to = chain + g, from = to * M + chosen - 1;
    moved[to] = chosen > 0;
    to_log_p[to] = chosen ? log_p[from] : log_p_0[to];
    to_log_lambda[to] = chosen ? log_lambda[from] : log_lambda_0[to];
    for (int j = 0; j < d; j++) to_x[to * d + j] = chosen ? x[from * d + j] : x_0[to * d + j];
  }
}
