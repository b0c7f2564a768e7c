"""Every public entry as a function of one hostile input, with quick settings.

Each returns what has to be finite; what may be NaN is said with it, by the words of its
documentation.  Three sorts: what takes data, what asks a good fit of hostile rows, and what asks
a fit of hostile data for anything.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

import bayesgmm as bg
from bayesgmm.interface import cli
from tests.fuzz.strategies import Case, Input

SEARCH = {"n_starts": 3, "n_best": 1, "rounds": 0, "max_iter": 200}
CHAINS = {"draws": 10, "tune": 10, "chains": 2}
QUICK = {
    "em": SEARCH,
    "map": SEARCH,
    "laplace": {"draws": 60},
    "nuts": CHAINS,
    "tempering": CHAINS,
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One public entry: how it is called, and what is documented of it."""

    name: str
    call: Callable[[Case, Input], Any]
    #: Where NaN is documented: a pattern of the path within what is returned.
    nan: str = r"$^"
    #: Where infinity is documented.
    infinite: str = r"$^"
    #: Errors that are documented beside the package's own.
    raises: tuple[type[Exception], ...] = ()
    #: Warnings that are documented beside FitWarning.
    warns: tuple[type[Warning], ...] = ()
    #: Text of other warnings that are documented.
    warned: str = "converting a masked element to nan"  # NumPy's, of what is refused then
    #: Whether ``make test`` has time for one example of it only.
    slow: bool = False
    #: What it loads that changes the process, which has to be there before Hypothesis starts.
    loads: str = ""
    #: Limits of the cases.
    most: dict[str, int] = dataclasses.field(default_factory=dict)


ENTRIES: dict[str, Entry] = {}


