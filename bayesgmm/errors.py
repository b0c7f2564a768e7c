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

    Examples
    --------
    >>> import bayesgmm as bg
    >>> try:
    ...     bg.datasets.load("iris")
    ... except bg.BayesGMMError as error:
    ...     print(error)
    There is no data set 'iris'; known are faithful, galaxies.
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
    """The data cannot be used as they are.

    What is known of where it is stands in attributes: ``column``, ``row``, ``count``.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> try:
    ...     bg.Observations([[1.0, 2.0], [float("nan"), 3.0], [2.0, 5.0]])
    ... except bg.DataError as error:
    ...     error.row, error.count
    (1, 1)
    """


class SpecError(BayesGMMError):
    """A model specification, a prior or an option is not valid.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> try:
    ...     bg.MixtureSpec(2, covariance="round")
    ... except bg.SpecError as error:
    ...     "spherical" in str(error)
    True
    """


class FitError(BayesGMMError):
    """A fit could not be made, or cannot answer what it was asked.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit(bg.MixtureSpec(1), bg.datasets.faithful(), method="em", seed=1)
    >>> try:
    ...     bg.diagnose(em)
    ... except bg.FitError as error:
    ...     print(error)
    This fit is one point, by em, so there are no draws to judge; its status is 'converged'.
    """


class FileError(BayesGMMError):
    """A saved fit could not be read or written.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> try:
    ...     bg.load("no_such_file.nc")
    ... except bg.FileError as error:
    ...     "no_such_file.nc" in str(error)
    True
    """


class FitWarning(UserWarning):
    """A fit was made, but something about it should be known before it is used.

    Examples
    --------
    >>> import pytest
    >>> import bayesgmm as bg
    >>> X, short = bg.datasets.faithful(), bg.EM(max_iter=1)
    >>> with pytest.warns(bg.FitWarning) as met:
    ...     fit = bg.fit(bg.MixtureSpec(2), X, method=short, seed=1)
    >>> len(met), fit.status.ok
    (1, False)
    """


def panicked(error: BaseException) -> bool:
    """Whether code in Rust, of another package, has panicked, which is no Exception."""
    return type(error).__name__ == "PanicException"


def warn(message: str, category: type[Warning] = FitWarning) -> None:
    """Warn of something; what is shown is the line outside this package that led to it.

    What a user need not be told is not warned of in the first place: the filters of
    ``warnings`` belong to the process, so to suppress a warning on one thread spoils
    them for all others.
    """
    warnings.warn(message, category, skip_file_prefixes=(_PACKAGE,))
