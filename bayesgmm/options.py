"""What the options of public functions may be: a table of kinds, and one sentence for all.

A function reads each of its options by a kind, by name, before any work begins::

    mass = PROBABILITY("mass", mass)
    runs = COUNT("runs", runs)

The value comes back as a plain Python one, since small NumPy integers would overflow in
sums; a value of another kind is a :class:`~bayesgmm.errors.SpecError`, "runs must be a whole
number of at least 1, got 2.5."  Seeds are read here as well, so that every function takes
the same ones and none changes what its caller holds.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import DataError, SpecError, panicked

#: Called as ``progress(stage, done, total)``.
Progress = Callable[[str, int, int], None]
#: What a seed may be.
Seed = int | np.random.SeedSequence | np.random.Generator | None

#: Most of what is made one by one, beyond which a count is a slip and would take for ever.
_MOST = 10_000_000
_SHOWN = 60  # characters of a wrong value that a message repeats


@dataclass(frozen=True)
class Kind[Value]:
    """What values an option takes: in words, and as the reading of one."""

    words: str
    #: Raises TypeError, ValueError or OverflowError for a value that is not of this kind.
    read: Callable[[Any], Value]

    def __call__(self, name: str, value: Any) -> Value:
        """The value as this kind has it, or a refusal by the option's name."""
        try:
            return self.read(value)
        except (TypeError, ValueError, OverflowError) as error:
            words = error.words if isinstance(error, _TooLarge) else self.words
            raise SpecError(f"{name} must be {words}, got {shown(value)}.", name=name) from None


