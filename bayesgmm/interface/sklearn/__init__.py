"""scikit-learn's interface: estimators, which load scikit-learn with this module and not before."""

from __future__ import annotations

from bayesgmm.interface.sklearn.gaussian_mixture import GaussianMixture
from bayesgmm.interface.sklearn.posterior_estimator import MCMCGaussianMixture

__all__ = ["GaussianMixture", "MCMCGaussianMixture"]
