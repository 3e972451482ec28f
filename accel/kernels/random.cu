// Arrays of random numbers, each a function of seed, call and index alone: philox.cuh.
#include "philox.cuh"

extern "C" __global__ void normal(REAL* out, long long n, unsigned long long seed, unsigned int call, AT seed_at, AT call_at) {
  const Key key = key_of(seed, call, seed_at, call_at);
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = normal_at(key.seed, key.call, i);
}

extern "C" __global__ void uniform(REAL* out, long long n, unsigned long long seed, unsigned int call, AT seed_at, AT call_at) {
  const Key key = key_of(seed, call, seed_at, call_at);
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = uniform_at(key.seed, key.call, i);
}
