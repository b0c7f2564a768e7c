"""Fits side by side: point criteria, predictive accuracy, and where the point
estimate of one lies in the posterior of another."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesgmm.analysis.criteria import leave_one_out as loo
from bayesgmm.analysis.criteria.pointwise import why_not
from bayesgmm.data.observations import Observations
from bayesgmm.density.exchangeable import exchangeable
from bayesgmm.errors import FitError, warn
from bayesgmm.inference.labels.matching import to_pivot
from bayesgmm.interrupts import whole_imports
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.options import LIMIT, MAPPING, PROBABILITY, SEED, TRUTH
from bayesgmm.result.fit import MixtureFit, require_fit
from bayesgmm.result.record import doubt


@whole_imports
def compare(
    fits: Mapping[str, MixtureFit], *, repair: bool = False, max_refits: int = 10, seed: Any = None
) -> Any:
    """One table of any fits of the same data.

    Parameters
    ----------
    fits : mapping of name to MixtureFit
        Of any methods and specs.
    repair : bool, default False
        Whether to refit for rows that importance sampling cannot leave out, at most
        ``max_refits`` of them for each fit; see :func:`bayesgmm.elpd_loo`.
    max_refits : int, default 10
    seed : int, SeedSequence or Generator, optional
        Of those refits.

    Returns
    -------
    pandas.DataFrame
        A row per fit: ``method``, ``n_components``, ``covariance``,
        ``log_likelihood`` (its mean over draws for a posterior), ``n_parameters``,
        ``aic``, ``bic``, ``icl`` (smaller is better, NaN for posteriors), and for
        posteriors ``elpd_loo`` (larger is better), ``elpd_loo_se``, and
        ``elpd_diff``, ``dse`` and ``weight`` from ``arviz.compare`` (stacking),
        ``bad_rows`` the number of rows with Pareto k-hat above 0.7 (that are not
        repaired); ``status``.  Posteriors come first, by elpd, then point fits, by BIC;
        fits that are equal up to rounding, one model by two names say, stay in the order
        given.
        The columns of elpd are NaN for posteriors without a pointwise log-likelihood,
        and for row weights that are no counts.

    Raises
    ------
    FitError
        If the fits are not of the same data (values, row weights, steps, errors, labels,
        selection, and the box of noise), or one is no fit.
    SpecError
        If an option is not valid.

    Warns
    -----
    FitWarning
        Of fits whose elpd is uncertain, as :func:`bayesgmm.elpd_loo` does.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.galaxies()
    >>> fits = {k: bg.fit(bg.MixtureSpec(k), X, method="map", seed=1) for k in (1, 3)}
    >>> list(bg.compare(fits).index)
    [3, 1]
    """
    import pandas as pd

    fits = MAPPING("fits", fits)
    for fit in fits.values():
        require_fit(fit, "compare")
    repair, max_refits = TRUTH("repair", repair), LIMIT("max_refits", max_refits)
    seed = SEED("seed", seed)
    if not fits:
        raise FitError("There is nothing to compare; give at least one fit.")
    _same_data(fits)
    rows = {name: point_criteria(fit) | {"status": str(fit.status)} for name, fit in fits.items()}
    left_out = {
        name: loo.leave_one_out(fit, repair=repair, max_refits=max_refits, seed=seed)
        for name, fit in fits.items()
        if why_not(fit) is None
    }
    for name, (_, elpd, warnings) in left_out.items():
        for told in warnings:
            warn(told)
        rows[name] |= {
            "elpd_loo": elpd.value,
            "elpd_loo_se": elpd.se,
            "bad_rows": len(elpd.bad_rows),
        }
    if len(left_out) > 1:
        for name, values in loo.stacked(left_out).items():
            rows[name] |= values
    columns = [
        "method",
        "n_components",
        "covariance",
        "log_likelihood",
        "n_parameters",
        "aic",
        "bic",
        "icl",
        "elpd_loo",
        "elpd_loo_se",
        "elpd_diff",
        "dse",
        "weight",
        "bad_rows",
        "status",
    ]
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
    return table.iloc[np.lexsort((ranks(table["bic"]), ranks(-table["elpd_loo"])))]


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 0 for the smallest, one for values that differ by rounding alone; NaN stays.

    An order that hangs on the last digits would be another on another machine.  Steps below
    ``1e-6 + 1e-8 |value|`` are what EM's tolerance and rounding leave; a criterion's difference
    that means something is far larger, with a million rows as well.

    >>> from bayesgmm.analysis.compare import ranks
    >>> ranks([2607.6200000001, 2322.19, 2607.62])
    array([1., 0., 1.])
    """
    array = np.asarray(values, dtype=float)
    order = np.argsort(array, kind="stable")
    ordered = array[order]
    least = np.nan_to_num(1e-6 + 1e-8 * np.abs(ordered), nan=np.nan, posinf=0.0)
    with np.errstate(invalid="ignore"):  # infinite values have no difference
        steps = np.diff(ordered, prepend=ordered[:1]) > least
    found = np.empty(len(array))
    found[order] = np.cumsum(steps)
    found[np.isnan(array)] = np.nan
    return found


