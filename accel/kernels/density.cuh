// The log density of chain c of a block, and its gradient, out of what the network says of it.
//
//   log p(x) = -E(x) + log rho(x),   rho = N(0, sd^2 I) or 1;   -inf where x is not finite or E is +inf: outside the support
#include "perceptron.cuh"

struct Tilt {
  REAL tilted, inverse_sd, constant;  // log rho = constant - |x / sd|^2 / 2 where tilted, else 0
};

// Is x, for its log p, outside the support?
__device__ inline bool outside(REAL log_p) { return isinf(log_p) && log_p < 0; }

// What a log p may be; NaN and +inf are errors.
__device__ inline bool possible(REAL log_p) { return isfinite(log_p) || outside(log_p); }

// x: its rows. Where it is not finite the network, whose columns do not mix, has said something without meaning.
__device__ inline bool finite_at(const Network& net, const REAL* x, int c) {
  for (int at = c; at < net.sizes[0] * net.pitch; at += net.pitch)
    if (!isfinite(x[at])) return false;
  return true;
}

__device__ inline REAL log_density(const Network& net, const Tilt& tilt, const REAL* x, int c) {
  REAL log_rho = 0;
  for (int at = c; tilt.tilted && at < net.sizes[0] * net.pitch; at += net.pitch) {
    const REAL w = x[at] * tilt.inverse_sd;
    log_rho -= w * w / 2;
  }
  return -energy_of(net, c) + (tilt.tilted ? log_rho + tilt.constant : 0);
}

// grad log p(x) out of grad E(x), in its place; 0 where log p(x) is -inf. Returns whether it is finite.
__device__ inline bool turn_gradient(const Network& net, const Tilt& tilt, const REAL* x, int c, REAL log_p) {
  bool finite = true;
  for (int j = 0; j < net.sizes[0]; j++) {
    const int at = j * net.pitch + c;
    const REAL pull = tilt.tilted ? x[at] * tilt.inverse_sd * tilt.inverse_sd : 0;
    net.rows[at] = outside(log_p) ? 0 : -net.rows[at] - pull;
    finite = finite && isfinite(net.rows[at]);
  }
  return finite;
}
