"""The bootstrap likelihood-ratio test: is a larger mixture needed, or just larger?

Twice the difference of two mixtures' log-likelihoods has no chi-squared distribution
under the smaller one, whose parameters lie at the edge of the larger's.  So its
distribution is simulated: data from the smaller fit, recorded as the data were, both models
fitted again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesgmm.analysis.checks.replicated_data import (
    before_recording,
    recorded,
    refuse_unknown_noise,
)
from bayesgmm.compiled.threads import available_cores, thread_map
from bayesgmm.data.observations import Observations
from bayesgmm.errors import BayesGMMError, FitError
from bayesgmm.expectation.rows import cores_of_one_pass
from bayesgmm.inference.fitting import fitted
from bayesgmm.interrupts import whole_imports
from bayesgmm.methods import EM
from bayesgmm.options import COUNT, LIMIT, PROGRESS, Progress, seed_sequence
from bayesgmm.result.fit import MixtureFit, require_fit


@dataclass(frozen=True)
class BootstrapTest:
    """What :func:`bootstrap_test` found.

    Attributes
    ----------
    smaller, larger : str
        Labels of the models.
    statistic : float
        Twice the difference of log-likelihoods.
    p_value : float
        Of the smaller model: the share of simulated statistics that reach this one.
    se : float
        Monte Carlo standard error of ``p_value``.
    replicates : tuple of float
        The simulated statistics.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()[:60]
    >>> one, two = (bg.fit(bg.MixtureSpec(k), X, method="em", seed=1) for k in (1, 2))
    >>> found = bg.bootstrap_test(one, two, max_replicates=9, seed=1)
    >>> found.smaller, found.larger, found.statistic > 20
    ('K=1, full', 'K=2, full', True)
    """

    smaller: str
    larger: str
    statistic: float
    p_value: float
    se: float
    replicates: tuple[float, ...]

    def __str__(self) -> str:
        return (
            f"{self.larger} against {self.smaller}: twice the difference of log-likelihoods is "
            f"{self.statistic:.2f}, reached by data from {self.smaller} with probability "
            f"{self.p_value:.3f} ± {self.se:.3f} ({len(self.replicates)} replicates)."
        )


#: The search on each replicate.
_QUICK = EM(n_starts=12, n_best=3, rounds=2)


@whole_imports
def bootstrap_test(
    smaller: MixtureFit,
    larger: MixtureFit,
    *,
    max_replicates: int = 199,
    exceedances: int = 10,
    seed: Any = None,
    cores: int | None = None,
    progress: Progress | None = None,
) -> BootstrapTest:
    """Test the smaller of two mixtures against the larger by simulation.

    Parameters
    ----------
    smaller, larger : MixtureFit
        By maximum likelihood (``method="em"``), of the same data, fewer components first.
    max_replicates : int, default 199
    exceedances : int, default 10
        The simulation ends as soon as so many replicates reach the statistic: what is
        far from significant costs little (Besag and Clifford 1991).
    seed : int, SeedSequence or Generator, optional
        The same seed gives the same replicates on any number of threads.
    cores : int, optional
        Replicates are fitted side by side.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    BootstrapTest

    Raises
    ------
    FitError
        For fits by another method, of different data, steps or weighted rows, for noise whose
        density was given row by row, and where the second does not have more parameters than
        the first.

    References
    ----------
    McLachlan (1987), On bootstrapping the likelihood ratio test statistic for the number
    of components in a normal mixture, Applied Statistics 36.
    Besag and Clifford (1991), Sequential Monte Carlo p-values, Biometrika 78.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()
    >>> one, two = (bg.fit(bg.MixtureSpec(k), X, method="em", seed=1) for k in (1, 2))
    >>> bg.bootstrap_test(one, two, max_replicates=19, seed=1).p_value
    0.05
    """
    smaller, larger = (require_fit(fit, "bootstrap_test") for fit in (smaller, larger))
    max_replicates = COUNT("max_replicates", max_replicates)
    exceedances, progress = LIMIT("exceedances", exceedances), PROGRESS("progress", progress)
    root, cores = seed_sequence(seed), available_cores(cores)
    _refuse(smaller, larger)
    observed = 2 * (larger.log_likelihood - smaller.log_likelihood)
    rows, n = smaller.observations, smaller.observations.n_rows
    before = before_recording(smaller.parameters[0, 0], rows.resolution)
    seeds = root.spawn(max_replicates)
    inner = cores_of_one_pass(n, cores)

    def one(own: np.random.SeedSequence) -> float:
        x = recorded(before.simulate(n, seed=own)[0], rows.resolution, rows.matrix[0])
        key = int(own.generate_state(1)[0])
        values = []
        for model in (smaller, larger):
            box = model.noise_box
            if box is not None:  # which has to hold the rows of components as well
                box = np.stack(
                    [np.minimum(box[0], x.min(axis=0)), np.maximum(box[1], x.max(axis=0))]
                )
            try:
                again = fitted(
                    model.spec,
                    Observations(x, names=rows.names, resolution=rows.resolution, background=box),
                    _QUICK,
                    seed=key,
                    cores=inner,
                )
            except BayesGMMError:  # a replicate on which a model has no fit says nothing
                return float("nan")
            values.append(again.log_likelihood)
        return 2 * (values[1] - values[0])

    found: list[float] = []
    reached = 0
    # One goes first, alone: packages that load themselves lazily cannot do so on two threads.
    batches = [seeds[:1], *(seeds[i : i + cores] for i in range(1, max_replicates, cores))]
    done = 0
    for batch in batches:
        for value in thread_map(one, batch, 1 if inner > 1 else cores):
            if reached < exceedances and np.isfinite(value):
                found.append(value)
                reached += value >= observed
        done += len(batch)
        if progress is not None:
            progress("bootstrap", done, max_replicates)
        if reached >= exceedances:
            break
    if not found:
        raise FitError("No replicate could be fitted; test a smaller model.")
    stopped = reached >= exceedances
    p = reached / len(found) if stopped else (reached + 1) / (len(found) + 1)
    return BootstrapTest(
        smaller.spec.label,
        larger.spec.label,
        observed,
        p,
        float(np.sqrt(p * (1 - p) / len(found))),
        tuple(found),
    )


def _refuse(smaller: MixtureFit, larger: MixtureFit) -> None:
    for model in (smaller, larger):
        if model.method != "em":
            raise FitError(
                f"The test is of maximum likelihood, and a fit is by {model.method}; use "
                "method='em'."
            )
        if model.observations.row_weights is not None:
            raise FitError("The test simulates rows, so it takes no row weights.")
        if model.observations.has_holes:
            raise FitError("The test simulates complete rows, and some values are missing.")
        if not model.observations.views.as_they_are:
            raise FitError(
                "The test simulates rows without errors of measurement, known labels or a "
                "selection; fit without these."
            )
        refuse_unknown_noise(model, "The test")
    if not np.array_equal(smaller.observations.values, larger.observations.values):
        raise FitError("The two fits are of different data; fit both to the same.")
    if not np.array_equal(smaller.observations.resolution, larger.observations.resolution):
        raise FitError("The two fits take their data as recorded to other steps; give both alike.")
    if larger.n_parameters <= smaller.n_parameters:
        raise FitError("The second fit is not the larger; give that of fewer parameters first.")
