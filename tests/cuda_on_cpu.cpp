// Blocks of threads as fibers: see cuda_on_cpu.py. The header, cuda_on_cpu.hpp, is included by the command.
#include <cstdlib>
#include <new>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

dim3 gridDim, blockDim, blockIdx, threadIdx;

namespace emulated {
using namespace std;

__attribute__((section("cuda_shared"), used)) static char marker = 0;  // so that the section exists
extern "C" char __start_cuda_shared[] __attribute__((visibility("hidden")));
extern "C" char __stop_cuda_shared[] __attribute__((visibility("hidden")));
char* dynamic_shared = nullptr;
double slots[1024][2];

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
static void (*body)(void**);      // the kernel
static void** arguments;

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

unsigned this_thread() { return current->thread; }

// To the next thread, if it can go on, else back to the scheduler.
void leave(Waiting why) {
  unsigned t = current->thread;
  waiting[t] = why;
  if (_setjmp(current->here)) return;
  if (next_runs(t, true)) go_on(t + 1);
  _longjmp(scheduler, 1);
}

// A thread that has ended leaves its stack to the next one, if that has not begun; else to whoever needs one.
inline void run_forever() {
  for (;;) {
    body(arguments);
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

int run_grid(const unsigned* shape, size_t shared, void (*kernel)(void**), void** args) {
  constexpr size_t GUARD = 256;
  body = kernel;
  arguments = args;
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

}  // namespace emulated
