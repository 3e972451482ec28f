// The small operations between matrix products, one launch each. Arithmetic first, then a kernel for each operation.
// Formulas and letters: accel/core/elementwise.py and reference/core/optim.py. Arrays are row-major and without gaps.

#include "activations.cuh"

#define INDEX ((long long)blockIdx.x * blockDim.x + threadIdx.x)

// h (n, k + 1) = [x[:, columns], 1]
extern "C" __global__ void with_ones(const REAL* x, const int* columns, int n, int d, int k, REAL* h) {
  long long i = INDEX;
  if (i >= (long long)n * (k + 1)) return;
  int j = i % (k + 1);
  h[i] = j < k ? x[i / (k + 1) * d + columns[j]] : 1;
}

// h (n, w + 1) = [act(a), 1]
extern "C" __global__ void activate(const REAL* a, int n, int w, int kind, REAL* h) {
  long long i = INDEX;
  if (i >= (long long)n * (w + 1)) return;
  int j = i % (w + 1);
  h[i] = j < w ? activation(kind, a[i / (w + 1) * w + j]) : 1;
}

// stack (rows + 1, w) = [W M; b]
extern "C" __global__ void mask_weights(const REAL* W, const REAL* b, const REAL* M, int rows, int w, REAL* stack) {
  long long i = INDEX, size = (long long)rows * w;
  if (i < size + w) stack[i] = i < size ? W[i] * M[i] : b[i - size];
}

// g (n, w) *= act'(a)
extern "C" __global__ void activate_back(REAL* g, const REAL* a, const REAL* h, int n, int w, int kind) {
  long long i = INDEX;
  if (i >= (long long)n * w) return;
  g[i] *= activation_slope(kind, BY_INPUT(kind) ? a[i] : 0, h[i / w * (w + 1) + i % w]);
}

// a (m size) += extra (size), for each of m
extern "C" __global__ void add_context(REAL* a, const REAL* extra, long long n, long long size) {
  long long i = INDEX;
  if (i < n) a[i] += extra[i % size];
}

// total (size) += the sum over m of g (m size)
extern "C" __global__ void add_over_draws(REAL* total, const REAL* g, long long n, long long size) {
  long long i = INDEX;
  if (i >= size) return;
  REAL sum = total[i];
  for (long long at = i; at < n; at += size) sum += g[at];
  total[i] = sum;
}

// g[:, columns] += change (n, k)
extern "C" __global__ void add_columns(REAL* g, const int* columns, const REAL* change, int n, int d, int k) {
  long long i = INDEX;
  if (i < (long long)n * k) g[i / k * d + columns[i % k]] += change[i];
}

// x (n, d), log_det (n), s (n, k) from z (n, d) and raw (shared, 2 k), the same for every `shared` rows: one thread a row
extern "C" __global__ void couple(const REAL* z, const REAL* raw, const int* moved, int n, int d, int k, int shared, REAL limit,
                                  int back, REAL* x, REAL* log_det, REAL* s) {
  long long i = INDEX;
  if (i >= n) return;
  REAL sum = 0;
  for (int j = 0; j < d; j++) x[i * d + j] = z[i * d + j];
  for (int j = 0; j < k; j++) {
    long long at = i * d + moved[j], pair = (i % shared * k + j) * 2;
    REAL scale = limit * tanh(raw[pair] / limit), shift = raw[pair + 1];
    x[at] = back ? (z[at] - shift) * exp(-scale) : z[at] * exp(scale) + shift;
    s[i * k + j] = scale;
    sum += scale;
  }
  log_det[i] = back ? -sum : sum;
}

// g_z (n, d) and g_raw (n, 2 k) from g_x and g_log_det, whose entries lie `stride` apart: 0 where all are one number (nullptr:
// nothing depends on it)
extern "C" __global__ void couple_back(const REAL* g_x, const REAL* g_log_det, long long stride, const REAL* z, const REAL* x, const REAL* s,
                                       const int* moved, int n, int d, int k, REAL limit, int back, REAL* g_z, REAL* g_raw) {
  long long i = INDEX;
  if (i >= n) return;
  REAL of_log_det = g_log_det ? (back ? -1 : 1) * g_log_det[i * stride] : 0;
  for (int j = 0; j < d; j++) g_z[i * d + j] = g_x[i * d + j];
  for (int j = 0; j < k; j++) {
    long long at = i * d + moved[j], pair = (i * k + j) * 2;
    REAL scale = s[i * k + j], g = g_x[at], through = g * exp(back ? -scale : scale), part = scale / limit;
    REAL of_scale = (back ? -g * x[at] : through * z[at]) + of_log_det;
    g_z[at] = through;
    g_raw[pair] = of_scale * (1 - part * part);
    g_raw[pair + 1] = back ? -through : g;
  }
}

extern "C" __global__ void error_function(const REAL* x, long long n, REAL* out) {
  long long i = INDEX;
  if (i < n) out[i] = erf(x[i]);
}

// P(r) / Q(r), eight coefficients each, the highest power first
__device__ double ratio(const double* c, double r) {
  double above = c[0], below = c[8];
  for (int k = 1; k < 8; k++) above = above * r + c[k], below = below * r + c[8 + k];
  return above / below;
}

// coefficients (3, 2, 8): the ranges of accel/core/special.py
extern "C" __global__ void normal_quantile(const REAL* alpha, const double* coefficients, long long n, REAL* out) {
  long long i = INDEX;
  if (i >= n) return;
  double a = alpha[i], q = a - 0.5, root = sqrt(-log(a < 1 - a ? a : 1 - a)), tail;
  tail = root <= 5 ? ratio(coefficients + 16, root - 1.6) : ratio(coefficients + 32, root - 5);
  out[i] = fabs(q) <= 0.425 ? q * ratio(coefficients, 0.425 * 0.425 - q * q) : q > 0 ? tail : -tail;
}

// log N(z; 0, I), one thread a row
extern "C" __global__ void normal_log_prob(const REAL* z, int n, int d, REAL constant, REAL* log_prob) {
  long long i = INDEX;
  if (i >= n) return;
  REAL sum = 0;
  for (int j = 0; j < d; j++) sum += z[i * d + j] * z[i * d + j];
  log_prob[i] = constant - (REAL)0.5 * sum;
}
