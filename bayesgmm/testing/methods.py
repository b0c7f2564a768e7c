"""``check_method``: every promise that a fit makes, whatever method made it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bayesgmm.data.observations import Observations
from bayesgmm.methods import METHODS, Method
from bayesgmm.model.spec import SPEC, MixtureSpec
from bayesgmm.options import TRUTH, instance, one_of, optional, whole
from bayesgmm.testing import layout, posterior, questions, symmetries
from bayesgmm.testing.outcome import Conformance, carried_out, chosen
from bayesgmm.testing.subject import Subject, easy_rows, of_few

CHECKS = (
    layout.layout, layout.names_and_coordinates, layout.status, layout.labels,
    layout.finite_numbers, layout.weights, layout.covariances, layout.log_likelihood,
    layout.log_density,
    questions.memberships, questions.memberships_with_noise, questions.predictive_density,
    questions.order_of_components, questions.save_and_load, questions.generate,
    symmetries.same_seed, symmetries.other_seed, symmetries.threads,
    symmetries.order_of_rows, symmetries.order_of_labels, symmetries.rows_by_blocks,
    symmetries.weights_of_rows, symmetries.units, symmetries.order_of_features,
    symmetries.rotation,
    posterior.monotone_likelihood, posterior.stationary, posterior.known_answer,
    posterior.slopes_of_draws,
)  # fmt: skip

_METHOD = instance("a method's name or such an object", Method)


def check_method(
    method: str | Method,
    *,
    spec: MixtureSpec | None = None,
    data: Any = None,
    seed: int = 1,
    exact: bool | None = None,
    only: Iterable[str] | None = None,
) -> Conformance:
    """Check a method of fitting against every promise that a fit makes.

    It is laid out like any fit, with numbers that belong together; it is saved, loaded, asked
    and drawn from; the same seed gives the same fit, on any number of threads; the same data
    written otherwise (other units, turned, in another order, weighted, read by blocks) give
    the same fit, or what follows from how they were written; a point is a maximum, and draws
    are of the posterior, whose moments are known by integration where rows are few.

    A point is compared to a tolerance.  Draws are compared one by one where the same seed gives
    the same up to rounding, and otherwise by their means, which may be 6 standard errors apart.

    Parameters
    ----------
    method : str or Method
        By name with few draws and starts; an object such as ``bg.NUTS(draws=500)`` as it is.
    spec : MixtureSpec, optional
        Two components with full covariances by default.
    data : anything that Observations takes, optional
        Rows in memory.  By default 90 of two components, in two features.
    seed : int, default 1
    exact : bool, optional
        True: draws of the same rows in other units, in another order, weighted or by blocks must
        be the same one by one.  By default, and if False, they may be.  It concerns draws alone.
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
    >>> found = bg.testing.check_method("em", only=["weights", "memberships", "units"])
    >>> [check.outcome for check in found]
    ['passed', 'passed', 'passed']
    """
    if isinstance(method, str):
        own = of_few(METHODS[one_of(*METHODS)("method", method)])
    else:
        own = _METHOD("method", method)
    spec = MixtureSpec(2) if spec is None else SPEC("spec", spec)
    rows = easy_rows() if data is None else data
    if not isinstance(rows, Observations):
        rows = Observations(rows)
    subject = Subject(
        own, spec, rows, whole(0)("seed", seed), optional(TRUTH)("exact", exact), data is None
    )
    return carried_out(f"{own!r} of {spec.label}", chosen(CHECKS, only), subject)
