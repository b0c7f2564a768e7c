"""Threads: one pool for the process, and BLAS held to one thread inside it.

The compiled kernels release the interpreter's lock, so plain threads run them
side by side.  BLAS must not start threads of its own under them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

from bayesgmm.options import CORES


def available_cores(cores: int | None) -> int:
    """``cores``, or the processors that this process may use."""
    asked = CORES("cores", cores)
    if asked is not None:
        return asked
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


@cache
def _pool(cores: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores, thread_name_prefix="bayesgmm")


if hasattr(os, "register_at_fork"):  # a forked child has the pool's memory, not its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def thread_map[Item, Result](
    function: Callable[[Item], Result], items: Iterable[Item], cores: int
) -> list[Result]:
    """``[function(item) for item in items]`` on ``cores`` threads, in order.

    Not to be nested: a function given to it must not call it with cores > 1.
    """
    work = list(items)
    if cores == 1 or len(work) < 2:
        return [function(item) for item in work]
    return list(_pool(cores).map(function, work))


@cache
def _blas_controller() -> Any:
    import scipy.linalg  # noqa: F401  - loads the BLAS that compiled code calls
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread: the threads here are ours."""
    with _blas_controller().limit(limits=1):
        yield
