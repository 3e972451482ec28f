// Arrays of random numbers, each a function of seed, call and index alone: philox.cuh.
#include "philox.cuh"

extern "C" __global__ void normal(REAL* out, long long n, unsigned long long seed, unsigned int call) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = normal_at(seed, call, i);
}

extern "C" __global__ void uniform(REAL* out, long long n, unsigned long long seed, unsigned int call) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = uniform_at(seed, call, i);
}
