"""Plots by Matplotlib, which is loaded with this module and not before."""

from __future__ import annotations

from bayesgmm.interface.plot_check import plot_check
from bayesgmm.interface.plot_criteria import plot_criteria
from bayesgmm.interface.plot_fit import plot_fit

__all__ = ["plot_check", "plot_criteria", "plot_fit"]
