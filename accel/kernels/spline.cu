// Splines, one launch each way: the transformer of a coupling from its raw numbers, the bare spline from its knots, and knots.
// Arrays are row-major and without gaps. Formulas and letters: accel/flows/spline.py.
#include "spline.cuh"

#define INDEX ((long long)blockIdx.x * blockDim.x + threadIdx.x)

// The columns `moved` (k) of z (n, d) through splines with raw (shared, k (3 K - 1)), the same for every `shared` rows, -> x (n, d),
// log_det (n). A row of threads for a row of z; the sum over its columns is taken in the same order every time.
extern "C" __global__ void __launch_bounds__(256) spline_columns(
    const REAL* z, const REAL* raw, const int* moved, int n, int d, int k, int shared, int K, REAL bound, int back, REAL* x,
    REAL* log_det) {
  __shared__ REAL parts[256];
  const int lane = threadIdx.x, lanes = blockDim.x, W = 3 * K - 1;
  const long long i = (long long)blockIdx.x * blockDim.y + threadIdx.y;
  for (int j = lane; i < n && j < d; j += lanes) x[i * d + j] = z[i * d + j];
  __syncthreads();
  REAL sum = 0, log_slope;
  for (int j = lane; i < n && j < k; j += lanes) {
    const long long at = i * d + moved[j];
    x[at] = transform(raw + (i % shared * k + j) * W, 1, K, bound, z[at], back, log_slope);
    sum += log_slope;
  }
  REAL* mine = parts + threadIdx.y * lanes;
  mine[lane] = sum;
  __syncthreads();
  if (i >= n || lane > 0) return;
  for (int j = 1; j < lanes; j++) sum += mine[j];
  log_det[i] = sum;
}

// g_z (n, d) and g_raw (n, k (3 K - 1)) from g_x and g_log_det, whose entries lie `stride` apart: 0 where all are one number (either may be
// nullptr: nothing depends on it). One thread an entry of z: place[column] is its number among the moved ones, or -1.
extern "C" __global__ void __launch_bounds__(256) spline_columns_back(
    const REAL* g_x, const REAL* g_log_det, long long stride, const REAL* z, const REAL* raw, const int* place, int n, int d, int k,
    int shared, int K, REAL bound, int back, REAL* g_z, REAL* g_raw) {
  const long long at = INDEX, i = at / d;
  if (i >= n) return;
  const int j = place[at % d];
  const REAL g = g_x ? g_x[at] : 0;
  if (j < 0) {
    g_z[at] = g;
    return;
  }
  const REAL* shape = raw + (i % shared * k + j) * (3 * K - 1);
  g_raw += (i * k + j) * (3 * K - 1);
  g_z[at] = transform_back(shape, 1, K, bound, z[at], back, g, g_log_det ? g_log_det[i * stride] : 0, g_raw);
}

// The bin of v among increasing knots (K + 1).
__device__ int bin_among(const REAL* knots, int K, REAL v) {
  int k = 0;
  while (k + 1 < K && v >= knots[k + 1]) k++;
  return k;
}

__device__ Segment segment_of(const REAL* x, const REAL* y, const REAL* slopes, int k) {
  return {x[k], x[k + 1], y[k], y[k + 1], slopes[k], slopes[k + 1]};
}

// v (n), x, y and slopes (n, K + 1) -> out and log slope (n)
extern "C" __global__ void spline_of_knots(
    const REAL* v, const REAL* x, const REAL* y, const REAL* slopes, int n, int K, int back, REAL* out, REAL* log_slope) {
  const long long i = INDEX;
  if (i >= n) return;
  x += i * (K + 1), y += i * (K + 1), slopes += i * (K + 1);
  const REAL *from = back ? y : x, *to = back ? x : y;
  if (v[i] >= from[0] && v[i] <= from[K]) {
    out[i] = image(segment_of(x, y, slopes, bin_among(from, K, v[i])), v[i], back, log_slope[i]);
    return;
  }
  const int end = v[i] < from[0] ? 0 : K;
  const REAL off = v[i] - from[end], l = log(slopes[end]);
  out[i] = to[end] + (back ? off / slopes[end] : slopes[end] * off);
  log_slope[i] = back ? -l : l;
}

// The adjoints of v, x, y and slopes from those of out and log slope (either may be nullptr).
extern "C" __global__ void spline_of_knots_back(
    const REAL* g, const REAL* g_l, const REAL* v, const REAL* x, const REAL* y, const REAL* slopes, int n, int K, int back,
    REAL* g_v, REAL* g_x, REAL* g_y, REAL* g_slopes) {
  const long long i = INDEX, first = i * (K + 1);
  if (i >= n) return;
  x += first, y += first, slopes += first, g_x += first, g_y += first, g_slopes += first;
  for (int j = 0; j <= K; j++) g_x[j] = g_y[j] = g_slopes[j] = 0;
  const REAL *from = back ? y : x, of_out = g ? g[i] : 0, of_l = g_l ? g_l[i] : 0;
  if (v[i] >= from[0] && v[i] <= from[K]) {
    const int k = bin_among(from, K, v[i]);
    const Adjoint adjoint = image_back(segment_of(x, y, slopes, k), v[i], back, of_out, of_l);
    g_v[i] = adjoint.v;
    g_x[k] = adjoint.of.x, g_y[k] = adjoint.of.y, g_slopes[k] = adjoint.of.d;
    g_x[k + 1] = adjoint.of.x_next, g_y[k + 1] = adjoint.of.y_next, g_slopes[k + 1] = adjoint.of.e;
    return;
  }
  const int end = v[i] < from[0] ? 0 : K;
  const REAL slope = slopes[end], off = v[i] - from[end];
  g_v[i] = back ? of_out / slope : of_out * slope;
  g_x[end] = back ? of_out : -g_v[i];
  g_y[end] = back ? -g_v[i] : of_out;
  g_slopes[end] = back ? -(of_out * off / slope + of_l) / slope : of_out * off + of_l / slope;
}

// raw (n, K) -> K + 1 knots from first on
extern "C" __global__ void knots(const REAL* raw, int n, int K, REAL first, REAL range, REAL* places) {
  const long long i = INDEX;
  if (i >= n) return;
  const Shares shares = shares_of(raw + i * K, 1, K);
  REAL sum = 0;
  places += i * (K + 1);
  places[0] = first;
  for (int j = 0; j < K; j++) places[j + 1] = first + range * (sum += shares.share(j));
}

// g_raw_j = p_j (gp_j - sum p gp), gp_j = c times the sum of g above j
extern "C" __global__ void knots_back(const REAL* raw, const REAL* g, int n, int K, REAL range, REAL* g_raw) {
  const long long i = INDEX;
  if (i >= n) return;
  const Shares shares = shares_of(raw + i * K, 1, K);
  REAL above = 0, mean = 0;
  g += i * (K + 1), g_raw += i * K;
  for (int j = K - 1; j >= 0; j--) {
    above += g[j + 1];
    g_raw[j] = range * (1 - MIN_BIN * K) * above;
    mean += shares.p(j) * g_raw[j];
  }
  for (int j = 0; j < K; j++) g_raw[j] = shares.p(j) * (g_raw[j] - mean);
}
