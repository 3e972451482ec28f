// Sums of |x - y| on the line out of the order of x (rows, m) and y (rows, n) together (sort.cu), and their gradients.
//
// A block has a row; a thread, a stretch of its sorted places. It walks over it twice: to learn what the threads before it
// have, and to say, at each place, from r x before it (with sum S_r), and y before it with cotangents G in sum
//
//   cross_j = (2 r - m) y_j + S_m - 2 S_r      within = sum_i (2 r - m + 1) x_i                              all less the x' mean
//   by_y_j = (2 r - m) g_j                     by_x_i = 2 G - (sum of all g) + (2 r - m + 1) g_within
constexpr int MOST = 1024;

struct Before {
  double sums[MOST];
  int counts[MOST];
};

// From what each thread has to what all threads before it have; returns the sum of all. Doubling, so in a fixed order.
__device__ inline double scan(Before& before, double& sum, int& count) {
  const int t = threadIdx.x;
  const double mine = sum;
  const int own = count;
  __syncthreads();
  for (int apart = 1; apart < blockDim.x; apart *= 2) {
    before.sums[t] = sum, before.counts[t] = count;
    __syncthreads();
    if (t >= apart) sum += before.sums[t - apart], count += before.counts[t - apart];
    __syncthreads();
  }
  before.sums[t] = sum;
  __syncthreads();
  const double all = before.sums[blockDim.x - 1];
  sum -= mine, count -= own;
  if (t > 0) sum = before.sums[t - 1];  // a difference would be off by a rounding, or NaN
  else sum = 0;
  return all;
}

// This thread's stretch of m + n places
__device__ inline int start_of(int thread, int all) { return (long long)all * thread / blockDim.x; }

extern "C" __global__ void __launch_bounds__(MOST) sorted_sums(
    const REAL* x, const REAL* y, const int* places, int m, int n, int padded, REAL* cross, REAL* within) {
  __shared__ Before before;
  const long long row = blockIdx.x;
  x += row * m, y += row * n, places += row * padded, cross += row * n;
  const int from = start_of(threadIdx.x, m + n), to = start_of(threadIdx.x + 1, m + n);
  double sum = 0, spread = 0;
  int r = 0;
  for (int i = threadIdx.x; i < m; i += blockDim.x) sum += x[i];
  const double middle = scan(before, sum, r) / m;  // no difference changes, and the sums stay small
  sum = 0, r = 0;
  for (int k = from; k < to; k++)
    if (places[k] < m) sum += x[places[k]] - middle, r++;
  const double all = scan(before, sum, r);
  for (int k = from; k < to; k++) {
    const int p = places[k];
    if (p < m) {
      const double u = x[p] - middle;
      spread += (2.0 * r - m + 1) * u;
      sum += u, r++;
    } else {
      cross[p - m] = (2.0 * r - m) * (y[p - m] - middle) + all - 2 * sum;
    }
  }
  spread = scan(before, spread, r);
  if (threadIdx.x == 0) within[row] = spread;
}

// g (rows, n) or null for none, g_within (rows) or null -> by_x (rows, m); by_y (rows, n) or null
extern "C" __global__ void __launch_bounds__(MOST) sorted_slopes(
    const int* places, const REAL* g, const REAL* g_within, int m, int n, int padded, REAL* by_x, REAL* by_y) {
  __shared__ Before before;
  const long long row = blockIdx.x;
  places += row * padded;
  const int from = start_of(threadIdx.x, m + n), to = start_of(threadIdx.x + 1, m + n);
  const REAL among = g_within ? g_within[row] : 0;
  double sum = 0;
  int r = 0;
  for (int k = from; k < to; k++) {
    if (places[k] < m) r++;
    else sum += g ? g[row * n + places[k] - m] : 0;
  }
  const double all = scan(before, sum, r);
  for (int k = from; k < to; k++) {
    const int p = places[k];
    if (p < m) {
      by_x[row * m + p] = 2 * sum - all + (2.0 * r - m + 1) * among;
      r++;
    } else {
      const REAL g_j = g ? g[row * n + p - m] : 0;
      if (by_y) by_y[row * n + p - m] = (2.0 * r - m) * g_j;
      sum += g_j;
    }
  }
}
