// A perceptron E in shared memory, and its gradient in x, for all chains of a block at once.
//
//   forward    h_{l+1} = sigma(h_l W_l + b_l),  E = h_L w + b        backward   g_L = sigma'(h_L) w,  g_l = sigma'(h_l) (g_{l+1} W_l^T)
//
// A table of rows, `pitch` numbers long, one a chain: the rows of x, of every hidden layer, and of parts of the sum E follow each
// other. g_l takes the place of h_l; sigma' is computed from h = sigma(a). A thread computes UNITS units for CHAINS neighbouring
// chains; LANES threads along x share those chains, so that a weight once read serves CHAINS chains and a chain's number UNITS
// units. All reads are as wide as they may be, 16 bytes; lanes next to each other never hit the same bank: a layer of `width`
// units keeps column v spread(width) + s of W at 4 s + v (4: VECTOR), so that the units of one read lie in rows far apart and
// those of neighbouring lanes in neighbouring rows; rows have an odd number of such reads. What pads W and the rows is zero.
//
// The sums run in the same order for every choice of UNITS, CHAINS, LANES.

#ifndef UNITS
#define UNITS 4
#define CHAINS 4
#define LANES 16
#endif

enum Activation { TANH, RELU, LEAKY_RELU, SOFTPLUS };

#ifndef ACTIVATION
#define ACTIVATION LEAKY_RELU
#endif

constexpr int VECTOR = 16 / sizeof(REAL);

template <int N> struct alignas((N < VECTOR ? N : VECTOR) * sizeof(REAL)) Pack {
  REAL of[N];
};

template <int N> __device__ inline Pack<N>& pack(REAL* at) { return *reinterpret_cast<Pack<N>*>(at); }
template <int N> __device__ inline const Pack<N>& pack(const REAL* at) { return *reinterpret_cast<const Pack<N>*>(at); }

// Products keep NaN and what infinity makes of it, as the definitions in reference/core/networks.py do.
__device__ inline REAL activate(REAL a) {
  switch (ACTIVATION) {
    case TANH: return tanh(a);
    case RELU: return a * REAL(a > 0);
    case LEAKY_RELU: return a * (a > 0 ? REAL(1) : REAL(0.05));
    default: return (a > 0 ? a : 0) + log1p(exp(-fabs(a)));
  }
}

// sigma'(a) from h = sigma(a); at a kink that of the left side
__device__ inline REAL slope(REAL h) {
  switch (ACTIVATION) {
    case TANH: return 1 - h * h;
    case RELU: return REAL(h > 0);
    case LEAKY_RELU: return h > 0 ? REAL(1) : REAL(0.05);
    default: return -expm1(-h);
  }
}

__device__ inline int spread(int width) { return (width + VECTOR - 1) / VECTOR; }
__device__ inline int whole(int width) { return spread(width) * VECTOR; }
__device__ inline int stride(int width) { return (spread(width) | 1) * VECTOR; }  // of the rows of W
__device__ inline int length(int fan_in, int fan_out) { return (whole(fan_in) + 1) * stride(fan_out); }

__device__ inline int thread() { return threadIdx.y * LANES + threadIdx.x; }
__device__ inline int threads() { return blockDim.y * LANES; }

// A network as a block keeps it in shared memory: W and b of the hidden layers, w and b of the last one, then the table.
struct Network {
  const int* sizes;  // (layers + 1): d, the hidden widths, 1
  int layers, pitch;
  const REAL *W, *bias;       // bias: that of E
  REAL *rows, *parts, *free;  // the rows of x and what follows, those of E's parts, and what is behind the table
};

