// A chain of couplings with narrow networks, one launch each way; formulas and letters: accel/flows/coupling.py.
//
//   x_{l+1} = x_l but tau(x_B; raw) in the columns B,   raw = net(x_A, context),   log_det = sum over l of log tau'
//
// A block owns some tiles of `pitch` rows each. Layer after layer it brings the network's weights to shared memory and takes all
// its tiles through; between two layers a row waits where its image is kept. The way back starts at the last layer: from the
// images it makes the activations again, takes the adjoints through tau and the network, and adds the gradients of the weights
// up in a copy of the block's own, tile after tile; sum_blocks adds these copies up, always in the same order.
#include "narrow.cuh"
#include "spline.cuh"

constexpr int RECORD = 9;               // numbers in the plan for each coupling, before the lists
constexpr int THREADS = TILE == 8 ? 128 : 512, RESIDENT = TILE == 8 ? 2 : 1;  // the most in a block, blocks at a time

// One coupling, as the plan says it.
struct Coupling {
  int weights, gradients;               // where its parameters begin, and their gradients
  int depth, passing, moved, c, bins;   // bins 0: affine
  int kind;                             // of the activation
  const int *sizes, *A, *B;             // depth + 1 widths of the network, the columns that pass, those that move
  REAL limit;                           // or the spline's bound
  __device__ int width() const { return bins ? 3 * bins - 1 : 2; }
};

__device__ inline Coupling coupling_at(const int* plan, const REAL* limits, int l) {
  const int *p = plan + RECORD * l, *lists = plan + p[8];
  return {p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], lists, lists + p[2] + 1, lists + p[2] + 1 + p[3], limits[l]};
}

// What all layers share: x (n, d), the context (shared, c), the same for every `shared` rows.
struct Batch {
  int n, d, shared;
  const REAL* context;
};

// Shared memory, for one coupling: its weights, then rows of `span` numbers for each unit.
struct Room {
  REAL *W, *units, *raw, *context, *g_context, *pre;
  int pitch, span;
};

__device__ inline Room room_for(const Coupling& coupling, REAL* shared, int pitch) {
  int weights = 0, units = 0;
  for (int k = 0; k < coupling.depth; k++) {
    weights += (coupling.sizes[k] + 1 + coupling.c) * padded(coupling.sizes[k + 1]);
    units += coupling.sizes[k];
  }
  const int span = padded(pitch);
  REAL *first = shared + weights, *raw = first + units * span, *context = raw + coupling.sizes[coupling.depth] * span;
  REAL* g_context = context + coupling.c * span;
  return {shared, first, raw, context, g_context, g_context + coupling.c * span, pitch, span};
}

__device__ inline void load_network(const Room& room, const Coupling& coupling, const REAL* weights) {
  REAL* to = room.W;
  weights += coupling.weights;
  for (int k = 0; k < coupling.depth; k++) {
    const int rows = coupling.sizes[k] + 1 + coupling.c, width = coupling.sizes[k + 1];
    load_matrix(to, weights, rows, width);
    to += rows * padded(width), weights += rows * width;
  }
}

// The network's input of the tile whose first row is `first`; zeros beyond the last row.
__device__ inline void load_tile(const Room& room, const Coupling& coupling, const Batch& batch, const REAL* x, long long first) {
  for (int o = thread(); o < coupling.passing * room.pitch; o += threads()) {
    const int r = o % room.pitch, k = o / room.pitch;
    room.units[k * room.span + r] = first + r < batch.n ? x[(first + r) * batch.d + coupling.A[k]] : 0;
  }
  for (int o = thread(); o < coupling.c * room.pitch; o += threads()) {
    const int r = o / coupling.c, k = o % coupling.c;
    room.context[k * room.span + r] = first + r < batch.n ? batch.context[(first + r) % batch.shared * coupling.c + k] : 0;
  }
}

// From the tile's input to raw. keep: what the activations are given, for those whose slope it tells. Ends behind a barrier.
__device__ inline void network(const Room& room, const Coupling& coupling, bool keep) {
  const REAL* W = room.W;
  REAL *in = room.units, *pre = room.pre;
  for (int k = 0; k < coupling.depth; k++) {
    const int fan_in = coupling.sizes[k], fan_out = coupling.sizes[k + 1];
    const bool last = k == coupling.depth - 1;
    REAL* out = in + fan_in * room.span;
    give(in, fan_in, room.context, coupling.c, W, fan_out, out, keep && !last ? pre : nullptr, last ? -1 : coupling.kind,
         room.pitch, room.span);
    __syncthreads();
    W += (fan_in + 1 + coupling.c) * padded(fan_out), in = out, pre += fan_out * room.span;
  }
}

