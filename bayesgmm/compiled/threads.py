"""Threads: one pool for the process, and other libraries held to one thread inside it.

The compiled kernels release the interpreter's lock, so plain threads run them
side by side.  BLAS and OpenMP must not start threads of their own under them; and
a forked child must not ask OpenMP for threads at all, since those of its parent
are gone and libgomp would wait for them for ever.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

from numba.core.compiler_lock import global_compiler_lock

from bayesgmm.options import CORES

#: Turns of each thread: enough that none waits long for another's last.
_TURNS = 16


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


def thread_map[Item, Result](
    function: Callable[[Item], Result], items: Iterable[Item], cores: int
) -> list[Result]:
    """``[function(item) for item in items]`` on ``cores`` threads, in order.

    Not to be nested: a function given to it must not call it with cores > 1.
    """
    work = list(items)
    if cores == 1 or len(work) < 2:
        return [function(item) for item in work]

    # A thread's turn costs more than many an item, so it takes several where there are many.
    size = max(1, len(work) // (_TURNS * cores))

    def turn(begin: int) -> list[Result]:
        with _one_openmp_thread():  # which every thread has to ask for by itself
            return [function(item) for item in work[begin : begin + size]]

    turns = _pool(cores).map(turn, range(0, len(work), size))
    return [result for results in turns for result in results]


def pooled(cores: int) -> Callable[..., Future[Any]]:
    """What submits a call to ``cores`` threads, as an executor does."""

    def turn(function: Callable[..., Any], *given: Any) -> Any:
        with _one_openmp_thread():
            return function(*given)

    pool = _pool(cores)
    return lambda function, *given: pool.submit(turn, function, *given)


def over_slices(function: Callable[[slice], Any], n: int, size: int, cores: int) -> None:
    """Call ``function`` for every slice of ``size`` of ``n``, on ``cores`` threads."""
    thread_map(function, [slice(i, i + size) for i in range(0, n, size)], cores)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS, and OpenMP in the calling thread, to one thread: the threads here are ours.

    Any number of threads may be within it, one inside another or overlapping: BLAS
    gets its threads back when the last has left, also where an interrupt comes in between.
    """
    entry = object()
    try:
        _blas.enter(entry)
        with _one_openmp_thread():
            yield
    finally:
        try:
            _blas.leave(entry)
        except KeyboardInterrupt:  # wherever it came, to leave again makes it whole
            _blas.leave(entry)
            raise


class _OneBlasThread:
    """BLAS's number of threads is the process's, so those who want it at one are counted."""

    def __init__(self) -> None:
        self._inside: dict[object, int] = {}  # the thread of each entry
        self._before: list[tuple[Any, int]] = []

    def enter(self, entry: object) -> None:
        found = _libraries("blas")
        with _lock:
            first = not self._inside
            if first:
                self._before = [(library, library.num_threads) for library in found]
            self._inside[entry] = threading.get_ident()  # first, so that to leave undoes the rest
            if first:
                self._set([1] * len(found))

    def leave(self, entry: object) -> None:
        with _lock:
            self._inside.pop(entry, None)
            self._restore()

    def forked(self) -> None:
        """In a forked child, which has only the thread that forked."""
        me = threading.get_ident()
        self._inside = {entry: thread for entry, thread in self._inside.items() if thread == me}
        self._restore()

    def _restore(self) -> None:
        """BLAS is as before if nobody is inside."""
        if not self._inside:
            self._set([number for _, number in self._before])
            self._before = []

    def _set(self, numbers: list[int]) -> None:
        from threadpoolctl import OpenBLASController

        for (library, _), number in zip(self._before, numbers, strict=True):
            # It listens to one thread, the last that had a say, and to no other.
            OpenBLASController.clear_controlling_thread(force=True)
            library.set_num_threads(number)
        OpenBLASController.clear_controlling_thread(force=True)


_lock = threading.RLock()
_blas = _OneBlasThread()


@contextmanager
def _one_openmp_thread() -> Iterator[None]:
    """OpenMP's number of threads is each thread's own."""
    before = [(library, library.num_threads) for library in _libraries("openmp")]
    try:
        for library, _ in before:
            library.set_num_threads(1)
        yield
    finally:
        try:
            _give_back(before)
        except KeyboardInterrupt:
            _give_back(before)
            raise


def _give_back(before: list[tuple[Any, int]]) -> None:
    for library, number in before:
        library.set_num_threads(number)


def _libraries(kind: str) -> list[Any]:
    """The loaded libraries of a kind, looked for again whenever modules were imported."""
    import scipy.linalg  # noqa: F401  - loads the BLAS that compiled code calls
    from threadpoolctl import get_cached_controller

    with _lock:
        found = get_cached_controller().lib_controllers
    return [library for library in found if library.user_api == kind]


def _before_fork() -> None:
    # A lock that another thread holds while this one forks is never released in the child.
    global_compiler_lock.acquire()
    _lock.acquire()


def _after_fork() -> None:
    _lock.release()
    global_compiler_lock.release()


def _in_child() -> None:
    _pool.cache_clear()  # the child has the pool's memory, not its threads
    _blas.forked()
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
