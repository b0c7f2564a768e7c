"""What a distribution is asked about: names of features, values given, probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import DataError
from bayesgmm.options import NUMBER, Kind, shown


def positions(names: Sequence[str], features: Sequence[str]) -> list[int]:
    """Where some of the features are, or a refusal."""
    own = list(features)
    for name in names:
        if not isinstance(name, str) or name not in own:
            raise DataError(
                f"There is no feature {shown(name)}; the features are {', '.join(own)}.",
                column=str(name),
            )
    if not names or len(set(names)) != len(names):
        raise DataError(f"The features named are {list(names)}; name at least one, and each once.")
    return [own.index(name) for name in names]


def given_values(given: Any) -> dict[str, float]:
    """The values at which features are held, by name, or a refusal."""
    if not isinstance(given, Mapping):
        raise DataError(f"given must map features to values, as {{'x0': 1.5}}, got {shown(given)}.")
    return {str(name): _finite(name, value) for name, value in given.items()}


def _probabilities(value: Any) -> NDArray[np.float64]:
    wanted = np.asarray(value)
    if wanted.dtype.kind not in "iuf" or wanted.ndim > 1:
        raise TypeError
    if not wanted.size or not np.all((wanted > 0) & (wanted < 1)):
        raise ValueError
    return wanted.astype(np.float64)


PROBABILITIES = Kind("one or more numbers between 0 and 1", _probabilities)


def _finite(name: Any, value: Any) -> float:
    try:
        number = NUMBER.read(value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"{str(name)!r} is given as {shown(value)}; give a finite number.", column=str(name)
        ) from None
    if abs(number) >= 1e150:
        raise DataError(
            f"{str(name)!r} is given as {shown(value)}, whose square overflows; rescale the "
            "feature.",
            column=str(name),
        )
    return number
