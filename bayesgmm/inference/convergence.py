"""Have the chains converged?  Asked first of what labels cannot fool, then of labels.

R-hat of a component's mean says little about a mixture: chains under different
labels disagree although all sample the posterior, and chains whose labels switch all
the time agree although each average is nonsense.  So the verdict rests on quantities
that no relabelling changes; the same of the relabelled parameters then says whether
components can be told apart.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.observations import Observations
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.result.status import Status

Array = NDArray[np.float64]

#: R-hat up to which chains agree, and up to which roughly (Vehtari and others 2021).
AGREE, ROUGHLY = 1.01, 1.05
#: R-hat up to which averages of four chains are off by less than a quarter of a standard
#: deviation, and above which by more than four tenths.
SLIGHTLY, GROSSLY = 1.1, 1.3
#: Fewer draws than this are too few to judge by: Vehtari and others (2021) ask for 100
#: effective ones in each of four chains.
FEW_DRAWS = 400
#: R-hat is itself noise of about this over the number of draws, at its largest of many.
_NOISE = 40.0
_POINTS = 8  # rows at which the density is followed


class Convergence(NamedTuple):
    """How a set of chains did; R-hat is NaN where there are too few draws for it."""

    r_hat: float  # largest over label-free quantities
    ess: float  # smallest bulk effective sample size over them
    label_r_hat: float  # largest over relabelled parameters
    label_ess: float
    ambiguous: float  # share of draws of which two labels could be exchanged
    n_components: int
    n_chains: int
    n_draws: int  # of all chains together

    def facts(self) -> dict[str, Any]:
        """What a fit keeps of it."""
        return {
            "r_hat": self.r_hat,
            "ess": self.ess,
            "label_r_hat": self.label_r_hat,
            "label_ess": self.label_ess,
            "ambiguous": self.ambiguous,
            "verdict": self.words(),
        }

    def words(self) -> str:
        """The verdict, for people."""
        if np.isnan(self.r_hat):
            return f"{self.n_draws} draws are too few to judge convergence by."
        if self.r_hat > self.limit():
            return self._how_far_off()
        if self.n_draws < FEW_DRAWS:
            return (
                f"{self.n_draws} draws are too few to judge convergence by; nothing speaks "
                f"against it (R-hat {self.r_hat:.2f})."
            )
        agree = "agree" if self.r_hat < AGREE else "agree only roughly"
        density = (
            f"Chains {agree} on the density (R-hat {self.r_hat:.3f}, {self.ess:,.0f} effective "
            "draws)"
        )
        if self.n_components == 1:
            return density + "."
        share = _percent(self.ambiguous)
        if not self._told_apart:
            return (
                f"{density}, but components cannot be told apart: labels are ambiguous in "
                f"{share} (R-hat by component {self.label_r_hat:.2f})."
            )
        same = self.label_r_hat < AGREE
        by_component = "and on each component" if same else "and roughly on each component"
        return f"{density} {by_component}; labels are ambiguous in {share}."

    def _how_far_off(self) -> str:
        """What disagreement means for averages over the draws.

        R-hat^2 - 1 is the variance of the chains' means over that within a chain, so the
        average of C chains has an error of sqrt((R-hat^2 - 1) / C) standard deviations: as
        much as it would be off if each chain stayed where it is.
        """
        off = np.sqrt((self.r_hat**2 - 1) / self.n_chains)
        how, then = "", ""
        if self.r_hat <= SLIGHTLY:
            how = " a little"
        elif self.r_hat > GROSSLY:
            then = " or more, and nothing here is the posterior yet"
        else:
            then = ", so that they are rough and tails are worse"
        return (
            f"Chains disagree{how} on the density (R-hat {self.r_hat:.2f}): averages over the "
            f"draws may be off by about {off:.2g} posterior standard deviations{then}."
        )

    @property
    def _told_apart(self) -> bool:
        """Whether labels mean something: they hold over chains, and in most draws."""
        return not (self.label_r_hat > self.limit() or self.ambiguous > 0.5)

    def limit(self, least: float = ROUGHLY) -> float:
        """R-hat above which chains disagree: ``least``, or its own noise where draws are few."""
        return max(least, 1 + _NOISE / self.n_draws)

    def status(self, n_modes: int) -> Status:
        """The status of chains without other faults."""
        if not self.r_hat <= self.limit():  # NaN of too few draws as well
            return Status.MULTIMODAL if n_modes > 1 else Status.NOT_MIXED
        return Status.CONVERGED if self._told_apart else Status.AMBIGUOUS_LABELS


#: What a status from here can be; any other is about how the draws were made.
VERDICTS = (Status.MULTIMODAL, Status.NOT_MIXED, Status.AMBIGUOUS_LABELS, Status.CONVERGED)


def _percent(share: float) -> str:
    if share == 0:
        return "no draw"
    return f"{'under 0.1%' if share < 0.001 else f'{share:.1%}'} of draws"


def assess(
    parameters: MixtureParameters, lp: Array, ambiguous: Any, observations: Observations
) -> Convergence:
    """Judge relabelled draws; all but the last have batch shape (chain, draw)."""
    free = label_free(parameters, lp, observations)
    own = by_component(parameters, observations.names)
    r_hat, ess = r_hat_and_ess(np.stack(list(free.values()), axis=-1))
    label_r_hat, label_ess = r_hat_and_ess(np.stack(list(own.values()), axis=-1))
    return Convergence(
        largest(r_hat),
        smallest(ess),
        largest(label_r_hat),
        smallest(label_ess),
        float(np.mean(ambiguous)),
        parameters.n_components,
        lp.shape[0],
        lp.size,
    )


def label_free(
    parameters: MixtureParameters, lp: Array, observations: Observations
) -> dict[str, Array]:
    """Quantities (chain, draw) that no relabelling changes, by name."""
    found, total_weight = {"log posterior": lp}, observations.total_weight
    observations = observations.kept
    flat = parameters.flat()
    some = flat[np.linspace(0, len(flat.weights) - 1, 10).astype(int)]
    order = np.argsort(some.log_density(observations).mean(axis=0), kind="stable")
    rows = np.sort(order[np.unique(np.linspace(0, len(order) - 1, _POINTS).astype(int))])
    density = parameters.log_density(observations.part(rows))
    for i, row in enumerate(rows):
        found[f"log density at row {observations.index[row]}"] = density[..., i]
    if parameters.n_components > 1:
        weights = np.sort(parameters.weights, axis=-1)[..., ::-1]
        for j in range(weights.shape[-1]):
            found[f"weight {j + 1} in order of size"] = weights[..., j]
        names = observations.names
        for i, name in enumerate(names):
            found[f"smallest mean of {name}"] = parameters.means[..., i].min(axis=-1)
            found[f"largest mean of {name}"] = parameters.means[..., i].max(axis=-1)
        volume = np.log(np.diagonal(parameters.scale_tril, axis1=-2, axis2=-1)).sum(axis=-1)
        found["log volume of the smallest component"] = volume.min(axis=-1)
        found["log volume of the largest component"] = volume.max(axis=-1)
        found["components with a row or more"] = (
            (weights * total_weight >= 1.0).sum(axis=-1).astype(float)
        )
    if parameters.noise is not None:
        found["weight of noise"] = parameters.noise.weight
    return found


def by_component(parameters: MixtureParameters, features: tuple[str, ...]) -> dict[str, Array]:
    """Parameters (chain, draw) by component, by name: they hold if labels do."""
    found: dict[str, Array] = {}
    components = range(parameters.n_components)
    if len(components) > 1:
        found = {f"weights[{j}]": parameters.weights[..., j] for j in components}
    for name in ("means", "scales"):
        values = getattr(parameters, name)
        found |= {
            f"{name}[{j}, {feature}]": values[..., j, i]
            for j in components
            for i, feature in enumerate(features)
        }
    correlations = parameters.correlations
    return found | {
        f"correlations[{j}, {features[b]}, {features[a]}]": correlations[..., j, a, b]
        for j in components
        for a in range(len(features))
        for b in range(a)
    }


def r_hat_and_ess(draws: Array) -> tuple[Array, Array]:
    """Rank-normalised split R-hat, and bulk ESS, of each column of (chain, draw, P).

    Both are ArviZ's, and NaN for a constant, or for fewer than eight draws.  One chain
    alone is compared with itself: its first half with its second.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), Rank-normalization,
    folding, and localization: an improved R-hat, Bayesian Analysis 16.
    """
    from arviz_stats.base import array_stats

    n = draws.shape[-1]
    r_hat, ess = np.full(n, np.nan), np.full(n, np.nan)
    varies = np.ptp(draws, axis=(0, 1)) > 0
    if draws.shape[1] >= 8 and varies.any():
        moving = draws[..., varies]
        with np.errstate(divide="ignore", invalid="ignore"):
            ess[varies] = array_stats.ess(moving, chain_axis=0, draw_axis=1)
            if len(moving) == 1:
                moving = np.stack(np.array_split(moving[0, : draws.shape[1] // 2 * 2], 2))
            found = array_stats.rhat(moving, chain_axis=0, draw_axis=1)
        # Halves of chains that each stand still, at different values, could not agree less.
        r_hat[varies] = np.where(np.isnan(found), np.inf, found)
    return r_hat, ess


def largest(values: Array) -> float:
    """The largest that is a number, or NaN."""
    return float(np.nanmax(values)) if np.isfinite(values).any() else float("nan")


def smallest(values: Array) -> float:
    """The smallest that is a number, or NaN."""
    return float(np.nanmin(values)) if np.isfinite(values).any() else float("nan")
