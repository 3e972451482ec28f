"""The twins of reference/core."""
