// A perceptron in shared memory, and its gradient in x, for all chains of a block at once: rows of `pitch` numbers, one a
// chain. The rows of x, of every hidden layer and of the output follow each other.
//
//   forward    h_{l+1} = sigma(h_l W_l + b_l), no sigma at the last one        backward   g_l = sigma'(h_l) (g_{l+1} W_l^T)
//
// g_l takes the place of h_l; sigma' is computed from h = sigma(a). Threads: LANES along x, groups of CHAINS chains along y.
// W_l has rows of an odd length in shared memory, so that neighbouring lanes hit different banks on either way.

constexpr int LANES = 16, UNITS = 4, CHAINS = 4;

enum Activation { TANH, RELU, LEAKY_RELU, SOFTPLUS };

// Products keep NaN and what infinity makes of it, as the definitions in reference/core/networks.py do.
__device__ inline REAL activate(REAL a, int activation) {
  switch (activation) {
    case TANH: return tanh(a);
    case RELU: return a * REAL(a > 0);
    case LEAKY_RELU: return a * (a > 0 ? REAL(1) : REAL(0.05));
    default: return (a > 0 ? a : 0) + log1p(exp(-fabs(a)));
  }
}

// sigma'(a) from h = sigma(a); at a kink that of the left side
__device__ inline REAL slope(REAL h, int activation) {
  switch (activation) {
    case TANH: return 1 - h * h;
    case RELU: return REAL(h > 0);
    case LEAKY_RELU: return h > 0 ? REAL(1) : REAL(0.05);
    default: return -expm1(-h);
  }
}

struct alignas(16) Group {
  REAL of[CHAINS];
};

// sum[c][u] += sum_k in[k][c] W[k * stride + at[u]], in: rows of `pitch`, from the first of CHAINS chains on
__device__ inline void add_product(
    REAL sum[CHAINS][UNITS], const REAL* in, int pitch, int terms, const REAL* W, int stride, const int at[UNITS]) {
  for (int k = 0; k < terms; k++) {
    const Group h = *reinterpret_cast<const Group*>(in + k * pitch);
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
      const REAL w = W[k * stride + at[u]];
#pragma unroll
      for (int c = 0; c < CHAINS; c++) sum[c][u] += h.of[c] * w;
    }
  }
}

__device__ inline int odd(int width) { return width | 1; }
__device__ inline int length(int fan_in, int fan_out) { return fan_in * odd(fan_out) + fan_out; }

// From W and b of each layer, one after the other, to the same with odd rows; by all threads of the block.
__device__ inline void load_weights(REAL* to, const REAL* from, const int* sizes, int layers) {
  const int t = threadIdx.y * LANES + threadIdx.x, threads = blockDim.y * LANES;
  for (int l = 0; l < layers; l++) {
    const int fan_in = sizes[l], fan_out = sizes[l + 1];
    for (int k = t; k < fan_in * fan_out; k += threads) to[k / fan_out * odd(fan_out) + k % fan_out] = from[k];
    for (int k = t; k < fan_out; k += threads) to[fan_in * odd(fan_out) + k] = from[fan_in * fan_out + k];
    to += length(fan_in, fan_out);
    from += fan_in * fan_out + fan_out;
  }
}

// UNITS units from `first` on, LANES apart; those beyond the layer's width are computed as its last one and not stored.
__device__ inline void forward_units(
    const REAL* in, REAL* out, int pitch, int fan_in, int fan_out, const REAL* W, int first, int activation, bool last) {
  int at[UNITS];
  REAL sum[CHAINS][UNITS] = {};
#pragma unroll
  for (int u = 0; u < UNITS; u++) at[u] = min(first + u * LANES, fan_out - 1);
  add_product(sum, in, pitch, fan_in, W, odd(fan_out), at);
#pragma unroll
  for (int u = 0; u < UNITS; u++)
    if (first + u * LANES < fan_out)
      for (int c = 0; c < CHAINS; c++) {
        const REAL a = sum[c][u] + W[fan_in * odd(fan_out) + at[u]];
        out[at[u] * pitch + c] = last ? a : activate(a, activation);
      }
}

__device__ inline void backward_units(
    const REAL* g, REAL* h, int pitch, int fan_in, int fan_out, const REAL* W, int first, int activation, bool input) {
  int at[UNITS];
  REAL sum[CHAINS][UNITS] = {};
#pragma unroll
  for (int u = 0; u < UNITS; u++) at[u] = min(first + u * LANES, fan_in - 1) * odd(fan_out);
  add_product(sum, g, pitch, fan_out, W, 1, at);
#pragma unroll
  for (int u = 0; u < UNITS; u++)
    if (first + u * LANES < fan_in)
      for (int c = 0; c < CHAINS; c++) {
        REAL& there = h[(first + u * LANES) * pitch + c];
        there = sum[c][u] * (input ? 1 : slope(there, activation));
      }
}

// units: the rows of x -> all rows after them. Ends behind a barrier.
__device__ inline void forward(REAL* units, int pitch, const REAL* W, const int* sizes, int layers, int activation) {
  units += threadIdx.y * CHAINS;
  for (int l = 0; l < layers; l++) {
    const int fan_in = sizes[l], fan_out = sizes[l + 1];
    REAL* out = units + fan_in * pitch;
    for (int first = threadIdx.x; first < fan_out; first += LANES * UNITS)
      forward_units(units, out, pitch, fan_in, fan_out, W, first, activation, l == layers - 1);
    __syncthreads();
    units = out;
    W += length(fan_in, fan_out);
  }
}

// output: its row, holding dE / d(output) -> gradients in all rows before it. Ends behind a barrier.
__device__ inline void backward(REAL* output, int pitch, const REAL* W, const int* sizes, int layers, int activation) {
  REAL* g = output + threadIdx.y * CHAINS;
  for (int l = 0; l < layers; l++) W += length(sizes[l], sizes[l + 1]);
  for (int l = layers - 1; l >= 0; l--) {
    const int fan_in = sizes[l], fan_out = sizes[l + 1];
    REAL* h = g - fan_in * pitch;
    W -= length(fan_in, fan_out);
    for (int first = threadIdx.x; first < fan_in; first += LANES * UNITS)
      backward_units(g, h, pitch, fan_in, fan_out, W, first, activation, l == 0);
    __syncthreads();
    g = h;
  }
}