// From W (row-major) and b of each layer, one after the other, to `to`; by all threads of the block. Returns where it ends.
// biased: whether the last layer has a b.
__device__ inline REAL* load_weights(REAL* to, const REAL* from, const int* sizes, int layers, int biased) {
  for (int l = 0; l < layers - 1; l++) {
    const int fan_in = sizes[l], fan_out = sizes[l + 1], S = spread(fan_out), bias = whole(fan_in);
#pragma unroll 4
    for (int row = threadIdx.y; row <= bias; row += blockDim.y)
      for (int s = threadIdx.x; s < S; s += LANES) {
        const REAL* there = from + (row == bias ? fan_in : row) * fan_out + s;
        Pack<VECTOR> w;
#pragma unroll
        for (int v = 0; v < VECTOR; v++) w.of[v] = (row < fan_in || row == bias) && v * S + s < fan_out ? there[v * S] : 0;
        pack<VECTOR>(to + row * stride(fan_out) + s * VECTOR) = w;
      }
    to += length(fan_in, fan_out);
    from += (fan_in + 1) * fan_out;
  }
  const int width = sizes[layers - 1], bias = whole(width);
  for (int k = thread(); k < bias + VECTOR; k += threads()) to[k] = k < width ? from[k] : k == bias && biased ? from[width] : 0;
  return to + bias + VECTOR;
}

// Units v S + s of the layer, for s = first and others LANES apart; in, out: their rows, from the first of CHAINS chains on.
template <int U> __device__ inline void forward_units(
    const REAL* in, REAL* out, int pitch, int fan_in, int fan_out, const REAL* W, int first) {
  constexpr int READS = U / VECTOR;
  const int S = spread(fan_out), wide = stride(fan_out), terms = whole(fan_in);
  int at[READS];
  REAL sum[U][CHAINS] = {};
#pragma unroll
  for (int q = 0; q < READS; q++) at[q] = min(first + q * LANES, S - 1) * VECTOR;
  for (int k = 0; k < terms; k += VECTOR)
#pragma unroll
    for (int v = 0; v < VECTOR; v++) {
      const Pack<CHAINS> h = pack<CHAINS>(in + (k + v) * pitch);
#pragma unroll
      for (int q = 0; q < READS; q++) {
        const Pack<VECTOR> w = pack<VECTOR>(W + (k + v) * wide + at[q]);
#pragma unroll
        for (int u = 0; u < VECTOR; u++)
#pragma unroll
          for (int c = 0; c < CHAINS; c++) sum[q * VECTOR + u][c] += h.of[c] * w.of[u];
      }
    }
  const REAL* b = W + terms * wide;
#pragma unroll
  for (int u = 0; u < U; u++) {
    const int s = first + u / VECTOR * LANES, unit = u % VECTOR * S + s;
    if (s < S && unit < fan_out) {
      Pack<CHAINS> h;
#pragma unroll
      for (int c = 0; c < CHAINS; c++) h.of[c] = activate(sum[u][c] + b[at[u / VECTOR] + u % VECTOR]);
      pack<CHAINS>(out + unit * pitch) = h;
    }
  }
}

// Units first, first + LANES, ...: h becomes g, of a layer whose own output has the gradient `g`.
template <int U> __device__ inline void backward_units(
    const REAL* g, REAL* h, int pitch, int fan_in, int fan_out, const REAL* W, int first, bool input) {
  const int S = spread(fan_out), wide = stride(fan_out);
  int at[U];
  REAL sum[U][CHAINS] = {};
#pragma unroll
  for (int u = 0; u < U; u++) at[u] = min(first + u * LANES, fan_in - 1) * wide;
  for (int s = 0; s < S; s++) {
    Pack<CHAINS> there[VECTOR];
#pragma unroll
    for (int v = 0; v < VECTOR; v++) there[v] = pack<CHAINS>(g + (v * S + s) * pitch);
#pragma unroll
    for (int u = 0; u < U; u++) {
      const Pack<VECTOR> w = pack<VECTOR>(W + at[u] + s * VECTOR);
#pragma unroll
      for (int v = 0; v < VECTOR; v++)
#pragma unroll
        for (int c = 0; c < CHAINS; c++) sum[u][c] += there[v].of[c] * w.of[v];
    }
  }
#pragma unroll
  for (int u = 0; u < U; u++)
    if (first + u * LANES < fan_in) {
      Pack<CHAINS> unit = pack<CHAINS>(h + (first + u * LANES) * pitch);
#pragma unroll
      for (int c = 0; c < CHAINS; c++) unit.of[c] = sum[u][c] * (input ? 1 : slope(unit.of[c]));
      pack<CHAINS>(h + (first + u * LANES) * pitch) = unit;
    }
}

