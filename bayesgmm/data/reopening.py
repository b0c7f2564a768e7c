"""Stored rows said in a text that is kept with a fit, and opened again by it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from bayesgmm.data.observations import Observations
from bayesgmm.data.sources.opening import reopened
from bayesgmm.errors import DataError


def said(observations: Observations) -> str:
    """Where stored rows lie and how they are read, as JSON."""
    stored = observations.stored
    assert stored is not None
    recipe, columns = stored.recipe, stored.source.columns

    def column(at: int | None) -> str | None:
        return None if at is None else columns[at]

    def numbers(values: Any) -> Any:
        return None if values is None else np.asarray(values).tolist()

    given = {
        "names": list(observations.names) if observations.labelled else None,
        "columns": [columns[j] for j in recipe.at] if stored.source.named else None,
        "resolution": numbers(observations.resolution),
        "missing": observations.missing,
        "row_weights": column(recipe.weights_at),
        "labels": column(recipe.labels_at),
        "errors": numbers(recipe.errors),
        "background": numbers(recipe.background),
        "selection": numbers(recipe.selection),
    }
    return json.dumps(
        {
            "description": stored.source.description,
            "address": stored.source.address,
            "n_rows": observations.n_rows,
            "given": {name: value for name, value in given.items() if value is not None},
        }
    )


def opened_again(text: str) -> Observations:
    """The rows that :func:`said` speaks of, after another first pass.

    Raises
    ------
    DataError
        Where they were in another process alone, or are no longer what they were.
    """
    found = json.loads(text)
    if found["address"] is None:
        raise DataError(
            f"The data of this fit, {found['description']}, were not saved with it; pass them as "
            "data."
        )
    rows = Observations(reopened(found["address"]), in_memory=False, **found["given"])
    if rows.n_rows != found["n_rows"]:
        raise DataError(
            f"{found['description']} has {rows.n_rows:,} rows now, and had {found['n_rows']:,} "
            "when this was fitted; pass them as data."
        )
    return rows
