// Energy-based models with a perceptron E, and chains of MALA and ULA on them.
//
//   log p = -E(x) - |x|^2 / (2 s^2) + constant,      score = -grad E(x) - x / s^2
//
// or, in the latent space of the flow x = T(z) that tilts them (reference/mcmc/latent.py), with J = dT/dz,
//
//   log p = -E(T(z)) - |z|^2 / (2 s^2) + constant,   score = -J^T grad E(T(z)) - z / s^2
//
//   x' = x + eta score + sqrt(2 eta) xi,   by MALA taken where u < min{1, p(x') q(x | x') / p(x) q(x' | x)}, by ULA always
//   log q(x | x') - log q(x' | x) = (|x' - x - eta score|^2 - |x - x' - eta score'|^2) / (4 eta)
//
// A chain needs no other: a block of them makes all its steps before the next block begins.
#pragma once
#include "coupling.hpp"

template <class T> struct Energy {
  Perceptron<T> net;
  int d;
  T precision, constant;  // 1 / s^2, 0 without a tilt
  const Chain<T>* map;    // T, or nullptr

  size_t own() const { return net.rows() + net.beside() + 2 * net.widest(); }
  size_t rows() const { return own() + (map ? 1 + map->rows() + 2 * map->widest() : 0); }

  // x, score: d rows; log_p: one row; spare: rows() rows.
  void evaluate(const T* x, T* log_p, T* score, T* spare, int points) const {
    const int B = BLOCK<T>;
    T *h = spare, *g = h + (net.rows() + net.beside()) * B, *other = g + net.widest() * B;
    T *of_log_det = spare + own() * B, *kept = of_log_det + B;
    __builtin_memcpy(h, x, d * B * sizeof(T));
    if (map) map->forward(h, of_log_det, kept, points);
    const T* E = net.forward(h, points);
    for (int c = 0; c < points; c++) g[c] = -1;
    T* of_x = net.backward(h, g, other, nullptr, points);
    if (map) {
      T *one = kept + map->rows() * B, *two = one + map->widest() * B;
      for (int c = 0; c < points; c++) of_log_det[c] = 0;  // it cancels
      map->backward(of_x, of_log_det, kept, one, two, nullptr, points);
    }
    for (int c = 0; c < points; c += LANES<T>) {
      V<T> square = all<T>(0);
      for (int i = 0; i < d; i++) {
        const V<T> xi = load<T>(x + i * B + c);
        square += xi * xi;
        store<T>(score + i * B + c, load<T>(of_x + i * B + c) - precision * xi);
      }
      store<T>(log_p + c, constant - load<T>(E + c) - T(0.5) * precision * square);
    }
  }
};

template <class T> struct Chains {
  const Energy<T>& model;
  T step_size;
  T *x, *log_p, *score;           // where they stand: d rows, one, d
  T *new_x, *new_log_p, *new_score;
  T *noise, *uniform, *spare;     // d rows, one (none for ULA: nullptr), the model's

  // One step of all points. Returns false where a proposal, its log p or its score is not finite.
  bool step(T root, T* log_ratio, bool* accepted, int points) const {
    const int B = BLOCK<T>, d = model.d;
    for (int i = 0; i < d; i++)
      for (int c = 0; c < points; c += LANES<T>) {
        const size_t at = i * B + c;
        store<T>(new_x + at, load<T>(x + at) + step_size * load<T>(score + at) + root * load<T>(noise + at));
      }
    model.evaluate(new_x, new_log_p, new_score, spare, points);
    V<T> wrong = all<T>(0);
    for (int c = 0; c < points; c += LANES<T>) {
      V<T> difference = all<T>(0), beyond = load<T>(new_log_p + c) * T(0);
      for (int i = 0; i < d; i++) {
        const size_t at = i * B + c;
        const V<T> there = load<T>(new_x + at) - (load<T>(x + at) + step_size * load<T>(score + at));
        const V<T> back = load<T>(x + at) - (load<T>(new_x + at) + step_size * load<T>(new_score + at));
        difference += there * there - back * back;
        beyond += load<T>(new_x + at) * T(0) + load<T>(new_score + at) * T(0);
      }
      const V<T> ratio = load<T>(new_log_p + c) - load<T>(log_p + c) + difference / (4 * step_size);
      const V<T> chance = exponential<T>(ratio > all<T>(0) ? all<T>(0) : ratio);
      I<T> taken = ~I<T>{};
      if (uniform) taken = (I<T>)(load<T>(uniform + c) < chance);
      for (int v = 0; v < LANES<T>; v++) accepted[c + v] = taken[v] != 0;
      store<T>(log_ratio + c, ratio);
      store<T>(log_p + c, taken ? load<T>(new_log_p + c) : load<T>(log_p + c));
      for (int i = 0; i < d; i++) {
        const size_t at = i * B + c;
        store<T>(x + at, taken ? load<T>(new_x + at) : load<T>(x + at));
        store<T>(score + at, taken ? load<T>(new_score + at) : load<T>(score + at));
      }
      wrong += beyond;
    }
    return sum<T>(wrong) == 0;
  }
};
