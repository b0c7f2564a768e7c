"""What tests of several rooms share."""

from __future__ import annotations

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.model.structure import STRUCTURES as BY_NAME

STRUCTURES = tuple(BY_NAME)
#: Those that scikit-learn has as well.
SKLEARNS = ("full", "tied", "diag", "spherical")


def fit_of(parameters, rows):
    """Mixtures (chain, draw) as a fit of these rows: by EM where there is one."""
    shape = parameters.batch_shape
    return bg.MixtureFit.build(
        bg.MixtureSpec(parameters.n_components, noise=parameters.noise is not None),
        rows,
        parameters,
        method="em" if shape == (1, 1) else "nuts",
        status=bg.Status.CONVERGED,
        sample_stats={"lp": np.zeros(shape)},
        facts={},
    )


def refused(match, make, *args, error=bg.BayesGMMError, **kwargs):
    """The refusal of a call, whose message is one sentence that matches."""
    with pytest.raises(error, match=match) as caught:
        make(*args, **kwargs)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return caught.value