def point_criteria(fit: MixtureFit) -> dict[str, Any]:
    """What every table says of a fit; criteria that need a point are NaN for draws."""
    point = not fit.is_posterior
    return {
        "method": fit.method,
        "n_components": fit.spec.n_components,
        "covariance": fit.spec.covariance,
        "log_likelihood": fit.log_likelihood,
        "n_parameters": fit.n_parameters,
        "aic": fit.aic() if point else np.nan,
        "bic": fit.bic() if point else np.nan,
        "icl": fit.icl() if point and fit.has_rows else np.nan,
    }


def _same_data(fits: Mapping[Any, MixtureFit]) -> None:
    for (first, one), (second, other) in combinations(fits.items(), 2):
        if _said_of_data(one) != _said_of_data(other) or (
            one.has_rows and other.has_rows and not _same_rows(one, other)
        ):
            raise FitError(
                f"{first!r} and {second!r} were fitted to different data; criteria compare "
                "models of the same data."
            )


def _same_rows(one: MixtureFit, other: MixtureFit) -> bool:
    """Whether two fits are of the same rows, seen in the same way."""
    views = ["errors", "labels", "allowed", "selection"]
    if one.spec.noise and other.spec.noise:
        views.append("background")
    known = [
        (rows.values, rows.resolution, _weights(rows), *(getattr(rows.views, v) for v in views))
        for rows in (one.observations, other.observations)
    ]
    return all(
        a is b or (a is not None and b is not None and np.array_equal(a, b, equal_nan=True))
        for a, b in zip(*known, strict=True)
    )


def _weights(rows: Observations) -> NDArray[np.float64]:
    return np.ones(rows.n_rows) if rows.row_weights is None else rows.row_weights


def _said_of_data(fit: MixtureFit) -> tuple[Any, ...]:
    """What is known of the data of a fit that need not be there."""
    facts = (fit.fact("n_rows"), float(fit.fact("total_weight")))
    return (*facts, fit.feature_names, fit.tree.attrs.get("data"))


