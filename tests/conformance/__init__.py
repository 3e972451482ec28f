"""Is an implementation right, to the last sign and boundary? Any implementation can be asked.

    vectors      test vectors: for each operation inputs, outputs and gradients, with an oracle named for each
    operations/  what each operation is, in terms of evenflow.reference
    adapter      what an implementation has to provide: some thirty lines
    adapters/    those of other people's libraries, and our own
    compare      an answer against a vector
    properties/  level 2: what must hold whatever the numbers (Hypothesis), and level 3: distributions
    worker       runs an adapter in a process of its own, within a time limit
    runner       all of it; report and cli say what came out

`evenflow conform module:adapter` is the command; `evenflow vectors export DIR` is for other languages. docs/conforming.md
walks through writing an adapter.
"""
