"""docs/traceability.md (`python -m tests.traceability > docs/traceability.md`) and what it is made from."""
from tests.traceability import baselines, ebm, experiments, flows, libraries, mistakes, saef, scores
from tests.traceability.entries import Entry, Section

PARTS: dict[str, tuple[Section, ...]] = {
    "What both stand on": (flows.MAPS, flows.STACKS, flows.IMAGES),
    "SAEF: semi-autoregressive energy flows": (
        scores.OBJECTIVE, scores.ONE_DIMENSION, saef.ENERGY_FLOWS, saef.MODEL, mistakes.PUBLISHED, saef.QUANTILES, saef.METRICS,
    ),
    "flowMC-EBM: balanced training of energy-based models": (
        ebm.MODEL, ebm.TRAINING, ebm.KERNELS, baselines.BASELINES, experiments.EXPERIMENTS, mistakes.MISPRINTS,
        baselines.NORMALIZER, baselines.DIAGNOSTICS,
    ),
    "Mistakes that others made": (mistakes.SAMPLERS, libraries.LIBRARIES),
}
ENTRIES: tuple[Entry, ...] = tuple(entry for sections in PARTS.values() for section in sections for entry in section.entries)
ABSENT = experiments.ABSENT
