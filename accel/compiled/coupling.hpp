// A chain of affine couplings, some points through all of it before the next.
//
//   x_A = z_A,   s = L tanh(raw_s / L),   x_B = z_B e^s + t,   log_det += sum s          and back:  (x_B - t) e^{-s},  -= sum s
//
// Backward from x' and log_det' (' the adjoint), v the input z_B on the way forth, the image on the way back:
//
//   forth   z_B' = x_B' e^s,      t' = x_B',     s' = z_B' v + log_det'
//   back    z_B' = x_B' e^{-s},   t' = -z_B',    s' = -x_B' v - log_det'
//   raw_s' = s' (1 - (s / L)^2),   and what the perceptron makes of raw' is added to x_A'.
#pragma once
#include <vector>
#include "perceptron.hpp"

template <class T> struct Coupling {
  Perceptron<T> net;
  int passing, moved;               // how many coordinates
  const int64_t *which, *others;    // A and B
  T limit;
  size_t first_leaf;                // where the adjoints of its leaves begin

  // Those of the perceptron, then s and v.
  size_t rows() const { return of_net() + 2 * moved; }
  size_t of_net() const { return net.rows() + net.beside(); }
};

template <class T> struct Chain {
  int d, layers;
  bool back;
  std::vector<Coupling<T>> coupling;  // from noise to data

  // The l-th that x passes.
  const Coupling<T>& at(int l) const { return coupling[back ? layers - 1 - l : l]; }

  size_t rows() const {
    size_t total = 0;
    for (int l = 0; l < layers; l++) total += coupling[l].rows();
    return total;
  }
  size_t widest() const {
    size_t most = 1;
    for (int l = 0; l < layers; l++) most = coupling[l].net.widest() > most ? coupling[l].net.widest() : most;
    return most;
  }

  // x: d rows, in place; log_det: one row; kept: rows() rows.
  void forward(T* x, T* log_det, T* kept, int points) const {
    const int B = BLOCK<T>;
    for (int c = 0; c < points; c++) log_det[c] = 0;
    for (int l = 0; l < layers; l++) {
      const Coupling<T>& own = at(l);
      T *h = kept, *s = h + own.of_net() * B, *v = s + own.moved * B;
      for (int i = 0; i < own.passing; i++) __builtin_memcpy(h + i * B, x + own.which[i] * B, points * sizeof(T));
      const T* raw = own.net.forward(h, points);
      for (int i = 0; i < own.moved; i++)
        for (int c = 0; c < points; c += LANES<T>) {
          T* to = x + own.others[i] * B + c;
          const V<T> z = load<T>(to), t = load<T>(raw + (2 * i + 1) * B + c);
          const V<T> scale = own.limit * tangent<T>(load<T>(raw + 2 * i * B + c) / own.limit);
          const V<T> image = back ? (z - t) * exponential<T>(-scale) : z * exponential<T>(scale) + t;
          store<T>(s + i * B + c, scale);
          store<T>(v + i * B + c, back ? image : z);
          store<T>(to, image);
          store<T>(log_det + c, back ? load<T>(log_det + c) - scale : load<T>(log_det + c) + scale);
        }
      kept += own.rows() * B;
    }
  }

  // g: d rows, from x' to z' in place; g_log_det: one row; one and two: places of widest() rows.
  void backward(T* g, const T* g_log_det, const T* kept, T* one, T* two, T* of_leaves, int points) const {
    const int B = BLOCK<T>;
    kept += rows() * B;
    for (int l = layers - 1; l >= 0; l--) {
      const Coupling<T>& own = at(l);
      kept -= own.rows() * B;
      const T *h = kept, *s = h + own.of_net() * B, *v = s + own.moved * B;
      for (int i = 0; i < own.moved; i++)
        for (int c = 0; c < points; c += LANES<T>) {
          T* to = g + own.others[i] * B + c;
          const V<T> scale = load<T>(s + i * B + c), value = load<T>(v + i * B + c), of_log_det = load<T>(g_log_det + c);
          const V<T> of_x = load<T>(to), of_z = of_x * exponential<T>(back ? -scale : scale);
          const V<T> of_s = back ? -of_x * value - of_log_det : of_z * value + of_log_det, ratio = scale / own.limit;
          store<T>(one + 2 * i * B + c, of_s * (T(1) - ratio * ratio));
          store<T>(one + (2 * i + 1) * B + c, back ? -of_z : of_x);
          store<T>(to, of_z);
        }
      const T* of_h = own.net.backward(h, one, two, of_leaves ? of_leaves + own.first_leaf : nullptr, points);
      for (int i = 0; i < own.passing; i++)
        for (int c = 0; c < points; c += LANES<T>) {
          T* to = g + own.which[i] * B + c;
          store<T>(to, load<T>(to) + load<T>(of_h + i * B + c));
        }
    }
  }
};

// Points (n, d) in C order into rows and back; what is beyond n is 0.
template <class T> inline void take(T* rows, const T* x, int d, int n, int points) {
  for (int i = 0; i < d; i++)
    for (int c = 0; c < points; c++) rows[i * BLOCK<T> + c] = c < n ? x[size_t(c) * d + i] : T(0);
}
template <class T> inline void put(T* x, const T* rows, int d, int n) {
  for (int c = 0; c < n; c++)
    for (int i = 0; i < d; i++) x[size_t(c) * d + i] = rows[i * BLOCK<T> + c];
}
template <class T> inline int whole_strips(int n) { return (n + STRIP<T> - 1) / STRIP<T> * STRIP<T>; }
