// What comes before and after a sweep over pairs (energy.cu, energy_tiled.cu).
constexpr int WARP = 32, WARPS = 8, MANY = 1024;

// x (n, d), its middle (d) -> x - middle (n, d), and the squared lengths of that (n). A warp a row.
extern "C" __global__ void __launch_bounds__(WARP* WARPS) centre(
    const REAL* x, const REAL* middle, int n, int d, REAL* centred, REAL* lengths) {
  const int i = blockIdx.x * WARPS + threadIdx.y;
  REAL sum = 0;
  for (int k = threadIdx.x; i < n && k < d; k += WARP) {
    const REAL u = x[(long long)i * d + k] - middle[k];
    centred[(long long)i * d + k] = u;
    sum += u * u;
  }
  for (int apart = 1; apart < WARP; apart *= 2) sum += __shfl_xor_sync(~0u, sum, apart);
  if (i < n && threadIdx.x == 0) lengths[i] = sum;
}

template <class T> __device__ inline double added(const T* parts, int count, long long size, long long i) {
  double sum = 0;
  for (int q = 0; q < count; q++) sum += parts[q * size + i];
  return sum;
}

// What the blocks of a sweep wrote, added up in a fixed order:
//   sums (Q, n) -> F (n), `scale` times their totals, less `weight` times the number `rest` where there is one
//   by_row (Q, nd) -> da (nd), by_column (P, md) -> db (md), either may be null; db null: both are of a, and added to da
extern "C" __global__ void totals(
    const double* sums, const REAL* by_row, const REAL* by_column, int Q, int P, long long n, long long nd, long long md,
    double scale, const double* rest, double weight, REAL* F, REAL* da, REAL* db) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    F[i] = scale * added(sums, Q, n, i) - (rest ? weight * *rest : 0);
    return;
  }
  i -= n;
  if (da && i < nd) {
    da[i] = added(by_row, Q, nd, i) + (db ? 0 : added(by_column, P, md, i));
    return;
  }
  i -= da ? nd : 0;
  if (db && i < md) db[i] = added(by_column, P, md, i);
}

// g (n) -> whether all are the same, and their sum. One block.
extern "C" __global__ void __launch_bounds__(MANY) look(const REAL* g, int n, int* same, double* sum) {
  __shared__ double sums[MANY];
  __shared__ int differ;
  const int t = threadIdx.x;
  double mine = 0;
  bool other = false;
#pragma unroll 4
  for (int i = t; i < n; i += MANY) {
    mine += g[i];
    other |= !(g[i] == g[0]);
  }
  if (t == 0) differ = 0;
  sums[t] = mine;
  __syncthreads();
  if (other) differ = 1;
  for (int half = MANY / 2; half; half /= 2) {
    if (t < half) sums[t] += sums[t + half];
    __syncthreads();
  }
  if (t == 0) *same = !differ, *sum = sums[0];
}

// The gradient by x of scale sum_j g_j cross_j, less `weight` sum_j g_j within (dw null: none), by what `look` has found:
// where all g are the same, `ones` (size) is the gradient for g = 1, else `parts` (Q, size) hold what the weighted sweep wrote.
extern "C" __global__ void choose(
    const REAL* ones, const REAL* parts, int Q, long long size, const REAL* g, const int* same, const double* sum,
    double scale, const REAL* dw, double weight, REAL* dx) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  const double cross = *same ? double(g[0]) * ones[i] : added(parts, Q, size, i);
  dx[i] = scale * cross - (dw ? weight * *sum * dw[i] : 0);
}
