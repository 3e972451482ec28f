// What Python calls (accel/compiled/calls.py): the same functions for float and double. Points go by blocks.
#include <cmath>
#include <new>
#include <vector>
#include "energy.hpp"

// Memory for a block: a vector that lies across two lines of the cache takes twice as long to load.
template <class T> struct Place {
  T* first;
  explicit Place(size_t n) : first(static_cast<T*>(operator new(n * sizeof(T), std::align_val_t(BYTES)))) {}
  ~Place() { operator delete(first, std::align_val_t(BYTES)); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
};

// plan: depth, activation, widths... of a perceptron
template <class T> static Perceptron<T> perceptron(const int64_t*& plan, const T*& leaves) {
  Perceptron<T> net{int(plan[0]), int(plan[1]), plan + 2, leaves};
  plan += 3 + net.depth;
  leaves += net.numbers();
  return net;
}

// plan: d, layers, back; of each layer its perceptron, then the numbers of A and B and their coordinates
template <class T> static void read(Chain<T>& chain, const int64_t* plan, const double* limits, const T* leaves) {
  chain.d = plan[0], chain.layers = plan[1], chain.back = plan[2];
  chain.coupling.resize(chain.layers);
  plan += 3;
  size_t numbers = 0;
  for (int l = 0; l < chain.layers; l++) {
    Coupling<T>& own = chain.coupling[l];
    own.net = perceptron<T>(plan, leaves);
    own.passing = plan[0], own.moved = plan[1], own.which = plan + 2, own.others = plan + 2 + plan[0];
    plan += 2 + own.passing + own.moved;
    own.limit = limits[l];
    own.first_leaf = numbers;
    numbers += own.net.numbers();
  }
}

template <class T> static size_t kept_by_chain(const int64_t* plan) {
  Chain<T> chain;
  std::vector<double> limits(plan[1]);
  read<T>(chain, plan, limits.data(), nullptr);
  return chain.rows() * BLOCK<T>;
}

// x (n, d) -> image (n, d), log_det (n,). kept: what a block leaves, one block after the other, or one place for all of them.
template <class T>
static void chain_forward(
    const int64_t* plan, const double* limits, const T* leaves, int64_t n, const T* x, T* image, T* log_det, T* kept,
    int64_t stride) {
  Chain<T> chain;
  read<T>(chain, plan, limits, leaves);
  const Place<T> place((chain.d + 1) * BLOCK<T>);
  T *rows = place.first, *sums = rows + chain.d * BLOCK<T>;
  for (int64_t at = 0; at < n; at += BLOCK<T>, kept += stride) {
    const int m = n - at < BLOCK<T> ? n - at : BLOCK<T>, points = whole_strips<T>(m);
    take<T>(rows, x + at * chain.d, chain.d, m, points);
    chain.forward(rows, sums, kept, points);
    put<T>(image + at * chain.d, rows, chain.d, m);
    __builtin_memcpy(log_det + at, sums, m * sizeof(T));
  }
}

// g (n, d), g_log_det (n,) -> of_x (n, d); adds to of_leaves, the adjoints of all leaves behind each other (or nullptr).
template <class T>
static void chain_backward(
    const int64_t* plan, const double* limits, const T* leaves, int64_t n, const T* g, const T* g_log_det,
    const T* kept, T* of_x, T* of_leaves) {
  Chain<T> chain;
  read<T>(chain, plan, limits, leaves);
  const size_t wide = chain.widest() * BLOCK<T>;
  const Place<T> place((chain.d + 1) * BLOCK<T> + 2 * wide);
  T *rows = place.first, *sums = rows + chain.d * BLOCK<T>, *one = sums + BLOCK<T>, *two = one + wide;
  for (int64_t at = 0; at < n; at += BLOCK<T>, kept += chain.rows() * BLOCK<T>) {
    const int m = n - at < BLOCK<T> ? n - at : BLOCK<T>, points = whole_strips<T>(m);
    take<T>(rows, g + at * chain.d, chain.d, m, points);
    take<T>(sums, g_log_det + at, 1, m, points);
    chain.backward(rows, sums, kept, one, two, of_leaves, points);
    put<T>(of_x + at * chain.d, rows, chain.d, m);
  }
}

// An energy-based model, with the chain that it is pulled back through (map: its plan), or without one (nullptr).
template <class T> struct Model {
  Chain<T> chain;
  Energy<T> energy;

  Model(const int64_t* plan, const T* leaves, double precision, double constant, const int64_t* map, const double* limits,
        const T* of_map) {
    if (map) read<T>(chain, map, limits, of_map);
    const Perceptron<T> net = perceptron<T>(plan, leaves);
    energy = {net, int(net.widths[0]), T(precision), T(constant), map ? &chain : nullptr};
  }
  Model(const Model&) = delete;
};

// x (n, d) -> log_p (n,), score (n, d)
template <class T> static void density(const Energy<T>& model, int64_t n, const T* x, T* log_p, T* score) {
  const Place<T> place((2 * model.d + 1 + model.rows()) * BLOCK<T>);
  T *rows = place.first, *slopes = rows + model.d * BLOCK<T>, *values = slopes + model.d * BLOCK<T>;
  for (int64_t at = 0; at < n; at += BLOCK<T>) {
    const int m = n - at < BLOCK<T> ? n - at : BLOCK<T>, points = whole_strips<T>(m);
    take<T>(rows, x + at * model.d, model.d, m, points);
    model.evaluate(rows, values, slopes, values + BLOCK<T>, points);
    __builtin_memcpy(log_p + at, values, m * sizeof(T));
    put<T>(score + at * model.d, slopes, model.d, m);
  }
}

// All steps of MALA, or of ULA where there are no uniforms (nullptr). x, log_p, score: from where the chains stand to where they
// end; noises, uniforms: one array for each step; path (steps, n, d), accepted and log_ratio (steps, n). Returns 0 where
// something was not finite, and then nothing counts.
template <class T>
static int walk(
    const Energy<T>& model, double step_size, int64_t steps, int64_t n, T* x, T* log_p, T* score, const T* const* noises,
    const T* const* uniforms, T* path, bool* accepted, T* log_ratio) {
  const int d = model.d, B = BLOCK<T>;
  const Place<T> place((5 * d + 4 + model.rows()) * B);
  std::vector<char> flags(B);
  bool* took = reinterpret_cast<bool*>(flags.data());
  T* p = place.first;
  auto rows = [&](int k) { T* here = p; p += k * B; return here; };
  T* ratio = rows(1);
  const Chains<T> chains{
      model, T(step_size), rows(d), rows(1), rows(d), rows(d), rows(1), rows(d), rows(d), uniforms ? rows(1) : nullptr, rows(0)};
  const T root = T(std::sqrt(2 * step_size));
  for (int64_t at = 0; at < n; at += B) {
    const int m = n - at < B ? n - at : B, points = whole_strips<T>(m);
    take<T>(chains.x, x + at * d, d, m, points);
    take<T>(chains.log_p, log_p + at, 1, m, points);
    take<T>(chains.score, score + at * d, d, m, points);
    for (int64_t s = 0; s < steps; s++) {
      take<T>(chains.noise, noises[s] + at * d, d, m, points);
      if (uniforms) take<T>(chains.uniform, uniforms[s] + at, 1, m, points);
      if (!chains.step(root, ratio, took, points)) return 0;
      put<T>(path + (s * n + at) * d, chains.x, d, m);
      __builtin_memcpy(accepted + s * n + at, took, m);
      __builtin_memcpy(log_ratio + s * n + at, ratio, m * sizeof(T));
    }
    put<T>(x + at * d, chains.x, d, m);
    __builtin_memcpy(log_p + at, chains.log_p, m * sizeof(T));
    put<T>(score + at * d, chains.score, d, m);
  }
  return 1;
}

#define EXPORT(T)                                                                                                            \
  extern "C" int64_t T##_block() { return BLOCK<T>; }                                                                        \
  extern "C" int64_t T##_kept(const int64_t* plan) { return kept_by_chain<T>(plan); }                                        \
  extern "C" void T##_chain_forward(                                                                                         \
      const int64_t* plan, const double* limits, const T* leaves, int64_t n, const T* x, T* image, T* log_det,        \
      T* kept, int64_t stride) { chain_forward<T>(plan, limits, leaves, n, x, image, log_det, kept, stride); }               \
  extern "C" void T##_chain_backward(                                                                                        \
      const int64_t* plan, const double* limits, const T* leaves, int64_t n, const T* g, const T* g_log_det,          \
      const T* kept, T* of_x, T* of_leaves) {                                                                                \
    chain_backward<T>(plan, limits, leaves, n, g, g_log_det, kept, of_x, of_leaves);                                         \
  }                                                                                                                          \
  extern "C" void T##_density(                                                                                              \
      const int64_t* plan, const T* leaves, double precision, double constant, const int64_t* map, const double* limits,    \
      const T* of_map, int64_t n, const T* x, T* log_p, T* score) {                                                         \
    density<T>(Model<T>(plan, leaves, precision, constant, map, limits, of_map).energy, n, x, log_p, score);                \
  }                                                                                                                         \
  extern "C" int T##_walk(                                                                                                  \
      const int64_t* plan, const T* leaves, double precision, double constant, const int64_t* map, const double* limits,    \
      const T* of_map, double step_size, int64_t steps, int64_t n, T* x, T* log_p, T* score, const T* const* noises,        \
      const T* const* uniforms, T* path, bool* accepted, T* log_ratio) {                                                    \
    return walk<T>(Model<T>(plan, leaves, precision, constant, map, limits, of_map).energy, step_size, steps, n, x, log_p,  \
                   score, noises, uniforms, path, accepted, log_ratio);                                                     \
  }

EXPORT(float)
EXPORT(double)
