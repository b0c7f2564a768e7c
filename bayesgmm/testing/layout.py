"""What a fit holds: its groups, names and coordinates, and numbers that belong together."""

from __future__ import annotations

import numpy as np

from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.methods import EM, Chains
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.result.status import Status
from bayesgmm.testing import by_scipy
from bayesgmm.testing.expectations import (
    Broken,
    Skipped,
    close,
    finite,
    holds,
    identical,
    same,
)
from bayesgmm.testing.subject import Subject, matching, require_ok

_FIRST = ("chain", "draw")
_EACH = (*_FIRST, "component")
#: Share of draws at least in which a component is nearest to its own average.
_AS_LABELLED = 0.9
_SQUARE = (*_EACH, "feature", "feature_bis")


def layout(subject: Subject) -> None:
    """Groups, dimensions and attributes are those of every fit, with as many draws as asked."""
    fit, spec, rows = subject.fit, subject.spec, subject.rows
    groups = {"posterior", "sample_stats", "observed_data", "log_likelihood", "fit"}
    holds(
        groups <= set(fit.tree.children),
        f"no group {', '.join(sorted(groups - set(fit.tree.children)))}.",
    )
    posterior = fit.tree["posterior"].to_dataset()
    dims = {
        "weights": _EACH,
        "means": (*_EACH, "feature"),
        "scales": (*_EACH, "feature"),
        "correlations": _SQUARE,
        "covariances": _SQUARE,
        **({"noise_weight": _FIRST} if spec.noise else {}),
    }
    same("variables of the posterior", sorted(map(str, posterior.data_vars)), sorted(dims))
    for name, wanted in dims.items():
        same(f"dimensions of {name}", posterior[name].dims, wanted)
    same("components", posterior.sizes["component"], spec.n_components)
    if isinstance(subject.method, Chains):
        same("chains", posterior.sizes["chain"], subject.method.chains)
    same("number of draws", np.prod(fit.parameters.batch_shape), max(1, subject.method.n_draws))
    same("dimensions of log_likelihood/x", fit.tree["log_likelihood/x"].dims, (*_FIRST, "obs"))
    lp = fit.statistics["lp"]
    same("dimensions of sample_stats/lp", lp.dims, _FIRST)
    same("shape of sample_stats/lp", lp.shape, posterior["weights"].shape[:2])
    same("method", fit.method, subject.method.name)
    same("spec in the tree", MixtureSpec.from_json(fit.tree.attrs["spec"]), spec)
    same("n_parameters", fit.n_parameters, spec.n_parameters(rows.n_features))
    same("n_rows", fit.fact("n_rows"), rows.n_rows)


def names_and_coordinates(subject: Subject) -> None:
    """Features, rows, chains and draws have their own names and numbers."""
    fit, rows = subject.fit, subject.rows
    posterior = fit.tree["posterior"].to_dataset()
    same("feature_names", fit.feature_names, rows.names)
    for name in ("feature", "feature_bis"):
        same(name, tuple(map(str, posterior[name].values)), rows.names)
    for name in ("chain", "draw", "component"):
        identical(name, posterior[name].values, np.arange(posterior.sizes[name]))
    observed = fit.tree["observed_data/x"]
    identical("observed_data/x", observed.values, rows.values)
    for there in (observed, fit.tree["log_likelihood/x"], fit.predict_proba()):
        identical("the labels of rows", there["obs"].values, rows.index)


def status(subject: Subject) -> str:
    """The fit says how it ended; of easy data, that it converged."""
    fit = subject.fit
    holds(isinstance(fit.status, Status), f"the status {fit.status!r}.")
    holds(str(fit.status) in repr(fit), "a printed fit without its status.")
    require_ok(subject, fit)
    return str(fit.status)


def labels(subject: Subject) -> str:
    """Components have one order in all draws, which is that of the means of the first feature."""
    fit, k = subject.fit, subject.spec.n_components
    if len(set(LogPosterior(subject.spec, subject.rows).groups)) > 1:
        raise Skipped("Something other than their order tells components apart.")
    require_ok(subject, fit)
    means = fit.parameters.means.reshape(-1, k, subject.rows.n_features)
    average = means.mean(axis=0)
    steps = np.diff(average[:, 0])
    holds(
        (steps >= 0).all(), f"means of the first feature that fall by {-steps.min(initial=0):.3g}."
    )
    unit = np.nanstd(subject.rows.values, axis=0)
    own = [matching(mean[None, None] / unit, average[None, None] / unit) for mean in means]
    share = float(np.mean([each == list(range(k)) for each in own]))
    holds(share >= _AS_LABELLED, f"another order in {1 - share:.0%} of the draws.")
    return f"in {share:.0%} of the draws"


