"""The model as numbers: the priors' hyperparameters and constants, what recording adds to a
covariance, and the log density of a scale.

The compiled density reads one :class:`PriorTerms`; whatever the units in which the
priors were given, it holds them on the scale on which the density works.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED, MATRIX, VECTOR
from bayesgmm.data.observations import Observations
from bayesgmm.errors import SpecError
from bayesgmm.model.priors import GAMMA, HALF_NORMAL, LOG_NORMAL, ScalePrior
from bayesgmm.model.spec import MixtureSpec

#: Standard deviations from the data beyond which a prior of means is a slip in its unit.
_FARTHEST = 1e5


class PriorTerms(NamedTuple):
    """The priors' numbers on the standardised scale, as compiled code reads them."""

    active: bool  # False: no prior at all, for maximum likelihood
    jacobian: bool  # whether the density is over theta, or over (w, mu, sigma, R)
    weights: NDArray[np.float64]  # (M,) of the components, and of noise if there is any
    mean_location: NDArray[np.float64]  # (D,)
    mean_scale: NDArray[np.float64]  # (D,)
    family: int
    scale_a: NDArray[np.float64]  # (D,)
    scale_b: NDArray[np.float64]  # (D,)
    marginals: bool  # correlations have uniform marginals; otherwise LKJ
    eta: float
    constant: float  # everything in the log prior that does not depend on theta
    recorded: NDArray[np.float64]  # (D,) variance of recording, on top of every Sigma
    frame: NDArray[np.float64]  # (D, D) of the coordinates of factors

    @classmethod
    def of(
        cls, spec: MixtureSpec, observations: Observations, *, active: bool, jacobian: bool
    ) -> PriorTerms:
        """The priors of ``spec`` on the standardised scale of ``observations``."""
        k, d, priors = spec.n_components, observations.n_features, spec.priors
        alpha = np.array(np.broadcast_to(priors.weights, k), dtype=float)
        if spec.noise:
            alpha = np.append(alpha, priors.noise)
        location = _per_feature("mean_location", priors.mean_location, d)
        spread = _per_feature("mean_scale", priors.mean_scale, d)
        families: list[ScalePrior] = [priors.scales] * d
        scaling = observations.scaling(spec.covariance)
        if priors.units == "data":
            location = scaling.there(location)
            spread = spread / scaling.unit
            families = [priors.scales.rescaled(u) for u in scaling.unit]
        if active:
            _refuse_far(location, spread, families)
        pairs = np.array([family.hyperparameters() for family in families])
        terms = cls(
            active,
            jacobian,
            alpha,
            location,
            spread,
            priors.scales.code,
            np.ascontiguousarray(pairs[:, 0]),
            np.ascontiguousarray(pairs[:, 1]),
            priors.correlations == "uniform",
            priors.eta(d),
            0.0,
            observations.recorded_variance(spec.covariance) * active,
            np.eye(d),
        )
        return terms._replace(constant=_constant(terms, spec, d))


#: Its type in compiled code.
PRIOR_TERMS = types.NamedTuple(
    [
        types.boolean, types.boolean, VECTOR, VECTOR, VECTOR, types.int64, VECTOR, VECTOR,
        types.boolean, types.float64, types.float64, VECTOR, MATRIX,
    ],
    PriorTerms,
)  # fmt: skip


def _per_feature(name: str, value: float | tuple[float, ...], d: int) -> NDArray[np.float64]:
    if isinstance(value, tuple) and len(value) != d:
        raise SpecError(
            f"Priors.{name} has {len(value)} entries but the data have {d} features; give one "
            "number, or one per feature."
        )
    return np.array(np.broadcast_to(value, d), dtype=float)


def _refuse_far(
    location: NDArray[np.float64], spread: NDArray[np.float64], families: list[ScalePrior]
) -> None:
    """Refuse priors so far from the data that their product is nothing but rounding."""
    scales = {f"{type(f).__name__}.{f.in_unit}": getattr(f, f.in_unit) for f in families}
    for name, values in (("Priors.mean_scale", spread), *scales.items()):
        wrong = [value for value in np.ravel(values) if not 1e-12 <= value <= 1e12]
        if wrong:
            raise SpecError(
                f"{name} is {wrong[0]:.3g} where the data have standard deviation 1; give one "
                "from 1e-12 to 1e12 there.",
                name=name,
            )
    away = np.abs(location) / np.maximum(spread, 1.0)
    if away.max() > _FARTHEST:
        raise SpecError(
            f"The prior of the means is centred {away.max():.3g} standard deviations from the "
            "data; give a Priors.mean_location nearer to them, or a larger mean_scale.",
            name="Priors.mean_location",
        )


def _constant(terms: PriorTerms, spec: MixtureSpec, d: int) -> float:
    """Log of the normalising constants of all the priors."""
    from scipy.special import gammaln

    k, alpha = spec.n_components, terms.weights
    total = gammaln(alpha.sum()) - gammaln(alpha).sum()
    if terms.jacobian:
        total += 0.5 * np.log(len(alpha))  # volume of the log-ratio map, see docs/mathematics.md
    total -= k * (np.log(terms.mean_scale).sum() + 0.5 * d * np.log(2 * np.pi))
    a, b = terms.scale_a, terms.scale_b
    if terms.family == LOG_NORMAL:
        each = -np.log(b) - 0.5 * np.log(2 * np.pi)
    elif terms.family == HALF_NORMAL:
        each = 0.5 * np.log(2 / np.pi) - np.log(a)
    else:  # gamma and inverse gamma share theirs
        each = a * np.log(b) - gammaln(a)
    owners = spec.structure.owners(k)
    total += owners * (each[0] if spec.structure.round else each.sum())
    if spec.structure.matrices:
        total += owners * (
            log_uniform_marginals_constant(d) if terms.marginals else log_lkj_constant(terms.eta, d)
        )
    return float(total)


def log_uniform_marginals_constant(d: int) -> float:
    """Log normalising constant of the correlations of an inverse Wishart with D + 1 degrees.

    The scales are integrated out of its density; docs/mathematics.md derives it.
    """
    from scipy.special import gammaln, multigammaln

    nu = d + 1.0
    return float(d * gammaln(nu / 2) - multigammaln(nu / 2, d))


def log_lkj_constant(eta: float, d: int) -> float:
    """Log normalising constant of the LKJ density over D x D correlation matrices.

    From the onion construction of Lewandowski, Kurowicka and Joe (2009).
    """
    from scipy.special import gammaln

    m = np.arange(1, d)
    return float(
        -np.sum(
            0.5 * m * np.log(np.pi)
            + gammaln(eta + 0.5 * (d - 1 - m))
            - gammaln(eta + 0.5 * (d - 1))
        )
    )


@njit(**COMPILED)
def scale_log_prior(family, a, b, sigma):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Log prior of a scale without its constant, and its slope in log sigma."""
    if family == LOG_NORMAL:
        t = (np.log(sigma) - a) / b
        return -np.log(sigma) - 0.5 * t * t, -1.0 - t / b
    if family == HALF_NORMAL:
        t = sigma / a
        return -0.5 * t * t, -t * t
    if family == GAMMA:
        return (a - 1.0) * np.log(sigma) - b * sigma, a - 1.0 - b * sigma
    return -(a + 1.0) * np.log(sigma) - b / sigma, b / sigma - (a + 1.0)
