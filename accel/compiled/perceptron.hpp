// A perceptron for a block of points, and its adjoints. A row of memory holds one coordinate of all points of the block.
//
//   forward     a_l = W_l^T h_l + b_l,   h_{l+1} = sigma(a_l),   output a_L
//   backward    W_l' = h_l a_l'^T,   b_l' = a_l' 1,   h_l' = W_l a_l',   a_{l-1}' = h_l' * sigma'(a_{l-1}) (' the adjoint)
//
// Products go by tiles: ROWS of the result by a strip of points, which stay in registers while the sum is taken.
#pragma once
#include "vectors.hpp"

constexpr int ROWS = BYTES == 64 ? 8 : 4;                     // 2 ROWS + 3 registers of 32 or 16
template <class T> constexpr int STRIP = 2 * LANES<T>;        // points
template <class T> constexpr int BLOCK = 8 * STRIP<T>;        // points of a block

// out_r = b_r + sum_k w[k step + r across] in_k for R values of r; what is below 0 times `below`
template <class T, int R>
inline void tile(T* out, const T* in, const T* w, const T* b, int terms, int step, int across, T below, int points) {
  for (int c = 0; c < points; c += STRIP<T>) {
    V<T> left[R], right[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) left[r] = right[r] = all<T>(b ? b[r] : T(0));
    for (int k = 0; k < terms; k++) {
      const V<T> h = load<T>(in + k * BLOCK<T> + c), after = load<T>(in + k * BLOCK<T> + c + LANES<T>);
#pragma GCC unroll 8
      for (int r = 0; r < R; r++) {
        const T weight = w[k * step + r * across];
        left[r] += weight * h;
        right[r] += weight * after;
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      T* to = out + r * BLOCK<T> + c;
      store<T>(to, left[r] <= all<T>(0) ? left[r] * below : left[r]);
      store<T>(to + LANES<T>, right[r] <= all<T>(0) ? right[r] * below : right[r]);
    }
  }
}

// The same for all rows: R at a time, and half of that for the rest.
template <class T, int R = ROWS>
inline void product(
    T* out, const T* in, const T* w, const T* b, int rows, int terms, int step, int across, T below, int points) {
  int r = 0;
  for (; r + R <= rows; r += R)
    tile<T, R>(out + r * BLOCK<T>, in, w + r * across, b ? b + r : b, terms, step, across, below, points);
  if constexpr (R > 1)
    product<T, R / 2>(out + r * BLOCK<T>, in, w + r * across, b ? b + r : b, rows - r, terms, step, across, below, points);
}

// W[k][m] += sum over the points of h_k g_m, by tiles of 4 x 4 and what is left over
template <class T, int R, int C> inline void outer_tile(T* W, int width, const T* h, const T* g, int points) {
  V<T> total[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) total[i] = all<T>(0);
  for (int c = 0; c < points; c += LANES<T>) {
    V<T> from[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) from[r] = load<T>(h + r * BLOCK<T> + c);
#pragma GCC unroll 4
    for (int m = 0; m < C; m++) {
      const V<T> to = load<T>(g + m * BLOCK<T> + c);
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) total[4 * r + m] += from[r] * to;
    }
  }
  T found[16];
  sums<T>(found, total);
  for (int r = 0; r < R; r++)
    for (int m = 0; m < C; m++) W[r * width + m] += found[4 * r + m];
}

template <class T> inline void outer(T* W, const T* h, const T* g, int rows, int width, int points) {
  constexpr int B = BLOCK<T>;
  for (int k = 0; k < rows; k += k + 4 <= rows ? 4 : 1)
    for (int m = 0; m < width; m += m + 4 <= width ? 4 : 1) {
      T* at = W + k * width + m;
      const T *from = h + k * B, *to = g + m * B;
      const bool four = k + 4 <= rows, by_four = m + 4 <= width;
      if (four && by_four) outer_tile<T, 4, 4>(at, width, from, to, points);
      else if (four) outer_tile<T, 4, 1>(at, width, from, to, points);
      else if (by_four) outer_tile<T, 1, 4>(at, width, from, to, points);
      else outer_tile<T, 1, 1>(at, width, from, to, points);
    }
}

template <class T> struct Perceptron {
  int depth, activation;
  const int64_t* widths;     // depth + 1 of them
  const T* leaves;           // W, b, W, b, ... behind each other

  // h_0, h_1, ... of widths[0], widths[1], ... rows; a_0, a_1, ... as many, where they are still needed beside the h.
  size_t rows() const {
    size_t total = 0;
    for (int l = 0; l <= depth; l++) total += widths[l];
    return total;
  }
  size_t beside() const { return activation >= SOFTPLUS ? rows() : 0; }  // from h to a
  size_t numbers() const {
    size_t total = 0;
    for (int l = 0; l < depth; l++) total += (widths[l] + 1) * widths[l + 1];
    return total;
  }
  size_t widest() const {
    size_t most = 1;
    for (int l = 0; l <= depth; l++) most = size_t(widths[l]) > most ? widths[l] : most;
    return most;
  }

  // h: rows() + beside() rows, the first widths[0] filled in, the others left for `backward`. Returns where the output is.
  const T* forward(T* h, int points) const {
    T* a = h + beside() * BLOCK<T>;
    const T below = activation == RELU ? T(0) : activation == LEAKY_RELU ? T(LEAK) : T(1);
    const T* W = leaves;
    for (int l = 0; l < depth; l++) {
      const bool last = l == depth - 1;
      const int from = widths[l], to = widths[l + 1];
      T *next = h + from * BLOCK<T>, *sums = a + from * BLOCK<T>;
      product<T>(sums, h, W, W + from * to, to, from, to, 1, last ? T(1) : below, points);
      W += (from + 1) * to;
      if (!last && below == 1)
        for (int m = 0; m < to; m++)
          for (int c = 0; c < points; c += LANES<T>)
            store<T>(next + m * BLOCK<T> + c, activated<T>(load<T>(sums + m * BLOCK<T> + c), activation));
      h = next, a = sums;
    }
    return a;
  }

  // g: the output's adjoint, in a place of widest() rows; `spare` is another such. Adds to W', b', W', b', ... at `of_leaves`
  // (none: nullptr). Returns where h_0' is.
  T* backward(const T* h, T* g, T* spare, T* of_leaves, int points) const {
    const int B = BLOCK<T>;
    const T* a = h + beside() * B;
    size_t before = rows() - widths[depth], at_leaf = numbers();
    for (int l = depth - 1; l >= 0; l--) {
      const int from = widths[l], to = widths[l + 1];
      before -= from, at_leaf -= (from + 1) * to;
      if (of_leaves) {
        outer<T>(of_leaves + at_leaf, h + before * B, g, from, to, points);
        for (int m = 0; m < to; m++) {
          V<T> total = all<T>(0);
          for (int c = 0; c < points; c += LANES<T>) total += load<T>(g + m * B + c);
          of_leaves[at_leaf + from * to + m] += sum<T>(total);
        }
      }
      product<T>(spare, g, leaves + at_leaf, nullptr, from, to, 1, to, 1, points);
      if (l > 0)
        for (int k = 0; k < from; k++)
          for (int c = 0; c < points; c += LANES<T>) {
            const size_t i = k * B + c, at = before * B + i;
            store<T>(spare + i, load<T>(spare + i) * slope<T>(load<T>(a + at), load<T>(h + at), activation));
          }
      T* swap = g;
      g = spare, spare = swap;
    }
    return g;
  }
};
