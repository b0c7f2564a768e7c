"""Ctrl-C between imports, never within one, and never where C waits for an answer.

Packages are loaded where they are first needed, so Ctrl-C is likely to come in the
middle of an import.  Python then forgets the package and keeps the parts of it that were
loaded, and what it makes of both the next time is broken until the process ends.  And
where LLVM asks Python for compiled code, an interrupt is dropped by ctypes, which answers
with nothing, and the process crashes.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import Any

#: Seconds after which an interrupt that had to wait asks again.
_PAUSE = 0.02


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
            signal.signal(signal.SIGINT, previous)
            waited, patience.waiting = patience.waiting, False
        if waited:
            previous(signal.SIGINT, sys._getframe())
        return result

    return within


class _Patience:
    """A handler of interrupts that lets imports and answers to LLVM end first."""

    def __init__(self, previous: Callable[[int, FrameType | None], Any], door: FrameType) -> None:
        self.previous = previous
        self.door = door
        self.waiting = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self._within_one(frame):
            self.waiting = False
            self.previous(number, frame)
        elif not self.waiting:
            self.waiting = True
            _thread.start_new_thread(self._ask_again, ())

    def _within_one(self, frame: FrameType | None) -> bool:
        while frame is not None and frame is not self.door:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                return True
            if str(frame.f_globals.get("__name__")).startswith("llvmlite."):
                return True
            frame = frame.f_back
        return False

    def _ask_again(self) -> None:
        while self.waiting:
            time.sleep(_PAUSE)
            if self.waiting:
                _thread.interrupt_main()
