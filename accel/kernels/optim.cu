// Adam, the moving average and the norm of a gradient, one launch each. Formulas and letters: reference/core/optim.py.
// What changes from step to step (t, the learning rate) is read from the device's memory, so that a recorded launch finds it there.

#define INDEX ((long long)blockIdx.x * blockDim.x + threadIdx.x)

// The next theta, m, v and t. One thread a block works out the corrections of the bias for all of it.
extern "C" __global__ void adam(const REAL* theta, const REAL* g, const REAL* m, const REAL* v, long long n, const long long* t,
                                const double* learning_rate, double beta1, double beta2, double eps, REAL* theta_next,
                                REAL* m_next, REAL* v_next, long long* t_next) {
  __shared__ REAL rate, second;
  const double now = (double)(*t + 1);
  if (threadIdx.x == 0) {
    rate = (REAL)(*learning_rate / (1 - pow(beta1, now)));
    second = (REAL)(1 / (1 - pow(beta2, now)));
  }
  __syncthreads();
  long long i = INDEX;
  if (i == 0) *t_next = *t + 1;
  if (i >= n) return;
  m_next[i] = (REAL)beta1 * m[i] + (REAL)(1 - beta1) * g[i];
  v_next[i] = (REAL)beta2 * v[i] + (REAL)(1 - beta2) * (g[i] * g[i]);
  theta_next[i] = theta[i] - rate * (m_next[i] / (sqrt(second * v_next[i]) + (REAL)eps));
}

// (1 - w) a + w theta, w = (1 - decay) / (1 - decay^t)
extern "C" __global__ void moving_average(const REAL* a, const REAL* theta, long long n, double decay, const long long* t, REAL* next) {
  __shared__ REAL weight, rest;
  if (threadIdx.x == 0) {
    const double w = (1 - decay) / (1 - pow(decay, (double)*t));
    weight = (REAL)w;
    rest = (REAL)(1 - w);
  }
  __syncthreads();
  long long i = INDEX;
  if (i < n) next[i] = rest * a[i] + weight * theta[i];
}

constexpr int WIDE = 1024;

// sqrt(sum g^2) in double, by one block: the order of the sum is always the same
extern "C" __global__ void __launch_bounds__(WIDE) euclidean_norm(const REAL* g, long long n, double* out) {
  __shared__ double parts[WIDE];
  double sum = 0;
  for (long long i = threadIdx.x; i < n; i += WIDE) sum += (double)g[i] * (double)g[i];
  parts[threadIdx.x] = sum;
  for (int half = WIDE / 2; half; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
  }
  if (threadIdx.x == 0) *out = sqrt(parts[0]);
}
