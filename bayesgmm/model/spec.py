"""The model specification: the one object that every method takes.

A :class:`MixtureSpec` says what the model is (how many components, which
covariance structure, which priors) and nothing about data or methods, so that
an EM fit and a posterior of the same spec are fits of the same model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from dataclasses import replace as _replace
from typing import Any

from bayesgmm.errors import SpecError
from bayesgmm.markup import facts
from bayesgmm.model.priors import Priors
from bayesgmm.model.structure import STRUCTURES, Covariance, Structure
from bayesgmm.options import COUNT, MAPPING, TRUTH, instance, one_of

COVARIANCE = one_of(*STRUCTURES)


@dataclass(frozen=True)
class MixtureSpec:
    """A Gaussian mixture model: components, covariance structure, priors.

    Frozen, hashable and equal by value; it travels as JSON.

    Parameters
    ----------
    n_components : int
        K, at least 1.
    covariance : str, default "full"
        ``full``: each component its own covariance matrix, an ellipse of any
        orientation; ``tied``: one such matrix for all; ``diag``: axis-aligned
        ellipses; ``spherical``: circles; ``tied-diag`` and ``tied-spherical``: one of
        these for all.
    priors : Priors, optional
        Used by MAP, Laplace and NUTS; maximum likelihood ignores them.
    noise : bool, default False
        Whether a share of the rows may come from none of the components, uniform over a box
        that holds the data (Banfield and Raftery 1993), or with a density that is given for each
        row: see ``background`` of :class:`Observations`.

    Raises
    ------
    SpecError
        If a value is not valid.

    Examples
    --------
    >>> from bayesgmm import MixtureSpec
    >>> spec = MixtureSpec(n_components=2)
    >>> spec
    MixtureSpec(n_components=2, covariance='full')
    >>> spec.replace(n_components=4, covariance="tied").label
    'K=4, tied'
    >>> MixtureSpec.from_json(spec.to_json()) == spec
    True
    """

    n_components: int
    covariance: Covariance = "full"
    priors: Priors = field(default_factory=Priors)
    noise: bool = False

    def __post_init__(self) -> None:
        count = COUNT("n_components", self.n_components)
        object.__setattr__(self, "n_components", count)
        object.__setattr__(self, "covariance", COVARIANCE("covariance", self.covariance))
        instance("a bayesgmm.Priors", Priors)("priors", self.priors)
        object.__setattr__(self, "noise", TRUTH("noise", self.noise))
        alpha = self.priors.weights
        if isinstance(alpha, tuple) and len(alpha) != count:
            raise SpecError(
                f"Priors.weights has {len(alpha)} entries but the model has {count} components; "
                "give one number, or one per component."
            )

    @property
    def structure(self) -> Structure:
        """What the covariances have in common."""
        return STRUCTURES[self.covariance]

    @property
    def label(self) -> str:
        """A short name, ``"K=3, full"``, as tables and plots use it."""
        return f"K={self.n_components}, {self.covariance}" + ", noise" * self.noise

    @property
    def n_classes(self) -> int:
        """M, what a row can be of: K components, and noise if there is any."""
        return self.n_components + self.noise

    def n_parameters(self, n_features: int) -> int:
        """Number of free parameters on data with ``n_features`` columns.

        >>> from bayesgmm import MixtureSpec
        >>> MixtureSpec(n_components=3, covariance="tied").n_parameters(2)
        11
        """
        k, d = self.n_components, COUNT("n_features", n_features)
        return (self.n_classes - 1) + k * d + self.structure.n_entries(k, d)

    def synonyms(self, n_features: int) -> tuple[Covariance, ...]:
        """Covariances by which this is the same model of ``n_features`` columns, plainest first.

        One component has a covariance of its own that is also everybody's; and with one feature
        an ellipse, an axis-aligned one and a circle are all one standard deviation.

        >>> from bayesgmm import MixtureSpec
        >>> MixtureSpec(n_components=1, covariance="tied").synonyms(2)
        ('full', 'tied')
        >>> MixtureSpec(n_components=3, covariance="spherical").synonyms(1)
        ('full', 'diag', 'spherical')
        """
        k, d = self.n_components, COUNT("n_features", n_features)
        mine = self.structure.on(k, d)
        return tuple(name for name, other in STRUCTURES.items() if other.on(k, d) == mine)

    def replace(self, **changes: Any) -> MixtureSpec:
        """A copy with some fields changed."""
        unknown = set(changes) - {f.name for f in fields(self)}
        if unknown:
            raise SpecError(
                f"MixtureSpec has no field {sorted(unknown)[0]!r}; it has "
                f"{', '.join(f.name for f in fields(self))}."
            )
        return _replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain content, ready for JSON."""
        return {
            "n_components": self.n_components,
            "covariance": self.covariance,
            "priors": self.priors.to_dict(),
            **({"noise": True} if self.noise else {}),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> MixtureSpec:
        """Rebuild from :meth:`to_dict`; unknown names are refused."""
        content = dict(MAPPING("MixtureSpec.from_dict's content", content))
        unknown = set(content) - {f.name for f in fields(cls)}
        if unknown or "n_components" not in content:
            wrong = "no n_components"
            if unknown:
                wrong = f"unknown field {sorted(map(str, unknown))[0]!r}"
            raise SpecError(f"This is not a MixtureSpec: {wrong}.")
        if isinstance(content.get("priors"), dict):
            content["priors"] = Priors.from_dict(content["priors"])
        return cls(**content)

    def to_json(self) -> str:
        """The spec as a JSON text."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> MixtureSpec:
        """Rebuild from :meth:`to_json`."""
        try:
            content = json.loads(text)
        except (TypeError, ValueError) as error:
            raise SpecError(f"This is not JSON: {error}.") from None
        if not isinstance(content, dict):
            raise SpecError("A MixtureSpec in JSON is an object with n_components.")
        return cls.from_dict(content)

    def __repr__(self) -> str:
        priors = "" if self.priors == Priors() else f", priors={self.priors!r}"
        noise = ", noise=True" * self.noise
        return (
            f"MixtureSpec(n_components={self.n_components}, covariance={self.covariance!r}{priors}"
            f"{noise})"
        )

    def _repr_html_(self) -> str:
        priors = self.priors
        words: dict[Any, str] = {None: "LKJ(1 + D / 2)", "uniform": "uniform marginals"}
        rows = {
            "components": str(self.n_components),
            "covariance": f"{self.covariance}: {self.structure.words}",
            "weights": f"Dirichlet({priors.weights})",
            "noise": f"a class with concentration {priors.noise}",
            "means": f"Normal({priors.mean_location}, {priors.mean_scale})",
            "scales": repr(priors.scales),
            "correlations": words.get(priors.correlations, f"LKJ({priors.correlations})"),
            "prior units": priors.units,
        }
        if not self.structure.matrices:
            del rows["correlations"]
        if not self.noise:
            del rows["noise"]
        return facts("MixtureSpec", rows.items())


#: What every method takes first.
SPEC = instance("a MixtureSpec", MixtureSpec)