@whole_imports
def agreement(point: MixtureFit, posterior: MixtureFit, *, mass: float = 0.89) -> Any:
    """Where a point estimate lies in the posterior of the same spec.

    Parameters
    ----------
    point : MixtureFit
        By EM or MAP; its components are matched to the posterior's.
    posterior : MixtureFit
        Draws, by any method.
    mass : float, default 0.89
        Probability of the equal-tailed interval (ArviZ's default).

    Returns
    -------
    pandas.DataFrame
        A row per parameter: ``point``, posterior ``mean`` and ``sd``, the interval
        ``lower`` to ``upper``, ``quantile`` (the share of draws below the point:
        near 0 or 1 says that the point is in a tail) and ``z`` (the point's distance
        from the mean in posterior sds).

    Raises
    ------
    FitError
        If the fits are of different models or features, or not a point and draws.
    SpecError
        If ``mass`` is not between 0 and 1.

    Warns
    -----
    FitWarning
        If either fit did not converge, or the posterior's labels are ambiguous.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X, spec = bg.datasets.galaxies(), bg.MixtureSpec(n_components=1)
    >>> em = bg.fit(spec, X, method="em")
    >>> bg.agreement(em, em)
    Traceback (most recent call last):
        ...
    bayesgmm.errors.FitError: The second fit holds no draws; give one by method='nuts'.
    """
    import pandas as pd

    point, posterior = (require_fit(fit, "agreement") for fit in (point, posterior))
    mass = PROBABILITY("mass", mass)
    if point.is_posterior:
        raise FitError("The first fit holds draws; give a point fit, by method='em' or 'map'.")
    if not posterior.is_posterior:
        raise FitError("The second fit holds no draws; give one by method='nuts'.")
    if _model(point) != _model(posterior):
        raise FitError("The fits are of different models or features; compare() takes those.")
    for fit in (point, posterior):
        if told := doubt(fit, "agreement", by_component=True):
            warn(told)
    draws = posterior.tree["posterior"].to_dataset()
    order = _matching(point, posterior)
    estimate = point.tree["posterior"].to_dataset().isel(chain=0, draw=0, component=order)
    estimate = estimate.assign_coords(component=draws["component"])
    rows = {}
    tail = (1 - mass) / 2
    points = _free(estimate, posterior.spec)
    for label, values in _free(draws, posterior.spec).items():
        at = float(points[label])
        sd = float(values.std(ddof=1))
        lower, upper = np.quantile(values, [tail, 1 - tail])
        rows[label] = {
            "point": at,
            "mean": float(values.mean()),
            "sd": sd,
            "lower": lower,
            "upper": upper,
            "quantile": float(np.mean(values < at)),
            "z": (at - float(values.mean())) / sd if sd > 0 else np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _model(fit: MixtureFit) -> Any:
    """What makes two fits ones of the same model, whichever of its names they have."""
    names = fit.feature_names
    return fit.spec.n_components, fit.spec.noise, fit.spec.synonyms(len(names)), names


def _matching(point: MixtureFit, posterior: MixtureFit) -> Any:
    """Order of the point's components in which they match the posterior's."""
    flat = posterior.parameters.flat()
    # Against each of some draws, and the commonest answer: no mean over draws is needed.
    some = flat[np.linspace(0, len(flat.weights) - 1, min(100, len(flat.weights))).astype(int)]
    groups = exchangeable(posterior.spec, posterior.observations)
    back = np.argsort(to_pivot(some, point.parameters[0, 0], groups=groups).permutation, axis=-1)
    found, counts = np.unique(back, axis=0, return_counts=True)
    return found[np.argmax(counts)]


def _free(dataset: Any, spec: MixtureSpec) -> dict[str, Any]:
    """Arrays of the parameters that a table lists, by name; draws stay as they are."""
    features = [str(name) for name in dataset["feature"].values]
    rows: dict[str, Any] = {}
    for k in dataset["component"].values:
        rows[f"weights[{k}]"] = dataset["weights"].sel(component=k).values
    if spec.noise:
        rows["noise_weight"] = dataset["noise_weight"].values
    for name in ("means", "scales"):
        for k in dataset["component"].values:
            for j, feature in enumerate(features):
                values = dataset[name].sel(component=k).isel(feature=j).values
                rows[f"{name}[{k}, {feature}]"] = values
    if spec.structure.matrices:
        for k in dataset["component"].values:
            for j, b in enumerate(features):
                for i, a in enumerate(features[:j]):
                    values = dataset["correlations"].sel(component=k)
                    rows[f"correlations[{k}, {a}, {b}]"] = values.isel(
                        feature=i, feature_bis=j
                    ).values
    return rows
