"""How a fit ended, as an enumeration: each with a sentence and a remedy."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Outcome of a fit.  ``ok`` says whether its numbers can be taken as they are.

    Attributes
    ----------
    sentence : str
        What happened, in words.
    remedy : str
        What to do about it; empty where nothing has to be done.

    Examples
    --------
    >>> from bayesgmm import Status
    >>> Status("iteration limit").ok
    False
    """

    sentence: str
    remedy: str

    def __new__(cls, value: str, sentence: str = "", remedy: str = "") -> Status:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        member.remedy = remedy
        return member

    CONVERGED = ("converged", "The fit converged.", "")
    ITERATION_LIMIT = (
        "iteration limit",
        "The iteration limit came before convergence.",
        "Raise max_iter.",
    )
    DEGENERATE = (
        "degenerate",
        "A component has collapsed onto the smallest covariance allowed, or has emptied: the "
        "objective is a property of that bound, not of the data.",
        "Use fewer components, a simpler covariance, or method='map', which is bounded by "
        "LogNormal or InverseGamma scales with the step to which values were recorded "
        "(Observations(..., resolution=...)).",
    )
    SPURIOUS = (
        "spurious",
        "A component rests on a few rows that happen to lie close together, and no sound maximum "
        "was found.",
        "Use fewer components, a simpler covariance, or method='map'.",
    )
    NOT_MIXED = (
        "not mixed",
        "The chains do not agree with each other yet.",
        "Draw more, with more tuning, and look at the trace.",
    )
    AMBIGUOUS_LABELS = (
        "ambiguous labels",
        "The density is sampled well, but components cannot be told apart in every draw.",
        "Use what no label changes (score_samples, generate, bayesgmm.partition), or fewer "
        "components.",
    )
    MULTIMODAL = (
        "multimodal",
        "Chains settled in modes that are not relabellings of each other.",
        "Compare the modes; fewer components or stronger priors usually remove the lesser one.",
    )
    DIVERGENT = (
        "divergent",
        "Some transitions diverged, so part of the posterior may be missed.",
        "Raise target_accept, use fewer components, or a scale prior further from zero.",
    )
    INTERRUPTED = (
        "interrupted",
        "Sampling was interrupted; the fit holds what had been drawn.",
        "Run it again for the rest.",
    )
    CHAIN_LOST = (
        "chain lost",
        "A chain failed; the fit holds the draws of the others.",
        "Run it again with another seed, and with fewer components if that fails too.",
    )
    UNRELIABLE = (
        "unreliable",
        "Mode and curvature do not summarise this posterior (Pareto k-hat above 0.7, or fewer than "
        "100 effective draws).",
        "Use method='nuts'.",
    )

    @property
    def ok(self) -> bool:
        """True if the fit converged."""
        return self is Status.CONVERGED

    @property
    def but_for_labels(self) -> bool:
        """True if the fit can be taken as it is for whatever no relabelling changes."""
        return self in (Status.CONVERGED, Status.AMBIGUOUS_LABELS)
