"""Pages of help that fit where they are read.

On a terminal with room help stands in boxes.  Where there is less room, or nobody looks on, it
is plain text no wider than the screen, with every word and every sentence whole, and nothing
is loaded to draw boxes.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from shutil import get_terminal_size
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

#: Columns below which boxes would cut the names of options.
ROOM_FOR_BOXES = 72
#: Columns from which what is named and what is said of it stand side by side.
_SIDE_BY_SIDE = 66
#: No line is longer, for long ones are hard to read.
_WIDEST = 100
_ANY_LENGTH = 10_000
_Formatter: Any = typer.Context.formatter_class


class Group(TyperGroup):
    """The commands, with help that fits."""

    def get_help(self, ctx: Any) -> str:
        return super().get_help(ctx) if _boxes() else _plain(ctx, super(TyperGroup, self))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """With the whole first sentence of each, which the ready-made page would cut."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [
            (name, command.get_short_help_str(_ANY_LENGTH))
            for name, command in commands
            if command is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Command(TyperCommand):
    """A command, with help that fits."""

    def get_help(self, ctx: Any) -> str:
        return super().get_help(ctx) if _boxes() else _plain(ctx, super(TyperCommand, self))


def _boxes() -> bool:
    return sys.stdout.isatty() and get_terminal_size().columns >= ROOM_FOR_BOXES


def _plain(ctx: Any, command: Any) -> str:
    page = _Page(width=min(get_terminal_size().columns, _WIDEST))
    command.format_help(ctx, page)
    return str(page.getvalue()).rstrip("\n")


class _Page(_Formatter):
    """A page in which lines break between words alone."""

    def _filled(self, text: str, first: str, others: str) -> None:
        lines = textwrap.wrap(
            " ".join(text.split()), self.width, initial_indent=first, subsequent_indent=others,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        self.write("\n".join(lines) + "\n")

    @contextmanager
    def _further(self) -> Iterator[str]:
        self.indent()
        try:
            yield " " * self.current_indent
        finally:
            self.dedent()

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        with self._further() as indent:
            self._filled(f"{prefix or 'Usage: '}{prog} {args}", "", indent * 2)

    def write_text(self, text: str) -> None:
        indent = " " * self.current_indent
        for i, paragraph in enumerate(text.split("\n\n")):
            self.write("\n" * (i > 0))
            self._filled(paragraph, indent, indent)

    def write_dl(
        self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """What is named, and what is said of it: beside it, or below where there is no room."""
        rows, indent = list(rows), " " * self.current_indent
        side_by_side = self.width >= _SIDE_BY_SIDE
        longest = max((len(name) for name, _ in rows if len(name) <= col_max), default=0)
        beside = indent + " " * (longest + col_spacing)
        for name, said in rows:
            first = f"{indent}{name}".ljust(len(beside))
            if side_by_side and len(first) <= len(beside):
                self._filled(said, first, beside) if said else self.write(f"{first.rstrip()}\n")
                continue
            with self._further() as further:
                self._filled(name, indent, further)
                if said:
                    below = beside if side_by_side else further
                    self._filled(said, below, below)
