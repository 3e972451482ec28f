"""What everything stands on: trees of arrays, checks, networks, optimisers, and the one seam for faster implementations.

    trees         parameters are nested dicts and lists of arrays
    checks        bad input gets a clear error
    dispatch      the seam (docs/accel.md)
    special       functions that NumPy lacks
    placement     where numbers live
    gradients     the gradient in a tree of parameters
    networks      perceptrons, plain and masked
    optim         SGD, Adam, schedules, clipping, the average of the weights
"""
