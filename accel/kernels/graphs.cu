// What surrounds a recorded step (accel/graphs.py): its row of the numbers that change, the looks at what is not right, and what it tells.
// `at` is the number of the step in its stretch.

#define INDEX ((long long)blockIdx.x * blockDim.x + threadIdx.x)

// slots (width) = row `at` of table, in words of eight bytes
extern "C" __global__ void next_row(const unsigned long long* table, const long long* at, long long width, unsigned long long* slots) {
  const long long i = INDEX;
  if (i < width) slots[i] = table[*at * width + i];
}

// first = the least `at` at which any of these was true
extern "C" __global__ void look(const unsigned char* bad, long long n, const long long* at, long long* first) {
  const long long i = INDEX;
  if (i < n && bad[i]) atomicMin(first, *at);
}

// the same for what is not finite
extern "C" __global__ void look_finite(const REAL* x, long long n, const long long* at, long long* first) {
  const long long i = INDEX;
  if (i < n && !isfinite(x[i])) atomicMin(first, *at);
}

// row `at`, column `column` of the report (rows of `columns`)
extern "C" __global__ void tell(const REAL* x, long long column, long long columns, const long long* at, double* report) {
  if (INDEX == 0) report[*at * columns + column] = (double)*x;
}

extern "C" __global__ void next_step(long long* at) {
  if (INDEX == 0) *at += 1;
}
