"""What the two mixtures of scikit-learn's face have in common: methods that follow from others.

Both know memberships and densities of rows.  From these come hard labels, a score and a
transformer, which is what lets a mixture stand in the middle of a pipeline.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
)
from sklearn.utils.validation import validate_data

from bayesgmm.data.observations import Observations
from bayesgmm.data.reading import checked_weights
from bayesgmm.errors import DataError

Array = NDArray[np.floating]

#: Data types that are kept; all others are read as the first.
DTYPES = [np.float64, np.float32]


class MixtureEstimator(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, BaseEstimator
):
    """A mixture by scikit-learn's methods, of which a subclass has the first three.

    ``fit``, ``predict_proba`` and ``score_samples`` are its own, and the attribute ``means_``.
    """

    means_: Array

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        raise NotImplementedError

    def predict_proba(self, X: Any) -> Array:
        raise NotImplementedError

    def score_samples(self, X: Any) -> Array:
        raise NotImplementedError

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> NDArray[np.int64]:
        """Fit, and the most probable component of each row (N,)."""
        return np.asarray(self.fit(X, sample_weight=sample_weight).predict(X))

    def predict(self, X: Any) -> NDArray[np.int64]:
        """The most probable component of each row (N,)."""
        return self.predict_proba(X).argmax(axis=1)

    def transform(self, X: Any) -> Array:
        """Memberships of each row (N, K), as features for what follows in a pipeline.

        They are those of :meth:`predict_proba`; columns are named by
        :meth:`get_feature_names_out`, and ``set_output(transform="pandas")`` makes frames.
        """
        return self.predict_proba(X)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log density of a row."""
        return float(self.score_samples(X).mean())

    @property
    def _n_features_out(self) -> int:
        return len(self.means_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _read(self, X: Any, sample_weight: Any) -> tuple[Observations, np.dtype[Any]]:
        """Rows to fit with their weights, and the data type that results are to have."""
        checked = validated(self, X, dtype=DTYPES, ensure_min_samples=2)
        names = getattr(self, "feature_names_in_", None)
        weights = read_sample_weight(sample_weight, len(checked))
        return Observations(checked, row_weights=weights, names=names), checked.dtype

    def _as_precise_as(self, X: Array, result: Array) -> Array:
        """Single precision where both the fitted data and these are, as scikit-learn has it."""
        return result.astype(np.result_type(X.dtype, self.means_.dtype), copy=False)


def validated(model: Any, X: Any, **how: Any) -> Any:
    """scikit-learn's check of rows, where infinities of both signs and numbers beyond floats
    are refused in words too."""
    try:
        with np.errstate(invalid="ignore"):  # it adds all values up
            return validate_data(model, X, **how)
    except OverflowError:
        raise DataError("X has a number beyond the range of floats; rescale the column.") from None
    except Exception as error:
        if not type(error).__module__.startswith("polars"):
            raise
        raise DataError(f"X is no table for NumPy ({error}); cast its columns to floats.") from None


def read_sample_weight(given: Any, n_rows: int) -> NDArray[np.float64] | None:
    """Weights (N,) of rows, checked as everywhere else and refused by scikit-learn's name."""
    if given is None:
        return None
    if hasattr(given, "__array__") and not isinstance(given, np.ma.MaskedArray):
        given = np.asarray(given)
    try:
        return checked_weights(given, n_rows)
    except DataError as error:
        message = str(error).replace("row_weights", "sample_weight")
        raise DataError(message, **error.facts) from None
