"""What a grid search is to make large: a criterion, or the density of rows left out.

A mixture's own ``score`` is a mean over rows, which leaves out how many numbers were fitted and
how many rows there are.  The two here say what is meant: ``bic_scorer`` on the rows that were
fitted, ``elpd_scorer`` on rows that were not.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn.pipeline import Pipeline

from bayesgmm.errors import SpecError
from bayesgmm.options import shown


class MixtureScorer:
    """A function of a fitted estimator and rows, for ``GridSearchCV(scoring=...)``.

    Larger is better.  Of a pipeline it is the last step that is asked, about rows that went
    through the others: a density is then of what that step was given, so pipelines whose other
    steps differ in scale are not comparable by it.

    ``bic_scorer`` is minus BIC (Schwarz 1978), of estimators that have ``bic``.  BIC judges a fit
    on the rows that made it, so use one split in which all rows are on both sides:
    ``cv=[(rows, rows)]``.  On the rows of a test fold, as in scikit-learn's own
    example, it charges twice for parameters.

    ``elpd_scorer`` is the log predictive density of the rows, summed; averaged over posterior
    draws within the logarithm where the estimator has any.  The mean over folds times
    their number is the cross-validated elpd (Vehtari, Gelman and Gabry 2017).

    Parameters
    ----------
    estimator : fitted estimator or Pipeline
    X : array-like of shape (N, D)
    y : object, optional
        Not used.

    Returns
    -------
    float

    Raises
    ------
    SpecError
        If the estimator does not have what is asked of it.

    Examples
    --------
    >>> import numpy as np, bayesgmm as bg
    >>> from sklearn.model_selection import GridSearchCV
    >>> X, rows = bg.datasets.faithful().values, np.arange(272)
    >>> model, grid = bg.GaussianMixture(random_state=0), {"n_components": [1, 2, 3]}
    >>> search = GridSearchCV(model, grid, scoring=bg.bic_scorer, cv=[(rows, rows)]).fit(X)
    >>> search.best_params_, round(float(search.best_score_), 1)
    ({'n_components': 2}, -2322.2)
    """

    def __init__(self, name: Literal["bic", "elpd"]) -> None:
        self.name = name

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """The score of a fitted estimator on rows ``X`` (N, D); ``y`` is not used."""
        method = "bic" if self.name == "bic" else "score_samples"
        if isinstance(estimator, Pipeline):
            if len(estimator) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator[-1]
        if not hasattr(estimator, method):
            other = "elpd_scorer" if self.name == "bic" and hasattr(estimator, "fit") else "score"
            raise SpecError(f"{self} needs a method {method}, which {shown(estimator)} does not "
                            f"have; use its {other}.")  # fmt: skip
        if self.name == "bic":
            return -float(estimator.bic(X))
        return float(np.sum(estimator.score_samples(X), dtype=np.float64))

    def __repr__(self) -> str:
        return f"{self.name}_scorer"

    def __reduce__(self) -> Any:
        return MixtureScorer, (self.name,)


bic_scorer = MixtureScorer("bic")
elpd_scorer = MixtureScorer("elpd")