def finite_numbers(subject: Subject) -> None:
    """Every number of every draw is finite."""
    for group in ("posterior", "log_likelihood"):
        for name, variable in subject.fit.tree[group].to_dataset().data_vars.items():
            finite(f"{group}/{name}", variable.values)
    finite("sample_stats/lp", subject.fit.statistics["lp"].values)
    finite("log_likelihood", subject.fit.log_likelihood)


def weights(subject: Subject) -> None:
    """Weights are not negative and sum to one, with that of noise."""
    posterior = subject.fit.tree["posterior"].to_dataset()
    found = posterior["weights"].values
    total = found.sum(axis=-1)
    if subject.spec.noise:
        total = total + posterior["noise_weight"].values
    holds((found >= 0).all(), f"a weight of {found.min():.3g}.")
    close("the sum of weights", total, np.ones_like(total), atol=1e-9)


def covariances(subject: Subject) -> None:
    """Covariances are scales times correlations, and of the structure of the spec."""
    posterior = subject.fit.tree["posterior"].to_dataset()
    scales, r, found = (posterior[n].values for n in ("scales", "correlations", "covariances"))
    made = scales[..., None] * r * scales[..., None, :]
    close("covariances", found, made, rtol=1e-9, atol=1e-12 * float(np.abs(made).max()))
    close("the diagonal of correlations", np.diagonal(r, axis1=-2, axis2=-1), 1.0, atol=1e-9)
    holds((np.linalg.eigvalsh(r) > 0).all(), "correlations that are not positive definite.")
    structure = subject.spec.structure
    if structure.shared:
        close("covariances that all share", found, found[:, :, :1] + 0 * found, rtol=1e-9)
    if not structure.matrices:
        close("correlations", r, np.eye(r.shape[-1]) + 0 * r, atol=1e-12)
    if structure.round:
        close("scales of a circle", scales, scales[..., :1] + 0 * scales, rtol=1e-9)


def log_likelihood(subject: Subject) -> None:
    """The log-likelihood of each row is that of the parameters, by SciPy as well."""
    fit, rows = subject.fit, subject.rows
    pointwise = fit.tree["log_likelihood"].to_dataset()["x"].values
    close("log_likelihood/x", pointwise, fit.parameters.log_density(rows), rtol=1e-9, atol=1e-9)
    own = np.ones(rows.n_rows) if rows.row_weights is None else rows.row_weights
    close("log_likelihood", fit.log_likelihood, float((pointwise @ own).mean()), rtol=1e-9)
    plain = rows.views.errors is None and rows.views.allowed is None and rows.views.labels is None
    if plain and rows.views.selection is None and not subject.spec.noise:
        by = by_scipy.log_likelihood(fit.parameters[0, -1], rows.values)
        close("the log-likelihood of the last draw", pointwise[0, -1].sum(), by, rtol=1e-9)


def log_density(subject: Subject) -> str:
    """``sample_stats/lp`` is the log density of each draw: of a point what was maximised."""
    fit, method = subject.fit, subject.method
    if getattr(method, "engine", "bayesgmm") != "bayesgmm":
        raise Skipped("The engine has coordinates of its own.")
    flat, lp = fit.parameters.flat(), fit.statistics["lp"].values.ravel()
    prior = not isinstance(method, EM)
    gaps = []
    for priors in [prior] if subject.draws else [prior, not prior]:
        density = LogPosterior(subject.spec, subject.rows, jacobian=subject.draws, prior=priors)
        values = density.values(density.unconstrain(flat))
        try:
            return f"to {close('sample_stats/lp', lp, values, rtol=1e-7, atol=1e-6):.0e}"
        except Broken as found:
            gaps.append(found)
            if type(method).__module__ == "bayesgmm.methods":  # of which we know what it maximises
                break
    raise gaps[0]
