"""``fit``: one spec, one data set, any method, one kind of result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from bayesgmm.errors import SpecError, warn
from bayesgmm.inference.labelling import highest
from bayesgmm.inference.search import Progress, search
from bayesgmm.inference.soundness import weak_components, weak_draw
from bayesgmm.interrupts import whole_imports
from bayesgmm.model.density import LogPosterior
from bayesgmm.model.observations import Observations
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.spec import SPEC, MixtureSpec
from bayesgmm.options import (
    AT_LEAST_TWO,
    CORES,
    COUNT,
    LIMIT,
    LIMIT_FROM_ZERO,
    NOT_NEGATIVE,
    PROBABILITY,
    PROGRESS,
    SEED,
    TRUTH,
    Kind,
    one_of,
    optional,
    refuse_beyond_memory,
    shown,
)
from bayesgmm.result import MixtureFit

if TYPE_CHECKING:  # the samplers are loaded by the methods that need them
    from bayesgmm.inference.nuts import Draws

Method = Literal["em", "map", "laplace", "nuts", "tempering"]


@whole_imports
def fit(
    spec: MixtureSpec,
    data: Any,
    *,
    method: Method = "em",
    seed: Any = None,
    start: MixtureParameters | MixtureFit | None = None,
    row_weights: Any = None,
    cores: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> MixtureFit:
    """Fit a mixture.

    Parameters
    ----------
    spec : MixtureSpec
        The model.
    data : array, DataFrame, DataArray, Dataset or Observations
        N rows and D features.
    method : {"em", "map", "laplace", "nuts", "tempering"}, default "em"
        ``em``: maximum likelihood; ``map``: the maximum of the joint posterior
        density of (w, mu, sigma, R), no Jacobian; ``laplace``: draws from normals at
        the posterior's modes, reweighted to the exact density; ``nuts``: posterior
        draws, by NUTS where the search finds one mode, by chains that jump between them
        where it finds several, and by tempering where that is not enough;
        ``tempering``: posterior draws by tempering from the prior alone.
    seed : int, SeedSequence or Generator, optional
        The same seed gives the same fit.
    start : MixtureParameters or a point MixtureFit, optional
        Start there instead of searching.
    row_weights : array of shape (N,), optional
        See :class:`Observations`.
    cores : int, optional
        Threads; all that the process may use by default.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Other Parameters
    ----------------
    n_starts, n_best : int, optional
        ``em`` and ``map``: short runs, and how many of the best go on to convergence; by
        default 40 and 10, fewer where a pass over the data costs much.
    rounds : int, optional
        ``em`` and ``map``: rounds of moving components of the best runs to where the data
        gain most; by default 20, fewer where eight in a row improve nothing or a pass
        costs much.
    max_iter, tol : int, float
        ``em`` and ``map``: iteration limit, default 2000, and gain per row below
        which EM has stopped, default 1e-9.
    accelerate : bool
        ``em`` and ``map``: finish by a quasi-Newton climb, default True.
    reg_covar : float
        ``em``: added to every variance in the data's units, as scikit-learn does,
        default 0.  Degeneracy is bounded without it.
    avoid_collapse : bool
        ``em`` and ``map``: rank a run that is not sound after every one that is, however
        high its objective, default True.  Not sound is one in which a component collapsed
        (onto the step to which values were recorded, or onto the smallest variance there
        is), and for ``em`` one in which a component of fewer than 2 D + 2 rows is tighter
        than every component of more.
    draws, tune, chains : int
        ``nuts`` and ``tempering``: kept draws a chain (1000, at least 2), warm-up draws a
        chain (500), chains (4); ``laplace``: draws (1000).
    target_accept : float
        ``nuts``: default 0.9, at which whitened chains take seven steps a draw and draws
        are worth more than independent ones; fewer steps gain little and diverge more.
    engine : {"bayesgmm", "pymc"}
        ``nuts``: the fused density, with nothing to compile (default), or the PyMC
        model, which compiles for minutes the first time.
    progressbar : bool, optional
        ``nuts``: whether the sampler shows its chains, draws, divergences and steps as
        it goes; by default it does on a terminal.

    Returns
    -------
    MixtureFit

    Raises
    ------
    DataError, SpecError
        Bad data or options, in one sentence; for ``laplace`` and ``nuts`` with ``full`` or
        ``tied`` also features that are linear combinations of others, by their names.

    Warns
    -----
    FitWarning
        If the fit did not end well; ``fit.status`` says how.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the
    EM algorithm, JRSS B 39.  Hoffman and Gelman (2014), The No-U-Turn sampler,
    JMLR 15.  Syed, Bouchard-Cote, Deligiannidis and Doucet (2022), Non-reversible
    parallel tempering, JRSS B 84.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> spec = bg.MixtureSpec(n_components=3, covariance="tied")
    >>> em = bg.fit(spec, bg.datasets.faithful(), method="em", seed=1)
    >>> round(em.log_likelihood, 2)
    -1126.32
    """
    result = fitted(
        spec, data, method=method, seed=seed, start=start, row_weights=row_weights, cores=cores,
        progress=progress, **options,
    )  # fmt: skip
    if not result.status.ok:
        told = [result.status.sentence, result.note, result.status.remedy]
        warn(f"{spec.label} by {method}: {' '.join(part for part in told if part)}")
    return result


def fitted(
    spec: MixtureSpec,
    data: Any,
    *,
    method: Method,
    seed: Any = None,
    start: MixtureParameters | MixtureFit | None = None,
    row_weights: Any = None,
    cores: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> MixtureFit:
    """:func:`fit` without a warning, for what judges the status by itself."""
    spec, method = SPEC("spec", spec), _METHOD("method", method)
    options = check_options(method, options)
    common = {
        "seed": SEED("seed", seed), "start": _start(start), "cores": CORES("cores", cores),
        "progress": PROGRESS("progress", progress),
    }  # fmt: skip
    observations = data
    if not isinstance(data, Observations) or row_weights is not None:
        observations = Observations(data, row_weights=row_weights)
    if method in ("nuts", "tempering", "laplace"):
        _refuse_too_many(spec, observations, options["draws"] * options.get("chains", 1))
    how = {"nuts": _nuts, "tempering": _nuts, "laplace": _laplace}.get(method, _point)
    return how(spec, observations, method, **common, **options)


_SEARCH: dict[str, tuple[Any, Kind[Any]]] = {
    "n_starts": (None, optional(COUNT)), "n_best": (None, optional(LIMIT)),
    "rounds": (None, optional(LIMIT_FROM_ZERO)),
    "max_iter": (2000, LIMIT), "tol": (1e-9, NOT_NEGATIVE), "accelerate": (True, TRUTH),
    "avoid_collapse": (True, TRUTH),
}  # fmt: skip
_CHAINS: dict[str, tuple[Any, Kind[Any]]] = {
    "draws": (1000, AT_LEAST_TWO), "tune": (500, COUNT), "chains": (4, COUNT),
}  # fmt: skip
#: The options of each method: their defaults and kinds.
_METHODS: dict[str, dict[str, tuple[Any, Kind[Any]]]] = {
    "em": {**_SEARCH, "reg_covar": (0.0, NOT_NEGATIVE)},
    "map": _SEARCH,
    "laplace": {"draws": (1000, COUNT)},
    "tempering": _CHAINS,
    "nuts": {
        **_CHAINS, "target_accept": (0.9, PROBABILITY),
        "engine": ("bayesgmm", one_of("bayesgmm", "pymc")),
        "progressbar": (None, optional(TRUTH)),
    },
}  # fmt: skip
_METHOD = one_of(*get_args(Method))


def check_options(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a method, those that are not given at their defaults, or a refusal."""
    known = _METHODS[method]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise SpecError(
            f"method={method!r} has no option {unknown[0]!r}; it has {', '.join(known)}."
        )
    return {name: kind(name, given.get(name, default)) for name, (default, kind) in known.items()}


