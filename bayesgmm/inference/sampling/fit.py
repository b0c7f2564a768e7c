"""Relabelled draws as a fit, with the modes beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from xarray import Variable

from bayesgmm.data.observations import Observations
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.inference.labels.matching import highest
from bayesgmm.inference.maximum.soundness import weak_draw
from bayesgmm.methods import Method, Run
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.result.fit import MixtureFit
from bayesgmm.result.status import Status


class Modes(NamedTuple):
    """The modes that were found, in the labelling of the draws, and what is about each."""

    places: MixtureParameters  # batch (mode,)
    log_density: NDArray[np.float64]
    laplace_share: NDArray[np.float64]
    share: NDArray[np.float64]  # of the draws

    def facts(self) -> dict[str, Any]:
        """As a fit keeps them."""
        each, matrix = ("mode", "component"), ("feature", "feature_bis")
        noise = self.places.noise
        return {
            **({} if noise is None else {"mode_noise_weight": Variable("mode", noise.weight)}),
            "mode_log_density": Variable("mode", self.log_density),
            "mode_laplace_share": Variable("mode", self.laplace_share),
            "mode_share": Variable("mode", self.share),
            "mode_weights": Variable(each, self.places.weights),
            "mode_means": Variable((*each, "feature"), self.places.means),
            "mode_scale_tril": Variable((*each, *matrix), self.places.scale_tril),
        }


@dataclass(frozen=True)
class Draws:
    """What a sampler made, relabelled."""

    parameters: MixtureParameters  # batch (chain, draw), data units
    sample_stats: dict[str, NDArray[Any]]  # with permutation (chain, draw, component)
    status: Status
    facts: dict[str, Any]  # what the group ``fit`` keeps
    modes: Modes | None = None


def posterior_fit(
    spec: MixtureSpec,
    observations: Observations,
    method: Method,
    run: Run,
    drawn: Draws,
    facts: dict[str, Any],
) -> MixtureFit:
    """The fit of some draws; ``facts`` are those of the method's options."""
    lp, modes = drawn.sample_stats["lp"], drawn.modes
    top = highest(drawn.parameters, lp)
    if modes is not None and modes.log_density.max() > lp.max():
        top = modes.places[int(modes.log_density.argmax())]
    density = LogPosterior(spec, observations)
    note, likelihood = weak_draw(density, top), None
    if observations.stored is not None:
        theta = density.unconstrain(drawn.parameters)
        likelihood = lp - density.of_no_rows().values(theta)
    return MixtureFit.build(
        spec,
        observations,
        drawn.parameters,
        method=method.name,
        status=drawn.status,
        sample_stats=drawn.sample_stats,
        facts={
            **facts,
            **drawn.facts,
            **(modes.facts() if modes else {}),
            **({"note": note} if note else {}),
        },
        seed=run.seed,
        cores=run.cores,
        log_likelihood=likelihood,
    )
