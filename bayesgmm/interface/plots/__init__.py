"""Plots by Matplotlib, which is loaded with this module and not before."""

from __future__ import annotations

from bayesgmm.interface.plots.check import plot_check
from bayesgmm.interface.plots.criteria import plot_criteria
from bayesgmm.interface.plots.fit import plot_fit

__all__ = ["plot_check", "plot_criteria", "plot_fit"]
