"""What tests of several rooms share."""

from __future__ import annotations

import pytest

import bayesgmm as bg
from bayesgmm.model.structure import STRUCTURES as BY_NAME

STRUCTURES = tuple(BY_NAME)
#: Those that scikit-learn has as well.
SKLEARNS = ("full", "tied", "diag", "spherical")


def refused(match, make, *args, error=bg.BayesGMMError, **kwargs):
    """The refusal of a call, whose message is one sentence that matches."""
    with pytest.raises(error, match=match) as caught:
        make(*args, **kwargs)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return caught.value
