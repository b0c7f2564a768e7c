"""How a table is to be read, as options of the command line and back as a command.

What refuses a file ends in the command that works.  So the options that read one travel
together, and know how they are written: whatever else stood in the command stays in it.
"""

from __future__ import annotations

import codecs
import csv
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from bayesgmm.errors import DataError, SpecError

#: Names of the data sets that ship, held here because their module loads NumPy.
SHIPPED = ("faithful", "galaxies")
#: Options of reading, as they are written: those with a value, and those without.
_VALUES = ("--encoding", "--sep", "--decimal", "--thousands", "--id", "--columns")
_FLAGS = ("--no-header", "--ignore-text", "--missing", "--drop-na")
#: Words for separators that are awkward to type.
_SPOKEN = {
    "tab": "\t", r"\t": "\t", "space": " ", r"\s+": " ",
    "comma": ",", "semicolon": ";", "pipe": "|",
}  # fmt: skip
_THOUSANDS = (",", ".", " ", "'", "_")


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """What is known of a table before it is read; empty is what is found by looking."""

    columns: tuple[str, ...] = ()
    encoding: str = ""
    sep: str = ""
    decimal: str = ""
    thousands: str = ""
    header: bool = True
    missing: bool = False
    drop_na: bool = False
    ignore_text: bool = False
    id: str = ""
    fixed: bool = False  # whether a fit says which columns there are, and no option
    given: tuple[str, ...] = ()  # the command line as it was typed, but for its first word

    def __post_init__(self) -> None:
        sep = _SPOKEN.get(self.sep.lower(), self.sep) if self.sep != " " else " "
        object.__setattr__(self, "sep", sep)
        if len(sep) > 1 or sep in ('"', "\n", "\r"):
            raise SpecError(
                f"--sep must be one character, or tab, space, comma, semicolon or pipe, got "
                f"{self.sep!r}."
            )
        if self.encoding and not _is_encoding(self.encoding):
            raise SpecError(
                f"--encoding {self.encoding!r} is not known; it is mostly utf-8 or cp1252."
            )
        if self.decimal not in ("", ".", ","):
            raise SpecError(f"--decimal must be . or , and not {self.decimal!r}.")
        if self.thousands not in ("", *_THOUSANDS):
            raise SpecError(
                f"--thousands must be one of , . ' _ or a space, got {self.thousands!r}."
            )
        if self.thousands and self.thousands == self.decimal:
            raise SpecError(
                f"--thousands and --decimal are both {self.decimal!r}; give one of them."
            )
        if self.missing and self.drop_na:
            raise SpecError(
                "--missing takes rows with empty fields and --drop-na leaves them out; give one "
                "of them."
            )
        if self.id and self.id in self.columns:
            raise SpecError(
                f"--id {self.id!r} is not fitted, and --columns names it as well; leave it out of "
                "one."
            )

    def command(self, path: str) -> str:
        """The command line with these options, ready to be run."""
        kept = list(_others(self.given)) if path in self.given else ["select", path]
        return shlex.join(["bayesgmm", *kept, *self._words()])

    def options(self) -> list[str]:
        """The names of the options that were given."""
        return [word for word in self._words() if word in (*_VALUES, *_FLAGS)]

    def _words(self) -> list[str]:
        said = {
            "--encoding": self.encoding,
            "--sep": {"\t": "tab", " ": "space"}.get(self.sep, self.sep),
            "--decimal": self.decimal,
            "--thousands": self.thousands,
            "--id": self.id,
            "--columns": "" if self.fixed else ",".join(map(quoted, self.columns)),
        }
        words = ["--no-header"] * (not self.header)
        words += [word for name, value in said.items() if value for word in (name, value)]
        words += ["--ignore-text"] * self.ignore_text
        return words + ["--missing"] * self.missing + ["--drop-na"] * self.drop_na


def _is_encoding(name: str) -> bool:
    try:
        return bool(codecs.lookup(name))
    except LookupError:
        return False


def _others(given: Iterable[str]) -> Iterable[str]:
    """The words of a command that are no options of reading."""
    words = iter(given)
    for word in words:
        if word in _VALUES:
            next(words, None)
        elif word not in _FLAGS and not word.startswith(tuple(f"{name}=" for name in _VALUES)):
            yield word


def listed(text: str) -> list[str]:
    """Names separated by commas; one that has a comma itself stands in double quotes."""
    try:
        fields = [
            name for line in csv.reader([text], skipinitialspace=True, strict=True) for name in line
        ]
    except csv.Error as error:
        raise DataError(
            f"The column names {text!r} cannot be read ({error}); separate them by commas, and "
            "put a name that has a comma in double quotes."
        ) from None
    names = [name.strip() for name in fields if name.strip()]
    if text and not names:
        raise DataError(f"There is no column name in {text!r}; name one, or leave --columns out.")
    return names


def quoted(name: str) -> str:
    """A name as :func:`listed` reads it."""
    return '"' + name.replace('"', '""') + '"' if re.search(r'[,"\r\n]', name) else name


def one_line(text: str) -> str:
    """A name of a user's as part of a line: without line breaks and other control characters."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
