// Sums over pairs for the energy score in few dimensions, DIM of them: value and gradient in one sweep.
//
//   sums_i = sum_j w_j f(a_i, b_j)        gradient_i = sum_j w_j slope(a_i, b_j) (a_i - b_j)        (pair.cuh)
//
// A thread owns a row a_i: its point, its gradient and its sum stay in registers. The block walks over the b_j in tiles held
// in shared memory, which all its threads read in the same order, so the result does not depend on timing. The grid's second
// axis splits the tiles where the rows alone would not fill the device; every split writes sums of its own, added up later.
// Differences are taken directly, never as |a|^2 - 2 ab + |b|^2, which has no digits left where points are close.
// The sum of a tile is in REAL, the sum of tiles in double.
#include "pair.cuh"

constexpr int TILE = 128;  // rows of a block, and partners in shared memory

// One partner's part of a row.
__device__ inline void add_pair(const REAL* a, const REAL* b, REAL w, REAL beta, REAL& sum, REAL* gradient) {
  REAL s = 0, u[DIM];
#pragma unroll
  for (int k = 0; k < DIM; k++) {
    u[k] = a[k] - b[k];
    s += u[k] * u[k];
  }
  const Pair pair = pair_terms(s, beta);
  sum += w * pair.f;
#pragma unroll
  for (int k = 0; k < DIM; k++) gradient[k] += w * pair.slope * u[k];
}

// a (n, DIM), b (m, DIM), weights (m) or null for ones -> sums (splits, n), gradient (splits, n, DIM) or null
extern "C" __global__ void __launch_bounds__(TILE) row_sums(
    const REAL* a, const REAL* b, const REAL* weights, int n, int m, REAL beta, double* sums, REAL* gradient) {
  __shared__ REAL tile[TILE * DIM], w[TILE];
  const int row = blockIdx.x * TILE + threadIdx.x;
  REAL here[DIM], total_gradient[DIM];
  for (int k = 0; k < DIM; k++) {
    here[k] = row < n ? a[(long long)row * DIM + k] : 0;
    total_gradient[k] = 0;
  }
  double total = 0;
  for (int first = blockIdx.y * TILE; first < m; first += gridDim.y * TILE) {
    const int partners = min(TILE, m - first);
    __syncthreads();  // the tile before this one has been read
    for (int k = threadIdx.x; k < partners * DIM; k += TILE) tile[k] = b[(long long)first * DIM + k];
    if (threadIdx.x < partners) w[threadIdx.x] = weights ? weights[first + threadIdx.x] : 1;
    __syncthreads();
    REAL sum = 0;
    for (int j = 0; j < partners; j++) add_pair(here, tile + j * DIM, w[j], beta, sum, total_gradient);
    total += sum;
  }
  if (row >= n) return;
  const long long at = (long long)blockIdx.y * n + row;
  sums[at] = total;
  if (gradient)
    for (int k = 0; k < DIM; k++) gradient[at * DIM + k] = total_gradient[k];
}
