"""Exceptions and warnings: one sentence each, with the facts as attributes.

Every message says what was wrong, where, and what to do.  The facts that went
into the sentence are kept as attributes, so that a program can act on them
without parsing text.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

_PACKAGE = str(Path(__file__).parent) + os.sep


class BayesGMMError(ValueError):
    """Base of every error that bayesgmm raises on purpose.

    It is a ``ValueError``, so code written for scikit-learn's conventions
    catches it.
    """

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(name)

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), self.args, self.facts)


def _rebuild(
    cls: type[BayesGMMError], args: tuple[Any, ...], facts: dict[str, Any]
) -> BayesGMMError:
    return cls(*args, **facts)


class DataError(BayesGMMError):
    """The data cannot be used as they are."""


class SpecError(BayesGMMError):
    """A model specification, a prior or an option is not valid."""


class FitError(BayesGMMError):
    """A fit could not be made, or cannot answer what it was asked."""


class FileError(BayesGMMError):
    """A saved fit could not be read or written."""


class FitWarning(UserWarning):
    """A fit was made, but something about it should be known before it is used."""


def warn(message: str, category: type[Warning] = FitWarning) -> None:
    """Warn of something; what is shown is the line outside this package that led to it.

    What a user need not be told is not warned of in the first place: the filters of
    ``warnings`` belong to the process, so to suppress a warning on one thread spoils
    them for all others.
    """
    warnings.warn(message, category, skip_file_prefixes=(_PACKAGE,))
