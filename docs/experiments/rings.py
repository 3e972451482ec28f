"""Four rings: Grenioux et al. 2023, Fig. 2 and Table 1.

r ~ an equal mixture of N(i, 0.15^2), i = 1 ... 4, the angle uniform. flowMC makes 1 move of i-SIR and 127 of MALA with a
quarter of the chains, of each 4 evenly spaced states. planar.py has the rest.
"""
import math
from functools import partial

from evenflow.experiments import ebm_trainings
from evenflow.experiments.pages import show
from evenflow.experiments.planar import PICTURES, PRESETS, Study, summary
from evenflow.reference.targets.toys import Rings

__all__ = ["PICTURES", "PRESETS", "STUDY", "learn", "run", "summary"]

TABLE_1 = {"flowmc": 0.40, "pcd": 5.39, "nt": 0.62, "coopflow": 7.78}
STUDY = Study(
    "rings", Rings(), half_width=6.0, base_sd=math.sqrt(((1 + 4 + 9 + 16) / 4 + 0.15**2) / 2), local=127, divided=4, used=32,
    presets=PRESETS,
    judged={"median_squared_error": TABLE_1, "median_squared_error_box": TABLE_1},  # the paper does not say at which points
)
run, learn = STUDY.run, partial(ebm_trainings.learn, STUDY)


if __name__ == "__main__":
    from evenflow.experiments.planar_pages import page
    show(partial(page, STUDY))
