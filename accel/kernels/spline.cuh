// The rational-quadratic spline and its adjoint, for one point. Formulas and letters: accel/flows/spline.py.

constexpr REAL MIN_BIN = REAL(1e-3), SLOPE_LIMIT = 5;  // as in reference/flows/spline.py

// Knots and slopes at both ends of a bin.
struct Segment {
  REAL x, x_next, y, y_next, d, e;
};

struct Bin {
  REAL xi, eta, u, s, w, h, d, e, q, p, D, M;
};

// What comes back: of the point, and of the segment's six numbers.
struct Adjoint {
  REAL v;
  Segment of;
};

__device__ inline Bin completed(const Segment& at, REAL xi, REAL eta) {
  const REAL w = at.x_next - at.x, h = at.y_next - at.y, s = h / w, u = xi * eta;
  const REAL N = s * xi * xi + at.d * u, R = s * eta * eta + at.e * u, D = N + R;
  return {xi, eta, u, s, w, h, at.d, at.e, N / D, R / D, D, at.e * xi * xi + 2 * s * u + at.d * eta * eta};
}

__device__ inline Bin bin_of_z(const Segment& at, REAL z) {
  const REAL w = at.x_next - at.x;
  return completed(at, (z - at.x) / w, (at.x_next - z) / w);
}

__device__ inline Bin bin_of_x(const Segment& at, REAL x) {
  const REAL w = at.x_next - at.x, h = at.y_next - at.y, s = h / w, q = (x - at.y) / h, p = (at.y_next - x) / h;
  const REAL A = at.d * p - at.e * q, T = fabs(A) + sqrt(A * A + 4 * s * s * p * q), near = 2 * s * (A >= 0 ? q : p);
  const REAL small = near / (T + near), large = T / (T + near);
  return A >= 0 ? completed(at, small, large) : completed(at, large, small);
}

// The image of v between the knots, and its log slope.
__device__ inline REAL image(const Segment& at, REAL v, bool back, REAL& log_slope) {
  const Bin b = back ? bin_of_x(at, v) : bin_of_z(at, v);
  const REAL l = 2 * log(b.s) + log(b.M) - 2 * log(b.D);
  log_slope = back ? -l : l;
  return back ? at.x + b.w * b.xi : at.y + b.h * b.q;
}

// From the adjoints of the image and its log slope.
__device__ inline Adjoint image_back(const Segment& at, REAL v, bool back, REAL g, REAL g_l) {
  const Bin b = back ? bin_of_x(at, v) : bin_of_z(at, v);
  const REAL bent = b.e * b.xi - b.d * b.eta + b.s * (b.eta - b.xi), q_xi = b.s * b.M / (b.D * b.D);
  const REAL l_xi = 2 * bent / b.M - 2 * (b.d + b.e - 2 * b.s) * (b.eta - b.xi) / b.D;
  const REAL a = back ? (g_l * l_xi - b.w * g) / q_xi : b.h * g;
  const REAL of_v = back ? -a / b.h : (a * q_xi + g_l * l_xi) / b.w, of_z = back ? g : -of_v, l = back ? -g_l : g_l;
  const REAL part = b.u / b.D, of_y = a / b.h;
  const REAL of_s = a * part * (b.e * b.xi * b.xi - b.d * b.eta * b.eta) / b.D + 2 * l * (b.u / b.M + part * (b.d + b.e) / b.s);
  const REAL by_w = of_s * b.s / b.w, by_h = of_s / b.w;
  return {of_v, {b.eta * of_z + by_w, b.xi * of_z - by_w, b.p * of_y - by_h, b.q * of_y + by_h,
                 a * part * b.p + l * (b.eta * b.eta / b.M - 2 * part), l * (b.xi * b.xi / b.M - 2 * part) - a * part * b.q}};
}

// K raw numbers, `stride` apart, and the softmax p of them; knots from low on: low + range (MIN_BIN + (1 - MIN_BIN K) p), summed.
struct Shares {
  const REAL* raw;
  int stride, K;
  REAL top, sum;

  __device__ REAL p(int j) const { return exp(raw[j * stride] - top) / sum; }
  __device__ REAL share(int j) const { return MIN_BIN + (1 - MIN_BIN * K) * p(j); }
};

__device__ inline Shares shares_of(const REAL* raw, int stride, int K) {
  Shares shares = {raw, stride, K, raw[0], 0};
  for (int j = 1; j < K; j++) shares.top = max(shares.top, raw[j * stride]);
  for (int j = 0; j < K; j++) shares.sum += exp(raw[j * stride] - shares.top);
  return shares;
}

// Bin k and the last knot. before, own: the sum of p before the bin, and its own.
struct Place {
  int k;
  REAL low, high, last, before, own;
};