class _TooLarge(ValueError):
    """A number of the right kind that is beyond reason: then alone the limit is told."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def shown(value: Any) -> str:
    """A value of any type on one short line, as messages repeat it."""
    plain = (str, bytes, int, float, complex, list, tuple, dict, np.generic, np.ndarray)
    if value is not None and not isinstance(value, plain):
        return type(value).__name__
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # whole numbers beyond Python's limit on digits
        return f"a huge {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


# Numbers ----------------------------------------------------------------------


def whole(least: int = 1, most: int | None = None) -> Kind[int]:
    """Whole numbers of Python or NumPy; neither truth values nor floats such as 2.0."""

    def read(value: Any) -> int:
        number = _index(value)
        if number < least:
            raise ValueError
        if most is not None and number > most:
            raise _TooLarge(f"a whole number of at most {most:,}")
        return number

    return Kind(f"a whole number of at least {least:,}", read)


def limit(least: int) -> Kind[int]:
    """Whole numbers without an upper bound; what no array could have is cut to what fits."""
    kind = whole(least)
    return Kind(kind.words, lambda value: min(kind.read(value), 2**62))


def real(words: str, holds: Callable[[float], bool] = lambda number: True) -> Kind[float]:
    """Finite numbers for which ``holds``, which ``words`` says."""

    def read(value: Any) -> float:
        number = _float(value)
        if not (math.isfinite(number) and holds(number)):
            raise ValueError
        return number

    return Kind(words, read)


def _index(value: Any) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError
    return operator.index(value)


def _float(value: Any) -> float:
    # NumPy would drop an imaginary part, and read text and truth values as numbers.
    if isinstance(value, (bool, np.bool_, str, bytes)) or np.ndim(value) or np.iscomplexobj(value):
        raise TypeError
    if value is np.ma.masked:
        raise TypeError
    return float(value)


# Names, truth values, objects -------------------------------------------------


def one_of[Name: str](*names: Name) -> Kind[Name]:
    """One of some names."""
    *others, last = map(repr, names)
    first = f"{', '.join(others)} or " if others else ""
    words = f"{'one of ' if len(names) > 2 else ''}{first}{last}"

    def read(value: Any) -> Name:
        if not isinstance(value, str):
            raise TypeError
        return names[names.index(value)]  # ValueError if it is none of them

    return Kind(words, read)


def instance[T](words: str, *classes: type[T]) -> Kind[T]:
    """Objects of some classes, which ``words`` says."""

    def read(value: Any) -> T:
        if not isinstance(value, classes):
            raise TypeError
        return value

    return Kind(words, read)


def optional[T](kind: Kind[T]) -> Kind[T | None]:
    """The same kind, or None."""
    return Kind(f"{kind.words} or None", lambda value: None if value is None else kind.read(value))


def _truth(value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError
    return bool(value)


def _function(value: Any) -> Callable[..., Any]:
    if not callable(value):
        raise TypeError
    return value


def _mapping(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    return value


def _path(value: Any) -> Path:
    if isinstance(value, bytes):
        raise TypeError
    return Path(value)


#: How many of something are made.
COUNT = whole(1, _MOST)
AT_LEAST_TWO = whole(2, _MOST)
#: Which of several, numbered from zero.
WHICH = whole(0, _MOST)
#: How many at most, or of what is made in parts: as large as one likes.
LIMIT, LIMIT_FROM_ZERO = limit(1), limit(0)
NUMBER = real("a finite number")
NOT_NEGATIVE = real("a finite number of 0 or more", lambda number: number >= 0)
POSITIVE = real("a finite number above 0", lambda number: number > 0)
PROBABILITY = real("a number between 0 and 1", lambda number: 0 < number < 1)
SHARE = real("a number from 0 to 1", lambda number: 0 <= number <= 1)
TEXT = instance("a text", str)
TRUTH: Kind[bool] = Kind("True or False", _truth)
FUNCTION: Kind[Callable[..., Any]] = Kind("a function", _function)
PROGRESS: Kind[Progress | None] = optional(Kind("a function of (stage, done, total)", _function))
MAPPING: Kind[Mapping[Any, Any]] = Kind("a mapping", _mapping)
PATH: Kind[Path] = Kind("a path", _path)
CORES = optional(whole(1, 4096))


# Arrays -----------------------------------------------------------------------


def numeric_array(name: str, values: Any) -> NDArray[np.float64]:
    """An array of doubles, or a refusal by name."""
    entries = values if isinstance(values, (list, tuple)) else ()
    if np.ma.is_masked(values) or any(entry is np.ma.masked for entry in entries):
        raise DataError(f"{name} must be an array of numbers, none of them masked.")
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "iufO":  # of complex numbers NumPy would drop a part
            raise TypeError
        with np.errstate(over="ignore"):  # a long double may become infinite
            return array.astype(np.float64, copy=False)
    except BaseException as error:  # of arrays of other packages whatever they raise
        if not (isinstance(error, Exception) or panicked(error)):
            raise
        raise DataError(f"{name} must be an array of numbers.") from None


# Seeds ------------------------------------------------------------------------


def _seed(value: Any) -> Seed:
    if value is None or isinstance(value, (np.random.SeedSequence, np.random.Generator)):
        return value
    number = _index(value)
    if number < 0:
        raise ValueError
    return number


def _random_state(value: Any) -> int | np.random.RandomState | None:
    if value is None or isinstance(value, np.random.RandomState):
        return value
    if value is np.random:  # scikit-learn's other name for the global state
        return None
    number = _index(value)
    if not 0 <= number < 2**32:
        raise ValueError
    return number


SEED = Kind("a whole number of at least 0, a SeedSequence, a Generator or None", _seed)
#: scikit-learn's kind of seed.
RANDOM_STATE = Kind("a whole number from 0 to 4294967295, a RandomState or None", _random_state)


def seed_sequence(seed: Any) -> np.random.SeedSequence:
    """What to spawn from.

    A caller's own sequence is a value: the same one twice is the same seed twice, and it is
    left as it is.  A Generator gives its next numbers, and moves on.
    """
    seed = SEED("seed", seed)
    if isinstance(seed, np.random.Generator):
        return _root(seed.integers(2**32, size=4).tolist())
    if isinstance(seed, np.random.SeedSequence):
        return _root(seed.entropy, seed.spawn_key, seed.pool_size)
    return _root(seed)


def _root(entropy: Any, spawn_key: Any = (), pool_size: int = 4) -> np.random.SeedSequence:
    """Where every seed goes through, so that the tests can run with other seeds."""
    return np.random.SeedSequence(entropy, spawn_key=spawn_key, pool_size=pool_size)


def generator(seed: Any) -> np.random.Generator:
    """What to draw from: the caller's own Generator, or a new one."""
    seed = SEED("seed", seed)
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(seed_sequence(seed))


def seed_value(seed: Any) -> int | np.random.SeedSequence | None:
    """A seed that may be used several times, in any order: of a Generator its next numbers."""
    seed = SEED("seed", seed)
    return seed_sequence(seed) if isinstance(seed, np.random.Generator) else seed


# Memory -----------------------------------------------------------------------


def refuse_beyond_memory(what: str, n_bytes: float, remedy: str) -> None:
    """Refuse what this machine's memory cannot hold, in place of a raw MemoryError."""
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on every system
        return
    if n_bytes > there:
        raise SpecError(
            f"{what} would take {n_bytes / 1e9:,.0f} GB of memory and this machine has "
            f"{there / 1e9:,.0f} GB; {remedy}.",
            n_bytes=n_bytes,
        )
