"""Ctrl-C between imports, never within one, and never where C waits for an answer.

Packages are loaded where they are first needed, so Ctrl-C is likely to come in the
middle of an import.  Python then forgets the package and keeps the parts of it that were
loaded, and what it makes of both the next time is broken until the process ends.  And
where LLVM asks Python for compiled code, an interrupt is dropped by ctypes, which answers
with nothing, and the process crashes; where nutpie makes a model, it panics; where NumPy
compares records, it says that they cannot be compared.  Where Python
itself calls a function because something is gone, it drops what that raises, and the
interrupt with it.  And what belongs to the process, or is a file, is changed and put back as
one: an interrupt between would leave the half of it.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from functools import wraps
from types import CodeType, FrameType
from typing import Any

#: Seconds after which an interrupt that had to wait asks again.
_PAUSE = 0.02
#: Packages of which compiled code asks Python and takes no interrupt for an answer.
_ANSWERING = ("llvmlite.", "nutpie.compile_pymc", "numpy._core._internal")
#: Where functions are that Python calls when something is gone.
_CALLBACKS = weakref.__file__
#: Where NumPy changes how the process treats errors of floating point, and puts it back.
_ERRORS = ("errstate.__enter__", "errstate.__exit__")
#: What is done as a whole.
_UNDIVIDED: set[CodeType] = set()


def undivided[Function: Callable[..., Any]](function: Function) -> Function:
    """Let no interrupt come within a function; of a generator, within what is before its yield
    and after it."""
    _UNDIVIDED.add(function.__code__)
    return function


def whole_imports[**P, Result](function: Callable[P, Result]) -> Callable[P, Result]:
    """Make a function one whose imports an interrupt does not cut in two.

    It applies to all that the function calls, other packages included.
    """

    @wraps(function)
    def within(*args: P.args, **kwargs: P.kwargs) -> Result:
        previous = signal.getsignal(signal.SIGINT)
        main = threading.current_thread() is threading.main_thread()
        if not main or isinstance(previous, _Patience) or not callable(previous):
            return function(*args, **kwargs)
        patience = _Patience(previous, sys._getframe())
        signal.signal(signal.SIGINT, patience)
        try:
            result = function(*args, **kwargs)
        finally:
            waited = patience.ended()
            signal.signal(signal.SIGINT, previous)  # after what is pending is handled
        if waited:
            previous(signal.SIGINT, sys._getframe())
        return result

    return within


class _Patience:
    """A handler of interrupts that lets imports, answers to LLVM and finalisers end first.

    One interrupt raises once: each that has to wait asks again once, and what is asked after
    an answer was given is not heard.
    """

    def __init__(self, previous: Callable[[int, FrameType | None], Any], door: FrameType) -> None:
        self.previous = previous
        self.door = door
        self._waiting = self._asking = False
        self._lock = threading.RLock()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        with self._lock:
            stale = self._asking and not self._waiting
            self._asking = False
            if stale:
                return
            self._waiting = self._within_one(frame)
        if self._waiting:
            _thread.start_new_thread(self._ask_again, ())
        else:
            self.previous(number, frame)

    def ended(self) -> bool:
        """Ask no more; whether an interrupt was waiting."""
        with self._lock:
            waited, self._waiting = self._waiting, False
        return waited

    def _within_one(self, frame: FrameType | None) -> bool:
        while frame is not None and frame is not self.door:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                return True
            if str(frame.f_globals.get("__name__")).startswith(_ANSWERING):
                return True
            if frame.f_code in _UNDIVIDED or frame.f_code.co_qualname in _ERRORS:
                return True
            if frame.f_code.co_filename == _CALLBACKS or frame.f_code.co_name == "__del__":
                return True
            frame = frame.f_back
        return False

    def _ask_again(self) -> None:
        time.sleep(_PAUSE)
        with self._lock:
            if self._waiting and not self._asking:
                self._asking = True
                _thread.interrupt_main()
