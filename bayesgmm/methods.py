"""The methods of fitting: their names, their options, and where each is done.

A method is a frozen object that holds its options, each read by its kind when it is made.
``fit(spec, data, method="nuts", draws=500)`` and ``fit(spec, data, method=bg.NUTS(draws=500))``
are the same.  A new method is a class here, in :data:`METHODS`, and a function
``fitted(spec, observations, method, run)`` in the module that it names.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from bayesgmm.errors import SpecError
from bayesgmm.options import (
    AT_LEAST_TWO,
    COUNT,
    LIMIT,
    LIMIT_FROM_ZERO,
    NOT_NEGATIVE,
    PROBABILITY,
    TRUTH,
    Kind,
    Progress,
    Seed,
    one_of,
    optional,
)


class Run(NamedTuple):
    """What every method is told beside the model and the data."""

    seed: Seed = None
    start: Any = None  # MixtureParameters, or None to search
    cores: int | None = None
    progress: Progress | None = None
    passes: Any = None  # what watches passes over many rows


Engine = Literal["bayesgmm", "pymc"]
_ENGINE: Kind[Engine] = one_of(*get_args(Engine))


def _option[T](default: T, kind: Kind[T]) -> T:
    return field(default=default, metadata={"kind": kind})


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method and its options; two of the same options are equal."""

    name: ClassVar[str]
    title: ClassVar[str]  # of a printed fit; {} says how many draws there are
    short: ClassVar[str]  # in a picture
    module: ClassVar[str]  # of the package, whose ``fitted`` does it

    def __post_init__(self) -> None:
        for option in fields(self):
            kind: Kind[Any] = option.metadata["kind"]
            object.__setattr__(self, option.name, kind(option.name, getattr(self, option.name)))

    @classmethod
    def of(cls, **given: Any) -> Method:
        """With some options; one that the method does not have is refused."""
        known = [option.name for option in fields(cls)]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise SpecError(
                f"method={cls.name!r} has no option {unknown[0]!r}; it has {', '.join(known)}.",
                name=unknown[0],
            )
        return cls(**given)

    @property
    def n_draws(self) -> int:
        """Draws that it keeps; none for a point estimate."""
        return 0


@dataclass(frozen=True, kw_only=True)
class Search(Method):
    """Options of a search for a maximum."""

    module: ClassVar[str] = "inference.maximum.fit"

    n_starts: int | None = _option(None, optional(COUNT))
    n_best: int | None = _option(None, optional(LIMIT))
    rounds: int | None = _option(None, optional(LIMIT_FROM_ZERO))
    max_iter: int = _option(2000, LIMIT)
    tol: float = _option(1e-9, NOT_NEGATIVE)
    accelerate: bool = _option(True, TRUTH)
    avoid_collapse: bool = _option(True, TRUTH)


@dataclass(frozen=True, kw_only=True)
class EM(Search):
    """Maximum likelihood.

    Parameters
    ----------
    n_starts, n_best : int, optional
        Short runs, and how many of the best go on to convergence; by default 40 and 10,
        fewer where a pass over the data costs much.
    rounds : int, optional
        Rounds of moving components of the best runs to where the data gain most; by
        default 20, fewer where eight in a row improve nothing or a pass costs much.
    max_iter : int, default 2000
        Limit of iterations of a run.
    tol : float, default 1e-9
        Gain per row below which EM has stopped.
    accelerate : bool, default True
        Finish by a quasi-Newton climb.
    avoid_collapse : bool, default True
        Rank a run that is not sound after every one that is, however high its objective.
        Not sound is one in which a component collapsed (onto the step to which values were
        recorded, or onto the smallest variance there is), and for ``EM`` one in which a
        component of fewer than 2 D + 2 rows is tighter than every component of more.
    reg_covar : float, default 0
        Added to every variance in the data's units, as scikit-learn does.  Degeneracy is
        bounded without it.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()
    >>> fit = bg.fit(bg.MixtureSpec(2), X, method=bg.EM(n_starts=4, rounds=1), seed=1)
    >>> round(fit.log_likelihood, 2)
    -1130.26
    """

    name: ClassVar[str] = "em"
    title: ClassVar[str] = "EM, maximum likelihood"
    short: ClassVar[str] = "EM"

    reg_covar: float = _option(0.0, NOT_NEGATIVE)


