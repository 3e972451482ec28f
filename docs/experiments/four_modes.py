"""Four modes on a line, with weights 0.1, 0.2, 0.3, 0.4: Grenioux et al. 2023, Fig. 3 and Table 3.

Centres at x_1 = -3, -1, 1, 3, covariance 0.05 I. flowMC makes 1 move of i-SIR and 24 of MALA in turn, and uses all states.
planar.py has the rest.
"""
import math
from functools import partial

from evenflow.experiments import ebm_trainings
from evenflow.experiments.pages import show
from evenflow.experiments.planar import PICTURES, PRESETS, Study, summary
from evenflow.reference.targets.mixtures import four_modes

__all__ = ["PICTURES", "PRESETS", "STUDY", "learn", "run", "summary"]

STUDY = Study(
    "four-modes", four_modes(), half_width=5.0, base_sd=math.sqrt(4.05), local=24, divided=1, used=1, presets=PRESETS,
    judged={
        "model_true": {"flowmc": 4.29e-4, "pcd": 1.24e-3, "nt": 9.87e-4, "coopflow": 1.24e-1},
        "negatives_model": {"flowmc": 3.12e-5, "pcd": 1.79e-3, "nt": 3.85e-4, "coopflow": 1.11e-1},
        "starts_model": {"flowmc": 5.19e-4, "pcd": 1.19e-3, "nt": 9.27e-4, "coopflow": 1.21e-1},
    },
)
run, learn = STUDY.run, partial(ebm_trainings.learn, STUDY)


if __name__ == "__main__":
    from evenflow.experiments.planar_pages import page
    show(partial(page, STUDY))
