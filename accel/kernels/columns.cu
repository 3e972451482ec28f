// Columns of matrices, one launch each: arrays are row-major and without gaps. Meaning: accel/core/matrices.py.

#define INDEX ((long long)blockIdx.x * blockDim.x + threadIdx.x)

// out (n, k) = x[:, columns], x (n, d)
extern "C" __global__ void take_columns(const REAL* x, const int* columns, int n, int d, int k, REAL* out) {
  const long long at = INDEX;
  if (at < (long long)n * k) out[at] = x[at / k * d + columns[at % k]];
}

// out (n, d): column j is values[:, place[j]], values (n, k), or where place[j] < 0 that of x. nullptr: zeros.
extern "C" __global__ void put_columns(const REAL* x, const int* place, const REAL* values, int n, int d, int k, REAL* out) {
  const long long at = INDEX;
  if (at >= (long long)n * d) return;
  const int j = place[at % d];
  out[at] = j < 0 ? (x ? x[at] : 0) : values ? values[at / d * k + j] : 0;
}

// out[:, columns] = values (n, k), out (n, d)
extern "C" __global__ void write_columns(const int* columns, const REAL* values, int n, int d, int k, REAL* out) {
  const long long at = INDEX;
  if (at < (long long)n * k) out[at / k * d + columns[at % k]] = values[at];
}
