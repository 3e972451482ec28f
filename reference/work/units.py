r"""The units in which a model sees data: column by column, the user's x becomes the model's u,

$$y = x + \mathrm{uniforms}, \qquad t = \mathrm{asinh}\,\frac{\mathrm{line}(y) - c}{w}, \qquad
u = L^{-1}\,\frac{t - \mathrm{shift}}{\mathrm{scale}}$$

where each step is taken for the columns alone that need it:

    whole    whole numbers are *dequantised* by uniforms in [0, 1): on average log p(x + uniforms) is a lower bound on the log
             probability of the whole number (Theis et al. 2016, section 3.1)
    bounds   what lives between bounds is carried to the real line, by logarithms (bounds.py)
    far      a few values far from all others are brought in (far.py): c the median of the column, w its interquartile range

shift and scale are the mean and the standard deviation of t over the rows to train on, and L, lower triangular, is the Cholesky
factor of its correlations: u is white, and what comes before a coordinate still comes before it. The flows begin at their base:
at the table's own normal distribution then, and on few rows that is worth more than the training.

Real and generated whole numbers are compared dequantised alike (evaluation.py) or not at all: raw draws would give themselves
away by what they hold between and beyond the levels. Pixels, whole numbers 0 ... levels - 1 in all columns, share one shift and
one scale.
"""
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evenflow.reference.core import Array, anywhere, arrays, beside, check_count, check_finite, check_shape, numbers
from evenflow.reference.flows.dense import solved
from evenflow.reference.work.bounds import from_line, to_line
from evenflow.reference.work.far import asinh, far_out, from_asinh
from evenflow.reference.work.tables import as_table, check_whole, plain

ROWS = 4096  # at a time: bytes need not all become real numbers at once
WIDEST = 512  # columns that are whitened: L has as many numbers squared, and config.json holds them
INSIDE = 2.0**-30  # so far from 0 and 1 stay the uniforms of whole numbers between bounds


