"""Where the test vectors come from (`python -m tests.vectors`), and the proof that they catch mistakes."""
from tests.vectors import bijections, mistakes_bijections

ORACLES = (*bijections.ORACLES,)
MISTAKES = (*mistakes_bijections.MISTAKES,)