// The last layer, both ways: parts of the sum E, one for VECTOR units, into the rows behind h; g in the place of h.
__device__ inline void output_units(REAL* h, int pitch, int width, const REAL* w, bool input, bool gradient) {
  REAL* parts = h + whole(width) * pitch;
  for (int q = threadIdx.x; q < spread(width); q += LANES) {
    Pack<CHAINS> sum = {};
#pragma unroll
    for (int v = 0; v < VECTOR; v++) {
      const int unit = q * VECTOR + v;
      Pack<CHAINS> there = pack<CHAINS>(h + unit * pitch);
#pragma unroll
      for (int c = 0; c < CHAINS; c++) {
        sum.of[c] += there.of[c] * w[unit];
        there.of[c] = input ? w[unit] : w[unit] * slope(there.of[c]);
      }
      if (gradient) pack<CHAINS>(h + unit * pitch) = there;
    }
    pack<CHAINS>(parts + q * pitch) = sum;
  }
}

// The network with its weights, and a table of zeros; by all threads. Ends behind a barrier.
__device__ inline Network network(REAL* shared, const REAL* weights, const int* sizes, int layers, int biased) {
  constexpr int READ = CHAINS < VECTOR ? CHAINS : VECTOR;
  const int pitch = ((int)blockDim.y * CHAINS / READ | 1) * READ;
  REAL* rows = load_weights(shared, weights, sizes, layers, biased);
  int of_units = 0;
  for (int l = 0; l < layers; l++) of_units += whole(sizes[l]);
  REAL* parts = rows + of_units * pitch;
  for (REAL* at = rows + thread(); at < parts; at += threads()) *at = 0;
  __syncthreads();
  return {sizes, layers, pitch, shared, rows - VECTOR, rows, parts, parts + spread(sizes[layers - 1]) * pitch};
}

template <int U>
__device__ inline void forward_layer(const REAL* in, REAL* out, int pitch, int fan_in, int fan_out, const REAL* W) {
  for (int first = threadIdx.x; first < spread(fan_out); first += LANES * U / VECTOR)
    forward_units<U>(in, out, pitch, fan_in, fan_out, W, first);
}

template <int U>
__device__ inline void backward_layer(const REAL* g, REAL* h, int pitch, int fan_in, int fan_out, const REAL* W, bool input) {
  for (int first = threadIdx.x; first < fan_in; first += LANES * U)
    backward_units<U>(g, h, pitch, fan_in, fan_out, W, first, input);
}

// From the rows of x to the parts of E and, if asked for, its gradient in the rows of x. Begins and ends behind a barrier.
__device__ inline void evaluate(const Network& net, bool gradient) {
  const int pitch = net.pitch, hidden = net.layers - 1;
  const REAL* W = net.W;
  REAL* h = net.rows + threadIdx.y * CHAINS;
  for (int l = 0; l < hidden; l++) {
    const int fan_in = net.sizes[l], fan_out = net.sizes[l + 1];
    REAL* out = h + whole(fan_in) * pitch;
    if (spread(fan_out) <= LANES) forward_layer<VECTOR>(h, out, pitch, fan_in, fan_out, W);
    else forward_layer<UNITS>(h, out, pitch, fan_in, fan_out, W);
    __syncthreads();
    h = out;
    W += length(fan_in, fan_out);
  }
  output_units(h, pitch, net.sizes[hidden], W, hidden == 0, gradient);
  __syncthreads();
  for (int l = hidden - 1; gradient && l >= 0; l--) {
    const int fan_in = net.sizes[l], fan_out = net.sizes[l + 1];
    REAL* in = h - whole(fan_in) * pitch;
    W -= length(fan_in, fan_out);
    if (fan_in <= LANES) backward_layer<1>(h, in, pitch, fan_in, fan_out, W, l == 0);
    else if (fan_in <= LANES * UNITS / 2) backward_layer<UNITS / 2>(h, in, pitch, fan_in, fan_out, W, l == 0);
    else backward_layer<UNITS>(h, in, pitch, fan_in, fan_out, W, l == 0);
    __syncthreads();
    h = in;
  }
}

// E of chain c, from its parts.
__device__ inline REAL energy_of(const Network& net, int c) {
  REAL sum = 0;
  for (const REAL* part = net.parts + c; part < net.free; part += net.pitch) sum += *part;
  return sum + *net.bias;
}
