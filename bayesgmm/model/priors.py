"""Prior distributions of a mixture's parameters.

One frozen object, :class:`Priors`, says everything about them.  The families
for scales are four; whatever the family, the density only ever needs the pair
of hyperparameters in the coordinates it works in, so each family knows how its
pair changes when the unit of measurement does (:meth:`ScalePrior.rescaled`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal

from bayesgmm.errors import SpecError
from bayesgmm.options import MAPPING, POSITIVE, Kind, one_of, real, shown

#: Codes by which the compiled density knows a family.
LOG_NORMAL, HALF_NORMAL, GAMMA, INVERSE_GAMMA = range(4)


#: A prior's numbers, and those in a unit, whose squares must stay within doubles.  Beyond the
#: first a density is a sum of terms that cancel to nothing but rounding.
_PURE = real("a finite number above 0, from 1e-9 to 1e9", lambda number: 1e-9 <= number <= 1e9)
_SCALE = real(
    "a finite number above 0, from 1e-150 to 1e150", lambda number: 1e-150 <= number <= 1e150
)
_CORRELATIONS: Kind[Any] = Kind(
    f"{_PURE.words}, 'uniform' or None",
    lambda value: value if value is None or value == "uniform" else _PURE.read(value),
)
_PLACE = real("a finite number, from -1e150 to 1e150", lambda number: abs(number) <= 1e150)


@dataclass(frozen=True)
class ScalePrior:
    """A prior on a standard deviation.  Use one of its four families."""

    code: ClassVar[int]
    #: Whether the density vanishes at zero, so that a component cannot collapse.
    zero_avoiding: ClassVar[bool]
    #: The hyperparameter that is in a unit; others are pure numbers.
    in_unit: ClassVar[str]

    def __post_init__(self) -> None:
        for item in fields(self):
            kind = _SCALE if item.name == self.in_unit else _PURE
            value = kind(f"{type(self).__name__}.{item.name}", getattr(self, item.name))
            object.__setattr__(self, item.name, value)

    def hyperparameters(self) -> tuple[float, float]:
        """The pair (a, b) that the compiled density reads."""
        raise NotImplementedError

    def rescaled(self, unit: float) -> ScalePrior:
        """The prior of ``sigma / unit`` when this is the prior of ``sigma``."""
        raise NotImplementedError


@dataclass(frozen=True)
class LogNormal(ScalePrior):
    """Log-normal prior on a scale: zero-avoiding, the default.

    Parameters
    ----------
    median : float
        The median scale.
    sigma : float
        Standard deviation of the logarithm of the scale.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> spec = bg.MixtureSpec(2, priors=bg.Priors(scales=bg.LogNormal(median=0.4, sigma=0.8)))
    >>> spec.priors.scales
    LogNormal(median=0.4, sigma=0.8)
    """

    median: float = 0.5
    sigma: float = 1.0
    code = LOG_NORMAL
    zero_avoiding = True
    in_unit = "median"

    def hyperparameters(self) -> tuple[float, float]:
        return math.log(self.median), self.sigma

    def rescaled(self, unit: float) -> LogNormal:
        return LogNormal(self.median / POSITIVE("unit", unit), self.sigma)


@dataclass(frozen=True)
class HalfNormal(ScalePrior):
    """Half-normal prior on a scale.  It does not keep a component from collapsing.

    Parameters
    ----------
    sd : float
        Scale of the half-normal.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> spec = bg.MixtureSpec(2, priors=bg.Priors(scales=bg.HalfNormal(sd=2.0)))
    >>> spec.priors.scales
    HalfNormal(sd=2.0)
    """

    sd: float = 1.0
    code = HALF_NORMAL
    zero_avoiding = False
    in_unit = "sd"

    def hyperparameters(self) -> tuple[float, float]:
        return self.sd, 0.0

    def rescaled(self, unit: float) -> HalfNormal:
        return HalfNormal(self.sd / POSITIVE("unit", unit))


@dataclass(frozen=True)
class Gamma(ScalePrior):
    """Gamma prior on a scale, with density zero at zero where ``shape > 1``.

    Parameters
    ----------
    shape, rate : float
        Shape and rate; the mean is ``shape / rate``.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> spec = bg.MixtureSpec(2, priors=bg.Priors(scales=bg.Gamma(shape=2.0, rate=5.0)))
    >>> spec.priors.scales
    Gamma(shape=2.0, rate=5.0)
    """

    shape: float = 2.0
    rate: float = 4.0
    code = GAMMA
    zero_avoiding = False  # a power of sigma does not beat a collapsing likelihood
    in_unit = "rate"

    def hyperparameters(self) -> tuple[float, float]:
        return self.shape, self.rate

    def rescaled(self, unit: float) -> Gamma:
        return Gamma(self.shape, self.rate * POSITIVE("unit", unit))


@dataclass(frozen=True)
class InverseGamma(ScalePrior):
    """Inverse-gamma prior on a scale (not on the variance): zero-avoiding.

    Parameters
    ----------
    shape, scale : float
        Shape and scale; the mode is ``scale / (shape + 1)``.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> spec = bg.MixtureSpec(2, priors=bg.Priors(scales=bg.InverseGamma(shape=4.0, scale=2.0)))
    >>> spec.priors.scales
    InverseGamma(shape=4.0, scale=2.0)
    """

    shape: float = 3.0
    scale: float = 1.5
    code = INVERSE_GAMMA
    zero_avoiding = True
    in_unit = "scale"

    def hyperparameters(self) -> tuple[float, float]:
        return self.shape, self.scale

    def rescaled(self, unit: float) -> InverseGamma:
        return InverseGamma(self.shape, self.scale / POSITIVE("unit", unit))


FAMILIES: dict[str, type[ScalePrior]] = {
    cls.__name__: cls for cls in (LogNormal, HalfNormal, Gamma, InverseGamma)
}


def _number_or_tuple(name: str, value: Any, kind: Kind[float]) -> float | tuple[float, ...]:
    single = isinstance(value, (str, bytes)) or not isinstance(value, Iterable)
    if single or getattr(value, "ndim", 1) == 0:  # a NumPy array of no dimension is a number
        return kind(name, value)
    entries = tuple(kind(f"{name}[{i}]", entry) for i, entry in enumerate(value))
    if not entries:
        raise SpecError(f"{name} is empty; give a number or one number per entry.", name=name)
    return entries


@dataclass(frozen=True)
class Priors:
    """The priors of a Bayesian Gaussian mixture.

    ``w ~ Dirichlet(weights)``, ``mu_kd ~ Normal(mean_location_d, mean_scale_d)``,
    ``sigma_kd ~ scales``, ``R_k ~ LKJ(correlations)`` and
    ``Sigma_k = diag(sigma_k) R_k diag(sigma_k)``.

    Parameters
    ----------
    weights : float or sequence of K floats, default 2.0
        Dirichlet concentration.  Above 1 it keeps a component from emptying,
        and the posterior mode exists; small values (0.01 with a large K) make a
        sparse finite mixture, which has a posterior but no mode.
    mean_location : float or sequence of D floats, default 0.0
        Centre of the normal prior of the means.
    mean_scale : float or sequence of D floats, default 2.0
        Standard deviation of that prior: two standard deviations of the data
        let a component sit anywhere in the data and a little beyond.
    scales : ScalePrior, default LogNormal(median=0.5, sigma=1)
        Prior of the standard deviations within a component.  The default is
        zero-avoiding, because a mixture's likelihood is unbounded when a
        component collapses on tied rows.
    correlations : float or "uniform", optional
        The LKJ shape eta; 1 is flat over correlation matrices, above 1 prefers weak
        correlations, and more so in more dimensions.  By default 1 + D / 2, the least at
        which the posterior mode of continuous data is bounded: 2 with two features.
        ``"uniform"``: each correlation by itself is uniform from -1 to 1, in any dimension,
        as of an inverse Wishart with D + 1 degrees of freedom; for strong correlations among
        many features, which LKJ draws to zero.  Its posterior mode is not bounded, so sample.
    noise : float, default 2.0
        Dirichlet concentration of noise, beside those of the components, in models that have it.
    units : {"standardised", "data"}, default "standardised"
        Whether these numbers are on the scale where each feature has mean 0 and
        standard deviation 1 (one common factor for the spherical structure), or
        in the data's own units.

    Raises
    ------
    SpecError
        For a number that is none, or beyond what doubles tell apart: concentrations, shapes
        and other pure numbers are from 1e-9 to 1e9, those in a unit from 1e-150 to 1e150, and
        from 1e-12 to 1e12 where the data have standard deviation 1.

    References
    ----------
    Lewandowski, Kurowicka and Joe (2009), Generating random correlation matrices
    based on vines and extended onion method, J. Multivariate Analysis 100.
    Barnard, McCulloch and Meng (2000), Modeling covariance matrices in terms of standard
    deviations and correlations, with application to shrinkage, Statistica Sinica 10.

    Examples
    --------
    >>> from bayesgmm import Priors
    >>> Priors(weights=1.0, correlations=4.0)
    Priors(weights=1.0, correlations=4.0)
    """

    weights: float | tuple[float, ...] = 2.0
    mean_location: float | tuple[float, ...] = 0.0
    mean_scale: float | tuple[float, ...] = 2.0
    scales: ScalePrior = field(default_factory=LogNormal)
    correlations: float | Literal["uniform"] | None = None
    units: Literal["standardised", "data"] = "standardised"
    noise: float = 2.0

    def __post_init__(self) -> None:
        checked = {
            "weights": _number_or_tuple("Priors.weights", self.weights, _PURE),
            "mean_location": _number_or_tuple("Priors.mean_location", self.mean_location, _PLACE),
            "mean_scale": _number_or_tuple("Priors.mean_scale", self.mean_scale, _SCALE),
            "correlations": _CORRELATIONS("Priors.correlations", self.correlations),
            "noise": _PURE("Priors.noise", self.noise),
            "units": one_of("standardised", "data")("Priors.units", self.units),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if not isinstance(self.scales, ScalePrior) or type(self.scales) is ScalePrior:
            raise SpecError(
                f"Priors.scales must be one of {', '.join(FAMILIES)}, got {shown(self.scales)}; "
                "for example bayesgmm.LogNormal(median=0.5, sigma=1.0)."
            )

    def eta(self, n_features: int) -> float:
        """The LKJ shape among D features; 1, where it is flat, under uniform marginals."""
        if self.correlations is None:
            return 1.0 + n_features / 2
        return 1.0 if self.correlations == "uniform" else float(self.correlations)

    def __repr__(self) -> str:
        changed = {
            item.name: value
            for item, value in ((f, getattr(self, f.name)) for f in fields(self))
            if value != getattr(_DEFAULTS, item.name)
        }
        return f"Priors({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, ready for JSON."""
        content = {f.name: getattr(self, f.name) for f in fields(self)}
        content = {k: list(v) if isinstance(v, tuple) else v for k, v in content.items()}
        content["scales"] = {"family": type(self.scales).__name__, **asdict(self.scales)}
        return content

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Priors:
        """Rebuild from :meth:`to_dict`; unknown names are refused."""
        content = dict(MAPPING("Priors.from_dict's content", content))
        unknown = set(content) - {f.name for f in fields(cls)}
        if unknown:
            raise SpecError(
                f"Unknown prior {sorted(map(str, unknown))[0]!r}; known are "
                f"{', '.join(f.name for f in fields(cls))}."
            )
        if isinstance(content.get("scales"), dict):
            scale = dict(content["scales"])
            wanted = scale.pop("family", None)
            family = FAMILIES.get(str(wanted))
            if family is None:
                raise SpecError(
                    f"Unknown scale prior family {wanted!r}; known are {', '.join(FAMILIES)}."
                )
            known = [f.name for f in fields(family)]
            unknown = set(scale) - set(known)
            if unknown:
                raise SpecError(
                    f"{family.__name__} has no {sorted(map(str, unknown))[0]!r}; it has "
                    f"{', '.join(known)}."
                )
            content["scales"] = family(**scale)
        return cls(**content)


_DEFAULTS = Priors()