// From g_raw, in the place of raw, to the adjoint of the tile's input in its place, that of its context, and the gradients of
// all parameters, unless gradients is null. Each layer's adjoint takes the place of its activations. Ends behind a barrier.
__device__ inline void network_back(const Room& room, const Coupling& coupling, bool kept, REAL* gradients, bool first_time) {
  const int span = room.span, pitch = room.pitch, c = coupling.c;
  const REAL *W = room.W, *pre = room.pre;
  REAL* h = room.units;
  for (int k = 0; k < coupling.depth - 1; k++) {  // to the last layer
    const int rows = coupling.sizes[k] + 1 + c;
    W += rows * padded(coupling.sizes[k + 1]), gradients += gradients ? rows * coupling.sizes[k + 1] : 0;
    h += coupling.sizes[k] * span, pre += coupling.sizes[k + 1] * span;
  }
  for (int k = coupling.depth - 1; k >= 0; k--) {
    const int fan_in = coupling.sizes[k], fan_out = coupling.sizes[k + 1], stride = padded(fan_out);
    const REAL* g = h + fan_in * span;
    if (gradients) {
      outer(h, fan_in, g, fan_out, pitch, span, gradients, first_time);
      row_sums(g, fan_out, pitch, span, gradients + fan_in * fan_out, first_time);
      outer(room.context, c, g, fan_out, pitch, span, gradients + (fan_in + 1) * fan_out, first_time);
    }
    const bool top = k == coupling.depth - 1;
    pull(W + (fan_in + 1) * stride, c, g, fan_out, pitch, span, [&](int at, REAL sum) {
      room.g_context[at] = top ? sum : room.g_context[at] + sum;
    });
    __syncthreads();
    if (k > 0) pre -= fan_in * span;
    pull(W, fan_in, g, fan_out, pitch, span, [&](int at, REAL sum) {
      h[at] = k > 0 ? sum * activation_slope(coupling.kind, kept ? pre[at] : 0, h[at]) : sum;
    });
    __syncthreads();
    if (k > 0) {
      const int rows = coupling.sizes[k - 1] + 1 + c;
      W -= rows * padded(fan_in), h -= coupling.sizes[k - 1] * span, gradients -= gradients ? rows * fan_in : 0;
    }
  }
}

// One number through the affine transformer, and back: raw then holds its own adjoints.
__device__ inline REAL affine(const REAL* raw, int span, REAL limit, REAL v, bool back, REAL& log_slope) {
  const REAL s = limit * tanh(raw[0] / limit), t = raw[span];
  log_slope = back ? -s : s;
  return back ? (v - t) * exp(-s) : v * exp(s) + t;
}

__device__ inline REAL affine_back(REAL* raw, int span, REAL limit, REAL v, bool back, REAL g, REAL g_l) {
  const REAL part = tanh(raw[0] / limit), s = limit * part, through = g * exp(back ? -s : s);
  raw[0] = (back ? -through * (v - raw[span]) - g_l : through * v + g_l) * (1 - part * part);
  raw[span] = back ? -through : g;
  return through;
}

// images: of each layer, `step` apart (step 0: every layer's in the place of the one before); the last is the chain's.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT) chain_forward(
    const REAL* x, const REAL* context, int n, int d, int shared, const REAL* weights, const int* plan, const REAL* limits,
    int layers, int back, int pitch, int tiles, long long step, REAL* images, REAL* log_det) {
  extern __shared__ __align__(16) REAL memory[];
  const Batch batch = {n, d, shared, context};
  for (int l = 0; l < layers; l++) {
    const Coupling coupling = coupling_at(plan, limits, l);
    const Room room = room_for(coupling, memory, pitch);
    const REAL* from = l == 0 ? x : images + (l - 1) * step;
    REAL* to = images + l * step;
    const int width = coupling.width();
    __syncthreads();
    load_network(room, coupling, weights);
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      const long long first = (long long)tile * pitch;
      load_tile(room, coupling, batch, from, first);
      __syncthreads();
      network(room, coupling, false);
      for (int o = thread(); o < coupling.moved * pitch; o += threads()) {
        const int r = o % pitch, j = o / pitch;
        const long long at = (first + r) * d + coupling.B[j];
        REAL *shape = room.raw + j * width * room.span + r, log_slope;
        if (first + r >= n) continue;
        to[at] = coupling.bins ? transform(shape, room.span, coupling.bins, coupling.limit, from[at], back, log_slope)
                               : affine(shape, room.span, coupling.limit, from[at], back, log_slope);
        shape[0] = log_slope;
      }
      for (int o = thread(); from != to && o < coupling.passing * pitch; o += threads()) {
        const long long at = (first + o % pitch) * d + coupling.A[o / pitch];
        if (first + o % pitch < n) to[at] = from[at];
      }
      __syncthreads();
      for (int r = thread(); r < pitch && first + r < n; r += threads()) {
        REAL sum = l == 0 ? 0 : log_det[first + r];
        for (int j = 0; j < coupling.moved; j++) sum += room.raw[j * width * room.span + r];
        log_det[first + r] = sum;
      }
      __syncthreads();
    }
  }
}

