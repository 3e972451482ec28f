// One pair of points: with s = |a - b|^2 its f, and its slope, where grad_a f = slope (a - b). Chosen when it is compiled:
//
//   SCALES = 0   f = t^(beta/2), t = s + EPS^2       slope = beta t^(beta/2 - 1)       both 0 where s = 0     energy.py
//   SCALES = k   f = sum of exp(c s) over k numbers c      slope = sum of 2 c exp(c s)                        kernels.py
//
// `numbers` are beta, or the c. HALVES = 1, 2, 3 says that beta is 0.5, 1, 1.5, which roots can do; 0, that it is any other.
// Where t overflows, f does, and the slope goes to 0 as it should, not to inf / inf. NaN stays NaN.
struct Pair {
  REAL f, slope;
};

struct Numbers {
  REAL of[SCALES ? SCALES : 1];
};

struct __align__(16) Four {  // what one instruction loads from shared memory (two, in float64)
  REAL v[4];
};

__device__ inline Numbers read(const REAL* numbers) {
  Numbers here;
#pragma unroll
  for (int k = 0; k < (SCALES ? SCALES : 1); k++) here.of[k] = numbers[k];
  return here;
}

// t >= EPS^2 is no denormal number, and nobody need look whether it is.
__device__ inline float inverse_root(float t) {
#ifdef __CUDA_ARCH__
  float r;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(t));
  return r;
#else
  return 1 / sqrt(t);
#endif
}
__device__ inline double inverse_root(double t) { return rsqrt(t); }

__device__ inline Pair power(REAL s, REAL beta) {
  const REAL t = s + REAL(1e-12);
  if (HALVES == 2) {  // t^(-1/2) is 0 where t overflows, so the slope needs no care
    const REAL r = inverse_root(t);
    Pair pair = {t * r, r};
    if (isinf(t)) pair.f = t;
    if (s == 0) pair = {0, 0};
    return pair;
  }
  const REAL r = HALVES ? inverse_root(t) : 0, root = t * r;
  const REAL quarter = HALVES % 2 ? inverse_root(root) : 0;  // t^(-1/4)
  Pair pair;
  if (HALVES == 1) pair = {root * quarter, r * quarter / 2};
  if (HALVES == 3) pair = {root * root * quarter, quarter * REAL(1.5)};
  if (HALVES == 0) pair.f = pow(t, beta / 2), pair.slope = beta * pair.f / t;
  if (isinf(t)) pair = {t, 0};
  if (s == 0) pair = {0, 0};
  return pair;
}

__device__ inline Pair pair_terms(REAL s, const Numbers& numbers) {
  if (SCALES == 0) return power(s, numbers.of[0]);
  Pair pair = {0, 0};
#pragma unroll
  for (int k = 0; k < SCALES; k++) {
    const REAL e = exp(numbers.of[k] * s);
    pair.f += e;
    pair.slope += 2 * numbers.of[k] * e;
  }
  return pair;
}

// Sums of V numbers over WIDTH neighbouring lanes, both powers of two, V <= WIDTH: lane l gets the sum of the v[l % V]. Half of
// what is left goes to the other half of the lanes each time, so V - 1 numbers are sent, not V log2(WIDTH). Overwrites v.
template <int V, int WIDTH> __device__ inline REAL sum_over_lanes(REAL* v) {
  const int lane = threadIdx.x % WIDTH;
#pragma unroll
  for (int half = V / 2; half; half /= 2)
#pragma unroll
    for (int i = 0; i < half; i++) {
      const bool upper = lane & half;
      const REAL sent = upper ? v[i] : v[i + half], kept = upper ? v[i + half] : v[i];
      v[i] = kept + __shfl_xor_sync(~0u, sent, half);
    }
#pragma unroll
  for (int apart = V; apart < WIDTH; apart *= 2) v[0] += __shfl_xor_sync(~0u, v[0], apart);
  return v[0];
}
