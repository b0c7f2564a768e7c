"""Progress that shows itself where work takes long and somebody looks on.

In a terminal or a notebook a bar appears after two seconds, with the stage that is at work, and
goes when the work is done; in scripts whose output goes to a file nothing is printed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

Report = Callable[[str, int, int], None]

_PATIENCE = 2.0  # seconds for which nobody minds to wait


@contextmanager
def watched(progress: Report | None, *, unasked: bool = True) -> Iterator[Report | None]:
    """The caller's own ``progress``; where there is none, a bar that shows itself if need be.

    ``unasked`` False leaves it at none.
    """
    if progress is not None or not unasked or not _somebody_looks():
        yield progress
        return
    bar = _Bar()
    try:
        yield bar
    finally:
        bar.stop()


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules


def _somebody_looks() -> bool:
    return _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


class _Bar:
    """A bar of rich's, made when the first report comes that is late enough."""

    def __init__(self) -> None:
        self._begun, self._lock = time.monotonic(), Lock()
        self._shown: Any = None
        self._task: Any = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        if time.monotonic() - self._begun < _PATIENCE:
            return
        with self._lock:  # reports come from several threads
            if self._shown is None:
                self._shown = _rich_bar()
                self._task = self._shown.add_task(stage, total=None, count="")
                self._shown.start()
            self._shown.update(
                self._task,
                description=stage,
                completed=done,
                total=total if total else None,
                count=f"{done:,}/{total:,}" if total else "",
            )

    def stop(self) -> None:
        if self._shown is not None:
            self._shown.stop()


def _rich_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.progress import TimeRemainingColumn as Remaining

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}", markup=False),
        Elapsed(),
        TextColumn("left"),
        Remaining(compact=True),
        console=Console(stderr=not _in_notebook()),
        transient=True,
    )
