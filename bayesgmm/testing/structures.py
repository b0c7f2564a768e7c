"""``check_structure``: a structure's coordinates, densities and updates belong together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import stats

from bayesgmm.data.observations import Observations
from bayesgmm.inference.fitting import fitted
from bayesgmm.inference.maximum.floor import variance_floor
from bayesgmm.inference.maximum.m_step import m_step
from bayesgmm.methods import EM, MAP
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import COVARIANCE
from bayesgmm.model.structure import Covariance
from bayesgmm.options import generator, whole
from bayesgmm.testing import by_scipy
from bayesgmm.testing.case import Case, differences, free_entries
from bayesgmm.testing.expectations import Skipped, close, holds, same
from bayesgmm.testing.outcome import Conformance, carried_out, chosen
from bayesgmm.testing.subject import Affine

#: Probability of a false alarm of what is compared to a distribution.
_CHANCE = 1e-9


def number_of_parameters(case: Case) -> str:
    """There are as many coordinates as parameters, and none that says what others say."""
    density = case.density()
    size = case.spec.n_parameters(case.d)
    same("length of theta", density.size, size)
    free = differences(lambda theta: free_entries(case, density, theta), case.theta[0])
    same("free entries of the parameters", len(free), size)
    same("rank of the map", int(np.linalg.matrix_rank(free, tol=1e-6)), size)
    return f"{size} of K={case.k}, D={case.d}"


def round_trip(case: Case) -> str:
    """theta is the theta of its mixture."""
    density = case.density()
    back = density.unconstrain(case.mixtures)
    gap = close("unconstrain(constrain(theta))", back, case.theta, atol=1e-8)
    framed = density.framed(case.mixtures[1])
    again = framed.constrain(framed.unconstrain(case.mixtures))
    close("covariances by way of another frame", again.covariances, case.mixtures.covariances,
          rtol=1e-8, atol=1e-9 * float(case.mixtures.covariances.max()))  # fmt: skip
    return f"to {gap:.0e}"


def factors(case: Case) -> None:
    """Factors are those of their covariances, and scales that differ those of all."""
    structure, p = case.structure, case.mixtures
    kept = structure.to_factors(case.density().scaling.factors_there(p.scale_tril))
    same("shape of the factors", kept.shape[1:], structure.factor_shape(case.k, case.d))
    there = case.density().scaling.factors_there(p.scale_tril)
    close("to_tril(to_factors(tril))", structure.to_tril(kept, case.k), there, atol=1e-10)
    scales = np.sqrt((there**2).sum(axis=-1))
    distinct = structure.to_distinct(scales)
    close("scales from the distinct", structure.from_distinct(distinct, case.k, case.d), scales,
          rtol=1e-9)  # fmt: skip
    same("owners", structure.owners(case.k), 1 if structure.shared else case.k)
    n = structure.owners(case.k) * structure.entries(case.d)
    same("n_entries", structure.n_entries(case.k, case.d), n)
    same("own_entries", structure.own_entries(case.d) * structure.shared, 0)


def restricted(case: Case) -> None:
    """A covariance is restricted once for all, to one of its trace, and its own are as they are."""
    root = generator(case.seed).normal(size=(case.d, 2 * case.d))
    any_one = root @ root.T
    once = case.structure.restricted(any_one)
    close("restricted twice", case.structure.restricted(once), once, rtol=1e-12, atol=1e-14)
    close("the trace", np.trace(once), np.trace(any_one), rtol=1e-12)
    holds((np.linalg.eigvalsh(once) > 0).all(), "a covariance that is not positive definite.")
    unit = case.density().scale
    for own in case.mixtures[0].covariances / np.outer(unit, unit):
        close("its own, restricted", case.structure.restricted(own), own, rtol=1e-9, atol=1e-12)


def gradient(case: Case) -> None:
    """The gradient is that of central differences, with a Jacobian, without, and without priors."""
    for jacobian, prior in ((True, True), (False, True), (False, False)):
        density = case.density(jacobian=jacobian, prior=prior)
        for each in (density, density.framed(case.mixtures[1])):
            _, slope = each.value_and_grad(case.theta[0])
            by = differences(each.value, case.theta[0])
            close("the gradient", slope, by, rtol=1e-6, atol=1e-6 * float(np.abs(slope).max()))


def log_density(case: Case) -> None:
    """The log density is SciPy's, likelihood and priors with every constant."""
    alone, whole = case.density(prior=False), case.density(jacobian=False)
    for i, theta in enumerate(case.theta):
        p = case.mixtures[i]
        likelihood = by_scipy.log_likelihood(p, case.rows.values)
        close("the log-likelihood", alone.value(theta), likelihood, rtol=1e-10)
        prior = by_scipy.log_prior(case.spec, p, whole.scale, whole.scaling.center)
        close("the log prior", whole.value(theta) - alone.value(theta), prior, rtol=1e-9, atol=1e-9)


