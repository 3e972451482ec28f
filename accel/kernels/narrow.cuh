// The layers of a perceptron for some rows of a batch, and their adjoints, in shared memory.
//
//   give   h' = act(W^T h + b + C^T c)          pull   sum_j W_ij g_j          outer   sum over the rows of h_i g_j
//
// A block has `pitch` rows of the batch. What a layer holds lies unit after unit, `span` apart, each with its pitch rows side by
// side. Of a wide product a thread makes UNITS units x ROWS rows; of a thin one, of THIN units or fewer, one at a time. Weights
// have rows of `padded` length, [W; b; C] one below the other. Both lengths are odd multiples of four numbers: neighbouring
// threads then find theirs in different banks, four at a time, along rows and across. Threads: LANES along x, groups along y.
#include "activations.cuh"

#ifndef TILE
#define TILE 8
#endif

constexpr int ROWS = TILE, UNITS = TILE == 8 ? 8 : 2, LANES = 64 / UNITS, WIDE = UNITS < 4 ? UNITS : 4, THIN = 16;
constexpr int INPUTS = 4;  // of an outer product a thread makes INPUTS x UNITS: more would leave threads idle at 64 units

struct alignas(16) Four {
  REAL of[4];
};

struct alignas(WIDE * sizeof(REAL) < 16 ? 8 : 16) Wide {
  REAL of[WIDE];
};

__device__ inline int padded(int width) { return 4 * ((width + 3) / 4 | 1); }
__device__ inline int thread() { return threadIdx.y * LANES + threadIdx.x; }
__device__ inline int threads() { return blockDim.y * LANES; }

// (rows, width) without gaps -> padded rows, zeros behind each. Several loads at once: the way from memory is long.
__device__ inline void load_matrix(REAL* to, const REAL* from, int rows, int width) {
  constexpr int AHEAD = 8;
  const int stride = padded(width), all = rows * width, step = threads(), down = step / width, along = step % width;
  int r = thread() / width, j = thread() % width;
  for (int at = thread(); at < all; at += AHEAD * step) {
    REAL value[AHEAD];
#pragma unroll
    for (int q = 0; q < AHEAD; q++) value[q] = at + q * step < all ? from[at + q * step] : 0;
#pragma unroll
    for (int q = 0; q < AHEAD; q++) {
      if (at + q * step < all) to[r * stride + j] = value[q];
      r += down, j += along;
      if (j >= width) j -= width, r++;
    }
  }
  for (int row = thread(); row < rows; row += threads())
    for (int k = width; k < stride; k++) to[row * stride + k] = 0;
}

__device__ inline void load_rows(REAL (&h)[ROWS], const REAL* from) {
#pragma unroll
  for (int r = 0; r < ROWS; r += 4) {
    const Four four = *reinterpret_cast<const Four*>(from + r);
#pragma unroll
    for (int q = 0; q < 4; q++) h[r + q] = four.of[q];
  }
}

// sum[u][r] += sum_k W[k][at u] in[k][r]
__device__ inline void add_product(
    REAL (&sum)[UNITS][ROWS], const REAL* in, int span, const REAL* W, int stride, int terms, const int (&at)[UNITS / WIDE]) {
#pragma unroll 2
  for (int k = 0; k < terms; k++) {
    REAL h[ROWS];
    load_rows(h, in + k * span);
#pragma unroll
    for (int g = 0; g < UNITS / WIDE; g++) {
      const Wide w = *reinterpret_cast<const Wide*>(W + k * stride + at[g]);
#pragma unroll
      for (int u = 0; u < WIDE; u++)
#pragma unroll
        for (int r = 0; r < ROWS; r++) sum[g * WIDE + u][r] += w.of[u] * h[r];
    }
  }
}

// One layer, all rows: kind < 0 is the last layer, without activation. pre, unless null, keeps what the activation is given.
__device__ inline void give(
    const REAL* in, int fan_in, const REAL* context, int c, const REAL* W, int fan_out, REAL* out, REAL* pre, int kind, int pitch,
    int span) {
  const int stride = padded(fan_out);
  const REAL *b = W + fan_in * stride, *C = b + stride;
  const auto store = [&](int at, REAL a) {
    if (pre) pre[at] = a;
    out[at] = kind < 0 ? a : activation(kind, a);
  };
  if (fan_out <= THIN) {
    for (int o = thread(); o < fan_out * pitch; o += threads()) {
      const int u = o / pitch, r = o % pitch;
      REAL a = b[u];
#pragma unroll 4
      for (int k = 0; k < fan_in; k++) a += W[k * stride + u] * in[k * span + r];
#pragma unroll 4
      for (int k = 0; k < c; k++) a += C[k * stride + u] * context[k * span + r];
      store(u * span + r, a);
    }
    return;
  }
  const int first = threadIdx.y * ROWS;
  for (int base = 0; first < pitch && base < fan_out; base += LANES * UNITS) {
    int at[UNITS / WIDE];
    REAL sum[UNITS][ROWS];
#pragma unroll
    for (int g = 0; g < UNITS / WIDE; g++) at[g] = min(base + (g * LANES + (int)threadIdx.x) * WIDE, stride - WIDE);
#pragma unroll
    for (int u = 0; u < UNITS; u++)
#pragma unroll
      for (int r = 0; r < ROWS; r++) sum[u][r] = b[at[u / WIDE] + u % WIDE];
    add_product(sum, in + first, span, W, stride, fan_in, at);
    add_product(sum, context + first, span, C, stride, c, at);
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
      const int unit = base + (u / WIDE * LANES + threadIdx.x) * WIDE + u % WIDE;
#pragma unroll
      for (int r = 0; r < ROWS; r++)
        if (unit < fan_out) store(unit * span + first + r, sum[u][r]);
    }
  }
}

