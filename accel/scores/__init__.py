"""The twins of reference/scores."""
