"""evenflow: semi-autoregressive energy flows and flowMC-EBM, written down to be read, checked and trained.

What one types most, in one place; the rest is in evenflow.reference, evenflow.accel, evenflow.conformance.

    import evenflow

    model = evenflow.FlowEstimator("saef", steps=500).fit(X)    # scikit-learn's way
    run = evenflow.load("runs/a")                               # what `evenflow train` left: sample, log_density, ...
    with evenflow.use("numpy"):                                 # who computes: reference, numpy, compiled, cupy
        ...

Each name is imported when it is first used (PEP 562), so that `import evenflow` costs nothing. Where EVENFLOW_BACKEND names a
backend, it is switched to here, for the whole process; only the command `evenflow` does that by itself, for --backend may say
otherwise.
"""
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenflow.accel import to_device, to_host, use
    from evenflow.reference.core.optim import SGD, Adam
    from evenflow.reference.ebm import EBM, FCE, NTEBM, PCD, ConvEnergy, CoopFlow, FlowMCEBM, Jarzynski, MLPEnergy
    from evenflow.reference.flows import Flow, Normal, Uniform, dense_flow, glow, image_realnvp, maf, realnvp, spline_flow
    from evenflow.reference.mcmc import HMC, ISIR, MALA, ULA, FlowMC, IndependentMH, RandomWalk, ess, rhat
    from evenflow.reference.saef import AQF, SAEF, aqf, image_saef, saef
    from evenflow.reference.scores import crps, energy_distance, energy_score, kernel_score, mmd, quantile_score
    from evenflow.reference.scores.sliced import sliced_energy_distance, sliced_energy_score
    from evenflow.reference.work.adaptive import sample
    from evenflow.reference.work.estimators import EBMEstimator, FlowEstimator
    from evenflow.reference.work.regressor import FlowRegressor
    from evenflow.reference.work.runs import load_run as load
    from evenflow.reference.work.samples import Samples, UnmixedWarning
    from evenflow.reference.work.training import train

    __version__: str

PLACES = {  # module below evenflow -> the names that come from it
    "accel": ("to_device", "to_host", "use"),
    "reference.core.optim": ("SGD", "Adam"),
    "reference.ebm": ("EBM", "FCE", "NTEBM", "PCD", "ConvEnergy", "CoopFlow", "FlowMCEBM", "Jarzynski", "MLPEnergy"),
    "reference.flows": ("Flow", "Normal", "Uniform", "dense_flow", "glow", "image_realnvp", "maf", "realnvp", "spline_flow"),
    "reference.mcmc": ("HMC", "ISIR", "MALA", "ULA", "FlowMC", "IndependentMH", "RandomWalk", "ess", "rhat"),
    "reference.saef": ("AQF", "SAEF", "aqf", "image_saef", "saef"),
    "reference.scores": ("crps", "energy_distance", "energy_score", "kernel_score", "mmd", "quantile_score"),
    "reference.scores.sliced": ("sliced_energy_distance", "sliced_energy_score"),
    "reference.work.adaptive": ("sample",),
    "reference.work.estimators": ("EBMEstimator", "FlowEstimator"),
    "reference.work.regressor": ("FlowRegressor",),
    "reference.work.runs": ("load",),
    "reference.work.samples": ("Samples", "UnmixedWarning"),
    "reference.work.training": ("train",),
}
THERE = {"load": "load_run"}  # what is called otherwise in its module
MODULE_OF = {name: f"evenflow.{module}" for module, names in PLACES.items() for name in names}

__all__ = [
    "AQF", "EBM", "FCE", "HMC", "ISIR", "MALA", "NTEBM", "PCD", "SAEF", "SGD", "ULA", "Adam", "ConvEnergy", "CoopFlow",
    "EBMEstimator", "Flow", "FlowEstimator", "FlowMC", "FlowMCEBM", "FlowRegressor", "IndependentMH", "Jarzynski",
    "MLPEnergy", "Normal", "RandomWalk", "Samples", "Uniform", "UnmixedWarning", "__version__", "aqf", "crps", "dense_flow",
    "energy_distance", "energy_score", "ess", "glow", "image_realnvp", "image_saef", "kernel_score", "load", "maf", "mmd",
    "quantile_score", "realnvp", "rhat", "saef", "sample", "sliced_energy_distance", "sliced_energy_score", "spline_flow",
    "to_device", "to_host", "train", "use",
]


if not TYPE_CHECKING:  # or any name at all would pass a type checker
    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version  # takes longer than all the rest of this file
            return version("evenflow")
        if name not in MODULE_OF:
            raise AttributeError(f"module 'evenflow' has no attribute {name!r}")
        return getattr(import_module(MODULE_OF[name]), THERE.get(name, name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if os.environ.get("EVENFLOW_BACKEND") and os.path.splitext(os.path.basename("".join(sys.argv[:1])))[0] != "evenflow":
    import_module("evenflow.accel.switch").from_environment()
