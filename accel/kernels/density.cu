// log p at many points, and its gradient: density.cuh. A block takes one table full of points after the other.
#include "density.cuh"

// x (n, d) -> log_p (n) and, unless it is null, score (n, d), 0 where log p is -inf.  bad (n), or null: 1 where x is finite and
// log p is NaN or +inf, 2 where the gradient is not finite, else 0; log p is then -inf where x is not finite. Without `bad`
// it is there whatever the formula gives.
extern "C" __global__ void __launch_bounds__(256, 1) density(
    const REAL* weights, const int* sizes, int layers, int biased, const REAL* x, REAL tilted, REAL inverse_sd, REAL constant, long long n,
    REAL* log_p, REAL* score, unsigned char* bad) {
  extern __shared__ __align__(16) REAL shared[];
  const Network net = network(shared, weights, sizes, layers, biased);
  const Tilt tilt = {tilted, inverse_sd, constant};
  const int d = sizes[0], columns = blockDim.y * CHAINS, c = thread();
  REAL* there = net.free;  // x once more: its own rows take the gradient
  for (long long first = (long long)blockIdx.x * columns; first < n; first += (long long)gridDim.x * columns) {
    const long long i = first + c;
    for (int j = 0; c < columns && j < d; j++) {
      const int at = j * net.pitch + c;
      net.rows[at] = there[at] = i < n ? x[i * d + j] : 0;
    }
    __syncthreads();
    evaluate(net, score != nullptr);
    if (c < columns && i < n) {
      const bool inside = !bad || finite_at(net, there, c);
      const REAL value = inside ? log_density(net, tilt, there, c) : log(REAL(0));
      const bool smooth = !score || turn_gradient(net, tilt, there, c, value);
      for (int j = 0; score && j < d; j++) score[i * d + j] = net.rows[j * net.pitch + c];
      log_p[i] = value;
      if (bad) bad[i] = !possible(value) ? 1 : smooth ? 0 : 2;
    }
  }
}
