"""bayesgmm: Bayesian Gaussian mixtures, one spec fitted by EM, MAP, Laplace and NUTS.

Names are loaded on first use, so that ``import bayesgmm`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

from bayesgmm.interrupts import whole_imports

__version__ = "0.1.0"

#: Public names, by the module that holds them.
_WHERE = {
    "BayesGMMError": "errors", "DataError": "errors", "FileError": "errors",
    "FitError": "errors", "FitWarning": "errors", "SpecError": "errors",
    "MixtureSpec": "model.spec",
    "Priors": "model.priors", "LogNormal": "model.priors", "HalfNormal": "model.priors",
    "Gamma": "model.priors", "InverseGamma": "model.priors",
    "Observations": "model.observations",
    "MixtureParameters": "model.parameters",
    "LogPosterior": "model.density",
    "Status": "status",
    "PredictiveDistribution": "predictive.distribution",
    "HighestDensityRegion": "predictive.regions", "credible_interval": "predictive.credible",
    "MixtureFit": "result", "load": "result",
    "fit": "inference.fitting",
    "EM": "methods", "MAP": "methods", "Laplace": "methods", "NUTS": "methods",
    "Tempering": "methods",
    "to_pymc": "inference.pymc_model",
    "relabel": "inference.relabel",
    "log_evidence": "inference.evidence", "Evidence": "inference.opinions",
    "agreement": "analysis.compare", "compare": "analysis.compare",
    "elpd_loo": "analysis.leave_one_out", "Elpd": "analysis.leave_one_out",
    "criteria": "analysis.criteria", "Criteria": "analysis.criteria",
    "aicc": "analysis.information", "waic": "analysis.information",
    "dic": "analysis.information", "wbic": "analysis.information",
    "Diagnosis": "analysis.diagnose", "diagnose": "analysis.diagnose",
    "partition": "analysis.partition", "Partition": "analysis.partition",
    "CredibleBall": "analysis.credible_ball",
    "draw_allocations": "analysis.allocations", "occupied": "analysis.allocations",
    "compare_partitions": "analysis.partition_comparison",
    "PartitionComparison": "analysis.partition_comparison",
    "merge_components": "analysis.merging", "Merging": "analysis.merging",
    "posterior_check": "analysis.checks", "PosteriorCheck": "analysis.checks",
    "two_sample_test": "analysis.two_sample", "TwoSampleTest": "analysis.two_sample",
    "with_predictive": "analysis.replicated_data",
    "plot_check": "interface.plots",
    "plot_criteria": "interface.plots", "plot_fit": "interface.plots",
    "GaussianMixture": "interface.estimators", "MCMCGaussianMixture": "interface.estimators",
    "Selection": "analysis.selected", "select": "analysis.selection",
    "bootstrap_test": "analysis.bootstrap", "BootstrapTest": "analysis.bootstrap",
}  # fmt: skip
_MODULES = ("datasets",)

__all__ = ["__version__", *_WHERE, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(_module(_WHERE[name]), name)
    elif name in _MODULES:
        value = _module(name)
    else:
        raise AttributeError(f"module 'bayesgmm' has no attribute {name!r}")
    globals()[name] = value
    return value


@whole_imports
def _module(name: str) -> Any:
    return importlib.import_module(f"bayesgmm.{name}")


def __dir__() -> list[str]:
    return sorted(__all__)