def jacobian(case: Case) -> None:
    """The Jacobian is the determinant of the map from theta to (w, mu, sigma, R)."""
    whole, flat = case.density(), case.density(jacobian=False)
    for theta in case.theta[:2]:
        by = differences(lambda at: free_entries(case, whole, at), theta, 1e-6)
        found = whole.value(theta) - flat.value(theta)
        close("the log Jacobian", found, np.linalg.slogdet(by)[1], atol=1e-5)


def order_of_labels(case: Case) -> None:
    """theta with its components in another order is that of the mixture so ordered."""
    density, order = case.density(), np.roll(np.arange(case.k), 1)
    moved = density.constrain(density.relabelled(case.theta, order))
    wanted = case.mixtures.permute(order)
    for name in ("weights", "means", "covariances"):
        close(name, getattr(moved, name), getattr(wanted, name), rtol=1e-9, atol=1e-9)
    values = density.values(density.relabelled(case.theta, order))
    close("the log density", values, density.values(case.theta), rtol=1e-10)


def updates(case: Case) -> str:
    """No M-step lowers the objective, from places at random: of likelihood, and with priors."""
    least, none = np.inf, np.zeros(case.d)
    rng = generator(case.seed + 2)
    for prior in (False, True):
        density = case.density(jacobian=False, prior=prior)
        floor = variance_floor(density)
        for theta in rng.normal(size=(8, density.size)):
            point = density.standardise(density.constrain(theta))
            here = density.at(point)
            for _ in range(3):
                point = m_step(here.statistics, here.form, density.prior, none, floor, point)
                there = density.at(point)
                gain = there.value - here.value
                holds(
                    gain >= -1e-9 * abs(here.value),
                    f"an objective lowered from {here.value!r} to {there.value!r}"
                    f"{' with priors' * prior}.",
                )
                least, here = min(least, gain), there
    return f"gains of {least:.1e} or more"


def monotone_likelihood(case: Case) -> None:
    """EM climbs, step by step, and its end is of the structure."""
    for method in (EM, MAP):
        fit = fitted(case.spec, case.rows, method(accelerate=False, max_iter=60, tol=1e-12),
                     start=case.mixtures[0])  # fmt: skip
        trace = fit.facts["objective_trace"].values
        holds((np.diff(trace) >= -1e-9 * np.abs(trace[:-1])).all(), "an iteration that fell.")
        p, unit = fit.parameters[0, 0], case.density().scale
        for own in p.covariances / np.outer(unit, unit):
            close("a covariance of the end", case.structure.restricted(own), own, rtol=1e-9,
                  atol=1e-9)  # fmt: skip
        if case.structure.shared:
            close("covariances", p.covariances, p.covariances[:1] + 0 * p.covariances, rtol=1e-9)


def own_group(case: Case) -> str:
    """Units, zeros, orders of features, and turns that leave the structure, leave what it says."""
    d, structure = case.d, case.structure
    unit = np.full(d, 30.0) if structure.round else np.geomspace(2e-3, 30, d)
    turn = np.linalg.qr(generator(3).normal(size=(d, d)))[0]
    ways = {
        "units": Affine(np.diag(unit), 5 * unit),
        "order of features": Affine(np.eye(d)[np.roll(np.arange(d), 1)], np.zeros(d)),
        **({"turn": Affine(turn, turn[0])} if structure.matrices or structure.round else {}),
    }
    for name, way in ways.items():
        rows = Observations(way.of_rows(case.rows.values), resolution=0)
        # Priors are of features, so that what is turned keeps them where it is a circle alone.
        prior = name != "turn" or structure.round
        one = case.density(prior=prior, jacobian=False)
        other = case.density(rows, prior=prior, jacobian=False)
        moved = way.of_mixture(case.mixtures)
        theta = other.unconstrain(moved)
        back = other.constrain(theta).covariances
        close(f"covariances after {name}", back, moved.covariances, rtol=1e-7,
              atol=1e-9 * float(np.abs(moved.covariances).max()))  # fmt: skip
        shift = way.log_jacobian(case.rows.seen_weight)
        close(f"the log density after {name}", other.values(theta) + shift,
              one.values(case.theta), rtol=1e-8)  # fmt: skip
    return ", ".join(ways)


