// One pair of points in the energy score (reference/scores/energy.py): with s = |a - b|^2 and t = s + EPS^2
//
//   f = t^(beta/2)        grad_a f = beta t^(beta/2 - 1) (a - b) = slope (a - b)        both 0 where s = 0
//
// beta = 1 by a root. Where t overflows, the slope goes to 0 as it should, not to inf / inf. NaN stays NaN.

struct Pair {
  REAL f, slope;
};

__device__ inline Pair pair_terms(REAL s, REAL beta) {
  const REAL t = s + REAL(1e-12);
  Pair pair;
  pair.f = beta == 1 ? sqrt(t) : pow(t, beta / 2);
  pair.slope = isinf(t) ? 0 : beta * (beta == 1 ? 1 / pair.f : pair.f / t);
  if (s == 0) pair = {0, 0};
  return pair;
}
