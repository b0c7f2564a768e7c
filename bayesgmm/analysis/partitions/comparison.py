"""Two partitions of the same rows side by side: numbers, and the table they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from bayesgmm.analysis.partitions.loss import CrossTable
from bayesgmm.errors import DataError
from bayesgmm.markup import block, table
from bayesgmm.result.fit import MixtureFit


@runtime_checkable
class Labelled(Protocol):
    """A :class:`Partition`, a :class:`Merging`: whatever says where each row belongs."""

    @property
    def labels(self) -> Any: ...


@dataclass(frozen=True, eq=False, repr=False)
class PartitionComparison:
    """How far two partitions agree.

    Attributes
    ----------
    adjusted_rand : float
        1 where they are the same, 0 in the mean by chance.
    variation_of_information : float
        In bits, 0 where they are the same.
    binder : float
        Share of ordered pairs of rows on which they disagree.
    table : pandas.DataFrame
        Rows counted by both: first partition down, second across.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> found = bg.compare_partitions([0, 0, 1, 1], [5, 5, 7, 7])
    >>> found.adjusted_rand, found.variation_of_information, found.table.shape
    (1.0, 0.0, (2, 2))
    """

    adjusted_rand: float
    variation_of_information: float
    binder: float
    table: Any

    def __repr__(self) -> str:
        return f"{self._line()}\n\n{self.table.to_string()}"

    def _repr_html_(self) -> str:
        header = ["", *map(str, self.table.columns)]
        rows = [[str(name), *map(str, counts)] for name, counts in self.table.iterrows()]
        return block(self._line(), table("Rows counted by both", header, rows))

    def _line(self) -> str:
        return (
            f"Adjusted Rand index {self.adjusted_rand:.4g} (1 is the same), variation of "
            f"information {self.variation_of_information:.4g} bits, Binder loss {self.binder:.4g}"
        )


def compare_partitions(first: Any, second: Any) -> PartitionComparison:
    """Adjusted Rand index, variation of information, Binder's loss and a cross table.

    Parameters
    ----------
    first, second : array, Series, DataArray, Partition, Merging, MixtureFit or estimator
        Labels of the same rows in the same order, of any type.  A merging gives the
        most probable cluster of its fit's rows, a fit the most probable component; an
        estimator of scikit-learn, such as ``KMeans``, its ``labels_``.

    Returns
    -------
    PartitionComparison

    Raises
    ------
    DataError
        If there is not one label for each row, or labels are missing.

    References
    ----------
    Hubert and Arabie (1985), Comparing partitions, J. Classification 2.  Meilă (2007),
    Comparing clusterings: an information based distance, J. Multivariate Analysis 98.
    Binder (1978), Bayesian cluster analysis, Biometrika 65.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.compare_partitions([0, 0, 1, 1], ["a", "a", "a", "b"])
    Adjusted Rand index 0 (1 is the same), variation of information 1.189 bits, Binder loss 0.375
    <BLANKLINE>
    second  a  b
    first
    0       2  0
    1       1  1
    """
    import pandas as pd
    from sklearn.metrics import adjusted_rand_score

    a, b = _labels(first, "first"), _labels(second, "second")
    table = CrossTable.of(a, b)
    # Plain arrays: the rows are compared by position, whatever their labels.  In lists: pandas
    # would take labels that have a length, such as tuples, for several arrays.
    counts = pd.crosstab([a.to_numpy()], [b.to_numpy()])
    names = [str(a.name), str(b.name)]
    if names[0] == names[1]:
        names = [f"{names[0]} (first)", f"{names[1]} (second)"]
    counts.index.name, counts.columns.name = names
    rand = adjusted_rand_score(pd.factorize(a)[0], pd.factorize(b)[0])
    return PartitionComparison(float(rand), table.loss("vi"), table.loss("binder"), counts)


def _labels(partition: Any, name: str) -> Any:
    """Labels as a pandas Series with a name to print."""
    import pandas as pd

    if isinstance(partition, MixtureFit):
        partition, name = partition.predict().values, "component"
    elif isinstance(partition, Labelled):
        partition = partition.labels
    elif hasattr(partition, "labels_"):
        partition, name = partition.labels_, type(partition).__name__
    own = getattr(partition, "name", None)
    try:
        array = np.asarray(partition)
    except ValueError:
        raise DataError(f"The {name} partition is ragged; give one label for each row.") from None
    except Exception:  # of a Dataset, or of a frame of what NumPy has no type for
        raise DataError(f"The {name} partition must be an array of labels, one a row.") from None
    if array.ndim != 1:
        raise DataError(
            f"The {name} partition has shape {array.shape}; give one label for each row."
        )
    if not array.dtype.isnative:  # as in files of astronomers; pandas does not count such
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype == object:  # of which one label may be masked
        array = array.copy()
        array[[label is np.ma.masked for label in array]] = None
    try:
        series = pd.Series(array, name=name if own is None else str(own))
        series.nunique()
    except (TypeError, UnicodeEncodeError):  # lists, tuples of lists, half a character
        raise DataError(
            f"The {name} partition has labels that cannot be counted, such as lists; give numbers, "
            "text or tuples of these."
        ) from None
    if np.ma.isMaskedArray(partition):
        series = series.mask(np.ma.getmaskarray(partition))
    if series.isna().any():
        raise DataError(
            f"The {name} partition has no label in {int(series.isna().sum())} rows; drop those "
            "rows from both.",
            rows=np.flatnonzero(series.isna()).tolist(),
        )
    return series
