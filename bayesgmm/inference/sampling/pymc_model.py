"""The same spec as a PyMC model, for users to sample, extend and check against.

Everything is in the data's units: the priors of the standardised scale are
carried over, which changes no probability.  The mixture is marginal over
memberships, through ``pm.CustomDist``, so that pointwise log-likelihood and
prior and posterior prediction work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.triangular import scale_correlation
from bayesgmm.data.collinear import refuse_collinear
from bayesgmm.data.observations import Observations
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.density.prior_terms import PriorTerms
from bayesgmm.errors import SpecError
from bayesgmm.interrupts import whole_imports
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.priors import GAMMA, HALF_NORMAL, LOG_NORMAL
from bayesgmm.model.spec import SPEC, MixtureSpec
from bayesgmm.model.structure import Structure

#: PyMC's value variable of a Cholesky factor must have a name without underscore,
#: or ``compute_log_likelihood`` does not find its dimensions (PyMC 6.4).
_CORRELATION = "corrchol"


@whole_imports
def to_pymc(spec: MixtureSpec, data: Any) -> Any:
    """An idiomatic ``pymc.Model`` of a spec and data.

    Variables are ``weights`` (component), ``means`` (component, feature),
    ``scales`` (component, feature; feature alone for ``tied``, component alone for
    ``spherical``), and for ``full`` and ``tied`` with more than one feature
    ``corrchol``, Cholesky factors of correlation matrices under an LKJ prior; the
    observed variable is ``x`` (obs, feature).  Values that were not seen stand in it as the
    mean of their feature, and have no part in its density; known labels and row weights have.

    Parameters
    ----------
    spec : MixtureSpec
    data : anything that Observations takes

    Returns
    -------
    pymc.Model
        Its posterior is the one that ``fit(..., method="nuts")`` samples.

    Raises
    ------
    DataError, SpecError
        As :func:`bayesgmm.fit`; errors of measurement, noise and a selection, which the default
        engine has, are refused.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> model = bg.to_pymc(bg.MixtureSpec(n_components=2), bg.datasets.galaxies())
    >>> [variable.name for variable in model.free_RVs]
    ['weights', 'means', 'scales']
    """
    import pymc as pm

    spec = SPEC("spec", spec)
    observations = data if isinstance(data, Observations) else Observations(data)
    observations.require(
        spec.n_components, spec.covariance, likelihood_only=False, noise=spec.noise
    )
    refuse_collinear(observations, spec.covariance)
    views = observations.views
    for what, given in (
        ("errors of measurement", views.errors is not None),
        ("a selection", views.selection is not None),
        ("noise", spec.noise),
    ):
        if given:
            raise SpecError(
                f"The PyMC model does not know {what}; use the default engine, 'bayesgmm'."
            )
    k, d = spec.n_components, observations.n_features
    prior = PriorTerms.of(spec, observations, active=True, jacobian=False)
    center, unit = observations.scaling(spec.covariance)
    coords = {
        "obs": observations.index,
        "component": np.arange(k),
        "feature": list(observations.names),
    }
    with pm.Model(coords=coords) as model:
        weights = pm.Dirichlet("weights", a=prior.weights, dims="component")
        means = pm.Normal(
            "means",
            mu=center + unit * prior.mean_location,
            sigma=unit * prior.mean_scale,
            dims=("component", "feature"),
        )
        scales = _scales(spec, prior, unit)
        factors = _factors(spec, k, d, scales, prior.recorded * unit**2)
        pm.CustomDist(
            "x",
            weights,
            means,
            factors,
            logp=_log_density_of(spec, observations),
            random=_simulator_of(spec.structure, d),
            signature=f"(k),(k,d),{_FACTOR_SIGNATURE[_kind(spec.structure, d)]}->(d)",
            observed=np.where(np.isnan(observations.values), center, observations.values),
            dims=("obs", "feature"),
        )
    return model


_FACTOR_SIGNATURE = {"matrices": "(k,d,d)", "matrix": "(d,d)", "scales": "(k,d)"}


def _kind(structure: Structure, d: int) -> str:
    """How the factors reach the likelihood; one feature has no correlations."""
    if d == 1 or not structure.matrices:
        return "scales"
    return "matrix" if structure.shared else "matrices"


def _scales(spec: MixtureSpec, prior: PriorTerms, unit: NDArray[np.float64]) -> Any:
    import pymc as pm

    shared, own = spec.structure.shared, not spec.structure.round
    dims = (not shared) * ("component",) + own * ("feature",)
    a, b = prior.scale_a, prior.scale_b
    if not own:
        a, b, unit = a[0], b[0], unit[0]
    if prior.family == LOG_NORMAL:
        return pm.LogNormal("scales", mu=a + np.log(unit), sigma=b, dims=dims)
    if prior.family == HALF_NORMAL:
        return pm.HalfNormal("scales", sigma=a * unit, dims=dims)
    if prior.family == GAMMA:
        return pm.Gamma("scales", alpha=a, beta=b / unit, dims=dims)
    return pm.InverseGamma("scales", alpha=a, beta=b * unit, dims=dims)


def _factors(spec: MixtureSpec, k: int, d: int, scales: Any, recorded: NDArray[np.float64]) -> Any:
    """Factors of T = Sigma + S, the covariances of what is recorded."""
    import pymc as pm
    import pytensor.tensor as pt

    kind = _kind(spec.structure, d)
    if kind == "scales":
        rows = scales[..., None] if spec.structure.round else scales
        rows = rows[None] if spec.structure.shared else rows
        if recorded.any():
            rows = pt.sqrt(rows**2 + recorded)
        return pt.broadcast_to(rows, (k, d))
    shape = (k, d, d) if kind == "matrices" else (d, d)
    factor = pm.LKJCorr(
        _CORRELATION,
        n=d,
        eta=spec.priors.eta(d),
        shape=shape,
        default_transform=_transform(d),
    )
    if spec.priors.correlations == "uniform":
        pm.Potential("uniform_marginals", _log_uniform_marginals(factor))
    tril = scales[..., None] * factor
    if not recorded.any():
        return tril
    return pt.linalg.cholesky(tril @ tril.mT + np.diag(recorded))


def _log_uniform_marginals(factor: Any) -> Any:
    """What their density has beside that of eta = 1, without its constant."""
    import pytensor.tensor as pt

    d = factor.type.shape[-1]
    inverse = pt.linalg.solve_triangular(factor, pt.eye(d), lower=True)
    log_determinant = 2 * pt.log(pt.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)
    log_inverse = pt.log((inverse**2).sum(axis=-2)).sum(axis=-1)
    return (-(d + 1) * (log_determinant + 0.5 * log_inverse)).sum()


def _transform(d: int) -> Any:
    """PyMC's own transform under a name that its log-likelihood machinery can split."""
    from pymc.distributions.transforms import CholeskyCorrTransform

    class CorrelationFactor(CholeskyCorrTransform):
        name = "cholesky"

    return CorrelationFactor(n=d, upper=False)


