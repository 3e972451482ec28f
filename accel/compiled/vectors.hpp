// As many numbers as a register holds, and the functions that the models need of them.
//
//   e^x       = 2^n (1 + q(r)),       n = round(x / log 2),  r = x - n log 2,  q(r) = r + r^2/2! + r^3/3! + ...
//   e^x - 1   = 2^n q(r) + (2^n - 1)
//   tanh x    = u / (u + 2),          u = e^{2x} - 1
//   log(1+u)  = 2 (s + s^3/3 + s^5/5 + ...),   s = u / (2 + u),  0 <= u <= 1
//
// Nothing here assumes that numbers are finite: NaN stays NaN, and comparisons are written so that it does.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

#if defined(__AVX512F__)
constexpr int BYTES = 64;
#elif defined(__AVX__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif

template <class T> struct Bits;
template <> struct Bits<float> {
  using I = int32_t;
  static constexpr int mantissa = 23, bias = 127, terms = 7, odd = 6;
  static constexpr float high = 0.693359375f, low = -2.12194440e-4f, round = 12582912.0f, most = 88.0f, least = -87.0f,
                         last = 1.0 / 5040;  // 1 / terms!
};
template <> struct Bits<double> {
  using I = int64_t;
  static constexpr int mantissa = 52, bias = 1023, terms = 13, odd = 17;
  static constexpr double high = 6.93145751953125e-1, low = 1.42860682030941723212e-6, round = 6755399441055744.0,
                          most = 709.0, least = -708.0, last = 1.0 / 6227020800;
};

template <class T> constexpr int LANES = BYTES / sizeof(T);
template <class T> struct Vector {
  typedef T V __attribute__((vector_size(BYTES)));
  typedef typename Bits<T>::I I __attribute__((vector_size(BYTES)));
};
template <class T> using V = typename Vector<T>::V;
template <class T> using I = typename Vector<T>::I;

template <class T> inline V<T> load(const T* p) { V<T> v; __builtin_memcpy(&v, p, BYTES); return v; }
template <class T> inline void store(T* p, V<T> v) { __builtin_memcpy(p, &v, BYTES); }
template <class T> inline V<T> all(T x) { return V<T>{} + x; }

// [a_0 + a_1, a_2 + a_3, ..., b_0 + b_1, b_2 + b_3, ...]
template <class T, size_t... i> inline V<T> neighbours(V<T> a, V<T> b, std::index_sequence<i...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, int(2 * i)...) + __builtin_shufflevector(a, b, int(2 * i + 1)...);
#else
  return __builtin_shuffle(a, b, I<T>{2 * i...}) + __builtin_shuffle(a, b, I<T>{2 * i + 1 ...});
#endif
}
template <class T> inline V<T> neighbours(V<T> a, V<T> b) {
  return neighbours<T>(a, b, std::make_index_sequence<LANES<T>>());
}
template <class T> inline T sum(V<T> v) {
  for (int n = LANES<T>; n > 1; n /= 2) v = neighbours<T>(v, v);
  return v[0];
}
// The sums of 16 vectors, one behind the other.
template <class T> inline void sums(T* out, V<T>* v) {
#pragma GCC unroll 5
  for (int n = 16; n > 16 / LANES<T>; n /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < n / 2; i++) v[i] = neighbours<T>(v[2 * i], v[2 * i + 1]);
#pragma GCC unroll 8
  for (int i = 0; i < 16 / LANES<T>; i++) store<T>(out + i * LANES<T>, v[i]);
}

// 2^n and q(r) of x, which is kept where 2^n is a number.
template <class T> inline void powers(V<T> x, V<T>& two_n, V<T>& q) {
  using B = Bits<T>;
  x = x > all<T>(B::most) ? all<T>(B::most) : x;
  x = x < all<T>(B::least) ? all<T>(B::least) : x;
  const V<T> shifted = x * T(1.4426950408889634) + T(B::round), n = shifted - T(B::round);
  const V<T> r = (x - n * T(B::high)) - n * T(B::low);
  I<T> bits;
  __builtin_memcpy(&bits, &shifted, BYTES);  // n stands in the last bits of `shifted`
  bits = (bits + B::bias) << B::mantissa;
  __builtin_memcpy(&two_n, &bits, BYTES);
  q = all<T>(B::last);
  T next = B::last;
#pragma GCC unroll 16
  for (int k = B::terms; k > 2; k--) {
    next *= T(k);
    q = q * r + next;
  }
  q = q * (r * r) + r;
}

template <class T> inline V<T> exponential(V<T> x) {
  V<T> two_n, q;
  powers<T>(x, two_n, q);
  return two_n + two_n * q;
}
template <class T> inline V<T> exponential_minus_1(V<T> x) {
  V<T> two_n, q;
  powers<T>(x, two_n, q);
  return two_n * q + (two_n - T(1));
}
template <class T> inline V<T> tangent(V<T> x) {
  const V<T> u = exponential_minus_1<T>(x + x);
  return u / (u + T(2));
}
template <class T> inline V<T> log_1_plus(V<T> u) {
  const V<T> s = u / (u + T(2)), ss = s * s;
  V<T> total = all<T>(0);
#pragma GCC unroll 20
  for (int k = Bits<T>::odd; k >= 0; k--) total = total * ss + T(2) / T(2 * k + 1);
  return total * s;
}

enum Activation { TANH, RELU, LEAKY_RELU, SOFTPLUS, SILU, ELU };  // as in accel/core/elementwise.py
constexpr double LEAK = 0.05;

template <class T> inline V<T> sigmoid(V<T> a) { return T(0.5) * (T(1) + tangent<T>(T(0.5) * a)); }

// sigma(a) of all but RELU and LEAKY_RELU, which a product does by itself
template <class T> inline V<T> activated(V<T> a, int activation) {
  const V<T> zero = all<T>(0);
  switch (activation) {
    case TANH: return tangent<T>(a);
    case SOFTPLUS: return (a <= zero ? zero : a) + log_1_plus<T>(exponential<T>(a <= zero ? a : -a));
    case SILU: return a * sigmoid<T>(a);
    default: return a <= zero ? exponential_minus_1<T>(a) : a;
  }
}

// sigma'(a), told from h = sigma(a) where that is possible; at a kink that of the left side.
template <class T> inline V<T> slope(V<T> a, V<T> h, int activation) {
  const V<T> zero = all<T>(0), one = all<T>(1);
  switch (activation) {
    case TANH: return one - h * h;
    case RELU: return h > zero ? one : zero;
    case LEAKY_RELU: return h > zero ? one : all<T>(T(LEAK));
    case SOFTPLUS: return sigmoid<T>(a);
    case SILU: { const V<T> s = sigmoid<T>(a); return s * (one + a * (one - s)); }
    default: return a <= zero ? exponential<T>(a) : one;
  }
}
