"""A maximum as a fit: one chain of one draw, its components in order of their means."""

from __future__ import annotations

import numpy as np

from bayesgmm.data.observations import Observations
from bayesgmm.density.exchangeable import by_means
from bayesgmm.inference.maximum.search import search
from bayesgmm.inference.maximum.soundness import weak_components
from bayesgmm.methods import Run, Search
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.result.fit import MixtureFit


def fitted(spec: MixtureSpec, observations: Observations, method: Search, run: Run) -> MixtureFit:
    """By maximum likelihood, or the posterior's mode."""
    result = search(spec, observations, method, run)
    best = result.best
    point = best.parameters(result.density)
    order = np.arange(spec.n_components)
    if run.start is None:  # one order for all fits: by the mean of the first feature
        order = by_means(point.means, result.density.groups)
        point = point.permute(order)
    note = weak_components(point, observations, best.soundness.of(order))
    return MixtureFit.build(
        spec,
        observations,
        point[None, None],
        method=method.name,
        status=best.status,
        sample_stats={"lp": np.full((1, 1), best.objective)},
        facts={
            "n_iterations": best.n_iterations,
            "n_starts": result.n_starts,
            "objective_trace": best.trace,
            "mode_objectives": [run.objective for run in result.modes],
            **({"note": note} if note else {}),
        },
        seed=run.seed,
        cores=run.cores,
        log_likelihood=np.full((1, 1), best.log_likelihood),
    )
