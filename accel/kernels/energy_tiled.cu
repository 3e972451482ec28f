// The same sums as energy.cu in many dimensions, where a point no longer fits into registers. Grid and outputs are as there.
//
// A block meets ROWS rows with COLUMNS columns at a time; both come through shared memory in slices of DEPTH coordinates. A
// thread has MINE x 4 pairs. First their squared distances grow slice by slice; then the slopes c_ij go to shared memory, and
// the slices pass a second time, a thread having MINE rows, or 4 columns, and DEPTH / SIDE coordinates. Two ways:
//
//   EXPANDED = 0   s = sum_k (a_ik - b_jk)^2      by_row_ik = sum_j c_ij (a_ik - b_jk)           2 operations a coordinate
//   EXPANDED = 1   s = |a|^2 - 2 a.b + |b|^2      by_row_ik = a_ik sum_j c_ij - sum_j c_ij b_jk     1, of centred points
//
// Expanded, s is off by some roundings of |a|^2 + |b|^2. A tile in which some s is below CLOSE times that, or not finite, is
// marked and left out, for a second launch by differences, of the points as they are. In all others s has lost no more than
// 1 / CLOSE roundings; on 256 normal points either way is off by 1e-7 in float32. Of an n x m matrix no more than the tile exists.
//
// Counted, not measured, of one pair, both gradients: 6 d + 25 instructions by differences, 3 d + 25 expanded. n = m = 16,384,
// d = 64 with the pairs within, float32: 4.0e8 pairs, 2.9 ms if an H100 does nothing else, 4.5 ms expected; n = 4,096, d = 784:
// 2.0 and 3.1 ms. Shared memory is read half as long as the arithmetic takes; from L2 come 96 KB a tile of 12,000 cycles.
#include "pair.cuh"

constexpr int SIDE = 16, THREADS = SIDE * SIDE;      // threads are SIDE x SIDE
constexpr int MINE = sizeof(REAL) == 4 ? 8 : 4;      // rows a thread
constexpr int DEPTH = EXPANDED && MINE == 8 ? 64 : 32;
constexpr int ROWS = SIDE * MINE, COLUMNS = SIDE * 4, COORDINATES = DEPTH / SIDE;
constexpr int A_PITCH = ROWS / 4 + 1, B_PITCH = COLUMNS / 4 + 1;  // in Fours; one more, against bank conflicts
constexpr REAL CLOSE = REAL(1) / 32;

struct Tile {
  Four a[DEPTH][A_PITCH], b[DEPTH][B_PITCH];  // [coordinate][row / 4]
  Four c[COLUMNS][ROWS / 4];                  // slopes, where `slopes` says
  REAL row_c[ROWS], column_c[COLUMNS];        // their sums
  int marked;
};

// The points of one side, from the tile's first on: centred, with their squared lengths, where EXPANDED.
struct Points {
  const REAL *x, *lengths;
  int first, count;
};

// Four rows of a thread: p = 0 .. MINE / 4 - 1
__device__ inline int four(int p) { return p * SIDE + threadIdx.y; }
__device__ inline int row_of(int p) { return 4 * four(p / 4) + p % 4; }

// The slopes of column j and the Four of rows i. Turned by the column, so that neighbouring threads hit different banks.
__device__ inline Four& slopes(Tile& tile, int j, int i) { return tile.c[j][i ^ ((j / 4) % 8)]; }

// Points of x, coordinates from k0 on, zeros beyond either end, by all threads: 8 coordinates of 4 rows a warp.
template <int COUNT> __device__ inline void fetch(Four* to, int pitch, const Points& of, int k0, int d) {
  const int t = threadIdx.y * SIDE + threadIdx.x;
#pragma unroll 4
  for (int e = t; e < COUNT * DEPTH; e += THREADS) {
    const int k = e % 8 + e / 32 % (DEPTH / 8) * 8, r = e / 8 % 4 + e / (4 * DEPTH) * 4, i = of.first + r;
    to[k * pitch + r / 4].v[r % 4] = k0 + k < d && i < of.count ? of.x[(long long)i * d + k0 + k] : 0;
  }
}

// Not inline: its addresses would be held in registers that the pairs need.
__device__ __noinline__ void fetch_both(Tile& tile, Points a, Points b, int k0, int d) {
  __syncthreads();  // what was there has been read
  fetch<ROWS>(tile.a[0], A_PITCH, a, k0, d);
  fetch<COLUMNS>(tile.b[0], B_PITCH, b, k0, d);
  __syncthreads();
}

