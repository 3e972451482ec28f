"""One BLAS thread. The matrices here are narrow: waking a second thread for each product costs more than it helps.

On two cores, training was eight times slower with two OpenBLAS threads than with one. So the command line and the estimator
train inside `single_blas_thread`, unless the environment variable OMP_NUM_THREADS says how many threads to use.
"""
import os
from contextlib import AbstractContextManager, nullcontext

from threadpoolctl import threadpool_limits


def single_blas_thread() -> AbstractContextManager[object]:
    """One BLAS thread until the block ends, unless OMP_NUM_THREADS is set. Needs threadpoolctl (it comes with the extras)."""
    if "OMP_NUM_THREADS" in os.environ:
        return nullcontext()
    return threadpool_limits(limits=1, user_api="blas")  # type: ignore[no-any-return]