// put(place of unit i and row r, sum_j W[i][j] g[j][r]) for `count` rows i of W, all rows r.
template <class Put>
__device__ inline void pull(const REAL* W, int count, const REAL* g, int fan_out, int pitch, int span, Put put) {
  const int stride = padded(fan_out), first = threadIdx.y * ROWS;
  if (count <= THIN) {
    for (int o = thread(); o < count * pitch; o += threads()) {
      const int i = o / pitch, r = o % pitch;
      REAL sum = 0;
#pragma unroll 4
      for (int j = 0; j < fan_out; j++) sum += W[i * stride + j] * g[j * span + r];
      put(i * span + r, sum);
    }
    return;
  }
  for (int base = 0; first < pitch && base < count; base += LANES * UNITS) {
    REAL sum[UNITS][ROWS] = {};
    for (int j = 0; j < fan_out; j += 4) {
      Four w[UNITS];
#pragma unroll
      for (int u = 0; u < UNITS; u++)
        w[u] = *reinterpret_cast<const Four*>(W + min(base + u * LANES + (int)threadIdx.x, count - 1) * stride + j);
#pragma unroll
      for (int q = 0; q < 4; q++) {
        REAL h[ROWS];
        load_rows(h, g + min(j + q, fan_out - 1) * span + first);  // beyond the last one w is 0
#pragma unroll
        for (int u = 0; u < UNITS; u++)
#pragma unroll
          for (int r = 0; r < ROWS; r++) sum[u][r] += w[u].of[q] * h[r];
      }
    }
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
      const int i = base + u * LANES + threadIdx.x;
#pragma unroll
      for (int r = 0; r < ROWS; r++)
        if (i < count) put(i * span + first + r, sum[u][r]);
    }
  }
}

__device__ inline REAL dot(const Four& a, const Four& b) {
  return a.of[0] * b.of[0] + a.of[1] * b.of[1] + a.of[2] * b.of[2] + a.of[3] * b.of[3];
}

// out (count, fan_out) = or, but for the first time, += sum_r h[i][r] g[j][r]
__device__ inline void outer(
    const REAL* h, int count, const REAL* g, int fan_out, int pitch, int span, REAL* out, bool first_time) {
  const auto four = [](const REAL* from) { return *reinterpret_cast<const Four*>(from); };
  if (min(count, fan_out) <= THIN) {
    for (int o = thread(); o < count * fan_out; o += threads()) {
      const REAL *a = h + o / fan_out * span, *b = g + o % fan_out * span;
      REAL sum = 0;
      for (int r = 0; r < pitch; r += 4) sum += dot(four(a + r), four(b + r));
      out[o] = first_time ? sum : out[o] + sum;
    }
    return;
  }
  const int groups = blockDim.y;
  for (int top = threadIdx.y; top < count; top += groups * INPUTS)
    for (int left = threadIdx.x; left < fan_out; left += LANES * UNITS) {
      REAL sum[INPUTS][UNITS] = {};
      for (int r = 0; r < pitch; r += 4) {
        Four a[INPUTS];
#pragma unroll
        for (int i = 0; i < INPUTS; i++) a[i] = four(h + min(top + i * groups, count - 1) * span + r);
#pragma unroll
        for (int j = 0; j < UNITS; j++) {
          const Four b = four(g + min(left + j * LANES, fan_out - 1) * span + r);
#pragma unroll
          for (int i = 0; i < INPUTS; i++) sum[i][j] += dot(a[i], b);
        }
      }
#pragma unroll
      for (int i = 0; i < INPUTS; i++)
#pragma unroll
        for (int j = 0; j < UNITS; j++)
          if (top + i * groups < count && left + j * LANES < fan_out) {
            REAL& there = out[(top + i * groups) * fan_out + left + j * LANES];
            there = first_time ? sum[i][j] : there + sum[i][j];
          }
    }
}

// out (fan_out) = or += the sum of each unit's rows
__device__ inline void row_sums(const REAL* g, int fan_out, int pitch, int span, REAL* out, bool first_time) {
  for (int j = thread(); j < fan_out; j += threads()) {
    REAL sum = 0;
    for (int r = 0; r < pitch; r++) sum += g[j * span + r];
    out[j] = first_time ? sum : out[j] + sum;
  }
}
