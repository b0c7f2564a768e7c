"""Several estimates of one log evidence, as one number and what is to be known of it.

Each method has a blindness of its own: bridge sampling believes the chains, and a mode that
they missed is not in it; importance sampling looks at the modes for itself, and fails where
no normals cover the posterior.  Where they agree both are right, or wrong in the same way,
which is less likely; where they do not, the error that either states is too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from bayesgmm.inference.sampling.laplace import K_HAT_LIMIT

#: Combined errors by which two estimates may differ.
_ALLOWED = 3.0
_LEAST_ERROR = 1e-12  # a weight needs one


class Estimate(NamedTuple):
    """One method's opinion of a log evidence."""

    method: str
    value: float
    se: float
    pareto_k: float = float("nan")  # of importance sampling; above 0.7 ``se`` is too small

    @property
    def trusted(self) -> bool:
        """Whether its error means what it says."""
        return bool(np.isfinite([self.value, self.se]).all()) and not self.pareto_k > K_HAT_LIMIT

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.se:.2f} by {self.method}"


class Evidence(NamedTuple):
    """A log marginal likelihood, in the data's units; made by :func:`bayesgmm.log_evidence`.

    Attributes
    ----------
    value : float
    se : float
        Monte Carlo standard error of ``value``.
    method : str
        By what it was computed.
    pareto_k : float
        k-hat of importance sampling; above 0.7 its error is too small.
    note : str
        What to know of the value; empty where two methods agree, or one was asked for.
    estimates : tuple
        That of each method by itself.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()[:60]
    >>> fit = bg.fit(bg.MixtureSpec(1), X, method="laplace", seed=1)
    >>> found = bg.log_evidence(fit, seed=1)
    >>> found.value < 0, found.se < 0.5
    (True, True)
    """

    value: float
    se: float
    method: str
    pareto_k: float = float("nan")
    note: str = ""
    estimates: tuple[Estimate, ...] = ()


def combined(estimates: Sequence[Estimate], label: str) -> Evidence:
    """One value of several estimates, the first of which is always there.

    Those that can be trusted are averaged, each counted by the inverse of its squared error,
    and the error of the mean grows by as much as they scatter more than their errors allow
    (the ratio of Birge 1932).  Where two differ by more than three combined errors, it is
    the middle of all, with an error that covers all.
    """
    trusted = [each for each in estimates if each.trusted] or [estimates[0]]
    values = np.array([each.value for each in trusted])
    errors = np.maximum([each.se for each in trusted], _LEAST_ERROR)
    weights = errors**-2 / np.sum(errors**-2)
    value = float(weights @ values)
    scatter = np.sum(((values - value) / errors) ** 2) / max(len(trusted) - 1, 1)
    error = float(np.sum(errors**-2) ** -0.5 * max(1.0, np.sqrt(scatter)))
    note = ""
    if len(trusted) == 1:
        note = _unchecked(trusted[0], [each for each in estimates if not each.trusted], label)
    elif any(
        abs(one.value - other.value) > _ALLOWED * np.hypot(one.se, other.se)
        for one, other in combinations(trusted, 2)
    ):
        value = float(values.max() + values.min()) / 2
        error = float(np.hypot((values.max() - values.min()) / 2, errors.max()))
        note = (
            f"Estimates of the log evidence of {label} differ, {', '.join(map(str, trusted))}: "
            "their middle is taken, with an error that covers them, and as the chains may have "
            "missed a mode, draw more."
        )
    pareto_k = next((e.pareto_k for e in estimates if not np.isnan(e.pareto_k)), float("nan"))
    return Evidence(value, error, "combined", pareto_k, note, tuple(estimates))


def _unchecked(only: Estimate, others: Sequence[Estimate], label: str) -> str:
    why = "; ".join(
        f"{each.method}'s Pareto k-hat is {each.pareto_k:.2f}, above {K_HAT_LIMIT}"
        if np.isfinite(each.pareto_k)
        else f"{each.method} found nothing"
        for each in others
    )
    return (
        f"The log evidence of {label} rests on {only.method} alone ({why}); use method='smc' for a "
        "second estimate."
    )
