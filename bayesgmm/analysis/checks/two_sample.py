"""Can anything tell the data from generated data?  A classifier is set to find out.

Where no statistic comes to mind, a classifier looks for one: it learns on half of the rows,
real and generated, and is tested on the other half.  If the model is right it can do no
better than a coin, whatever the classifier; where it does better, the rows that it is surest
of show where the data are and the model is not (Friedman 2003; Lopez-Paz and Oquab 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.analysis.checks.replicated_data import Floats, before_recording, checkable, recorded
from bayesgmm.compiled.threads import one_blas_thread
from bayesgmm.data.features import features_like
from bayesgmm.data.observations import Observations
from bayesgmm.errors import DataError, SpecError
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import TRUTH, generator, shown, whole
from bayesgmm.predictive.distribution import PredictiveDistribution
from bayesgmm.result.fit import MixtureFit, require_fit

_FEWEST = 20
_REPEATS = 0.1  # share of values that are repeats, above which a feature was rounded
_NAMES = {
    "forest": "a random forest",
    "neighbours": "one nearest neighbour",
    "quadratic": "a quadratic logistic regression",
}


@dataclass(frozen=True, eq=False, repr=False)
class TwoSampleTest:
    """What :func:`two_sample_test` found; printed, a sentence.

    Attributes
    ----------
    accuracy : float
        Share of the held-out rows, half of them real, that the classifier places right.
    p_value : float
        Chance of that accuracy or more if real and generated rows are alike.
    n_held_out : int
        Real rows that the classifier was tested on, and as many generated.
    classifier : str
    seen : bool
        Whether the model was fitted to these rows.
    score_real : DataArray or None
        The classifier's probability (obs) that a held-out real row is real: where it is
        large, there are more data than the model says.  None for a classifier without
        probabilities.
    spread : tuple of str
        Features whose values had been rounded, and were spread over the rounding's steps.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()[:60]
    >>> em = bg.fit(bg.MixtureSpec(1), X, method="em", seed=1)
    >>> found = bg.two_sample_test(em, seed=1)
    >>> 0 < found.p_value <= 1, found.seen
    (True, True)
    """

    accuracy: float
    p_value: float
    n_held_out: int
    classifier: str
    seen: bool
    score_real: xr.DataArray | None
    spread: tuple[str, ...]

    def __repr__(self) -> str:
        rows = "rows that the model was fitted to" if self.seen else "rows new to the model"
        return (
            f"Of {self.n_held_out} {rows} and as many generated ones, {self.classifier} places "
            f"{self.accuracy:.1%} right, where a coin has 50 %: p = {self.p_value:.2g}."
        )


@whole_imports
def two_sample_test(
    fit: MixtureFit,
    data: Any = None,
    *,
    classifier: Any = "forest",
    spread: bool = True,
    max_rows: int = 5000,
    seed: Any = None,
) -> TwoSampleTest:
    """Test by a classifier whether real and generated rows can be told apart.

    As many rows as the data have are generated from the predictive distribution.  A
    classifier learns on half of both and its accuracy on the other half is tested.

    Parameters
    ----------
    fit : MixtureFit
        By any method.
    data : anything that Observations takes, optional
        Rows that were held out of fitting; the fitted rows where left out.
    classifier : "forest", "neighbours", "quadratic" or a scikit-learn classifier
        A random forest of 300 trees finds differences of any kind; one nearest neighbour
        is what Lopez-Paz and Oquab call the simplest; logistic regression on squares and
        products finds differences of means and covariances, and no others.
        A classifier that is given is cloned.
    spread : bool, default True
        Spread rounded values evenly over the step that they were rounded to, and round and
        spread the generated ones alike: otherwise a forest tells real rows by their being on
        a grid.  A feature is taken as rounded if
        more than a tenth of its values are repeats, and its step is the lower decile of the
        gaps between distinct values.
    max_rows : int, default 5000
        Rows at most of each kind, a random choice where there are more.
    seed : int, SeedSequence or Generator, optional
        Of the generated rows, the halves and the forest.

    Returns
    -------
    TwoSampleTest

    Raises
    ------
    DataError
        For fewer than 20 rows.
    FitError
        For row weights: rows that count differently are not exchangeable.
    SpecError
        If the classifier is none.

    Notes
    -----
    The null hypothesis is that rows are exchangeable with generated ones.  The p-value
    is that of permuting the labels of the held-out rows under a classifier that has not
    seen them, a hypergeometric tail, so under the null hypothesis it is exact at any size.
    For held-out ``data`` that hypothesis is that they come from the predictive
    distribution; with far more of them than were fitted, the error of the estimate
    becomes visible, and rightly so.  For the fitted rows it is too kind: they have drawn
    the model to themselves, so real misfit is harder to see.

    References
    ----------
    Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests, ICLR.  Friedman
    (2003), On multivariate goodness-of-fit and two-sample testing, PHYSTAT2003.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.analysis.checks.two_sample import two_sample_test
    >>> X = bg.datasets.faithful()
    >>> one, two = (bg.fit(bg.MixtureSpec(k), X, method="laplace", seed=1) for k in (1, 2))
    >>> [two_sample_test(fit, seed=1).p_value < 0.01 for fit in (one, two)]
    [True, False]
    """
    fit, seen = require_fit(fit, "two_sample_test"), data is None
    spread, max_rows = TRUTH("spread", spread), whole(_FEWEST)("max_rows", max_rows)
    rng = generator(seed)
    model, name = _classifier(classifier, rng)
    if seen:
        checkable(fit, "two_sample_test")
        rows = fit.observations
    else:
        rows = _new_rows(fit, data)
    if not rows.views.as_they_are:
        raise DataError(
            "two_sample_test takes rows without errors of measurement, known labels or a selection."
        )
    if rows.has_holes:
        raise DataError(
            "A classifier needs complete rows, and some values are missing; drop those rows."
        )
    if rows.n_rows < _FEWEST:
        raise DataError(
            f"A classifier cannot learn on half of {rows.n_rows} rows; give {_FEWEST} or more.",
            rows=rows.n_rows,
        )
    n = min(rows.n_rows, max_rows)
    chosen = rng.permutation(rows.n_rows)[:n]
    steps = _steps(rows) if spread else np.zeros(rows.n_features)
    real = rows.matrix + steps * rng.uniform(-0.5, 0.5, rows.matrix.shape)
    made = _generated(fit, n, steps, rows.matrix[0], rng)
    half = n // 2
    taught, tested = chosen[:half], chosen[half:]
    x = np.concatenate([real[taught], made[:half]])
    held_out = np.concatenate([real[tested], made[half:]])
    center, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    m = n - half
    score = None
    with one_blas_thread():
        model.fit((x - center) / scale, np.repeat([1, 0], half))
        said = np.asarray(model.predict((held_out - center) / scale)).astype(np.int64)
        scored = hasattr(model, "predict_proba")
        known = model.predict_proba((real[tested] - center) / scale) if scored else None
    if known is not None:
        score = xr.DataArray(
            known[:, list(model.classes_).index(1)],
            dims="obs",
            coords={"obs": rows.index[tested]},
            name="score_real",
        )
    right, p_value = _permuted(said, m)
    was_spread = tuple(str(rows.names[j]) for j in np.flatnonzero(steps))
    return TwoSampleTest(right / (2 * m), p_value, m, name, seen, score, was_spread)


def _steps(rows: Observations) -> Floats:
    """The step (D,) to which each feature was rounded, 0 where it was not."""
    steps = np.zeros(rows.n_features)
    for j, values in enumerate(rows.matrix.T):
        distinct = np.unique(values)
        if len(distinct) > 1 and len(distinct) < (1 - _REPEATS) * len(values):
            steps[j] = np.quantile(np.diff(distinct), 0.1)
    return steps


def _generated(
    fit: MixtureFit, n: int, steps: Floats, origin: Floats, rng: np.random.Generator
) -> Floats:
    """Generated rows, rounded to these steps as the real ones were, and spread as they are."""
    if not steps.any():
        return np.asarray(fit.predictive.generate(n, seed=rng)["x"].values)
    fitted_to = fit.observations.resolution if fit.has_rows else steps
    before = before_recording(fit.parameters, np.where(steps > 0, fitted_to, 0.0))
    x = PredictiveDistribution.of(before).generate(n, seed=rng)["x"].values
    return recorded(x, steps, origin) + steps * rng.uniform(-0.5, 0.5, x.shape)


def _permuted(said: NDArray[np.int64], m: int) -> tuple[int, float]:
    """How many of m real rows, then m generated, are placed right, and the chance of that.

    With what was said held fixed and the rows' labels permuted, the number of real rows
    among those called real is hypergeometric.
    """
    from scipy.stats import hypergeom

    called_real = int(said.sum())
    hits = int(said[:m].sum())
    right = hits + (m - (called_real - hits))
    return right, float(min(hypergeom.sf(hits - 1, 2 * m, m, called_real), 1.0))


def _classifier(given: Any, rng: np.random.Generator) -> tuple[Any, str]:
    number = int(rng.integers(2**31))
    if isinstance(given, str):
        if given not in _NAMES:
            raise SpecError(
                f"classifier must be {', '.join(map(repr, _NAMES))} or a scikit-learn classifier, "
                f"got {shown(given)}."
            )
        return _named(given, number), _NAMES[given]
    from sklearn.base import clone, is_classifier

    usable = hasattr(given, "get_params") and not isinstance(given, type)
    if not usable or not is_classifier(given):
        raise SpecError(
            f"classifier must be {', '.join(map(repr, _NAMES))} or a scikit-learn classifier, "
            f"got {shown(given)}."
        )
    return clone(given), type(given).__name__


def _named(name: str, number: int) -> Any:
    if name == "forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(300, min_samples_leaf=3, random_state=number)
    if name == "neighbours":
        from sklearn.neighbors import KNeighborsClassifier

        return KNeighborsClassifier(1)
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures

    return make_pipeline(
        PolynomialFeatures(2, include_bias=False), LogisticRegression(max_iter=2000)
    )


def _new_rows(fit: MixtureFit, data: Any) -> Observations:
    rows = features_like(data, fit.feature_names)
    if rows.row_weights is not None and np.any(rows.row_weights != 1):
        raise DataError("two_sample_test takes rows that count alike; give them without weights.")
    return rows
