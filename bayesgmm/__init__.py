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
    "Observations": "data.observations",
    "MixtureParameters": "mixture.parameters",
    "LogPosterior": "density.log_posterior",
    "Status": "result.status",
    "PredictiveDistribution": "predictive.distribution",
    "HighestDensityRegion": "predictive.regions", "credible_interval": "predictive.credible",
    "MixtureFit": "result.fit", "load": "result.fit",
    "fit": "inference.fitting",
    "EM": "methods", "MAP": "methods", "Laplace": "methods", "NUTS": "methods",
    "Tempering": "methods",
    "to_pymc": "inference.sampling.pymc_model",
    "relabel": "inference.labels.relabel",
    "log_evidence": "inference.evidence.log_evidence", "Evidence": "inference.evidence.opinions",
    "agreement": "analysis.compare", "compare": "analysis.compare",
    "elpd_loo": "analysis.criteria.leave_one_out", "Elpd": "analysis.criteria.leave_one_out",
    "criteria": "analysis.criteria.criteria", "Criteria": "analysis.criteria.criteria",
    "aicc": "analysis.criteria.information", "waic": "analysis.criteria.information",
    "dic": "analysis.criteria.information", "wbic": "analysis.criteria.information",
    "Diagnosis": "analysis.diagnose", "diagnose": "analysis.diagnose",
    "partition": "analysis.partitions.partition", "Partition": "analysis.partitions.partition",
    "CredibleBall": "analysis.partitions.credible_ball",
    "draw_allocations": "analysis.partitions.allocations",
    "occupied": "analysis.partitions.allocations",
    "compare_partitions": "analysis.partitions.comparison",
    "PartitionComparison": "analysis.partitions.comparison",
    "merge_components": "analysis.merging.merge", "Merging": "analysis.merging.merge",
    "posterior_check": "analysis.checks.posterior_check",
    "PosteriorCheck": "analysis.checks.posterior_check",
    "two_sample_test": "analysis.checks.two_sample", "TwoSampleTest": "analysis.checks.two_sample",
    "prior_predictive": "analysis.prior_predictive",
    "with_predictive": "analysis.checks.replicated_data",
    "plot_check": "interface.plots.check",
    "plot_agreement": "interface.plots.agreement", "plot_anomalies": "interface.plots.anomalies",
    "plot_conditional": "interface.plots.conditional",
    "plot_generated": "interface.plots.generated",
    "plot_k_hat": "interface.plots.khat", "plot_labels": "interface.plots.labels",
    "plot_memberships": "interface.plots.memberships", "plot_modes": "interface.plots.modes",
    "plot_prior_posterior": "interface.plots.priors", "plot_selection": "interface.plots.selection",
    "plot_similarity": "interface.plots.similarity",
    "plot_criteria": "interface.plots.criteria", "plot_fit": "interface.plots.fit",
    "report": "interface.report",
    "GaussianMixture": "interface.sklearn", "MCMCGaussianMixture": "interface.sklearn",
    "GaussianMixtureClassifier": "interface.sklearn",
    "bic_scorer": "interface.sklearn", "elpd_scorer": "interface.sklearn",
    "Selection": "analysis.selection.selected", "select": "analysis.selection.select",
    "bootstrap_test": "analysis.selection.bootstrap",
    "BootstrapTest": "analysis.selection.bootstrap",
}  # fmt: skip
_MODULES = ("datasets", "testing")

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