def _log_density_of(spec: MixtureSpec, observations: Observations) -> Any:
    """The log density of rows, seen as these were."""
    row_weights = observations.row_weights
    kind = _kind(spec.structure, observations.n_features)
    allowed = observations.views.allowed_of(spec.n_components, noise=False)
    patterns, view = np.unique(np.isnan(observations.values), axis=0, return_inverse=True)
    place = np.argsort(np.argsort(view.ravel(), kind="stable"))  # in rows sorted by pattern

    def log_density(x: Any, weights: Any, means: Any, factors: Any) -> Any:
        import pytensor.tensor as pt

        weights, means = _last(weights, 1), _last(means, 2)
        factors = _last(factors, 2 if kind != "matrices" else 3)
        logits = pt.log(weights)[:, None]
        if len(patterns) == 1:
            logits = logits + _logits(x, means, factors, kind)
        else:
            parts = [
                _of_seen(x[np.flatnonzero(view.ravel() == v)], means, factors, ~pattern, kind)
                for v, pattern in enumerate(patterns)
            ]
            logits = logits + pt.concatenate(parts, axis=1)[:, place]
        if allowed is not None:
            logits = logits + np.where(allowed.T, 0.0, -np.inf)
        rows = pt.logsumexp(logits, axis=0)
        return rows if row_weights is None else rows * row_weights

    return log_density


def _of_seen(x: Any, means: Any, factors: Any, seen: NDArray[np.bool_], kind: str) -> Any:
    """:func:`_logits` of rows of which these features (D,) were seen."""
    import pytensor.tensor as pt

    if seen.all():
        return _logits(x, means, factors, kind)
    if not seen.any():
        return pt.zeros((means.shape[0], x.shape[0]))
    own = np.flatnonzero(seen)
    if kind == "scales":
        return _logits(x[:, own], means[:, own], factors[:, own], kind)
    rows = factors[..., own, :]
    return _logits(x[:, own], means[:, own], pt.linalg.cholesky(rows @ rows.mT), kind)