@dataclass(frozen=True, eq=False)
class Units:
    """How a user's numbers become a model's. The pairs hold NaN, bounds infinity, where a column has none of it."""
    shift: Array                 # (d,)
    scale: Array                 # (d,), positive
    levels: int | None = None    # of pixels
    L: Array | None = None       # (d, d), its diagonal positive; None: the identity
    whole: Array | None = None   # (2, d): the least and the most that was seen of a column of whole numbers
    bounds: Array | None = None  # (2, d): low and high
    far: Array | None = None     # (2, d): c and w

    def __post_init__(self) -> None:
        check_shape("shift", self.shift, "d")
        check_shape("scale", self.scale, len(self.shift))
        check_finite("shift", self.shift)
        if anywhere(np.logical_not(np.isfinite(self.scale) & (self.scale > 0))):
            raise ValueError(f"scale must be positive and finite, got {self.scale}")
        if self.levels is not None:
            check_count("levels", self.levels, least=2)
        for name in ("whole", "bounds", "far"):
            if getattr(self, name) is not None:
                check_shape(name, getattr(self, name), 2, len(self.shift))

    @classmethod
    def standardised(cls, x: Array, columns: tuple[str, ...] | None = None) -> "Units":
        """Units in which each column of x (n, d) has mean 0 and standard deviation 1. Refuses constant columns."""
        x = as_table("x", x)
        check_varies(x, columns)
        return cls(*mean_and_sd(x))

    @classmethod
    def whitened(
        cls, x: Array, columns: tuple[str, ...] | None = None, whole: Array | None = None, bounds: Array | None = None
    ) -> "Units":
        """Units in which the columns of x (n, d) are uncorrelated, too: u is white, but for the shrinkage, up to d = WIDEST.

        whole (d,) bool: the columns of whole numbers; bounds (2, d). The correlations R are shrunk to (1 - s) R + s I with the
        s of Chen et al. 2010, eq. 23 (OAS): the fewer the rows, the more; so that there is an L for fewer rows than columns,
        and for columns that follow from others.
        """
        x = as_table("x", x)
        (n, d), uniforms = x.shape, None
        check_varies(x, columns)
        plain = cls(np.zeros(d), np.ones(d), bounds=bounds)
        if whole is not None and whole.any():
            uniforms = np.random.default_rng(0).random(x.shape)
            plain = replace(plain, whole=np.where(whole, [x.min(axis=0), x.max(axis=0)], np.nan))
        check_between(x, bounds, np.zeros(d, dtype=bool) if whole is None else whole, columns)
        plain = replace(plain, far=far_out(plain.to_model(x, uniforms)))
        shift, scale = mean_and_sd(plain.to_model(x, uniforms))
        plain = replace(plain, shift=shift, scale=scale)
        if d > WIDEST:
            return plain
        u = plain.to_model(x, uniforms)
        R = u.T @ u / n
        square = np.sum(R**2)
        s = min(1.0, ((1 - 2 / d) * square + d**2) / ((n + 1 - 2 / d) * (square - d))) if square > d else 1.0
        return replace(plain, L=np.linalg.cholesky((1 - s) * R + max(s, 1e-9) * np.eye(d)))

    @classmethod
    def whole_numbers(cls, x: Array, levels: int) -> "Units":
        """One shift and one scale for all columns of whole numbers x (n, d): mean and deviation of the dequantised numbers.

        Those are the mean + 1/2 and the variance + 1/12. Column by column, pixels that are always empty would be blown up.
        """
        x = numbers("x", x)  # bytes stay bytes
        check_whole("x", x, 0, levels)
        d, mean = x.shape[1], x.mean()
        square = sum(float(np.sum((part - mean) ** 2)) for part in np.split(x, range(ROWS, len(x), ROWS)))
        return cls(np.full(d, mean + 0.5), np.full(d, math.sqrt(square / x.size + 1 / 12)), levels)

    @property
    def counted(self) -> Any:
        """The columns of whole numbers, which take uniforms: (d,) bool; None where there are none."""
        if self.levels is not None:
            return np.ones(len(self.shift), dtype=bool)
        return None if self.whole is None else np.isfinite(self.whole[0])

    def to_model(self, x: Array, uniforms: Array | None = None) -> Array:
        """x (n, d) in the user's units -> u (n, d); uniforms (n, d) in [0, 1) where there are whole numbers, and only there."""
        return self.steps(x, uniforms)[0]

    @arrays("x", "uniforms")
    def steps(self, x: Array, uniforms: Array | None = None) -> tuple[Array, Array]:
        """u (n, d) and log |det du/dx| (n,): add that to log p(u) for the log density in the user's units."""
        t = self.dequantised_by(x, uniforms)
        log_det = np.zeros_like(t[:, 0]) - np.sum(np.log(self.scale)).astype(t.dtype)  # no float: a device would wait for it
        if self.bounds is not None:
            t, change = to_line(t, *self.open_bounds(t.dtype))
            log_det = log_det + change
        if self.far is not None:
            t, change = asinh(t, *(beside(part, t) for part in self.far))
            log_det = log_det + change
        u = (t - beside(self.shift.astype(t.dtype), t)) / beside(self.scale.astype(t.dtype), t)
        if self.L is None:
            return u, log_det
        return solved(beside(self.L.astype(t.dtype), u), u), log_det - float(np.sum(np.log(np.diag(self.L))))

    def dequantised_by(self, x: Array, uniforms: Array | None) -> Array:
        """y (n, d). Raises ValueError where x or the uniforms are not what they should be."""
        check_shape("x", x, "n", len(self.shift))
        check_finite("x", x)
        counted = self.counted
        if (uniforms is None) != (counted is None):
            must = "None: there are no" if counted is None else "an array: there are"
            raise ValueError(f"uniforms must be {must} whole numbers")
        if uniforms is None or counted is None:
            return x
        check_shape("uniforms", uniforms, *x.shape)
        if anywhere(np.logical_not((uniforms >= 0) & (uniforms < 1))):
            raise ValueError(f"uniforms must lie in [0, 1), got {uniforms.min()} to {uniforms.max()}")
        if self.bounds is not None:
            uniforms = np.clip(uniforms, INSIDE, 1 - INSIDE)
        counted = beside(counted, x)
        least, most = (-math.inf, math.inf) if self.levels is None else (0, self.levels)
        check_whole("x", np.where(counted, x, np.zeros_like(x)), least, most)
        return np.where(counted, x + uniforms, x)

    def open_bounds(self, dtype: np.dtype) -> tuple[Array, Array]:
        """What y lies strictly between: a whole number is at most `high`, and so is less than high + 1 with its uniform."""
        low, high = np.zeros((2, len(self.shift))) if self.bounds is None else self.bounds
        return low.astype(dtype), (high if self.counted is None else high + self.counted).astype(dtype)

    def as_json(self) -> dict[str, Any]:
        """Lists, with null for what is not a finite number."""
        return {name: plain(value) for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, described: dict[str, Any]) -> "Units":
        def read(name: str) -> Any:
            value, none = described[name], [[-math.inf], [math.inf]] if name == "bounds" else math.nan
            if name == "levels" or value is None:
                return value
            x = np.array(value, dtype=np.float64)  # None becomes NaN
            return np.where(np.isnan(x), none, x) if x.ndim == 2 and name != "L" else x

        return cls(**{name: read(name) for name in ("shift", "scale", "levels", "L", "whole", "bounds", "far")})

    def uniforms(self, x: Array, rng: np.random.Generator) -> Array | None:
        """Fresh ones for x (n, d); None where there are no whole numbers."""
        return None if self.counted is None else rng.random(x.shape)

    def dequantised(self, x: Array, rng: np.random.Generator) -> Array:
        """`to_model`; whole numbers with fresh uniforms."""
        return self.to_model(x, self.uniforms(x, rng))

    def to_user(self, u: Array) -> Array:
        """u (n, d) in the model's units -> x (n, d), the inverse; whole numbers rounded down, then clipped to what was seen."""
        check_shape("u", u, "n", len(self.shift))
        check_finite("u", u)
        u = u if self.L is None else (u @ self.L.T).astype(u.dtype)
        x = u * self.scale.astype(u.dtype) + self.shift.astype(u.dtype)
        if self.far is not None:
            x = from_asinh(x, *self.far)
        if self.bounds is not None:
            x, _ = from_line(x, *self.open_bounds(x.dtype))
        if self.levels is not None:
            return np.clip(np.floor(x), 0, self.levels - 1)
        if self.whole is None:
            return x
        least, most = self.whole
        return np.where(self.counted, np.clip(np.floor(x), least, most), x)


