"""What is to be learned where the truth is known: exact samples, densities, and zones to count.

    mixtures    round Gaussians in any dimension: two modes, four modes, eight Gaussians, the high-dimensional four
    toys        rings, moons, spirals, checkerboard, pinwheel; and the names of all
"""
