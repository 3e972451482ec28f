"""Each figure and table of the papers, and the demo: one script each, with a `run` that writes pictures and JSON.

A script that `evenflow reproduce` knows has run(out, preset, seeds, on_step, resume) -> rows, summary(rows) -> what the
terminal shows of them, and PICTURES, the names of the files beside results.json.
"""
EXPERIMENTS = {  # name -> its script
    name: "evenflow.experiments." + name.replace("-", "_") for name in (
        "two-modes", "eight-gaussians", "rings", "four-modes", "latent-chains",
        "mixture-16", "mixture-32", "mixture-64",
        "block-sweep", "sixteen-blocks", "objectives", "draws", "generators",
        "likelihood-vs-quality", "posterior",
        "tabular", "image-saef", "glow-objectives", "image-ebm",
        "regression", "simulator", "tables", "backends", "own-density",
    )
}
