"""jax.lax: its convolution."""
from evenflow.conformance.adapter import versioned
from evenflow.conformance.adapters.jax_functions import JaxFunctions
from evenflow.conformance.adapters.jax_parts import compiled, convolved

adapter = JaxFunctions(versioned("jax"), compiled({
    "conv2d": lambda i: {"y": convolved(i["x"], i["W"], i["b"], int(i["stride"]), int(i["padding"]))},
}))