def _logits(x: Any, means: Any, factors: Any, kind: str) -> Any:
    """Log densities (K, N) of rows under each component."""
    import pytensor.tensor as pt

    constant = -0.5 * np.log(2 * np.pi) * x.shape[1]
    if kind == "scales":
        white = (x[None] - means[:, None, :]) / factors[:, None, :]
        log_volume = pt.log(factors).sum(axis=-1)
    else:
        whiten = pt.linalg.solve_triangular(factors, pt.eye(x.shape[1]), lower=True)
        log_volume = pt.log(pt.diagonal(factors, axis1=-2, axis2=-1)).sum(axis=-1)
        if kind == "matrix":
            white = (x @ whiten.T)[None] - (means @ whiten.T)[:, None]
            log_volume = log_volume[None]
        else:
            shift = (whiten @ means[:, :, None])[:, :, 0]
            white = x[None] @ whiten.mT - shift[:, None, :]
    return constant - log_volume[:, None] - 0.5 * (white**2).sum(axis=-1)


def _last(value: Any, ndim: int) -> Any:
    """Drop the leading dimensions of length one that ``observed`` brings."""
    while value.ndim > ndim:
        value = value[0]
    return value


def _simulator_of(structure: Structure, d: int) -> Any:
    kind = _kind(structure, d)

    def simulate(
        weights: NDArray[np.float64],
        means: NDArray[np.float64],
        factors: NDArray[np.float64],
        rng: np.random.Generator | None = None,
        size: Any = None,
    ) -> NDArray[np.float64]:
        rng = np.random.default_rng() if rng is None else rng
        weights = weights.reshape(-1, weights.shape[-1])[0]
        means = means.reshape(-1, *means.shape[-2:])[0]
        count = 2 if kind != "matrices" else 3
        factors = factors.reshape(-1, *factors.shape[-count:])[0]
        if kind == "scales":
            factors = factors[:, :, None] * np.eye(d)
        factors = np.broadcast_to(factors, (len(weights), d, d))
        size = () if size is None else tuple(int(n) for n in np.atleast_1d(size))
        mixture = MixtureParameters(weights, means, factors)
        x, _ = mixture.simulate(int(np.prod(size)) if size else 1, seed=rng)
        return x.reshape(*size, d)

    return simulate


def initial_values(
    spec: MixtureSpec, parameters: MixtureParameters, observations: Observations
) -> dict[str, NDArray[np.float64]]:
    """Values of the model's variables at one mixture, for ``initvals``.

    They are of Sigma, where the mixture's covariances are those of what is recorded.
    """
    density = LogPosterior(spec, observations)
    factors = density.standardise(parameters)[2]
    structure = spec.structure
    tril = density.scaling.factors_back(structure.to_tril(factors, spec.n_components))
    scales, factor = scale_correlation(tril)
    values = {"weights": parameters.weights, "means": parameters.means}
    values["scales"] = structure.to_distinct(scales)
    if _kind(structure, parameters.n_features) != "scales":
        values[_CORRELATION] = factor[0] if structure.shared else factor
    return values


def parameters_of(
    spec: MixtureSpec, posterior: Any, observations: Observations
) -> MixtureParameters:
    """The draws of the PyMC model's posterior group as mixture parameters."""
    weights, means = posterior["weights"].values, posterior["means"].values
    scales = spec.structure.from_distinct(posterior["scales"].values, *means.shape[-2:])
    d = means.shape[-1]
    factor: NDArray[np.float64] = np.eye(d)
    if _CORRELATION in posterior:
        factor = posterior[_CORRELATION].values
        factor = factor[..., None, :, :] if spec.structure.shared else factor
    tril = scales[..., None] * factor
    unit = observations.scale_for(spec.covariance)
    recorded = observations.recorded_variance(spec.covariance) * unit**2
    if recorded.any():
        tril = np.linalg.cholesky(tril @ np.swapaxes(tril, -1, -2) + np.diag(recorded))
    return MixtureParameters(weights, means, np.broadcast_to(tril, (*means.shape, d)))
