"""Four rings: Grenioux et al. 2023, Fig. 2 and Table 1.

r ~ an equal mixture of N(i, 0.15^2), i = 1 ... 4, the angle uniform. flowMC makes 1 move of i-SIR and 127 of MALA with a
quarter of the chains, of each 4 evenly spaced states. planar.py has the rest.
"""
import math
import sys

from evenflow.experiments.planar import PICTURES, PRESETS, Study, summary
from evenflow.reference.targets.toys import Rings

__all__ = ["HEAD", "PICTURES", "PRESETS", "STUDY", "run", "summary"]

TABLE_1 = {"flowmc": 0.40, "pcd": 5.39, "nt": 0.62, "coopflow": 7.78}
STUDY = Study(
    "rings", Rings(), half_width=6.0, base_sd=math.sqrt(((1 + 4 + 9 + 16) / 4 + 0.15**2) / 2), local=127, divided=4, used=32,
    presets=PRESETS,
    judged={"median_squared_error": TABLE_1, "median_squared_error_box": TABLE_1},  # the paper does not say at which points
)
run = STUDY.run

HEAD = """
# Rings: the log density

Fig. 2 and Table 1 of Grenioux et al. 2023 (arXiv 2306.00684): four rings of radius 1, 2, 3, 4, each with radial standard
deviation 0.15 and a quarter of the mass. docs/experiments/rings.py has the study's settings,
planar.py what it shares with the others.

The paper does not say at which points it compares log densities, so its number stands against both of ours: at draws of p*, and
over the box, most of which no model has ever seen.

How much is a median squared error? A density without any rings, uniform in |x| from 0.5 to 4.5 and in the angle, has 0.65
(`test_a_density_without_rings`): what is not well below has not seen the rings, and densities.png says more than the number.
At draws of p*: in `quick` flowMC-EBM has the innermost ring of four, in `best` two, and the other two as a plateau: the
paper's number is reached before the rings are (seed 0, below).
"""

if __name__ == "__main__":
    from evenflow.experiments.planar_pages import page
    print(page(STUDY, HEAD, sys.argv[1:]), end="")
