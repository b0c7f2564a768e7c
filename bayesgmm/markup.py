"""HTML for notebooks and reports: sentences and tables that a screen reader reads as such.

One look for everything that is shown as a page: a heading, sentences, tables with a caption
and headed rows.  What users name is escaped here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

_CELL = "padding:0.15em 0.6em;white-space:nowrap;"
_CAPTION = 'style="text-align:left;font-style:italic;white-space:nowrap"'
_WORDS = 'style="padding:0.15em 0.6em;text-align:left"'
_LEFT, _RIGHT = f'style="{_CELL}text-align:left"', f'style="{_CELL}text-align:right"'


def sentences(lines: Iterable[str]) -> str:
    """A paragraph for each line that is not empty."""
    return "".join(f'<p style="margin:0.3em 0">{escape(line)}</p>' for line in lines if line)


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names its rows; the other cells are numbers or words.

    >>> from bayesgmm.markup import table
    >>> "<th scope=" in table("Rows", ["a", "b"], [["x", "1"]])
    True
    """
    heads = "".join(
        f'<th scope="col" {_LEFT if i == 0 else _RIGHT}>{escape(name)}</th>'
        for i, name in enumerate(header)
    )
    body = "".join(
        f'<tr><th scope="row" {_LEFT}>{escape(first)}</th>'
        + "".join(f"<td {_RIGHT}>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div style="overflow-x:auto" tabindex="0" role="region" aria-label="{escape(caption)}">'
        '<table style="border-collapse:collapse">'
        f"<caption {_CAPTION}>{escape(caption)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def of_frame(caption: str, frame: Any, formats: Mapping[str, Callable[[Any], str]]) -> str:
    """A table of a pandas frame; a number that is none is an empty cell."""
    names = [str(name) for name in frame.columns]

    def cell(name: str, value: Any) -> str:
        return "" if value != value else formats.get(name, str)(value)

    rows = [
        [str(label), *(cell(name, value) for name, value in zip(names, row, strict=True))]
        for label, row in zip(frame.index, frame.itertuples(index=False, name=None), strict=True)
    ]
    return table(caption, ["", *names], rows)


def facts(caption: str, rows: Iterable[tuple[str, str]]) -> str:
    """A table of names and what they are, both in words."""
    body = "".join(
        f'<tr><th scope="row" {_LEFT}>{escape(name)}</th><td {_WORDS}>{escape(value)}</td></tr>'
        for name, value in rows
    )
    return (
        f'<div style="overflow-x:auto" tabindex="0" role="region" aria-label="{escape(caption)}">'
        '<table style="border-collapse:collapse">'
        f"<caption {_CAPTION}>{escape(caption)}</caption>"
        f"<tbody>{body}</tbody></table></div>"
    )


def block(title: str, *parts: str) -> str:
    """What an object shows of itself: its title, then the parts."""
    return f'<div class="bayesgmm"><p><strong>{escape(title)}</strong></p>{"".join(parts)}</div>'
