"""Ctrl-C where Python would drop it: in what is called because something is gone."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest
from threadpoolctl import ThreadpoolController

from bayesgmm.compiled import threads
from bayesgmm.compiled.threads import one_blas_thread
from bayesgmm.interrupts import whole_imports


class Gone:
    """Something that can be referred to weakly."""


class Final:
    """Something that is interrupted in its last moment."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


class Key:
    """A key that is asked for its hash in a callback of weakref's own."""

    armed = False

    def __hash__(self) -> int:
        if self.armed:
            self.armed = False
            signal.raise_signal(signal.SIGINT)
        return 1


def by_callback():
    kept = weakref.WeakValueDictionary()
    value = Gone()
    key = Key()
    kept[key] = value
    key.armed = True
    del value  # its callback removes the key


def by_finaliser():
    Final()


@pytest.mark.slow
@pytest.mark.parametrize("end", [by_callback, by_finaliser])
@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="no signals here"
)
def test_an_interrupt_in_a_finaliser_is_not_lost(end):
    @whole_imports
    def work():
        end()
        time.sleep(5)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("step", ["enter", "leave"])
def test_blas_has_its_threads_back_after_an_interrupt_at_the_door(step, monkeypatch):
    """Right after the threads were counted, and before the block has begun or ended."""
    real, asked = getattr(threads._OneBlasThread, step), []

    def interrupted(self, entry):
        if step == "enter":
            real(self, entry)
        if not asked:
            asked.append(step)
            signal.raise_signal(signal.SIGINT)
        if step == "leave":
            real(self, entry)

    def work():
        with one_blas_thread():
            pass

    def numbers():
        libraries = ThreadpoolController().lib_controllers
        return [library.num_threads for library in libraries if library.user_api == "blas"]

    with ThreadpoolController().limit(limits=2):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            monkeypatch.setattr(threads._OneBlasThread, step, interrupted)
            with pytest.raises(KeyboardInterrupt):
                work()
        finally:
            signal.signal(signal.SIGINT, before)
        assert set(numbers()) == {2}


RECORDS = """
import signal, time
import numpy as np
from numpy._core import _internal

real, times = _internal._promote_fields, []

def asked(*given):
    if not times:
        times.append(1)
        signal.raise_signal(signal.SIGINT)
    return real(*given)

there = {"__name__": "numpy._core._internal", "asked": asked}
exec("def _promote_fields(*given): return asked(*given)", there)
_internal._promote_fields = there["_promote_fields"]

from bayesgmm.interrupts import whole_imports

@whole_imports
def work():
    np.unique(np.zeros((3, 2)), axis=0)
    time.sleep(5)

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    work()
except KeyboardInterrupt:
    print("interrupted", times)
"""


@pytest.mark.slow
def test_an_interrupt_where_numpy_compares_records():
    """NumPy asks Python whether types go together, and takes any exception for a no.

    In a process of its own, since NumPy looks but once for whom to ask.
    """
    done = subprocess.run([sys.executable, "-c", RECORDS], capture_output=True, text=True)
    assert done.stdout == "interrupted [1]\n", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("step", ["__enter__", "__exit__"])
def test_numpy_treats_errors_as_before_after_an_interrupt(step):
    """In the last moment before a block begins, and in the first after it."""

    import numpy as np

    code, before, times = getattr(np.errstate, step).__code__, np.geterr(), []

    def profile(frame, event, argument):
        at = "return" if step == "__enter__" else "call"
        if frame.f_code is code and event == at and not times:
            times.append(1)
            signal.raise_signal(signal.SIGINT)

    @whole_imports
    def work():
        sys.setprofile(profile)
        with np.errstate(divide="ignore", over="ignore"):
            sys.setprofile(profile)
        sys.setprofile(None)
        time.sleep(5)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        sys.setprofile(None)
        signal.signal(signal.SIGINT, handler)
    assert times and np.geterr() == before