def mean_and_sd(t: Array) -> tuple[Array, Array]:
    """(d,) each, of t (n, d)."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, sd = t.mean(axis=0), t.std(axis=0)
    check_finite("the columns' standard deviations", sd)  # beyond 1e154 the squares overflow
    return mean, sd


def check_varies(x: Array, columns: tuple[str, ...] | None) -> None:
    """Raise ValueError naming the constant columns of x (n, d)."""
    constant = np.flatnonzero((x.min(axis=0) == x.max(axis=0)) | (mean_and_sd(x)[1] == 0))
    if len(constant):
        names = ", ".join(repr(columns[j]) if columns else str(j) for j in constant)
        drop = ",".join(columns[j] if columns else str(j + 1) for j in constant)
        raise ValueError(f"columns must vary, got constant ones (leave them out): {names}; of a file: --drop {drop}")


def check_between(x: Array, bounds: Array | None, counted: Array, columns: tuple[str, ...] | None) -> None:
    """Raise ValueError naming the column of x (n, d) that does not lie between its bounds (2, d).  counted: as of Units."""
    if bounds is None:
        return
    low, high = bounds
    out = np.where(counted, (x < low) | (x > high), (x <= low) | (x >= high))
    for i, j in np.argwhere(out)[:1]:
        name, where = columns[j] if columns else str(j + 1), "between" if counted[j] else "strictly between"
        raise ValueError(f"column {name!r} must lie {where} its bounds {low[j]:g} and {high[j]:g}, got {x[i, j]:g}")