def entry(name: str, **documented: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register an entry."""

    def put(call: Callable[[Case, Input], Any]) -> Callable[[Case, Input], Any]:
        ENTRIES[name] = Entry(name, call, **documented)
        return call

    return put


# What has to be finite -------------------------------------------------------


def numbers(found: Any, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Every array of floats within an answer, with the way to it."""
    if isinstance(found, bg.MixtureFit):
        yield from numbers(found.tree, f"{path}.tree")
    elif isinstance(found, xr.DataTree):
        for node in found.subtree:
            yield from numbers(node.to_dataset(inherit=False), f"{path}{node.path}")
    elif isinstance(found, xr.Dataset):
        for name, value in found.data_vars.items():
            yield from numbers(value.values, f"{path}/{name}")
    elif isinstance(found, xr.DataArray):
        yield from numbers(found.values, f"{path}/{found.name}")
    elif isinstance(found, pd.DataFrame):
        for position, name in enumerate(found.columns):
            yield from numbers(found.iloc[:, position].to_numpy(), f"{path}[{name}]")
    elif isinstance(found, pd.Series):
        yield from numbers(found.to_numpy(), path)
    elif isinstance(found, dict):
        for name, value in found.items():
            yield from numbers(value, f"{path}[{name}]")
    elif hasattr(found, "_asdict"):
        yield from numbers(found._asdict(), path)
    elif isinstance(found, (list, tuple)):
        for position, value in enumerate(found):
            yield from numbers(value, f"{path}[{position}]")
    elif isinstance(found, (np.ndarray, np.generic, float, int)):
        array = np.asarray(found)
        if array.dtype.kind in "fc":
            yield path, array
    elif dataclasses.is_dataclass(found) and not isinstance(found, type):
        for name in [field.name for field in dataclasses.fields(found)]:
            yield from numbers(getattr(found, name), f"{path}.{name}")


def not_finite(entry: Entry, found: Any) -> list[str]:
    """What is NaN or infinite where the documentation does not say so."""
    wrong = []
    for path, array in numbers(found):
        if np.isnan(array).any() and not re.search(entry.nan, path):
            wrong.append(f"{path} has NaN")
        if np.isinf(array).any() and not re.search(entry.infinite, path):
            wrong.append(f"{path} has infinity")
    return wrong


def sums_to_one(memberships: Any) -> Any:
    """Memberships, that are probabilities."""
    values = np.asarray(memberships)
    assert (values >= 0).all() and (values <= 1).all(), "memberships beyond 0 and 1"
    np.testing.assert_allclose(values.sum(axis=-1), 1, atol=1e-9, err_msg="memberships")
    return memberships


# Fits ------------------------------------------------------------------------


def spec_of(case: Case, given: Input, covariance: str | None = None) -> bg.MixtureSpec:
    return bg.MixtureSpec(case.k, covariance or case.covariance, noise=given.noise)


def fitted(case: Case, given: Input, method: str = "em") -> bg.MixtureFit:
    """A fit to what is hostile."""
    return bg.fit(spec_of(case, given), given.given, method=method, seed=1, **QUICK[method])


@functools.cache
def good(d: int, method: str = "laplace", k: int = 2) -> bg.MixtureFit:
    """A fit to data without fault, with features x0, x1, ..."""
    rng = np.random.default_rng(d)
    x = rng.normal(size=(80, d)) + 6 * (np.arange(80) % 2)[:, None]
    return bg.fit(bg.MixtureSpec(k, "diag"), x, method=method, seed=1, **QUICK[method])


def asked(fit: bg.MixtureFit) -> Any:
    """A fit, and what everybody asks of it."""
    parameters = fit.parameters
    assert (parameters.weights >= 0).all() and repr(fit) and fit._repr_html_()
    rows = fit.observations
    return {
        "fit": fit,
        "log_likelihood": fit.log_likelihood,
        "covariances": parameters.covariances,
        "correlations": parameters.correlations,
        "memberships": sums_to_one(fit.predict_proba()),
        "score": fit.score_samples(),
        "far": fit.score_samples(np.full((2, rows.n_features), 1e5)),
        "generated": fit.generate(3, seed=1),
    }


#: Limits of cases where a posterior is explored, which takes the longer the more modes it has.
FEW = {"most_rows": 30, "most_features": 2, "most_components": 2}
#: Of chains so short: R-hat and sample sizes of fewer than eight draws, k-hat without a tail.
SHORT = r"r_hat|ess|pareto_k|k_hat|mcse|weight_ess"
#: What was not seen is NaN where the data are kept.
UNSEEN = r"observed_data|\.values|\.matrix"
#: Bounds that are not there are infinite, and so is a background density of zero.
NO_BOUND = r"selection|background"

for _method in QUICK:

    def _fit(case: Case, given: Input, method: str = _method) -> Any:
        return asked(fitted(case, given, method))

    entry(
        f"fit {_method}",
        nan=f"{SHORT}|{UNSEEN}",
        infinite=NO_BOUND,
        slow=_method not in ("em", "map"),
        most={} if _method in ("em", "map") else FEW,
    )(_fit)


@entry("Observations", nan=rf"{UNSEEN}|^\[values\]", infinite=NO_BOUND)
def _(case: Case, given: Input) -> Any:
    rows = given.observations
    assert repr(rows)
    some = rows.sample(max(1, rows.n_rows // 2), seed=1)
    chosen = rows.select(rows.names[-1:])
    again = bg.Observations(rows)
    assert again.names == rows.names and next(rows.blocks()).n_rows == rows.n_rows
    found = [
        (
            each.values, each.center, each.feature_scale, each.total_weight, each.typical_weight,
            each.seen_weight, each.resolution, each.row_weights, each.recorded(),
            each.scale_for("full"), each.scale_for("spherical"),
            each.recorded_variance(case.covariance), vars(each.views),
        )
        for each in (rows, some, chosen, again)
    ]  # fmt: skip
    return {"values": dict(enumerate(found))} if rows.has_holes else found


@entry("Observations.require")
def _(case: Case, given: Input) -> Any:
    given.observations.require(
        case.k, case.covariance, likelihood_only=bool(case.seed % 2), noise=given.noise
    )


@entry("LogPosterior")
def _(case: Case, given: Input) -> Any:
    density = bg.LogPosterior(spec_of(case, given), given.given)
    rng = np.random.default_rng(case.seed)
    theta = rng.normal(size=density.size)
    parameters = density.constrain(theta)
    return (
        density.value_and_grad(theta), parameters, density.unconstrain(parameters),
        density.values(np.stack([theta, 0 * theta])),
    )  # fmt: skip


@entry("LogPosterior.value_and_grad", infinite=r"", nan=r"\[1\]")  # of a theta too far out
def _(case: Case, given: Input) -> Any:
    density = bg.LogPosterior(good(2).spec, good(2).observations)
    theta = given.data
    if isinstance(theta, np.ndarray) and theta.dtype.kind == "f" and case.seed % 4:
        theta = np.resize(theta.ravel(), density.size)
    return density.value_and_grad(theta)


@entry("LogPosterior.constrain")
def _(case: Case, given: Input) -> Any:
    density = bg.LogPosterior(good(2).spec, good(2).observations)
    theta = given.data
    if isinstance(theta, np.ndarray) and theta.dtype.kind == "f" and case.seed % 4:
        theta = np.resize(theta.ravel(), density.size)
    return density.constrain(theta)


@entry("prior_predictive", most={"most_rows": 30, "most_features": 3})
def _(case: Case, given: Input) -> Any:
    return bg.prior_predictive(
        spec_of(case, given), given.given, draws=5, by_feature=bool(case.seed % 2), seed=1
    )["prior"]


@entry("to_pymc", slow=True, loads="pymc", most=FEW)
def _(case: Case, given: Input) -> Any:
    model = bg.to_pymc(spec_of(case, given), given.given)
    return len(model.free_RVs)


@entry(
    "select",
    nan=rf"table\[|unsampled|{UNSEEN}",  # of models that were refused, and what was not asked for
    infinite=NO_BOUND,
    slow=True,
    most={"most_rows": 30, "most_components": 2},
)
def _(case: Case, given: Input) -> Any:
    found = bg.select(
        given.given, range(1, case.k + 1), [case.covariance], posteriors=0, seed=1, cores=1
    )
    assert repr(found) and found.verdict
    best = found.best
    assert np.isfinite(found.table["bic"][found.table["log_likelihood"].notna()]).all()
    return found, best


# Rows asked of a good fit ----------------------------------------------------


def _of_rows(name: str, ask: Callable[[bg.MixtureFit, Any], Any], **documented: Any) -> None:
    def call(case: Case, given: Input) -> Any:
        fit = good(case.d, "laplace" if case.seed % 2 else "em")
        return ask(fit, given.given)

    entry(f"MixtureFit.{name}", **documented)(call)


_of_rows("predict_proba", lambda fit, data: sums_to_one(fit.predict_proba(data)))
_of_rows("predict", lambda fit, data: fit.predict(data))
_of_rows("memberships", lambda fit, data: fit.memberships(data))
_of_rows("score_samples", lambda fit, data: fit.score_samples(data))
_of_rows("anomaly_score", lambda fit, data: fit.anomaly_score(data, points=128))
_of_rows("outliers", lambda fit, data: fit.outliers(data, rate=0.1, points=128))
_of_rows("impute", lambda fit, data: (fit.impute(data=data), fit.impute(2, data, seed=1)))
_of_rows("denoise", lambda fit, data: _denoised(fit, data))
_of_rows("regress", lambda fit, data: fit.regress("x0", data), nan="mode|lower|upper|probability")


def few_numbers(data: np.ndarray) -> list[int]:
    """One or two numbers of features, by and large."""
    numbers = (
        np.nan_to_num(np.abs(np.asarray(data).ravel()[:2]).clip(0, 99) * 7).clip(0, 99).astype(int)
        % 4
    )
    return list(dict.fromkeys(numbers.tolist()))


def _nested(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0


def first_row(data: Any) -> list[Any]:
    """The values of one row, or what is there in place of them."""
    for _ in range(2):
        if isinstance(data, (list, tuple)) or (isinstance(data, np.ndarray) and data.ndim):
            if not len(data) or not _nested(data[0]):
                return list(data)
            data = data[0]
    return [data]


@entry("MixtureFit.condition")
def _(case: Case, given: Input) -> Any:
    fit, data = good(3), given.data
    names = list(data.columns) if isinstance(data, pd.DataFrame) else ["x0", "x1"]
    found = fit.condition(dict(zip(names, first_row(data), strict=False)))
    return found.mean, found.covariance, found.effective_draws, found.generate(2, seed=1)


@entry("MixtureFit.marginal")
def _(case: Case, given: Input) -> Any:
    own = given.data.columns if isinstance(given.data, pd.DataFrame) else given.data
    names = given.options.get("names", own)
    if isinstance(names, np.ndarray) and names.dtype.kind == "f" and case.seed % 2:
        names = [f"x{i}" for i in few_numbers(names)]
    found = good(3).marginal(names)
    return found.mean, found.covariance


def _denoised(fit: bg.MixtureFit, data: Any) -> Any:
    if not isinstance(data, bg.Observations):
        data = bg.Observations(data, errors=0.5)
    return fit.denoise(data=data), fit.denoise(2, data, seed=1)


@entry("PredictiveDistribution.log_density")
def _(case: Case, given: Input) -> Any:
    return good(case.d).predictive.log_density(given.given)


@entry("PredictiveDistribution.cdf")
def _(case: Case, given: Input) -> Any:
    data = given.given
    if isinstance(data, np.ndarray) and data.ndim == 2:
        data = data[:, :1]
    return good(case.d).marginal("x0").cdf(data)


@entry("PredictiveDistribution.quantile")
def _(case: Case, given: Input) -> Any:
    q = given.data
    if isinstance(q, np.ndarray) and q.dtype.kind == "f" and case.seed % 2:
        q = 1 / (1 + np.exp(-np.clip(q.ravel().astype(float), -30, 30)))
    return good(case.d).marginal("x0").quantile(q)


@entry("HighestDensityRegion.contains")
def _(case: Case, given: Input) -> Any:
    return good(case.d).predictive.region(0.5, points=128).contains(given.given)


# Mixtures --------------------------------------------------------------------


def mixture_of(case: Case, given: Input) -> bg.MixtureParameters:
    """A mixture with these rows as its means."""
    data = given.data
    k = 1
    if _nested(data):
        k = len(data) if isinstance(data, (list, tuple)) else data.shape[0]
    d = case.d
    return bg.MixtureParameters(np.full(k, 1 / max(k, 1)), data, np.tile(np.eye(d), (k, 1, 1)))


@entry("MixtureParameters", most={"most_rows": 4})
def _(case: Case, given: Input) -> Any:
    mixture = mixture_of(case, given)
    x = np.zeros((2, mixture.n_features))
    return (
        mixture,
        mixture.log_density(x),
        mixture.log_likelihood(x),
        sums_to_one(mixture.memberships(x)),
        mixture.simulate(3, seed=1)[0],
        mixture.covariances,
        mixture.marginal([0]),
        mixture.condition({0: 0.0}) if mixture.n_features > 1 else None,
        mixture.permute(np.arange(mixture.n_components)[::-1]),
    )


@entry("MixtureParameters.from_covariances", most={"most_rows": 6})
def _(case: Case, given: Input) -> Any:
    data = given.data
    if type(data) is np.ndarray and data.dtype.kind == "f" and data.ndim == 2 and case.seed % 4:
        with np.errstate(all="ignore"):
            data = (data.T @ data)[None]
    d = data.shape[-1] if isinstance(data, np.ndarray) and data.ndim else 1
    mixture = bg.MixtureParameters.from_covariances([1.0], np.zeros((1, d)), data)
    return mixture, mixture.scales, mixture.log_density(np.zeros((1, d)))


@entry("MixtureParameters.log_density")
def _(case: Case, given: Input) -> Any:
    return good(case.d).parameters.log_density(given.given)


@entry("MixtureParameters.log_likelihood")
def _(case: Case, given: Input) -> Any:
    weights = given.options.get("row_weights")
    return good(case.d, "em").parameters.log_likelihood(given.data, weights)


@entry("MixtureParameters.memberships")
def _(case: Case, given: Input) -> Any:
    return sums_to_one(good(case.d, "em").parameters.memberships(given.given))


@entry("MixtureParameters.condition")
def _(case: Case, given: Input) -> Any:
    return good(3).parameters.condition(dict(enumerate(first_row(given.data)[:2])))


@entry("MixtureParameters.marginal")
def _(case: Case, given: Input) -> Any:
    data = given.data
    if isinstance(data, np.ndarray) and data.dtype.kind == "f" and case.seed % 2:
        data = few_numbers(data)
    return good(3).parameters.marginal(data)


@entry("MixtureParameters.permute")
def _(case: Case, given: Input) -> Any:
    data = given.data
    if isinstance(data, np.ndarray) and data.dtype.kind == "f" and case.seed % 2:
        data = np.argsort(data.ravel()[:2])
    return good(3, "em").parameters.permute(data)


# Fits of hostile data, and what is asked of them ------------------------------


def _of_fit(
    name: str, ask: Callable[..., Any], methods: tuple[str, ...] = ("em",), **documented: Any
) -> None:
    def call(case: Case, given: Input) -> Any:
        fit = fitted(case, given, methods[case.seed % len(methods)])
        return ask(fit)

    entry(name, **documented)(call)


BOTH = ("em", "em", "em", "laplace")  # the first are quick
SAMPLED = ("laplace",)

_of_fit("MixtureFit.generate", lambda fit: (
    fit.generate(5, seed=1), fit.generate(2, seed=1, draw="mean"), fit.generate(2, draw=0),
    fit.generate(2, frame="pandas"), [*fit.generate_chunks(5, chunk=2, seed=1)],
), BOTH, most=FEW)  # fmt: skip
_of_fit("MixtureFit.summary", lambda fit: str(fit.summary()), BOTH, slow=True, most=FEW)
_of_fit("MixtureFit.aic", lambda fit: (fit.aic(), fit.bic(), fit.icl(), bg.aicc(fit)),
        infinite=r"\[3\]")  # fmt: skip


def _of_own_rows(fit: bg.MixtureFit) -> Any:
    sums_to_one(fit.predict_proba())
    return (
        fit.memberships(), fit.predict(), fit.score_samples(), fit.anomaly_score(points=128),
        fit.outliers(rate=0.1, points=128), fit.impute(), fit.impute(2, seed=1),
        fit.denoise() if fit.observations.views.errors is not None else None,
    )  # fmt: skip


_of_fit("MixtureFit of its own rows", _of_own_rows, BOTH, most=FEW)


def _of_predictive(fit: bg.MixtureFit) -> Any:
    first, last = fit.feature_names[0], fit.feature_names[-1]
    line = fit.marginal(first)
    where = float(line.mean[0])
    found = [line.mean, line.covariance, line.cdf([where]), line.quantile([0.01, 0.5, 0.99]),
             line.region(0.5).intervals, fit.predictive.region(0.5, points=128).log_threshold,
             bg.credible_interval(fit.predictive, lambda d: d.mean)]  # fmt: skip
    if first != last:
        given = fit.condition({first: where})
        found += [given.mean, given.covariance, fit.regress(last, {first: [where]})["mean"]]
    return found


_of_fit("PredictiveDistribution", _of_predictive, BOTH, most=FEW)


def _saved(fit: bg.MixtureFit) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = fit.save(Path(folder) / f"fit.{'nc' if fit.spec.n_components % 2 else 'zarr'}")
        again = bg.load(path)
        np.testing.assert_array_equal(again.parameters.means, fit.parameters.means)
        assert again.feature_names == fit.feature_names
        np.testing.assert_array_equal(again.score_samples(), fit.score_samples())
        return again.log_likelihood


_of_fit("MixtureFit.save", _saved, BOTH, slow=True, most=FEW)
_of_fit("criteria", lambda fit: repr(bg.criteria(fit)), BOTH, most=FEW)  # fmt: skip
_of_fit("waic", lambda fit: bg.waic(fit), SAMPLED, most=FEW)
_of_fit("dic", lambda fit: bg.dic(fit), SAMPLED, most=FEW)
_of_fit("elpd_loo", lambda fit: bg.elpd_loo(fit), SAMPLED, nan="pareto_k", infinite="pareto_k",
        most=FEW)  # fmt: skip
_of_fit("wbic", lambda fit: bg.wbic(fit, draws=10, seed=1), BOTH, slow=True,
        most=FEW)  # fmt: skip
_of_fit("diagnose", lambda fit: (repr(bg.diagnose(fit)), bg.diagnose(fit).ambiguous), BOTH,
        most=FEW)  # fmt: skip
_of_fit("compare", lambda fit: repr(bg.compare({"a": fit, "b": fit})), BOTH, most=FEW)  # fmt: skip
_of_fit("draw_allocations", lambda fit: bg.draw_allocations(fit, max_draws=5, seed=1), BOTH)
_of_fit("occupied", lambda fit: bg.occupied(fit, max_draws=20, seed=1), BOTH)


def _partition(fit: bg.MixtureFit) -> Any:
    found = bg.partition(fit, max_draws=20, runs=2, seed=1)
    assert repr(found) and found.n_clusters >= 1
    ball = found.credible_ball
    return (found.labels, found.expected_loss, found.certainty, found.similarity(), ball.radius,
            ball.distance(found.labels), bg.compare_partitions(found, found))  # fmt: skip


_of_fit("partition of a fit", _partition, BOTH, slow=True, most=FEW)
_of_fit("merge_components", lambda fit: (
    repr(bg.merge_components(fit, max_draws=5)),
    repr(bg.merge_components(fit, by="entropy", max_draws=5)),
    bg.merge_components(fit, max_draws=5).memberships,
), BOTH, slow=True, most=FEW)  # fmt: skip
_of_fit("posterior_check", lambda fit: _checked(bg.posterior_check(
    fit, n_replicates=100, n_projections=2, max_draws=10, seed=1)), BOTH, slow=True, most=FEW,
    nan=r"statistics|pit|deviations|pareto_k", infinite="pareto_k")  # fmt: skip


def _checked(check: bg.PosteriorCheck) -> Any:
    assert repr(check) and check.verdict
    return check


_of_fit("two_sample_test", lambda fit: bg.two_sample_test(fit, classifier="neighbours", seed=1),
        BOTH, slow=True)  # fmt: skip
_of_fit("relabel", lambda fit: [
    bg.relabel(fit, method).parameters for method in ("pivot", "ecr", "stephens", "order")
], SAMPLED, most=FEW)  # fmt: skip
_of_fit("log_evidence", lambda fit: bg.log_evidence(bg.fit(
    fit.spec, fit.observations, method="laplace", draws=100, seed=1), seed=1), slow=True, most=FEW,
        nan="pareto_k|second|importance")  # fmt: skip
_of_fit("agreement", lambda fit: repr(bg.agreement(
    bg.fit(fit.spec, fit.observations, seed=1, **SEARCH), fit)), SAMPLED, most=FEW)  # fmt: skip
_of_fit("with_predictive", lambda fit: bg.with_predictive(fit, max_draws=5, seed=1)[
    "posterior_predictive"], BOTH, most=FEW)  # fmt: skip


@entry("bootstrap_test", slow=True, most={"most_rows": 30, "most_features": 2})
def _(case: Case, given: Input) -> Any:
    smaller = fitted(dataclasses.replace(case, k=1), given)
    larger = fitted(dataclasses.replace(case, k=2), given)
    return bg.bootstrap_test(smaller, larger, max_replicates=2, seed=1)


# Partitions of labels ---------------------------------------------------------


def labels_of(given: Input) -> Any:
    """Labels, a few draws of them, from what is there."""
    data = given.options.get("labels", given.data)
    if isinstance(data, np.ndarray) and data.dtype.kind == "f" and np.isfinite(data).all():
        with np.errstate(all="ignore"):
            return np.abs(np.nan_to_num(data.T)).clip(0, 3).astype(int)
    return data


@entry("partition", most={"most_rows": 20})
def _(case: Case, given: Input) -> Any:
    found = bg.partition(labels_of(given), runs=1, seed=1)
    return found.labels, found.expected_loss, found.certainty, found.similarity(), repr(found)


@entry("occupied of labels", most={"most_rows": 20})
def _(case: Case, given: Input) -> Any:
    return bg.occupied(labels_of(given))


@entry("compare_partitions", most={"most_rows": 20})
def _(case: Case, given: Input) -> Any:
    labels = labels_of(given)
    first = labels[0] if isinstance(labels, np.ndarray) and len(labels) else labels
    second = np.arange(case.n) % 3 if case.seed % 2 else first
    found = bg.compare_partitions(first, second)
    assert repr(found)
    return found.adjusted_rand, found.variation_of_information, found.binder


# scikit-learn -----------------------------------------------------------------

#: scikit-learn's estimators document ValueError and TypeError of input that is no table, and
#: their own warnings.
SKLEARN: dict[str, Any] = {
    "raises": (ValueError, TypeError),
    "warns": (ConvergenceWarning, DataConversionWarning),
    "warned": "feature names|sparse columns|masked element|encountered in cast",
}


def told(given: Input) -> dict[str, Any]:
    weights = given.options.get("row_weights")
    return {} if weights is None else {"sample_weight": weights}


def estimated(model: Any, X: Any) -> Any:
    """What an estimator answers of rows."""
    parts = (
        sums_to_one(model.predict_proba(X)), model.score_samples(X), model.predict(X),
        model.score(X),
    )  # fmt: skip
    return parts, model.aic(X) if hasattr(model, "aic") else None, model.sample(2)[0]


@entry("GaussianMixture", **SKLEARN)
def _(case: Case, given: Input) -> Any:
    names = ("full", "tied", "diag", "spherical")
    kind = case.covariance if case.covariance in names else "diag"
    inits = ("kmeans", "k-means++", "random", "random_from_data")
    model = bg.GaussianMixture(
        case.k, covariance_type=kind, random_state=0, init_params=inits[case.seed % 4]
    )
    model.fit(given.data, **told(given))
    return estimated(model, given.data), model.covariances_, model.precisions_, model.lower_bound_


@entry("GaussianMixture.partial_fit", **SKLEARN)
def _(case: Case, given: Input) -> Any:
    names = ("full", "tied", "diag", "spherical")
    kind = case.covariance if case.covariance in names else "diag"
    model = bg.GaussianMixture(case.k, covariance_type=kind, random_state=0)
    if case.seed % 2:
        model.partial_fit(np.random.default_rng(1).normal(size=(30, case.d)))
    model.partial_fit(given.data, **told(given))
    model.partial_fit(np.random.default_rng(2).normal(size=(30, case.d)))
    x = np.zeros((1, case.d))
    return model.means_, model.covariances_, sums_to_one(model.predict_proba(x))


@functools.cache
def good_estimator(d: int) -> bg.GaussianMixture:
    rows = good(d, "em").observations.values
    return bg.GaussianMixture(2, random_state=0).fit(rows)


@entry("GaussianMixture.predict", **SKLEARN)
def _(case: Case, given: Input) -> Any:
    return estimated(good_estimator(case.d), given.data)


@entry("MCMCGaussianMixture", slow=True, most=FEW, **SKLEARN)
def _(case: Case, given: Input) -> Any:
    model = bg.MCMCGaussianMixture(
        case.k, covariance_type=case.covariance, random_state=0, **CHAINS
    )
    model.fit(given.data, **told(given))
    return estimated(model, given.data)


@entry("GaussianMixtureClassifier", slow=True, most=FEW, **SKLEARN)
def _(case: Case, given: Input) -> Any:
    n = len(given.data) if hasattr(given.data, "__len__") else case.n
    y = given.options.get("labels", np.arange(n) % 2)
    model = bg.GaussianMixtureClassifier(
        min(case.k, 2),
        covariance=case.covariance,
        method=bg.MAP(**SEARCH) if case.seed % 2 else bg.EM(**SEARCH),
        random_state=0,
        missing=given.options.get("missing"),
    )
    model.fit(given.data, y, **told(given))
    found = sums_to_one(model.predict_proba(given.data)), model.score_samples(given.data)
    return found, model.predict(given.data), model.sample(2)[0]


@entry("bic_scorer", **SKLEARN)
def _(case: Case, given: Input) -> Any:
    return bg.bic_scorer(good_estimator(case.d), given.data)


# Pictures and words -----------------------------------------------------------


def drawn(plot: Callable[[bg.MixtureFit], Any]) -> Callable[[bg.MixtureFit], Any]:
    """A picture, drawn to its pixels and closed."""

    def call(fit: bg.MixtureFit) -> None:
        import matplotlib.pyplot as plt

        try:
            plot(fit)
            for number in plt.get_fignums():
                plt.figure(number).set_dpi(20)
                plt.figure(number).canvas.draw()
        finally:
            plt.close("all")

    return call


#: Matplotlib says so where a name is in a script that its font lacks, and draws boxes.
PICTURE: dict[str, Any] = {"slow": True, "most": FEW, "warned": "missing from font|masked element"}
_of_fit("plot_fit", drawn(bg.plot_fit), BOTH, **PICTURE)
_of_fit("plot_anomalies", drawn(bg.plot_anomalies), BOTH, **PICTURE)
_of_fit("plot_generated", drawn(bg.plot_generated), BOTH, **PICTURE)
_of_fit("plot_memberships", drawn(bg.plot_memberships), BOTH, **PICTURE)
_of_fit("plot_modes", drawn(bg.plot_modes), ("nuts",), **PICTURE)
_of_fit("plot_labels", drawn(bg.plot_labels), SAMPLED, **PICTURE)
_of_fit("plot_k_hat", drawn(bg.plot_k_hat), SAMPLED, **PICTURE)
_of_fit("plot_prior_posterior", drawn(lambda fit: bg.plot_prior_posterior(fit, n_draws=50)),
        SAMPLED, **PICTURE)  # fmt: skip
_of_fit("plot_conditional", drawn(lambda fit: bg.plot_conditional(
    fit, fit.feature_names[0], fit.feature_names[-1])), BOTH, **PICTURE)  # fmt: skip
_of_fit("plot_check", drawn(lambda fit: bg.plot_check(bg.posterior_check(
    fit, n_replicates=100, max_draws=10, seed=1))), BOTH, **PICTURE)  # fmt: skip
_of_fit("plot_similarity", drawn(lambda fit: bg.plot_similarity(bg.partition(
    fit, max_draws=10, runs=1, seed=1))), BOTH, **PICTURE)  # fmt: skip
_of_fit("report", lambda fit: bg.report(fit) and None, BOTH, **PICTURE)


# The command line -------------------------------------------------------------


def commanded(*arguments: str) -> tuple[int, str, str]:
    """The command as it is installed: exit code, output and errors."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["bayesgmm", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli.main()
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    finally:
        sys.argv = before
    return 0, out.getvalue(), err.getvalue()


def as_text(case: Case, given: Input) -> bytes:
    """A file of the input, sometimes broken in a way that only files are."""
    data = given.data
    if isinstance(data, np.ndarray) and data.dtype.names is None and data.ndim in (1, 2):
        data = pd.DataFrame(data)
    if not isinstance(data, (pd.DataFrame, pd.Series)):
        text = str(data)
    else:
        separator = (",", ";", "\t", "|", " ")[case.seed % 5]
        text = data.to_csv(index=bool(case.seed % 3 == 0), sep=separator,
                           header=bool(case.seed % 4))  # fmt: skip
    raw = text.encode("utf-8", errors="surrogatepass")
    rng = np.random.default_rng(case.seed)
    broken = case.seed % 10
    at = int(rng.integers(len(raw) + 1))
    if broken == 0:
        return raw[:at]
    if broken == 1:
        return raw[:at] + bytes(rng.integers(0, 256, 3, dtype=np.uint8)) + raw[at:]
    if broken == 2:
        return raw.replace(b"\n", b"\r\n" if case.k % 2 else b"\r")
    if broken == 3:
        return text.encode("utf-16", errors="surrogatepass")
    if broken == 4:
        return raw[:at] + (b'"', b"\n\n", b"\0", b"NA", b"#", b"1e999", b"\xff")[case.k] + raw[at:]
    return raw


def by_command(case: Case, given: Input, *arguments: str) -> None:
    """Run a command on a file; one sentence on standard error, or an answer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("data.csv", "data.tsv", "data.txt")[case.d % 3]
        path.write_bytes(as_text(case, given))
        code, out, err = commanded(*(a.replace("{}", str(path)) for a in arguments))
    assert code in (0, 2), (code, out, err)
    assert "Traceback" not in err and "please report" not in err, err
    if code == 2:  # in one sentence, or a list of what to mend with a command that goes on
        assert sum(line.startswith("Error: ") for line in err.splitlines()) == 1, err
        return
    assert "nan" not in out.lower().replace("nan-", ""), out


@functools.cache
def saved_good(d: int) -> str:
    folder = tempfile.mkdtemp()
    return str(good(d, "em").save(Path(folder) / "fit.nc"))


@entry("bayesgmm fit", slow=True)
def _(case: Case, given: Input) -> Any:
    missing = ("--missing", "--drop-na", "--ignore-text", "--seed=1")[case.n % 4]
    by_command(
        case, given, "fit", "{}", "-k", str(case.k), "-c", case.covariance, missing, "--json"
    )


@entry("bayesgmm select", slow=True, most={"most_rows": 30, "most_components": 2})
def _(case: Case, given: Input) -> Any:
    by_command(case, given, "select", "{}", "-k", str(case.k), "--covariances", case.covariance,
               "--posteriors", "0")  # fmt: skip


@entry("bayesgmm predict", slow=True)
def _(case: Case, given: Input) -> Any:
    by_command(case, given, "predict", saved_good(case.d), "{}", "--out", "-")


@entry("bayesgmm outliers", slow=True)
def _(case: Case, given: Input) -> Any:
    by_command(case, given, "outliers", saved_good(case.d), "{}")


@entry("bayesgmm impute", slow=True)
def _(case: Case, given: Input) -> Any:
    by_command(case, given, "impute", saved_good(case.d), "{}", "--out", "-")
