"""The accelerated twin of evenflow.reference: the same meaning, faster, behind one switch.

    from evenflow import accel

    with accel.use("numpy"):     # until the block ends
        ...
    accel.use("cupy")            # or from now on
    @accel.use("numpy")          # or while a function runs

    reference   every operation as it is written down, traced by autograd
    numpy       operations with hand-derived adjoints on NumPy arrays
    compiled    the same, with chains of narrow affine couplings and MALA on perceptron energies in C++
    cupy        the same operations on CuPy arrays, and CUDA kernels where they pay

Models, samplers and training loops are those of evenflow.reference in all of them. A switch made in one thread or task is not
seen in another; EVENFLOW_BACKEND is for all of a process. Nothing falls back: where a backend is not there, `use` says what is
missing.
"""
from evenflow.accel.backends import to_host
from evenflow.accel.devices import Availability, Unavailable, available, memory_used, synchronise, to_device
from evenflow.accel.switch import BACKENDS, active, replacements, use

__all__ = [
    "BACKENDS", "Availability", "Unavailable", "active", "available", "memory_used", "replacements", "synchronise",
    "to_device", "to_host", "use",
]
