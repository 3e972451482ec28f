"""One BLAS thread. The matrices here are narrow: a second thread gains little, and loses much where the machine is busy.

BLAS threads wait for each other after every product, and spin while they wait. On two idle cores two threads trained a little
faster than one; with other programs on the same cores, several times slower. So the command line and the estimator train
inside `single_blas_thread`, unless the environment variable OMP_NUM_THREADS says how many threads to use. To compare:

    OMP_NUM_THREADS=2 evenflow train saef --data digits --blocks 16 --class-conditional --steps 60 --json
"""
import os
from contextlib import AbstractContextManager, nullcontext

from threadpoolctl import threadpool_limits


def single_blas_thread() -> AbstractContextManager[object]:
    """One BLAS thread until the block ends, unless OMP_NUM_THREADS is set. Needs threadpoolctl (it comes with the extras)."""
    if "OMP_NUM_THREADS" in os.environ:
        return nullcontext()
    return threadpool_limits(limits=1, user_api="blas")  # type: ignore[no-any-return]