def rows_seen_in_part(case: Case) -> None:
    """Rows with holes have the density of what was seen, and a row of nothing says nothing."""
    x = case.rows.values
    alone = case.density(prior=False)
    blank = Observations(np.vstack([x, np.full(case.d, np.nan)]), missing="marginal", resolution=0)
    value, slope = alone.value_and_grad(case.theta[0])
    other, by_views = case.density(blank, prior=False).value_and_grad(case.theta[0])
    close("the log-likelihood beside a row of nothing", other, value, rtol=1e-11)
    close("its gradient", by_views, slope, rtol=1e-9, atol=1e-9 * float(np.abs(slope).max()))
    if case.d == 1:
        return
    gone = np.where(generator(case.seed).random(x.shape) < 0.25, np.nan, x)
    holed = case.density(Observations(gone, missing="marginal", resolution=0), prior=False)
    p = holed.constrain(case.theta[1])
    wanted = by_scipy.log_likelihood(p, gone)
    close("the log-likelihood", holed.value(case.theta[1]), wanted, rtol=1e-10)
    slope = holed.value_and_grad(case.theta[1])[1]
    by = differences(holed.value, case.theta[1])
    close("the gradient", slope, by, rtol=1e-6, atol=1e-6 * float(np.abs(slope).max()))


def recovery(case: Case) -> str:
    """Of rows that it simulates, EM finds the parameters, within their errors by the curvature."""
    truth = case.mixtures[0]
    apart = 6.0 * case.density().scale * np.arange(case.k)[:, None]
    truth = MixtureParameters(truth.weights, truth.means + apart, truth.scale_tril)
    x, _ = truth.simulate(3000, seed=case.seed)
    rows = Observations(x, resolution=0)
    fit = fitted(case.spec, rows, EM(), start=truth)
    if not fit.status.ok:
        raise Skipped(f"The fit is {str(fit.status)!r}.")
    density = case.density(rows, prior=False)
    top, at = density.unconstrain(fit.parameters[0, 0]), density.unconstrain(truth)
    curvature = -differences(lambda theta: density.value_and_grad(theta)[1], top)
    distance = float((top - at) @ curvature @ (top - at))
    low, high = stats.chi2(density.size).ppf([_CHANCE, 1 - _CHANCE])
    holds(
        low <= distance <= high,
        f"a squared distance of {distance:.4g} standard errors, where {density.size} is expected "
        f"and {low:.2g} to {high:.3g} are allowed.",
    )
    return f"{distance:.0f} where {density.size} is expected"


CHECKS = (
    number_of_parameters, round_trip, factors, restricted, gradient, log_density, jacobian,
    order_of_labels, updates, monotone_likelihood, own_group, rows_seen_in_part, recovery,
)  # fmt: skip


def check_structure(
    covariance: Covariance,
    *,
    n_components: int = 2,
    n_features: int = 3,
    seed: int = 1,
    only: Iterable[str] | None = None,
) -> Conformance:
    """Check that a covariance structure's coordinates, densities and updates belong together.

    Coordinates lead to mixtures and back, as many as there are parameters; gradient and Jacobian
    are those of differences, log densities SciPy's; no M-step lowers an objective; what the
    structure does not see (units, orders of features, turns of ellipses and circles) changes
    nothing; rows seen in part have the density of what was seen; and of rows that are simulated
    EM finds the parameters again.

    Parameters
    ----------
    covariance : str
        A name of :class:`MixtureSpec`'s.
    n_components, n_features : int, default 2 and 3
    seed : int, default 1
    only : names of checks, optional
        These alone.

    Returns
    -------
    Conformance
        The checks that were made: name, promise, outcome, seconds, and what was said.

    Raises
    ------
    ConformanceError
        If a check failed; it lists all that did.  It is an AssertionError.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> found = bg.testing.check_structure("diag", only=["number of parameters", "jacobian"])
    >>> [check.outcome for check in found], found["number of parameters"].said
    (['passed', 'passed'], '13 of K=2, D=3')
    """
    name = COVARIANCE("covariance", covariance)
    few = whole(1, 8)
    case = Case(
        name, few("n_components", n_components), few("n_features", n_features),
        whole(0)("seed", seed),
    )  # fmt: skip
    return carried_out(f"Covariance {name!r}", chosen(CHECKS, only), case)
