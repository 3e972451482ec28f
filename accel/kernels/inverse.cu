// The inverse of a matrix and log |det W|, by Gauss and Jordan with the largest pivot of each column, in double; one block.
//
//   work = [W, I];  for each column c: its largest entry below becomes the pivot, its row is divided by it, and taken from all
//   other rows;  then work = [I, W^-1],  log |det W| = sum log |pivot|

constexpr int WIDE = 512;

// W (d, d) -> inverse (d, d), log_abs_det; work (d, 2 d)
extern "C" __global__ void __launch_bounds__(WIDE) invert(const REAL* W, int d, double* work, REAL* inverse, REAL* log_abs_det) {
  __shared__ double best[WIDE];
  __shared__ int place[WIDE];
  const int t = threadIdx.x, wide = 2 * d;
  double log_sum = 0;
  for (int i = t; i < d * wide; i += WIDE) {
    const int row = i / wide, column = i % wide;
    work[i] = column < d ? (double)W[row * d + column] : (column - d == row ? 1 : 0);
  }
  for (int c = 0; c < d; c++) {
    __syncthreads();
    best[t] = -1;
    place[t] = c;
    for (int row = c + t; row < d; row += WIDE)
      if (fabs(work[row * wide + c]) > best[t]) {
        best[t] = fabs(work[row * wide + c]);
        place[t] = row;
      }
    for (int half = WIDE / 2; half; half /= 2) {
      __syncthreads();
      if (t < half && (best[t + half] > best[t] || (best[t + half] == best[t] && place[t + half] < place[t]))) {
        best[t] = best[t + half];
        place[t] = place[t + half];
      }
    }
    __syncthreads();
    const int from = place[0];
    const double pivot = work[from * wide + c];
    if (!isinf(log_sum)) log_sum += log(fabs(pivot));  // of a singular matrix it stays -inf
    __syncthreads();
    for (int column = t; column < wide; column += WIDE) {  // the pivot's row comes up, divided
      const double above = work[c * wide + column];
      work[c * wide + column] = work[from * wide + column] / pivot;
      if (from != c) work[from * wide + column] = above;
    }
    __syncthreads();
    for (int row = t / 32; row < d; row += WIDE / 32) {  // 32 threads a row
      if (row == c) continue;
      const double factor = work[row * wide + c];
      for (int column = c + 1 + t % 32; column < wide; column += 32) work[row * wide + column] -= factor * work[c * wide + column];
    }
  }
  __syncthreads();
  for (int i = t; i < d * d; i += WIDE) inverse[i] = (REAL)work[i / d * wide + d + i % d];
  if (t == 0) *log_abs_det = (REAL)log_sum;
}
