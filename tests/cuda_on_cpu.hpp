// What a CUDA source expects of its compiler, for g++: see cuda_on_cpu.py. What runs it is cuda_on_cpu.cpp.
#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __noinline__
#define __restrict__
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __shared__ static __attribute__((section("cuda_shared"), used))

// Overloads for float and double, as a device has them; no more of std, so that a kernel may be called what it likes.
using std::abs, std::ceil, std::cos, std::cosh, std::erf, std::exp, std::expm1, std::fabs, std::floor, std::fma, std::fmax, std::fmin;
using std::isfinite, std::isinf, std::isnan, std::log, std::log1p, std::max, std::min, std::pow, std::round, std::sin, std::sinh;
using std::sqrt, std::tanh;

#pragma GCC visibility push(hidden)
struct dim3 { unsigned x = 1, y = 1, z = 1; };
extern dim3 gridDim, blockDim, blockIdx, threadIdx;
constexpr int warpSize = 32;

namespace emulated {
using namespace std;

extern char* dynamic_shared;
extern double slots[1024][2];  // what the threads give to a shuffle: 16 bytes each

enum Waiting { RUNNING, FOR_BLOCK, FOR_WARP, ENDED };
unsigned this_thread();   // of the block, counted through
void leave(Waiting why);  // returns when this thread may go on
int run_grid(const unsigned* shape, size_t shared, void (*body)(void**), void** args);  // 0, or an error of cuda_on_cpu.py

struct Code { char pointer, kind, bytes, space; };  // "*f4 ", " i4 "
template <class T> constexpr Code code() {
  using V = remove_cv_t<remove_pointer_t<T>>;
  char kind = is_same_v<V, bool> ? 'b' : is_floating_point_v<V> ? 'f' : is_signed_v<V> ? 'i' : 'u';
  return {is_pointer_v<T> ? '*' : ' ', kind, '0' + sizeof(V), ' '};
}

template <auto kernel> struct Kernel;
template <class... A, void (*kernel)(A...)> struct Kernel<kernel> {
  static constexpr Code parameters[] = {code<A>()..., Code{}};
  template <size_t... I> static void call(void** args, index_sequence<I...>) {
    kernel(*static_cast<remove_cv_t<A>*>(args[I])...);
  }
  static void run(void** args) { call(args, index_sequence_for<A...>()); }
};

}  // namespace emulated
#pragma GCC visibility pop

#define EMULATED_KERNEL(name)                                                       \
  extern "C" const char* parameters_##name() {                                      \
    return reinterpret_cast<const char*>(emulated::Kernel<name>::parameters);       \
  }                                                                                 \
  extern "C" int launch_##name(const unsigned* shape, void** args, size_t shared) { \
    return emulated::run_grid(shape, shared, emulated::Kernel<name>::run, args);    \
  }

inline void __syncthreads() { emulated::leave(emulated::FOR_BLOCK); }
inline void __syncwarp(unsigned = ~0u) { emulated::leave(emulated::FOR_WARP); }

template <class T> T shuffled(T value, unsigned from_lane) {
  unsigned here = emulated::this_thread(), base = here / warpSize * warpSize;
  memcpy(emulated::slots[here], &value, sizeof(T));
  __syncwarp();
  memcpy(&value, emulated::slots[base + from_lane], sizeof(T));
  __syncwarp();
  return value;
}
inline unsigned lane() { return emulated::this_thread() % warpSize; }
template <class T> T __shfl_sync(unsigned, T value, int from, int width = 32) {
  return shuffled(value, lane() / width * width + from % width);
}
template <class T> T __shfl_xor_sync(unsigned, T value, int mask, int = 32) { return shuffled(value, lane() ^ mask); }
template <class T> T __shfl_down_sync(unsigned, T value, int delta, int width = 32) {
  return shuffled(value, lane() % width + delta < unsigned(width) ? lane() + delta : lane());
}

template <class T> T atomicMin(T* to, T value) { T before = *to; *to = value < before ? value : before; return before; }
template <class T> T atomicAdd(T* to, T value) { T before = *to; *to += value; return before; }
template <class T> T __ldg(const T* from) { return *from; }
inline unsigned __umulhi(unsigned a, unsigned b) { return (static_cast<unsigned long long>(a) * b) >> 32; }
template <class T> void sincospi(T x, T* s, T* c) { *s = sin(T(M_PI) * x); *c = cos(T(M_PI) * x); }
template <class T> T rsqrt(T x) { return 1 / sqrt(x); }
inline void sincospif(float x, float* s, float* c) { sincospi(x, s, c); }
inline float rsqrtf(float x) { return rsqrt(x); }
