"""Plots by Matplotlib, which is loaded with the first of them and not before.

Each is loaded by itself: a check of data needs SciPy's statistics, a picture of a fit does not.
"""

from __future__ import annotations

import importlib
from typing import Any

#: Each plot, by the module that draws it.
MODULES = {
    "plot_agreement": "agreement",
    "plot_anomalies": "anomalies",
    "plot_check": "check",
    "plot_conditional": "conditional",
    "plot_criteria": "criteria",
    "plot_fit": "fit",
    "plot_generated": "generated",
    "plot_k_hat": "khat",
    "plot_labels": "labels",
    "plot_memberships": "memberships",
    "plot_modes": "modes",
    "plot_prior_posterior": "priors",
    "plot_selection": "selection",
    "plot_similarity": "similarity",
}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{MODULES[name]}"), name)
