"""What `evenflow.sample` returns: the draws, what they are worth, and all it takes to go on. Files, ArviZ, warnings."""
import dataclasses
import json
import sys
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from evenflow.reference import flows, targets
from evenflow.reference.core import Array, Tree, lookup
from evenflow.reference.ebm.normalizer import LogZ
from evenflow.reference.flows import Flow
from evenflow.reference.mcmc.ess import ess
from evenflow.reference.mcmc.rhat import rhat
from evenflow.reference.work.checkpoints import PathLike
from evenflow.reference.work.clusters import NormalMixture
from evenflow.reference.work.files import CorruptFileError, load, save

RHAT, ESS, ACCEPTANCE = 1.05, 100.0, 0.05  # where a warning begins


class UnmixedWarning(UserWarning):
    """The draws, or log Z, should not be trusted; the message says what to do.

    >>> issubclass(UnmixedWarning, UserWarning)
    True
    """


@dataclass(frozen=True, eq=False)
class Samples:
    """x (n, d) are the last n of chains (sweeps, chains, d), sweep by sweep; log_density (n,) is the user's there.

    log_z, log_z_error: log of the density's mass and its standard error, in nats; log_z_ess: what the worse of the two samples
    behind it is worth. ess, rhat: (d,), of the chains. acceptance_local, acceptance_global: shares. calls, gradient_calls: at
    how many points the density and its gradient were asked, adaptation and all. flow, params: the flow of u, t = W u + b with
    white = {"W", "b"} on the line, where a bounded coordinate is its logarithm or logit (work/bounds.py); step_size: in u.

    >>> from evenflow import sample
    >>> x0 = np.random.default_rng(0).standard_normal((20, 2))
    >>> samples = sample(lambda x: -np.sum(x**2, axis=1) / 2, x0, 1000, rounds=4)
    >>> samples.chains.shape, repr(samples)[:30]
    ((50, 20, 2), 'Samples(1000 of 2 dimensions, ')
    """
    chains: Array  # (sweeps, chains, d)
    log_p: Array   # (sweeps, chains)
    n: int
    evidence: LogZ
    acceptance_local: float
    acceptance_global: float
    calls: int
    gradient_calls: int
    flow: Flow
    params: Tree
    white: Tree
    step_size: float
    local: str     # the kernel's name
    bounds: tuple[Array, Array]

    @property
    def x(self) -> Array:
        return self.chains.reshape(-1, self.chains.shape[2])[-self.n :]

    @property
    def log_density(self) -> Array:
        return self.log_p.ravel()[-self.n :]

    @property
    def log_z(self) -> float:
        return self.evidence.log_z

    @property
    def log_z_error(self) -> float:
        return self.evidence.standard_error

    @property
    def log_z_ess(self) -> float:
        return self.evidence.ess

    @cached_property
    def ess(self) -> Array:
        return ess(self.chains)

    @cached_property
    def rhat(self) -> Array:
        return rhat(self.chains)

    def __repr__(self) -> str:
        worth = f"R-hat {self.rhat.max():.2f}, ess {self.ess.min():.0f}, log Z {self.log_z:.2f} +- {self.log_z_error:.2f}"
        return f"Samples({self.n} of {self.chains.shape[2]} dimensions, {worth})"

    def to_arviz(self) -> Any:
        """An arviz.InferenceData: posterior x (chain, draw, d), and lp. Needs ArviZ below 1."""
        import arviz
        return arviz.from_dict(
            posterior={"x": np.swapaxes(self.chains, 0, 1)}, sample_stats={"lp": np.swapaxes(self.log_p, 0, 1)})

    def save(self, path: PathLike) -> None:
        """Write all of it to `path` (.npz), whole or not at all; `sample(log_density, path, n)` goes on from there.

        Raises ValueError for a flow that is not made of evenflow's own parts, OSError where the file cannot be written.
        """
        told = {name: getattr(self, name) for name in NUMBERS}
        about = json.dumps({**told, "evidence": list(self.evidence), "flow": written(self.flow)})
        low, high = self.bounds
        save(path, {"samples": np.array(about), "chains": self.chains, "log_p": self.log_p, "params": self.params,
                    "white": self.white, "low": low, "high": high})

    @classmethod
    def load(cls, path: PathLike) -> "Samples":
        """What `save` wrote. Raises OSError where there is no such file, CorruptFileError where it is not whole."""
        tree = load(path)
        try:
            about = json.loads(str(tree["samples"]))
            return cls(
                **{name: tree[name] for name in ("chains", "log_p", "params", "white")}, bounds=(tree["low"], tree["high"]),
                evidence=LogZ(*about["evidence"]), flow=read(about["flow"]), **{name: about[name] for name in NUMBERS})
        except (LookupError, TypeError, ValueError) as error:
            raise CorruptFileError(f"{path} does not hold samples: {error!r}") from error


NUMBERS = ("n", "acceptance_local", "acceptance_global", "calls", "gradient_calls", "step_size", "local")
PARTS = {name: getattr(room, name) for room in (flows, targets) for name in room.__all__
         if dataclasses.is_dataclass(getattr(room, name))} | {"NormalMixture": NormalMixture}


def written(part: Any) -> Any:
    """A flow, made of dataclasses of choices, for JSON."""
    if isinstance(part, tuple):
        return [written(one) for one in part]
    if not dataclasses.is_dataclass(part):
        return part
    kind = type(part).__name__
    if PARTS.get(kind) is not type(part):
        raise ValueError(f"a flow can be saved if it is made of evenflow's own parts, got a {kind}")
    return {"kind": kind, **{field.name: written(getattr(part, field.name)) for field in dataclasses.fields(part)}}


def read(part: Any) -> Any:
    """The same, from JSON."""
    if isinstance(part, list):
        return tuple(read(one) for one in part)
    if not isinstance(part, dict):
        return part
    kind = lookup("part of a flow", part["kind"], PARTS)
    return kind(**{name: read(value) for name, value in part.items() if name != "kind"})


def warn_unmixed(samples: Samples) -> None:
    """One UnmixedWarning for each sign that something is wrong, with what helps."""
    more = "more rounds (rounds=40), more chains, starts spread wider over what matters"
    worst, least, n = float(np.max(samples.rhat)), float(np.min(samples.ess)), samples.chains[..., 0].size
    found = []
    if worst > RHAT:
        found.append(f"the chains do not agree, R-hat {worst:.2f} in coordinate {np.argmax(samples.rhat)}: try {more}")
    elif least < min(ESS, n / 10):
        found.append(f"the draws are worth {least:.0f} independent ones in coordinate {np.argmin(samples.ess)}: ask for more "
                     "(larger n; sample(log_density, samples, n) goes on), or more rounds")
    if samples.acceptance_global < ACCEPTANCE:
        found.append(f"{samples.acceptance_global:.3f} of the global moves were taken, modes exchange too little: try {more}, "
                     "or a flow of yours with more layers")
    if samples.log_z_ess < ESS:
        found.append(f"log Z rests on {samples.log_z_ess:.0f} effective draws, its error is not to be trusted: try more rounds")
    for line in found:
        warnings.warn(line, UnmixedWarning, stacklevel=3)


def say(line: str) -> None:
    print(line, file=sys.stderr)