// s_pq += the squared differences of one slice, or the products
__device__ inline void add_slice(const Tile& tile, REAL s[MINE][4]) {
#pragma unroll 4
  for (int k = 0; k < DEPTH; k++) {
    const Four y = tile.b[k][threadIdx.x];
#pragma unroll
    for (int p = 0; p < MINE; p++) {
      const Four x = tile.a[k][four(p / 4)];
#pragma unroll
      for (int q = 0; q < 4; q++) {
        const REAL u = x.v[p % 4] - y.v[q];
        s[p][q] += EXPANDED ? x.v[p % 4] * y.v[q] : u * u;
      }
    }
  }
}

__device__ inline bool counts(int p, int j, const Points& a, const Points& b) {
  const int i = a.first + row_of(p);
  return i < a.count && j < b.count && (!LATER || j > i);
}

// From products to s. Returns, to all threads, whether some pair of the tile is too close for that.
__device__ inline bool expand(Tile& tile, const Points& a, const Points& b, REAL s[MINE][4]) {
  const int t = threadIdx.y * SIDE + threadIdx.x, j = t - ROWS;
  if (t == 0) tile.marked = 0;
  if (t < ROWS) tile.row_c[t] = a.first + t < a.count ? a.lengths[a.first + t] : 0;
  else if (j < COLUMNS) tile.column_c[j] = b.first + j < b.count ? b.lengths[b.first + j] : 0;
  __syncthreads();
  bool close = false;
#pragma unroll
  for (int q = 0; q < 4; q++)
#pragma unroll
    for (int p = 0; p < MINE; p++) {
      const REAL lengths = tile.row_c[row_of(p)] + tile.column_c[4 * threadIdx.x + q];
      s[p][q] = lengths - 2 * s[p][q];
      close |= counts(p, b.first + 4 * threadIdx.x + q, a, b) && (!(s[p][q] > CLOSE * lengths) || isinf(s[p][q]));
    }
  if (close) tile.marked = 1;
  __syncthreads();
  return tile.marked;
}

// The pairs' values, summed up for each row: for row_of(threadIdx.x % MINE) in this thread. Their slopes, to shared memory.
__device__ inline REAL evaluate(
    Tile& tile, REAL s[MINE][4], const REAL* weights, const Numbers& numbers, const Points& a, const Points& b) {
  REAL sum[MINE] = {};
#pragma unroll
  for (int q = 0; q < 4; q++) {
    const int j = b.first + 4 * threadIdx.x + q;
    const REAL w = WEIGHTED && j < b.count ? weights[j] : 1;
#pragma unroll
    for (int p = 0; p < MINE; p++) {
      const Pair pair = pair_terms(s[p][q], numbers);
      const bool here = counts(p, j, a, b);
      sum[p] += here ? pair.f : 0;
      s[p][q] = here ? w * pair.slope : 0;
    }
#pragma unroll
    for (int p = 0; (BY_ROW || BY_COLUMN) && p < MINE; p += 4)
      slopes(tile, 4 * threadIdx.x + q, four(p / 4)) = {s[p][q], s[p + 1][q], s[p + 2][q], s[p + 3][q]};
  }
  return sum_over_lanes<MINE, SIDE>(sum);
}

// The slopes' sums over columns and over rows, for what is expanded.
__device__ __noinline__ void sum_slopes(Tile& tile) {
  const int t = threadIdx.y * SIDE + threadIdx.x, j = t - ROWS;
  REAL sum = 0;
  if (t < ROWS) {
    for (int k = 0; k < COLUMNS; k++) sum += slopes(tile, k, t / 4).v[t % 4];
    tile.row_c[t] = sum;
  } else if (j < COLUMNS) {
    for (int i = 0; i < ROWS; i++) sum += slopes(tile, j, i / 4).v[i % 4];
    tile.column_c[j] = sum;
  }
}

// by_row += the tile's part, in this thread's coordinates of the slice at k0
__device__ inline void add_by_row(Tile& tile, REAL* by_row, const Points& a, int k0, int d) {
  REAL g[MINE][COORDINATES] = {}, x[MINE][COORDINATES];
#pragma unroll
  for (int p = 0; p < MINE; p++)
#pragma unroll
    for (int h = 0; h < COORDINATES; h++) x[p][h] = EXPANDED ? 0 : tile.a[threadIdx.x + h * SIDE][four(p / 4)].v[p % 4];
#pragma unroll 1
  for (int j = 0; j < COLUMNS; j += 4) {
    Four y[COORDINATES];
#pragma unroll
    for (int h = 0; h < COORDINATES; h++) y[h] = tile.b[threadIdx.x + h * SIDE][j / 4];
#pragma unroll
    for (int q = 0; q < 4; q++)
#pragma unroll
      for (int p = 0; p < MINE; p++) {
        const REAL c = slopes(tile, j + q, four(p / 4)).v[p % 4];
#pragma unroll
        for (int h = 0; h < COORDINATES; h++) g[p][h] += c * (EXPANDED ? -y[h].v[q] : x[p][h] - y[h].v[q]);
      }
  }
#pragma unroll
  for (int p = 0; p < MINE; p++)
#pragma unroll
    for (int h = 0; h < COORDINATES; h++) {
      const int i = row_of(p), k = threadIdx.x + h * SIDE;
      if (EXPANDED) g[p][h] += tile.row_c[i] * tile.a[k][i / 4].v[i % 4];
      if (a.first + i < a.count && k0 + k < d) by_row[((long long)blockIdx.y * a.count + a.first + i) * d + k0 + k] += g[p][h];
    }
}

