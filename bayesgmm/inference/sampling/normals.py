"""A mixture of normals fitted to draws, as a proposal for what they were drawn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.observations import Observations
from bayesgmm.inference.maximum.search import search
from bayesgmm.methods import EM, Run
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec

#: Components that are tried.
_MOST = 4
_ROWS_PER_COORDINATE = 5
#: Near the best will do: any proposal gives the same answer.
_NEAR = EM(n_starts=4, n_best=1, rounds=0, accelerate=False, max_iter=200, tol=1e-5)


def fitted_normals(draws: NDArray[np.float64], seed: int) -> MixtureParameters:
    """Normals about draws (n, P), with as many as BIC asks for."""
    n, p = draws.shape
    observations = Observations(draws, resolution=0)
    best, found = np.inf, None
    for k in range(1, _MOST + 1):
        if k > 1 and k * p * _ROWS_PER_COORDINATE > n:
            break
        spec = MixtureSpec(k)
        result = search(spec, observations, _NEAR, Run(seed, cores=1))
        bic = spec.n_parameters(p) * np.log(n) - 2 * result.best.log_likelihood
        if bic >= best:
            break
        best, found = bic, result.best.parameters(result.density)
    assert found is not None
    return found
