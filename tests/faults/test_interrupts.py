"""Ctrl-C where Python would drop it: in what is called because something is gone."""

from __future__ import annotations

import signal
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

    def __hash__(self) -> int:
        signal.raise_signal(signal.SIGINT)
        return 1


def by_callback():
    kept = weakref.WeakValueDictionary()
    value = Gone()
    with_key = Key()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    kept[with_key] = value
    signal.signal(signal.SIGINT, handler)
    del value  # its callback removes the key


def by_finaliser():
    Final()


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
    real = getattr(threads._OneBlasThread, step)

    def interrupted(self):
        if step == "enter":
            real(self)
        signal.raise_signal(signal.SIGINT)
        if step == "leave":
            real(self)

    @whole_imports
    def work():
        with one_blas_thread():
            pass
        time.sleep(5)

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
