r"""The units in which a model sees data: column by column, the user's x becomes the model's u,

$$u = (x - \mathrm{shift}) / \mathrm{scale}, \qquad \log|\det du/dx| = -\sum_j \log \mathrm{scale}_j,$$

for real numbers; a table's columns are also made uncorrelated by its correlations' Cholesky factor, $x = \mathrm{shift} +
\mathrm{scale} \odot L u$ (`Units.whitened`): L is triangular, so that what comes before a coordinate still comes before it. The
flows begin at their base: at the table's own normal distribution then, and on few rows that is worth more than the training.
Whole numbers 0 ... L - 1 are first *dequantised*: x + uniforms, with uniforms in [0, 1), takes the
place of x; on average log p(x + uniforms) is a lower bound on the log probability of the whole number (Theis et al.
2016, section 3.1). Real and generated whole numbers are compared dequantised alike (evaluation.py) or not at all:
raw draws would give themselves away by what they hold between and beyond the levels.
"""
import math
from dataclasses import dataclass, replace

import numpy as np

from evenflow.reference.core import Array, anywhere, arrays, check_count, check_finite, check_shape, numbers, placed
from evenflow.reference.work.tables import as_table


@dataclass(frozen=True, eq=False)
class Units:
    """How a user's numbers become a model's. levels: None for real numbers; L for whole numbers 0 ... L - 1."""
    shift: Array  # (d,)
    scale: Array  # (d,), positive
    levels: int | None = None
    L: Array | None = None  # (d, d) lower triangular, its diagonal positive; None: the identity

    def __post_init__(self) -> None:
        check_shape("shift", self.shift, "d")
        check_shape("scale", self.scale, len(self.shift))
        check_finite("shift", self.shift)
        if anywhere(np.logical_not(np.isfinite(self.scale) & (self.scale > 0))):
            raise ValueError(f"scale must be positive and finite, got {self.scale}")
        if self.levels is not None:
            check_count("levels", self.levels, least=2)

    @classmethod
    def standardised(cls, x: Array, columns: tuple[str, ...] | None = None) -> "Units":
        """Units in which each column of x (n, d) has mean 0 and standard deviation 1. Refuses constant columns."""
        x = as_table("x", x)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, sd = x.mean(axis=0), x.std(axis=0)
        check_finite("the columns' standard deviations", sd)  # beyond 1e154 the squares overflow
        constant = np.flatnonzero((x.min(axis=0) == x.max(axis=0)) | (sd == 0))
        if len(constant):
            names = ", ".join(repr(columns[j]) if columns else str(j) for j in constant)
            drop = ",".join(columns[j] if columns else str(j + 1) for j in constant)
            raise ValueError(f"columns must vary, got constant ones (leave them out): {names}; of a file: --drop {drop}")
        return cls(mean, sd)

    @classmethod
    def whitened(cls, x: Array, columns: tuple[str, ...] | None = None) -> "Units":
        """Units in which the columns of x (n, d) are uncorrelated, too: u is white, but for the shrinkage.

        The correlations R are shrunk to (1 - s) R + s I with the s of Chen et al. 2010, eq. 23 (OAS): the fewer the rows, the
        more; so that there is an L for fewer rows than columns, and for columns that follow from others.
        """
        plain, (n, d) = cls.standardised(x, columns), x.shape
        u = plain.to_model(x)
        R = u.T @ u / n
        square = np.sum(R**2)
        s = min(1.0, ((1 - 2 / d) * square + d**2) / ((n + 1 - 2 / d) * (square - d))) if square > d else 1.0
        return cls(plain.shift, plain.scale, None, np.linalg.cholesky((1 - s) * R + max(s, 1e-9) * np.eye(d)))

    @classmethod
    @arrays("x")
    def whole_numbers(cls, x: Array, levels: int) -> "Units":
        """One shift and one scale for all columns of whole numbers x (n, d): mean and deviation of the dequantised numbers.

        Those are the mean + 1/2 and the variance + 1/12. Column by column, pixels that are always empty would be blown up.
        """
        check_whole("x", x, levels)
        d = x.shape[1]
        return cls(np.full(d, x.mean() + 0.5), np.full(d, math.sqrt(x.var() + 1 / 12)), levels)

    @arrays("x", "uniforms")
    def to_model(self, x: Array, uniforms: Array | None = None) -> Array:
        """x (n, d) in the user's units -> (n, d); uniforms (n, d) in [0, 1) for whole numbers, and only for them."""
        check_shape("x", x, "n", len(self.shift))
        check_finite("x", x)
        if (uniforms is None) == bool(self.levels):
            raise ValueError(f"uniforms must be {'an array' if self.levels else 'None'} where levels is {self.levels}")
        if uniforms is not None and self.levels:
            check_shape("uniforms", uniforms, *x.shape)
            check_whole("x", x, self.levels)
            if anywhere(np.logical_not((uniforms >= 0) & (uniforms < 1))):
                raise ValueError(f"uniforms must lie in [0, 1), got {uniforms.min()} to {uniforms.max()}")
            x = x + uniforms
        u = (x - self.shift.astype(x.dtype)) / self.scale.astype(x.dtype)
        return u if self.L is None else np.linalg.solve(self.L, u.T).T.astype(x.dtype)

    def placed(self) -> "Units":
        """With its arrays where models compute."""
        L = None if self.L is None else placed(self.L, np.float64)
        return replace(self, shift=placed(self.shift, np.float64), scale=placed(self.scale, np.float64), L=L)

    def dequantised(self, x: Array, rng: np.random.Generator) -> Array:
        """`to_model`; whole numbers with fresh uniforms."""
        return self.to_model(x, rng.random(x.shape) if self.levels else None)

    def to_user(self, u: Array) -> Array:
        """u (n, d) in the model's units -> x (n, d), the inverse; whole numbers by rounding down, then clipping."""
        check_shape("u", u, "n", len(self.shift))
        check_finite("u", u)
        u = u if self.L is None else (u @ self.L.T).astype(u.dtype)
        x = u * self.scale.astype(u.dtype) + self.shift.astype(u.dtype)
        return np.clip(np.floor(x), 0, self.levels - 1) if self.levels else x

    def log_det(self) -> float:
        """log |det du/dx|: add it to log p(u) for the log density in the user's units."""
        return -float(np.sum(np.log(self.scale))) - (0.0 if self.L is None else float(np.sum(np.log(np.diag(self.L)))))


def check_whole(name: str, x: Array, levels: float = math.inf) -> None:
    """Raise ValueError unless x holds whole numbers 0 ... levels - 1."""
    x = numbers(name, x)
    bad = ~((np.floor(x) == x) & (x >= 0) & (x < levels))
    if anywhere(bad):
        raise ValueError(f"{name} must hold whole numbers from 0 to {levels - 1}, got {x[bad][0]}")
