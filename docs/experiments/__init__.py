"""Each figure and table of the papers, and the demo: one script each, with a `run` that writes pictures and JSON."""
