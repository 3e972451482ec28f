"""From data to a trained model: the workshop above the specification. Nothing below imports it."""
from evenflow.reference.work.runs import load_run as load
from evenflow.reference.work.training import train

__all__ = ["load", "train"]
