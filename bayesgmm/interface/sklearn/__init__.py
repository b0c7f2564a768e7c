"""scikit-learn's interface: estimators, which load scikit-learn with this module and not before."""

from __future__ import annotations

from bayesgmm.interface.sklearn.classifier import GaussianMixtureClassifier
from bayesgmm.interface.sklearn.gaussian_mixture import GaussianMixture
from bayesgmm.interface.sklearn.posterior_estimator import MCMCGaussianMixture
from bayesgmm.interface.sklearn.scorers import MixtureScorer, bic_scorer, elpd_scorer

__all__ = [
    "GaussianMixture",
    "GaussianMixtureClassifier",
    "MCMCGaussianMixture",
    "MixtureScorer",
    "bic_scorer",
    "elpd_scorer",
]