// The bin in which v lies, or, if k >= 0, that bin.
__device__ inline Place place_in(const Shares& shares, REAL first, REAL range, REAL v, int k) {
  Place place = {0, first, first, first, 0, 0};
  REAL sum = 0, passed = 0, low = first;
  for (int j = 0; j < shares.K; j++) {
    const REAL p = shares.p(j);
    sum += MIN_BIN + (1 - MIN_BIN * shares.K) * p;
    const REAL high = first + range * sum;
    if (k < 0 ? j == 0 || v >= low : j == k) place = {j, low, high, 0, passed, p};
    low = high;
    passed += p;
  }
  place.last = low;
  return place;
}

// g_raw_j = p_j (gp_j - sum p gp) where gp_j = c times the sum of the knots' adjoints above j: two of them, at bin k's ends.
// g_raw may be raw.
__device__ inline void shares_back(const Shares& shares, const Place& place, REAL range, REAL low, REAL high, REAL* g_raw) {
  const REAL c = range * (1 - MIN_BIN * shares.K), both = c * (low + high), one = c * high;
  const REAL mean = both * place.before + one * place.own;
  for (int j = 0; j < shares.K; j++)
    g_raw[j * shares.stride] = shares.p(j) * ((j < place.k ? both : j == place.k ? one : 0) - mean);
}

// Slope j of K + 1: 1 at both ends, exp(L tanh(raw / L)) between.
__device__ inline REAL slope_at(const REAL* raw, int stride, int K, int j) {
  return j == 0 || j == K ? REAL(1) : exp(SLOPE_LIMIT * tanh(raw[(2 * K + j - 1) * stride] / SLOPE_LIMIT));
}

// One point and its 3 K - 1 raw numbers: widths, heights, inner slopes.
struct Spot {
  Shares widths, heights;
  Place x, y;
  Segment at;
  bool inside;
  REAL shift;  // of the tail: the identity, but for the rounding of its knot
};

__device__ inline Spot spot_of(const REAL* raw, int stride, int K, REAL bound, REAL v, bool back) {
  Spot spot = {shares_of(raw, stride, K), shares_of(raw + K * stride, stride, K)};
  if (back) {
    spot.y = place_in(spot.heights, -bound, 2 * bound, v, -1);
    spot.x = place_in(spot.widths, -bound, 2 * bound, 0, spot.y.k);
  } else {
    spot.x = place_in(spot.widths, -bound, 2 * bound, v, -1);
    spot.y = place_in(spot.heights, -bound, 2 * bound, 0, spot.x.k);
  }
  const int k = spot.x.k;
  const REAL from = back ? spot.y.last : spot.x.last, to = back ? spot.x.last : spot.y.last;
  spot.at = {spot.x.low, spot.x.high, spot.y.low, spot.y.high, slope_at(raw, stride, K, k), slope_at(raw, stride, K, k + 1)};
  spot.inside = v >= -bound && v <= from;
  spot.shift = v < -bound ? 0 : to - from;
  return spot;
}

__device__ inline REAL transform(const REAL* raw, int stride, int K, REAL bound, REAL v, bool back, REAL& log_slope) {
  const Spot spot = spot_of(raw, stride, K, bound, v, back);
  log_slope = 0;
  return spot.inside ? image(spot.at, v, back, log_slope) : v + spot.shift;
}

// The adjoint of v; those of its raw numbers go to g_raw, which may be raw.
__device__ inline REAL transform_back(
    const REAL* raw, int stride, int K, REAL bound, REAL v, bool back, REAL g, REAL g_l, REAL* g_raw) {
  const Spot spot = spot_of(raw, stride, K, bound, v, back);
  if (!spot.inside) {
    for (int j = 0; j < 3 * K - 1; j++) g_raw[j * stride] = 0;
    return g;
  }
  const Adjoint adjoint = image_back(spot.at, v, back, g, g_l);
  const int k = spot.x.k;
  for (int j = 1; j < K; j++) {
    const REAL t = tanh(raw[(2 * K + j - 1) * stride] / SLOPE_LIMIT);
    const REAL of_slope = j == k ? adjoint.of.d : j == k + 1 ? adjoint.of.e : 0;
    g_raw[(2 * K + j - 1) * stride] = of_slope * exp(SLOPE_LIMIT * t) * (1 - t * t);
  }
  shares_back(spot.widths, spot.x, 2 * bound, adjoint.of.x, adjoint.of.x_next, g_raw);
  shares_back(spot.heights, spot.y, 2 * bound, adjoint.of.y, adjoint.of.y_next, g_raw + K * stride);
  return adjoint.v;
}
