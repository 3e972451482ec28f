"""torch: its convolution, which takes channels first."""
from evenflow.conformance.adapter import versioned
from evenflow.conformance.adapters.torch_functions import TorchFunctions
from evenflow.conformance.adapters.torch_images import convolved

adapter = TorchFunctions(versioned("torch"), {
    "conv2d": lambda i: {"y": convolved(i["x"], i["W"], i["b"], int(i["stride"]), int(i["padding"]))},
})
