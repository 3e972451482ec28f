// Sums over pairs in few dimensions, DIM of them: values and both gradients in one sweep over the pairs.
//
//   sums_i = sum_j f(a_i, b_j)     by_row_i = sum_j w_j slope_ij (a_i - b_j)     by_column_j = sum_i slope_ij (b_j - a_i)
//
// A thread owns MINE rows a_i: points, gradients and sums stay in registers. The block meets the b_j in tiles held in shared
// memory, GROUP at a time, which all its threads read in the same order; what a column is given is added over the lanes, the
// warps and the row tiles of the block. The grid is (P, Q): block (p, q) meets row tiles p, p + P, .. with column tiles q,
// q + Q, .., and writes sums of its own, added up in a fixed order (totals.cu): nothing depends on timing.
// LATER = 1: a and b are the same points, and only pairs with j > i count. Tiles without any are passed over.
// Differences are taken directly, never as |a|^2 - 2 ab + |b|^2, which has no digits left where points are close.
// The sum of a tile is in REAL, the sum of tiles in double.
//
// Counted, not measured: beta = 1, d = 2, float32, both gradients: 20 instructions a pair, 1 of them a root; n = m = 16,384 with
// the pairs within: 4.0e8 pairs, 0.27 ms if an H100 does nothing else (3.0e13 instructions a second), 0.4 ms expected.
#include "pair.cuh"

constexpr int THREADS = 128, WARPS = THREADS / 32, WORDS = sizeof(REAL) / 4;
constexpr int MINE = DIM * WORDS <= 4 ? 4 : 2, GROUP = 4;
constexpr int ROWS = THREADS * MINE, COLUMNS = 64;

struct Tile {
  Four b[DIM][COLUMNS / 4], w[COLUMNS / 4];
  REAL parts[WARPS][DIM][COLUMNS];  // what the rows of each warp give to the columns
};

struct Rows {
  REAL a[MINE][DIM], gradient[MINE][DIM], sum[MINE];
};

// The pairs of all rows with the columns of a tile. MASKED: some may be beyond the end, or not count.
template <bool MASKED> __device__ inline void meet(
    Tile& tile, Rows& rows, const Numbers& numbers, int row, int col, int n, int m) {
  for (int j = 0; j < COLUMNS; j += GROUP) {
    REAL back[DIM][GROUP] = {};
#pragma unroll
    for (int q = 0; q < GROUP; q++)
#pragma unroll
      for (int r = 0; r < MINE; r++) {
        REAL s = 0, u[DIM];
#pragma unroll
        for (int k = 0; k < DIM; k++) {
          u[k] = rows.a[r][k] - tile.b[k][j / 4].v[q];
          s += u[k] * u[k];
        }
        Pair pair = pair_terms(s, numbers);
        const int i = row + r * THREADS;
        if (MASKED && (i >= n || col + j + q >= m || (LATER && col + j + q <= i))) pair = {0, 0};
        rows.sum[r] += pair.f;
        if (WEIGHTED) pair.slope *= tile.w[j / 4].v[q];
#pragma unroll
        for (int k = 0; k < DIM; k++) {  // two operations; written with * the compiler takes three, for a product of both
          if (BY_ROW) rows.gradient[r][k] = fma(pair.slope, u[k], rows.gradient[r][k]);
          if (BY_COLUMN) back[k][q] = fma(-pair.slope, u[k], back[k][q]);
        }
      }
#pragma unroll
    for (int k = 0; BY_COLUMN && k < DIM; k++) {
      const REAL sum = sum_over_lanes<GROUP, 32>(back[k]);
      if (threadIdx.x % 32 < GROUP) tile.parts[threadIdx.x / 32][k][j + threadIdx.x % 32] = sum;
    }
  }
}

__device__ inline void fetch(Tile& tile, const REAL* b, const REAL* weights, int col, int m) {
  __syncthreads();  // the tile before this one has been read
  for (int e = threadIdx.x; e < COLUMNS * DIM; e += THREADS) {
    const int j = e / DIM, k = e % DIM;
    tile.b[k][j / 4].v[j % 4] = col + j < m ? b[(long long)col * DIM + e] : 0;
  }
  for (int j = threadIdx.x; WEIGHTED && j < COLUMNS; j += THREADS) tile.w[j / 4].v[j % 4] = col + j < m ? weights[col + j] : 0;
  __syncthreads();
}

__device__ inline void add_parts(const Tile& tile, REAL* by_column, int col, int m) {
  __syncthreads();
  for (int e = threadIdx.x; e < COLUMNS * DIM; e += THREADS) {
    const int j = e / DIM, k = e % DIM;
    REAL sum = 0;
    for (int w = 0; w < WARPS; w++) sum += tile.parts[w][k][j];
    if (col + j < m) by_column[(long long)col * DIM + e] += sum;
  }
}

// a (n, DIM), b (m, DIM), weights (m) where WEIGHTED -> sums (Q, n); by_row (Q, n, DIM) where BY_ROW; by_column (P, m, DIM),
// zeros before, where BY_COLUMN. Does nothing where `idle` is not null and its number is not 0.
extern "C" __global__ void __launch_bounds__(THREADS) pair_sums(
    const REAL* a, const REAL* b, const REAL* weights, const int* idle, const REAL* numbers_of_f, int n, int m, double* sums,
    REAL* by_row, REAL* by_column) {
  __shared__ Tile tile;
  if (idle && *idle) return;
  const Numbers numbers = read(numbers_of_f);
  for (int first = blockIdx.x * ROWS; first < n; first += gridDim.x * ROWS) {
    Rows rows = {};
    double total[MINE] = {};
    const int row = first + threadIdx.x;
    for (int r = 0; r < MINE; r++)
      for (int k = 0; k < DIM; k++) rows.a[r][k] = row + r * THREADS < n ? a[(long long)(row + r * THREADS) * DIM + k] : 0;
    for (int col = blockIdx.y * COLUMNS; col < m; col += gridDim.y * COLUMNS) {
      if (LATER && col + COLUMNS - 1 <= first) continue;
      fetch(tile, b, weights, col, m);
      const bool masked = first + ROWS > n || col + COLUMNS > m || (LATER && col < first + ROWS);
      if (masked) meet<true>(tile, rows, numbers, row, col, n, m);
      else meet<false>(tile, rows, numbers, row, col, n, m);
      if (BY_COLUMN) add_parts(tile, by_column + (long long)blockIdx.x * m * DIM, col, m);
      for (int r = 0; r < MINE; r++) total[r] += rows.sum[r], rows.sum[r] = 0;
    }
    for (int r = 0; r < MINE && row + r * THREADS < n; r++) {
      const long long at = (long long)blockIdx.y * n + row + r * THREADS;
      sums[at] = total[r];
      for (int k = 0; BY_ROW && k < DIM; k++) by_row[at * DIM + k] = rows.gradient[r][k];
    }
  }
}
