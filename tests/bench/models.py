"""The models of the cases, from their sizes alone: the runner makes their weights, evenflow's own peers their calls."""
from typing import Any

from evenflow.reference.core import Adam
from evenflow.reference.ebm import FlowMCEBM
from evenflow.reference.ebm.energies import MLPEnergy
from evenflow.reference.flows import SplineTransformer
from evenflow.reference.flows.flow import Flow, realnvp
from evenflow.reference.flows.image import glow
from evenflow.reference.saef.image import image_saef
from evenflow.reference.saef.objectives import Energy, Likelihood
from evenflow.reference.targets.mixtures import GaussianMixture
from evenflow.reference.work.flow_model import FlowModel
from evenflow.reference.work.options import Config
from tests.bench import cases

TARGET = GaussianMixture(**cases.TARGET)  # type: ignore[arg-type]  # its zones have known weights
CLASSES, DIGITS = 10, 64


def flow(sizes: dict[str, Any]) -> Flow:
    args = sizes["d"], sizes["layers"], tuple(sizes["hidden"])
    return realnvp(*args, transformer=SplineTransformer(sizes["bins"])) if sizes.get("bins") else realnvp(*args)


def saef(sizes: dict[str, Any]) -> Any:
    """The demo's model and objective."""
    model = FlowModel.of(Config("saef", blocks=sizes["blocks"], class_conditional=True), DIGITS, CLASSES, whole=True)
    return model.flow, model.objective


def image(sizes: dict[str, Any]) -> Any:
    """Model and objective."""
    shape = tuple(sizes["shape"])
    if sizes["model"] == "saef":
        return image_saef(shape, sizes["patch"], hidden=tuple(sizes["hidden"])), Energy(1.0, sizes["draws"])
    return glow(shape, 2, sizes["depth"], sizes["width"]), Likelihood()


def energy(sizes: dict[str, Any]) -> MLPEnergy:
    return MLPEnergy(2, tuple(sizes["hidden"]), sizes["activation"])


def flowmc(sizes: dict[str, Any]) -> Flow:
    """The flow that proposes."""
    return realnvp(2, sizes["layers"], tuple(sizes["hidden"]))


def ebm(sizes: dict[str, Any]) -> FlowMCEBM:
    """flowMC-EBM as in the two-modes experiment."""
    flow = realnvp(2, layers=4, hidden=(60,), final_scale=0.0)
    return FlowMCEBM(MLPEnergy(2), flow, batch=sizes["batch"], buffer=sizes["buffer"], energy_optimiser=Adam())