// by_column likewise, in columns 4 threadIdx.y ..
__device__ inline void add_by_column(Tile& tile, REAL* by_column, const Points& b, int k0, int d) {
  REAL g[4][COORDINATES] = {}, y[4][COORDINATES];
#pragma unroll
  for (int q = 0; q < 4; q++)
#pragma unroll
    for (int h = 0; h < COORDINATES; h++) y[q][h] = EXPANDED ? 0 : tile.b[threadIdx.x + h * SIDE][threadIdx.y].v[q];
#pragma unroll 1
  for (int i = 0; i < ROWS / 4; i++) {
    Four x[COORDINATES];
#pragma unroll
    for (int h = 0; h < COORDINATES; h++) x[h] = tile.a[threadIdx.x + h * SIDE][i];
#pragma unroll
    for (int q = 0; q < 4; q++) {
      const Four c = slopes(tile, 4 * threadIdx.y + q, i);
#pragma unroll
      for (int e = 0; e < 4; e++)
#pragma unroll
        for (int h = 0; h < COORDINATES; h++) g[q][h] += c.v[e] * (EXPANDED ? -x[h].v[e] : y[q][h] - x[h].v[e]);
    }
  }
#pragma unroll
  for (int q = 0; q < 4; q++)
#pragma unroll
    for (int h = 0; h < COORDINATES; h++) {
      const int j = 4 * threadIdx.y + q, k = threadIdx.x + h * SIDE;
      if (EXPANDED) g[q][h] += tile.column_c[j] * tile.b[k][j / 4].v[q];
      if (b.first + j < b.count && k0 + k < d) by_column[((long long)blockIdx.x * b.count + b.first + j) * d + k0 + k] += g[q][h];
    }
}

__device__ inline void add_gradients(
    Tile& tile, const Points& a, const Points& b, int d, REAL* by_row, REAL* by_column) {
  __syncthreads();
  if (EXPANDED) sum_slopes(tile);
  __syncthreads();
  for (int k0 = 0; k0 < d; k0 += DEPTH) {
    if (d > DEPTH) fetch_both(tile, a, b, k0, d);  // else they are still there
    if (BY_ROW) add_by_row(tile, by_row, a, k0, d);
    if (BY_COLUMN) add_by_column(tile, by_column, b, k0, d);
  }
}

// As pair_sums in energy.cu; sums and by_row, too, hold zeros before. marks, one for each tile: written where EXPANDED, else
// the only tiles to be met, or null for all.
extern "C" __global__ void __launch_bounds__(THREADS, 2) pair_sums_tiled(
    const REAL* a, const REAL* b, const REAL* a_lengths, const REAL* b_lengths, const REAL* weights, const int* idle,
    const REAL* numbers, int n, int m, int d, double* sums, REAL* by_row, REAL* by_column, unsigned char* marks) {
  extern __shared__ Four memory[];
  if (idle && *idle) return;
  Tile& tile = *reinterpret_cast<Tile*>(memory);
  for (int row = blockIdx.x * ROWS; row < n; row += gridDim.x * ROWS)
    for (int col = blockIdx.y * COLUMNS; col < m; col += gridDim.y * COLUMNS) {
      const long long number = (long long)(row / ROWS) * ((m + COLUMNS - 1) / COLUMNS) + col / COLUMNS;
      if ((LATER && col + COLUMNS - 1 <= row) || (!EXPANDED && marks && !marks[number])) continue;
      const Points rows = {a, a_lengths, row, n}, columns = {b, b_lengths, col, m};
      REAL s[MINE][4] = {};
      for (int k0 = 0; k0 < d; k0 += DEPTH) {
        fetch_both(tile, rows, columns, k0, d);
        add_slice(tile, s);
      }
      if (EXPANDED) {
        const bool marked = expand(tile, rows, columns, s);
        if (threadIdx.x + threadIdx.y == 0) marks[number] = marked;
        if (marked) continue;
      }
      const REAL sum = evaluate(tile, s, weights, read(numbers), rows, columns);
      const int i = row + row_of(threadIdx.x % MINE);
      if (threadIdx.x < MINE && i < n) sums[(long long)blockIdx.y * n + i] += sum;
      if (BY_ROW || BY_COLUMN)
        add_gradients(tile, rows, columns, d, by_row, by_column);
    }
}
