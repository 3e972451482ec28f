"""The twins of reference/flows."""
