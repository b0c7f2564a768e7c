"""New rows for a model of known features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bayesgmm.data.observations import Missing, Observations
from bayesgmm.data.reading import default_names
from bayesgmm.errors import DataError


def features_like(data: Any, names: Sequence[str], missing: Missing | None = None) -> Observations:
    """New data for a model of features ``names``, or a refusal.

    Labelled data are matched by name where all the names are there, and may come
    in another order; unlabelled data by position, whatever the model's names.
    """
    observations = data if isinstance(data, Observations) else Observations(data, missing=missing)
    own = list(observations.names)
    if own == list(names):
        return observations
    if observations.labelled and set(names) <= set(own):
        return observations.select(names)
    if observations.n_features != len(names):
        raise DataError(
            f"The model has {len(names)} features ({', '.join(names)}) but the data have "
            f"{observations.n_features}; give the same columns as in fitting.",
            expected=len(names),
            found=observations.n_features,
        )
    if observations.labelled and list(names) != default_names(len(names)):
        absent = next(name for name in names if name not in own)
        raise DataError(
            f"The model's feature {absent!r} is not among the data's columns "
            f"({', '.join(own)}); rename them or pass a plain array.",
            column=absent,
        )
    return observations
