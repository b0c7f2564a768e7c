"""Plots by Matplotlib, which is loaded with this module and not before."""

from __future__ import annotations

from bayesgmm.interface.plots.agreement import plot_agreement
from bayesgmm.interface.plots.anomalies import plot_anomalies
from bayesgmm.interface.plots.check import plot_check
from bayesgmm.interface.plots.conditional import plot_conditional
from bayesgmm.interface.plots.criteria import plot_criteria
from bayesgmm.interface.plots.fit import plot_fit
from bayesgmm.interface.plots.generated import plot_generated
from bayesgmm.interface.plots.khat import plot_k_hat
from bayesgmm.interface.plots.labels import plot_labels
from bayesgmm.interface.plots.memberships import plot_memberships
from bayesgmm.interface.plots.modes import plot_modes
from bayesgmm.interface.plots.priors import plot_prior_posterior
from bayesgmm.interface.plots.selection import plot_selection
from bayesgmm.interface.plots.similarity import plot_similarity

__all__ = [
    "plot_agreement",
    "plot_anomalies",
    "plot_check",
    "plot_conditional",
    "plot_criteria",
    "plot_fit",
    "plot_generated",
    "plot_k_hat",
    "plot_labels",
    "plot_memberships",
    "plot_modes",
    "plot_prior_posterior",
    "plot_selection",
    "plot_similarity",
]
