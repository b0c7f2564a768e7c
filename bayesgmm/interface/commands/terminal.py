"""What the commands print, and where: answers on standard output, all else on standard error."""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bayesgmm.errors import BayesGMMError
from bayesgmm.interface.table_options import one_line

if TYPE_CHECKING:  # help is to be there before what draws tables is loaded
    from rich.console import Console
    from rich.table import Table

#: Width of a table where nobody looks on: wide enough for all of it.
_PIPED = 112


def console_of(*, stderr: bool = False) -> Console:
    """Tables go to standard output, progress to standard error, so that the first can be piped.

    Nothing that is printed is markup: names of files and columns may look like it.
    """
    from rich.console import Console

    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not (console.is_terminal or _asked_width()):
        console.width = _PIPED
    return console


def _asked_width() -> bool:
    """Whether a width was asked for, by COLUMNS, which the console has then taken."""
    return os.environ.get("COLUMNS", "").isdigit()


def whole_lines(console: Console) -> bool:
    """Whether a sentence stays one line, however long: in a pipe, where no width was asked for."""
    return not (console.is_terminal or _asked_width())


def tell(sentences: Iterable[str]) -> None:
    """Say on standard error what was done with the data without being asked."""
    from rich.text import Text

    console = console_of(stderr=True)
    for sentence in sentences:
        style = "yellow" if sentence.startswith("Warning:") else "dim"
        console.print(Text(one_line(sentence), style=style), soft_wrap=whole_lines(console))


def print_error(error: BayesGMMError) -> None:
    """One line; or of a file a line for each of its problems, and the command that works."""
    from rich.padding import Padding
    from rich.text import Text

    console = console_of(stderr=True)
    problems, command = error.facts.get("problems"), error.facts.get("command")
    message = f"{error.facts['path']!r} cannot be used as it is:" if problems else str(error)
    whole = whole_lines(console)  # a line of a pipe is a line; on a screen words are not cut
    console.print(Text("Error: ", style="red") + Text(message), soft_wrap=whole)
    for problem in problems or ():
        if whole:
            console.print(f"  {problem}", soft_wrap=True)
        else:
            console.print(Padding(Text(problem), (0, 0, 0, 2)))
    if problems:
        remedy = error.facts["remedy"]
        console.print(remedy[0].upper() + remedy[1:] + (":" if command else "."), soft_wrap=whole)
    if command:  # to be copied, and so in one piece
        console.print(f"  {command}", soft_wrap=True)


@contextmanager
def progress_on(console: Console) -> Iterator[Any]:
    """A function ``(what, done, total)`` that shows one bar, which begins anew with each stage."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("starting", total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield report


def print_json(content: Any) -> None:
    """Numbers, texts and null: what is not finite has no place in JSON."""
    print(json.dumps(_plain(content), indent=2, ensure_ascii=False))


def _plain(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(name): _plain(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_plain(value) for value in content]
    if hasattr(content, "tolist"):  # NumPy's arrays and numbers
        return _plain(content.tolist())
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def number(value: float) -> str:
    """Four digits, as they are wanted by somebody who reads."""
    return "" if math.isnan(value) else f"{value:.4g}" if abs(value) < 9999.5 else f"{value:,.0f}"


def print_table(
    console: Console, columns: dict[str, list[str]], first_to_go: Sequence[str] = ()
) -> None:
    """A table whose cells are whole: what has no room for is left out, in order, and named."""
    shown, left_out = dict(columns), list[str]()
    for name in first_to_go:
        if _width(_table(shown), console) <= console.width:
            break
        left_out.append(name)
        del shown[name]
    console.print(_table(shown), crop=False, overflow="ignore", no_wrap=True)
    if left_out:
        names = ", ".join(map(one_line, left_out))
        console.print(f"Not shown for want of room: {names}.", style="dim")


def _width(table: Table, console: Console) -> int:
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update_width(10_000), table).maximum


def _table(columns: dict[str, list[str]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, cells in columns.items():
        text = one_line(name)
        widest = max(map(len, [text, *cells]))
        words = any(cell[:1].isalpha() for cell in cells)
        table.add_column(
            Text(text), justify="left" if words else "right", no_wrap=True, min_width=widest
        )
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(Text(one_line(cell)) for cell in row))
    return table


@contextmanager
def warnings_as_sentences() -> Iterator[None]:
    """Warnings without the line of code they come from, which is no line of the user's."""
    before = warnings.showwarning

    def shown(message: Warning | str, *_: Any, **__: Any) -> None:
        tell([f"Warning: {' '.join(str(message).split())}"])

    warnings.showwarning = shown
    try:
        yield
    finally:
        warnings.showwarning = before


def write_any_character() -> None:
    """Names may have characters that a terminal lacks: they are escaped, not fatal."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
