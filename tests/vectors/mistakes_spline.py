"""Mistakes in splines and their transformer."""
from tests.vectors.planting import Mistake

SPLINE = "evenflow.reference.flows.spline"
CORE, INVERSE = f"{SPLINE}:rational_quadratic_spline", f"{SPLINE}:rational_quadratic_spline_inverse"
SHAPE = f"{SPLINE}:SplineTransformer.shape"

MISTAKES = (
    Mistake("rational_quadratic_spline", CORE, "(d_k + d_next)", "(d_k - d_next)"),
    Mistake("rational_quadratic_spline", CORE, "x = y_k + h", "x = x_k + h"),
    Mistake("rational_quadratic_spline", f"{SPLINE}:log_derivative", "2 * np.log(s)", "np.log(s)"),
    Mistake("rational_quadratic_spline", f"{SPLINE}:line", "slope * (v", "(v"),
    Mistake("rational_quadratic_spline", f"{SPLINE}:line", "np.log(slope)", "0 * np.log(slope)"),
    Mistake("rational_quadratic_spline", f"{SPLINE}:clamp", "inside * v + ~inside * first", "v"),
    Mistake("rational_quadratic_spline", f"{SPLINE}:segment", "value(v)[..., None] >=", "value(v)[..., None] >"),
    Mistake("rational_quadratic_spline_inverse", INVERSE, "log_slope - inside * log", "log_slope + inside * log"),
    Mistake("rational_quadratic_spline_inverse", INVERSE, "segment(x_in, y_knots", "segment(x_in, x_knots"),
    Mistake("rational_quadratic_spline_inverse", INVERSE, "(x_in - y_k)", "(x_in - x_k)"),
    Mistake("rational_quadratic_spline_inverse", INVERSE, "1 / slopes", "slopes"),
    Mistake("rational_quadratic_spline_inverse", INVERSE, "A**2 + 4", "A**2 - 4"),
    Mistake("rational_quadratic_spline_inverse", INVERSE, "(y_next - x_in) / h", "1 - q"),
    Mistake("rational_quadratic_spline_inverse", INVERSE, "np.where(low, A, -A)", "A"),
    Mistake("rational_quadratic_spline_inverse", INVERSE, "np.where(low, T, near) / (T + near)", "1 - xi"),
    Mistake("rational_quadratic_spline_inverse", f"{SPLINE}:clamp", "inside * v + ~inside * first", "v"),
    Mistake("spline_transformer", SHAPE, "[one, np.exp", "[1.295 * one, np.exp"),
    Mistake("spline_transformer", SHAPE, "bounded(inner, SLOPE_LIMIT)", "inner"),
    Mistake("spline_transformer", SHAPE, "widths, heights, inner", "heights, widths, inner"),
    Mistake("spline_transformer", f"{SPLINE}:knots", "MIN_BIN + (1 - MIN_BIN * bins) * e", "e"),
    Mistake("spline_transformer_inverse", SHAPE, "[one, np.exp", "[1.295 * one, np.exp"),
    Mistake("spline_transformer_inverse", SHAPE, "knots(heights, -self.bound", "knots(heights, 0.0"),
    Mistake("spline_transformer_inverse", f"{SPLINE}:knots", "MIN_BIN + (1 - MIN_BIN * bins) * e", "e"),
    Mistake("spline_transformer_inverse", f"{SPLINE}:SplineTransformer.inverse", "_inverse(x", "(x"),
)
