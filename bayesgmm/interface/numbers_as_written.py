"""Numbers as people write them in files: decimal commas, thousands in groups, signs for none.

Whether a field is a number is asked in one place, so that what is read and what is refused
are told apart by the same rule.
"""

from __future__ import annotations

import math
import re
from functools import cache

#: What stands for a missing value, in lower case.
_MISSING = {"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", ".", "-", "?"}
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
_EXPONENT = r"(?:[eE][+-]?\d+)?"
#: Marks that group thousands.
GROUPING = (",", ".", "'", " ")


def is_missing(entry: str) -> bool:
    """Whether a field says that there is no value."""
    return entry.strip().lower() in _MISSING


def is_number(field: str) -> bool:
    """Whether a field is a number as people write one: not ``1_000``, which Python reads."""
    try:
        float(field)
    except ValueError:
        return False
    return "_" not in field


def has_decimal_comma(field: str) -> bool:
    """Whether a field is a number but for a comma inside, as in ``1,5``."""
    return _DECIMAL_COMMA.fullmatch(field) is not None


def is_proof(field: str, decimal: str) -> bool:
    """Whether this mark in a number can only be a decimal one: ``1,5``, and not ``1,234``."""
    number = field.strip().replace(decimal, ".", 1)
    grouped = re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}(?:{re.escape(decimal)}\d{{3}})+", field.strip())
    return decimal in field and is_number(number) and grouped is None


@cache
def _groups(mark: str, decimal: str) -> re.Pattern[str]:
    return re.compile(
        rf"[+-]?\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+(?:{re.escape(decimal)}\d*)?{_EXPONENT}"
    )


def grouping(field: str, decimal: str) -> str:
    """The mark that groups the thousands of a number, or nothing."""
    text = field.strip().replace("\u00a0", " ").replace("\u202f", " ")
    for mark in GROUPING:
        if mark != decimal and mark in text and _groups(mark, decimal).fullmatch(text):
            return mark
    return ""


def number(field: str, decimal: str, thousands: str) -> float:
    """A field as a number; NaN where it is none."""
    text = field.strip()
    if thousands:
        plain = text.replace("\u00a0", " ").replace("\u202f", " ")
        if thousands in plain and _groups(thousands, decimal).fullmatch(plain):
            text = plain.replace(thousands, "")
    if decimal == ",":
        if "." in text:
            return math.nan
        text = text.replace(",", ".")
    return float(text) if is_number(text) else math.nan
