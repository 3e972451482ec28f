"""The files: one an operation, written by `python -m tests.vectors`."""
