"""Eight Gaussians on a circle: Grenioux et al. 2023, Fig. 2 and Table 1.

Radius 1, standard deviation 0.15, equal weights. flowMC makes 1 move of i-SIR and 127 of MALA with a quarter of the chains, of
each 4 evenly spaced states. planar.py has the rest.
"""
import math
from functools import partial

from evenflow.experiments import ebm_trainings
from evenflow.experiments.pages import show
from evenflow.experiments.planar import PICTURES, PRESETS, Study, summary
from evenflow.reference.targets.mixtures import eight_gaussians

__all__ = ["PICTURES", "PRESETS", "STUDY", "learn", "run", "summary"]

TABLE_1 = {"flowmc": 0.94, "pcd": 1.86, "nt": 0.97, "coopflow": 58.75}
STUDY = Study(
    "eight-gaussians", eight_gaussians(), half_width=2.5, base_sd=math.sqrt(1 / 2 + 0.15**2), local=127, divided=4, used=32,
    presets=PRESETS,
    judged={"median_squared_error": TABLE_1, "median_squared_error_box": TABLE_1},  # the paper does not say at which points
)
run, learn = STUDY.run, partial(ebm_trainings.learn, STUDY)


if __name__ == "__main__":
    from evenflow.experiments.planar_pages import page
    show(partial(page, STUDY))