// From the adjoints of image and log_det, whose entries lie `stride` apart (either may be nullptr), to g_z (n, d) and, unless
// nullptr, g_context (n, c) and, for each block, the gradients of all parameters: partial (blocks, parameters).
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT) chain_backward(
    const REAL* g_x, const REAL* g_log_det, long long stride, const REAL* x, const REAL* images, const REAL* context, int n, int d,
    int shared, const REAL* weights, const int* plan, const REAL* limits, int layers, int back, int pitch, int tiles,
    long long step, int parameters, REAL* g_z, REAL* g_context, REAL* partial) {
  extern __shared__ __align__(16) REAL memory[];
  const Batch batch = {n, d, shared, context};
  bool met = false;  // a layer that has the context
  for (int l = layers - 1; l >= 0; l--) {
    const Coupling coupling = coupling_at(plan, limits, l);
    const Room room = room_for(coupling, memory, pitch);
    const REAL *v = l == 0 ? x : images + (l - 1) * step, *g_from = l == layers - 1 ? g_x : g_z;
    REAL* gradients = partial ? partial + (long long)blockIdx.x * parameters + coupling.gradients : nullptr;
    const int width = coupling.width(), keep = BY_INPUT(coupling.kind);
    __syncthreads();
    load_network(room, coupling, weights);
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      const long long first = (long long)tile * pitch;
      load_tile(room, coupling, batch, v, first);
      __syncthreads();
      network(room, coupling, keep);
      for (int o = thread(); o < coupling.moved * pitch; o += threads()) {
        const int r = o % pitch, j = o / pitch;
        const long long i = first + r, at = i * d + coupling.B[j];
        REAL* shape = room.raw + j * width * room.span + r;
        if (i < n) {
          const REAL g = g_from ? g_from[at] : 0, g_l = g_log_det ? g_log_det[i * stride] : 0;
          g_z[at] = coupling.bins ? transform_back(shape, room.span, coupling.bins, coupling.limit, v[at], back, g, g_l, shape)
                                  : affine_back(shape, room.span, coupling.limit, v[at], back, g, g_l);
        } else {
          for (int k = 0; k < width; k++) shape[k * room.span] = 0;
        }
      }
      __syncthreads();
      network_back(room, coupling, keep, gradients, tile == blockIdx.x);
      for (int o = thread(); o < coupling.passing * pitch; o += threads()) {
        const int r = o % pitch, k = o / pitch;
        const long long at = (first + r) * d + coupling.A[k];
        if (first + r < n) g_z[at] = (g_from ? g_from[at] : 0) + room.units[k * room.span + r];
      }
      for (int o = thread(); g_context && o < coupling.c * pitch; o += threads()) {
        const int r = o / coupling.c, k = o % coupling.c;
        REAL& there = g_context[(first + r) * coupling.c + k];
        if (first + r < n) there = (met ? there : 0) + room.g_context[k * room.span + r];
      }
      __syncthreads();
    }
    met = met || coupling.c > 0;
  }
}

// total (parameters) = the sum over blocks of partial (blocks, parameters). Threads: 32 parameters, 8 parts of the blocks.
extern "C" __global__ void sum_blocks(const REAL* partial, int blocks, int parameters, REAL* total) {
  __shared__ REAL parts[8][32];
  const int k = blockIdx.x * 32 + threadIdx.x;
  REAL sum = 0;
#pragma unroll 8
  for (int b = threadIdx.y; b < blocks; b += 8) sum += k < parameters ? partial[(long long)b * parameters + k] : 0;
  parts[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || k >= parameters) return;
  for (int part = 1; part < 8; part++) sum += parts[part][threadIdx.x];
  total[k] = sum;
}