def _refuse_too_many(spec: MixtureSpec, observations: Observations, draws: int) -> None:
    k, d = spec.n_components, observations.n_features
    refuse_beyond_memory(
        f"{draws:,} draws of {k} components", 8.0 * draws * k * (1 + 2 * d + 2 * d * d),
        "draw fewer",
    )  # fmt: skip


def _start(start: Any) -> MixtureParameters | None:
    if isinstance(start, MixtureFit):
        if start.is_posterior:
            raise SpecError("start holds draws; give a point fit or one MixtureParameters.")
        return start.parameters[0, 0]
    if start is not None and not isinstance(start, MixtureParameters):
        raise SpecError(f"start must be MixtureParameters or a fit, got {shown(start)}.")
    return start


def _point(
    spec: MixtureSpec, observations: Observations, method: str, *, seed: Any, **options: Any
) -> MixtureFit:
    result = search(spec, observations, prior=method == "map", seed=seed, **options)
    best = result.best
    point = best.parameters(result.density)
    order = np.arange(spec.n_components)
    if options["start"] is None:  # one order for all fits: by the mean of the first feature
        order = np.lexsort(point.means.T[::-1])
        point = point.permute(order)
    note = weak_components(point, observations, best.soundness.of(order))
    batch = MixtureParameters(
        point.weights[None, None], point.means[None, None], point.scale_tril[None, None]
    )
    return MixtureFit.build(
        spec,
        observations,
        batch,
        method=method,
        status=best.status,
        sample_stats={"lp": np.full((1, 1), best.objective)},
        facts={
            "n_iterations": best.n_iterations,
            "n_starts": result.n_starts,
            "objective_trace": best.trace,
            "mode_objectives": [run.objective for run in result.modes],
            **({"note": note} if note else {}),
        },
        seed=seed,
        cores=options["cores"],
    )


def _nuts(
    spec: MixtureSpec, observations: Observations, method: str, *, seed: Any, **options: Any
) -> MixtureFit:
    from bayesgmm.inference.nuts import sample

    if method == "tempering":
        options |= {"engine": "bayesgmm", "target_accept": 0.9, "progressbar": False}
    drawn = sample(spec, observations, method=method, seed=seed, **options)
    facts = {"engine": options["engine"], "tune": options["tune"]}
    return _of_draws(spec, observations, method, drawn, facts, seed, options["cores"])


def _laplace(
    spec: MixtureSpec, observations: Observations, method: str, *, seed: Any, **options: Any
) -> MixtureFit:
    from bayesgmm.inference.laplace import sample_laplace

    drawn = sample_laplace(spec, observations, seed=seed, **options)
    return _of_draws(spec, observations, method, drawn, {}, seed, options["cores"])


def _of_draws(
    spec: MixtureSpec,
    observations: Observations,
    method: str,
    drawn: Draws,
    facts: dict[str, Any],
    seed: Any,
    cores: int | None,
) -> MixtureFit:
    lp, modes = drawn.sample_stats["lp"], drawn.modes
    top = highest(drawn.parameters, lp)
    if modes is not None and modes.log_density.max() > lp.max():
        top = modes.places[int(modes.log_density.argmax())]
    note = weak_draw(LogPosterior(spec, observations), top)
    return MixtureFit.build(
        spec,
        observations,
        drawn.parameters,
        method=method,
        status=drawn.status,
        sample_stats=drawn.sample_stats,
        facts={
            **facts, **drawn.facts, **(modes.facts() if modes else {}),
            **({"note": note} if note else {}),
        },
        seed=seed,
        cores=cores,
    )
