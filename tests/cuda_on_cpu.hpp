// What a CUDA source expects of its compiler, for g++: see cuda_on_cpu.py.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

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

struct dim3 { unsigned x = 1, y = 1, z = 1; };
static dim3 gridDim, blockDim, blockIdx, threadIdx;
constexpr int warpSize = 32;

namespace emulated {
using namespace std;

__attribute__((section("cuda_shared"), used)) static char marker = 0;  // so that the section exists
extern "C" char __start_cuda_shared[] __attribute__((visibility("hidden")));
extern "C" char __stop_cuda_shared[] __attribute__((visibility("hidden")));
static char* dynamic_shared = nullptr;

enum Waiting { RUNNING, FOR_BLOCK, FOR_WARP, ENDED };
constexpr size_t STACK = 1 << 18;

struct Fiber {  // at the top of its own stack
  jmp_buf here;
  unsigned thread;  // the one of the block that it runs
};

static jmp_buf scheduler;
static vector<Fiber*> idle;
static Fiber* current = nullptr;
static unsigned made = 0;
static vector<Waiting> waiting;   // one for each thread of the block
static vector<Fiber*> fibers;
static function<void()> body;
static double slots[1024][2];     // what the threads give to a shuffle: 16 bytes each

inline void place(unsigned t) {
  if (t < blockDim.x) threadIdx = {t, 0, 0};
  else threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
}

inline bool next_runs(unsigned t, bool begun) {
  return t + 1 < waiting.size() && waiting[t + 1] == RUNNING && !fibers[t + 1] != begun;
}

[[noreturn]] inline void go_on(unsigned t) {
  current = fibers[t];
  place(t);
  _longjmp(current->here, 1);
}

// To the next thread, if it can go on, else back to the scheduler; returns when this thread may go on.
__attribute__((noinline)) void leave(Waiting why) {
  unsigned t = current->thread;
  waiting[t] = why;
  if (_setjmp(current->here)) return;
  if (next_runs(t, true)) go_on(t + 1);
  _longjmp(scheduler, 1);
}

// A thread that has ended leaves its stack to the next one, if that has not begun; else to whoever needs one.
inline void run_forever() {
  for (;;) {
    body();
    unsigned t = current->thread;
    if (next_runs(t, false)) {
      waiting[t] = ENDED;
      fibers[t + 1] = current;
      current->thread = t + 1;
      place(t + 1);
    } else {
      idle.push_back(current);
      leave(ENDED);
    }
  }
}

inline void begin(unsigned t) {
  char* stack = static_cast<char*>(mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  size_t size = STACK - sizeof(Fiber) - made++ % 128 * 1088;  // at one height, all stacks would want the same lines of the cache
  ucontext_t first;
  getcontext(&first);
  first.uc_stack.ss_sp = stack;
  first.uc_stack.ss_size = size / 64 * 64;
  current = fibers[t] = new (stack + first.uc_stack.ss_size) Fiber;
  current->thread = t;
  place(t);
  makecontext(&first, run_forever, 0);
  setcontext(&first);
}

// Returns when a thread has left and the next one could not go on by itself.
__attribute__((noinline)) void resume(unsigned t) {
  if (_setjmp(scheduler)) return;
  if (!fibers[t]) {
    if (idle.empty()) begin(t);
    fibers[t] = idle.back();
    idle.pop_back();
    fibers[t]->thread = t;
  }
  go_on(t);
}

// Lets those threads [from, to) go on that wait for `why`, if all of them do. Returns whether it did.
inline bool release(unsigned from, unsigned to, Waiting why) {
  for (unsigned t = from; t < to; t++)
    if (waiting[t] != why) return false;
  for (unsigned t = from; t < to; t++) waiting[t] = RUNNING;
  return true;
}

inline bool run_block(unsigned threads) {
  waiting.assign(threads, RUNNING);
  fibers.assign(threads, nullptr);
  for (;;) {
    unsigned ended = 0;
    for (unsigned t = 0; t < threads; t++) {
      if (waiting[t] == RUNNING) resume(t);
      ended += waiting[t] == ENDED;
    }
    if (ended == threads) return true;
    bool moved = release(0, threads, FOR_BLOCK);
    for (unsigned w = 0; w < threads; w += warpSize)
      moved |= release(w, min(w + warpSize, threads), FOR_WARP);
    if (!moved) return false;
  }
}

// 0, or the number of an error in cuda_on_cpu.py.
inline int run_grid(const unsigned* shape, size_t shared) {
  constexpr size_t GUARD = 256;
  gridDim = {shape[0], shape[1], shape[2]};
  blockDim = {shape[3], shape[4], shape[5]};
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, shared + GUARD)) abort();
  dynamic_shared = static_cast<char*>(memory);
  int failed = 0;
  for (blockIdx.z = 0; blockIdx.z < gridDim.z && !failed; blockIdx.z++)
    for (blockIdx.y = 0; blockIdx.y < gridDim.y && !failed; blockIdx.y++)
      for (blockIdx.x = 0; blockIdx.x < gridDim.x && !failed; blockIdx.x++) {
        memset(dynamic_shared, 0xFF, shared + GUARD);
        memset(__start_cuda_shared, 0xFF, __stop_cuda_shared - __start_cuda_shared);
        if (!run_block(blockDim.x * blockDim.y * blockDim.z)) failed = 1;
        for (size_t i = 0; i < GUARD; i++)
          if (!failed && static_cast<unsigned char>(dynamic_shared[shared + i]) != 0xFF) failed = 2;
      }
  free(memory);
  return failed;
}

template <class T> string code() {
  if constexpr (is_pointer_v<T>) return "*" + code<remove_cv_t<remove_pointer_t<T>>>();
  else return (is_same_v<T, bool> ? "b" : is_floating_point_v<T> ? "f" : is_signed_v<T> ? "i" : "u") + to_string(sizeof(T));
}

template <class... A> string parameters(void (*)(A...)) {
  string all;
  ((all += code<A>() + " "), ...);
  return all;
}

template <class... A, size_t... I> void take(void (*kernel)(A...), void** args, index_sequence<I...>) {
  body = [=] { kernel(*static_cast<remove_cv_t<A>*>(args[I])...); };
}

template <class... A> int launch(void (*kernel)(A...), const unsigned* shape, void** args, size_t shared) {
  take(kernel, args, index_sequence_for<A...>());
  return run_grid(shape, shared);
}

}  // namespace emulated

#define EMULATED_KERNEL(name)                                                                                            \
  extern "C" const char* parameters_##name() { static std::string text = emulated::parameters(name); return text.c_str(); }   \
  extern "C" int launch_##name(const unsigned* shape, void** args, size_t shared) {                                      \
    return emulated::launch(name, shape, args, shared);                                                                  \
  }

inline void __syncthreads() { emulated::leave(emulated::FOR_BLOCK); }
inline void __syncwarp(unsigned = ~0u) { emulated::leave(emulated::FOR_WARP); }

template <class T> T shuffled(T value, unsigned from_lane) {
  unsigned here = emulated::current->thread, base = here / warpSize * warpSize;
  memcpy(emulated::slots[here], &value, sizeof(T));
  __syncwarp();
  memcpy(&value, emulated::slots[base + from_lane], sizeof(T));
  __syncwarp();
  return value;
}
inline unsigned lane() { return emulated::current->thread % warpSize; }
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
