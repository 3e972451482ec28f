// The activations of accel/core/elementwise.py, by their numbers there, and their slopes: at a kink that of the left side.

#define BY_INPUT(kind) (kind >= 3)  // whose slope is told from a, not from h

__device__ REAL sigmoid(REAL a) { return (REAL)0.5 * (1 + tanh((REAL)0.5 * a)); }

// tanh, relu, leaky_relu, softplus, silu, elu
__device__ REAL activation(int kind, REAL a) {
  switch (kind) {
    case 0: return tanh(a);
    case 1: return a > 0 ? a : 0 * a;
    case 2: return a > 0 ? a : (REAL)0.05 * a;
    case 3: return (a > 0 ? a : 0) + log1p(exp(-fabs(a)));
    case 4: return a * sigmoid(a);
    default: return a >= 0 ? a : expm1(a);
  }
}

__device__ REAL activation_slope(int kind, REAL a, REAL h) {
  REAL s;
  switch (kind) {
    case 0: return 1 - h * h;
    case 1: return h > 0 ? 1 : 0;
    case 2: return h > 0 ? 1 : (REAL)0.05;
    case 3: return sigmoid(a);
    case 4: s = sigmoid(a); return s * (1 + a * (1 - s));
    default: return a >= 0 ? 1 : exp(a);
  }
}
