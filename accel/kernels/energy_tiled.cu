// The same sums as energy.cu in many dimensions, where a point no longer fits into registers.
//
// A block owns ROWS rows and meets COLS partners at a time; both come through shared memory in slices of DEPTH coordinates,
// as in a matrix product. First the squared distances of all pairs of the tile grow slice by slice, from differences (two
// operations a coordinate where |a|^2 - 2 ab + |b|^2 has one, but all digits where points are close). Then slope w_j goes to
// shared memory, and the slices pass a second time: gradient_ik += sum_j slope_ij w_j (a_ik - b_jk).
// Of an n x m matrix no more than the tile ever exists, and every sum has a fixed order.
#include "pair.cuh"

constexpr int ROWS = 64, COLS = 32, DEPTH = 16;
constexpr int SIDE = 16;                             // threads are SIDE x SIDE; each has the pairs SIDE apart:
constexpr int MY_ROWS = ROWS / SIDE, MY_COLS = COLS / SIDE;

struct Slices {
  REAL a[DEPTH][ROWS + 1], b[DEPTH][COLS + 1];  // one more, so that threads along DEPTH hit different banks
};

// Rows first .. first + rows - 1 of x (n, d), coordinates from k0 on, zeros beyond either end; by all threads.
__device__ inline void fetch(REAL* to, int pitch, int rows, const REAL* x, long long first, long long n, int k0, int d) {
  const int k = k0 + threadIdx.x;
  for (int r = threadIdx.y; r < rows; r += SIDE)
    to[threadIdx.x * pitch + r] = k < d && first + r < n ? x[(first + r) * d + k] : 0;
}

__device__ inline void fetch_both(
    Slices& slices, const REAL* a, const REAL* b, long long row, long long col, int n, int m, int k0, int d) {
  __syncthreads();  // what was there has been read
  fetch(slices.a[0], ROWS + 1, ROWS, a, row, n, k0, d);
  fetch(slices.b[0], COLS + 1, COLS, b, col, m, k0, d);
  __syncthreads();
}

// s_pq += the squared differences of one slice
__device__ inline void add_squares(const Slices& slices, REAL s[MY_ROWS][MY_COLS]) {
  for (int k = 0; k < DEPTH; k++)
#pragma unroll
    for (int p = 0; p < MY_ROWS; p++)
#pragma unroll
      for (int q = 0; q < MY_COLS; q++) {
        const REAL u = slices.a[k][threadIdx.y + p * SIDE] - slices.b[k][threadIdx.x + q * SIDE];
        s[p][q] += u * u;
      }
}

// g_p += sum_j c_jp (a_pk - b_jk), this thread's coordinate k of the slice
__device__ inline void add_gradient(const Slices& slices, const REAL c[COLS][ROWS + 1], REAL g[MY_ROWS]) {
  for (int j = 0; j < COLS; j++)
#pragma unroll
    for (int p = 0; p < MY_ROWS; p++)
      g[p] += c[j][threadIdx.y + p * SIDE] * (slices.a[threadIdx.x][threadIdx.y + p * SIDE] - slices.b[threadIdx.x][j]);
}

// a (n, d), b (m, d), weights (m) or null for ones -> sums (splits, n), gradient (splits, n, d), zeros before, or null
extern "C" __global__ void __launch_bounds__(SIDE * SIDE) row_sums_tiled(
    const REAL* a, const REAL* b, const REAL* weights, int n, int m, int d, REAL beta, double* sums, REAL* gradient) {
  __shared__ Slices slices;
  __shared__ REAL c[COLS][ROWS + 1], sum[SIDE][ROWS];
  const long long row = (long long)blockIdx.x * ROWS, split = (long long)blockIdx.y * n;
  const int t = threadIdx.y * SIDE + threadIdx.x;
  double total = 0;  // of row t, in the first ROWS threads
  for (int col = blockIdx.y * COLS; col < m; col += gridDim.y * COLS) {
    REAL s[MY_ROWS][MY_COLS] = {};
    for (int k0 = 0; k0 < d; k0 += DEPTH) {
      fetch_both(slices, a, b, row, col, n, m, k0, d);
      add_squares(slices, s);
    }
    for (int p = 0; p < MY_ROWS; p++) {
      REAL part = 0;
      for (int q = 0; q < MY_COLS; q++) {
        const int j = threadIdx.x + q * SIDE;
        const Pair pair = pair_terms(s[p][q], beta);
        const REAL w = col + j >= m ? 0 : weights ? weights[col + j] : 1;
        part += col + j < m ? w * pair.f : 0;
        c[j][threadIdx.y + p * SIDE] = col + j < m ? w * pair.slope : 0;
      }
      sum[threadIdx.x][threadIdx.y + p * SIDE] = part;
    }
    __syncthreads();
    REAL of_tile = 0;
    if (t < ROWS) {
      for (int x = 0; x < SIDE; x++) of_tile += sum[x][t];
      total += of_tile;
    }
    for (int k0 = 0; gradient && k0 < d; k0 += DEPTH) {
      REAL g[MY_ROWS] = {};
      fetch_both(slices, a, b, row, col, n, m, k0, d);
      add_gradient(slices, c, g);
      const int k = k0 + threadIdx.x;
      for (int p = 0; p < MY_ROWS; p++)
        if (k < d && row + threadIdx.y + p * SIDE < n) gradient[(split + row + threadIdx.y + p * SIDE) * d + k] += g[p];
    }
  }
  if (t < ROWS && row + t < n) sums[split + row + t] = total;
}
