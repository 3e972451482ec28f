// Sums over pairs where every observation y_j has draws x_ij of its own, and their gradient by the draws, in one launch:
//
//   values_j = cross_weight sum_i f(x_ij, y_j) + within_weight sum_{i<k} f(x_ij, x_kj)
//
// LANES lanes have a draw, and of it PER coordinates each, in registers; they meet all that this observation has. So a pair of
// draws is computed twice, once for each end. Blocks are (LANES, draws, observations); the first thread of an observation
// adds up its draws' sums in their order.
#include "pair.cuh"

constexpr int MOST = 128, PER = (DIM + LANES - 1) / LANES;

struct Point {
  REAL of[PER];
};

// Coordinates threadIdx.x, + LANES, .. of a point, zeros beyond the last
__device__ inline Point read_point(const REAL* x) {
  Point point;
#pragma unroll
  for (int k = 0; k < PER; k++) point.of[k] = threadIdx.x + k * LANES < DIM ? x[threadIdx.x + k * LANES] : 0;
  return point;
}

// What a pair adds to the value; to the gradient by a, it adds itself.
__device__ inline REAL meet(
    const Point& a, const REAL* other, const Numbers& numbers, REAL weight, bool counts, Point& gradient) {
  Point u = read_point(other);
  REAL s = 0;
#pragma unroll
  for (int k = 0; k < PER; k++) {
    u.of[k] = a.of[k] - u.of[k];
    s += u.of[k] * u.of[k];
  }
#pragma unroll
  for (int apart = 1; apart < LANES; apart *= 2) s += __shfl_xor_sync(~0u, s, apart);
  const Pair pair = pair_terms(s, numbers);
  if (!counts) return 0;
#pragma unroll
  for (int k = 0; k < PER; k++) gradient.of[k] += weight * pair.slope * u.of[k];
  return weight * pair.f;
}

// x (m, n, DIM), y (n, DIM) or null -> values (n), gradient (m, n, DIM) or null
extern "C" __global__ void __launch_bounds__(MOST) each(
    const REAL* x, const REAL* y, int m, int n, const REAL* numbers_of_f, REAL cross_weight, REAL within_weight, REAL* values,
    REAL* gradient) {
  __shared__ REAL sums[MOST];
  const Numbers numbers = read(numbers_of_f);
  const int place = blockIdx.x * blockDim.z + threadIdx.z, j = min(place, n - 1), first = threadIdx.z * blockDim.y;
  REAL sum = 0;
  for (int i0 = 0; i0 < m; i0 += blockDim.y) {  // all threads of a warp go through all pairs: they add up s together
    const int i = i0 + threadIdx.y;
    const long long at = ((long long)min(i, m - 1) * n + j) * DIM;
    const Point a = read_point(x + at);
    Point g = {};
    if (y) sum += meet(a, y + (long long)j * DIM, numbers, cross_weight, i < m, g);
    for (int k = 0; within_weight != 0 && k < m; k++)
      sum += meet(a, x + ((long long)k * n + j) * DIM, numbers, within_weight, i < m && i != k, g) / 2;
#pragma unroll
    for (int k = 0; k < PER; k++)
      if (gradient && i < m && place < n && threadIdx.x + k * LANES < DIM) gradient[at + threadIdx.x + k * LANES] = g.of[k];
  }
  if (threadIdx.x == 0) sums[first + threadIdx.y] = sum;
  __syncthreads();
  if (threadIdx.x + threadIdx.y > 0 || place >= n) return;
  sum = 0;
  for (int i = 0; i < blockDim.y; i++) sum += sums[first + i];
  values[j] = sum;
}
