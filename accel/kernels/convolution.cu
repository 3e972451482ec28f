// Convolutions and what stands between them, one launch each. Letters and formulas: accel/core/convolution.py. Arrays are
// row-major and without gaps; every number is written by one thread, which adds up in a fixed order.

#include "activations.cuh"

#define INDEX ((long long)blockIdx.x * blockDim.x + threadIdx.x)

// P (n height width, k k c + 1) = [patches(x), 1], x (n, h, w, c)
extern "C" __global__ void patches(const REAL* x, long long size, int h, int w, int c, int k, int stride, int padding,
                                   int height, int width, REAL* P) {
  const long long at = INDEX;
  if (at >= size) return;
  const int covered = k * k * c, column = at % (covered + 1);
  const long long place = at / (covered + 1);
  if (column == covered) {
    P[at] = 1;
    return;
  }
  const int j = place % width, i = place / width % height, channel = column % c, v = column / c % k, u = column / c / k;
  const int line = i * stride + u - padding, along = j * stride + v - padding;
  const bool inside = line >= 0 && line < h && along >= 0 && along < w;
  P[at] = inside ? x[((place / width / height * h + line) * w + along) * c + channel] : 0;
}

// x (n, h, w, c), each pixel the sum of what covered (n height width, k k c) says of it
extern "C" __global__ void unpatched(const REAL* covered, long long size, int h, int w, int c, int k, int stride, int padding,
                                     int height, int width, REAL* x) {
  const long long at = INDEX;
  if (at >= size) return;
  const int channel = at % c, along = at / c % w, line = at / c / w % h;
  const long long image = at / c / w / h;
  REAL sum = 0;
  for (int u = 0; u < k; u++) {
    const int i = line + padding - u;
    if (i < 0 || i % stride || i / stride >= height) continue;
    for (int v = 0; v < k; v++) {
      const int j = along + padding - v;
      if (j < 0 || j % stride || j / stride >= width) continue;
      sum += covered[(((image * height + i / stride) * width + j / stride) * k * k + u * k + v) * c + channel];
    }
  }
  x[at] = sum;
}

extern "C" __global__ void activated(const REAL* a, long long size, int kind, REAL* y) {
  const long long at = INDEX;
  if (at < size) y[at] = activation(kind, a[at]);
}

extern "C" __global__ void activated_back(const REAL* g, const REAL* a, long long size, int kind, REAL* out) {
  const long long at = INDEX;
  if (at < size) out[at] = g[at] * activation_slope(kind, a[at], BY_INPUT(kind) ? 0 : activation(kind, a[at]));
}

// y (n, k) = tanh(u) sigmoid(v), a (n, 2 k) = [u, v]
extern "C" __global__ void gated(const REAL* a, long long size, int k, REAL* y) {
  const long long at = INDEX, row = at / k * 2 * k + at % k;
  if (at < size) y[at] = tanh(a[row]) * sigmoid(a[row + k]);
}

extern "C" __global__ void gated_back(const REAL* g, const REAL* a, long long size, int k, REAL* out) {
  const long long at = INDEX, row = at / k * 2 * k + at % k;
  if (at >= size) return;
  const REAL t = tanh(a[row]), s = sigmoid(a[row + k]);
  out[row] = g[at] * s * (1 - t * t);
  out[row + k] = g[at] * t * s * (1 - s);
}