@dataclass(frozen=True, kw_only=True)
class MAP(Search):
    """The maximum of the joint posterior density of (w, mu, sigma, R), without a Jacobian.

    Its options are those of :class:`EM` but ``reg_covar``.

    Parameters
    ----------
    n_starts, n_best, rounds, max_iter and others
        As of :class:`EM`.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.MAP(max_iter=500).max_iter
    500
    """

    name: ClassVar[str] = "map"
    title: ClassVar[str] = "MAP, posterior mode"
    short: ClassVar[str] = "MAP"


@dataclass(frozen=True, kw_only=True)
class Laplace(Method):
    """Draws from normals at the posterior's modes, reweighted to the exact density.

    Parameters
    ----------
    draws : int, default 1000

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.Laplace(draws=200)
    Laplace(draws=200)
    """

    name: ClassVar[str] = "laplace"
    title: ClassVar[str] = "Laplace, {}"
    short: ClassVar[str] = "Laplace"
    module: ClassVar[str] = "inference.sampling.laplace"

    draws: int = _option(1000, COUNT)

    @property
    def n_draws(self) -> int:
        return self.draws


@dataclass(frozen=True, kw_only=True)
class Chains(Method):
    """Options of chains."""

    module: ClassVar[str] = "inference.sampling.nuts"

    draws: int = _option(1000, AT_LEAST_TWO)
    tune: int = _option(500, COUNT)
    chains: int = _option(4, COUNT)

    @property
    def n_draws(self) -> int:
        return self.draws * self.chains


@dataclass(frozen=True, kw_only=True)
class Tempering(Chains):
    """Posterior draws by tempering from the prior alone, whatever the modes.

    Parameters
    ----------
    draws, tune, chains : int, default 1000, 500, 4
        Kept draws of a chain, at least 2; warm-up draws of a chain; chains.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.Tempering(draws=500).n_draws
    2000
    """

    name: ClassVar[str] = "tempering"
    title: ClassVar[str] = "tempering, {}"
    short: ClassVar[str] = "tempering"


@dataclass(frozen=True, kw_only=True)
class NUTS(Chains):
    """Posterior draws, in which every mode has its share.

    By NUTS where the search finds one mode, by chains that jump between them where it finds
    several, and by tempering where that is not enough.

    Parameters
    ----------
    draws, tune, chains : int, default 1000, 500, 4
        Kept draws of a chain, at least 2; warm-up draws of a chain; chains.
    target_accept : float, default 0.9
        At which whitened chains take seven steps a draw and draws are worth more than
        independent ones; fewer steps gain little and diverge more.
    engine : {"bayesgmm", "pymc"}
        The fused density, with nothing to compile (default), or the PyMC model, which
        compiles for minutes the first time.
    progressbar : bool, optional
        Whether the sampler shows its chains, draws, divergences and steps as it goes; by
        default it does on a terminal.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.NUTS(draws=500, chains=2).n_draws
    1000
    """

    name: ClassVar[str] = "nuts"
    title: ClassVar[str] = "NUTS, {}"
    short: ClassVar[str] = "NUTS"

    target_accept: float = _option(0.9, PROBABILITY)
    engine: Engine = _option("bayesgmm", _ENGINE)  # noqa: RUF009  - frozen, so that one serves all
    progressbar: bool | None = _option(None, optional(TRUTH))


#: The methods by name.
METHODS: dict[str, type[Method]] = {
    method.name: method for method in (EM, MAP, Laplace, NUTS, Tempering)
}
