"""The accelerated twin of evenflow.reference: the same meaning on NumPy with hand-derived adjoints, and on CuPy."""
