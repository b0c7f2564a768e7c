"""``fit``: one spec, one data set, any method, one kind of result."""

from __future__ import annotations

import importlib
import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args, overload

from bayesgmm.data.observations import Observations
from bayesgmm.density.passes import Passes, checkpoint_in
from bayesgmm.errors import SpecError, warn
from bayesgmm.interrupts import whole_imports
from bayesgmm.methods import METHODS, Engine, Method, Run
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import SPEC, MixtureSpec
from bayesgmm.options import (
    CORES,
    PATH,
    PROGRESS,
    SEED,
    Kind,
    Progress,
    Seed,
    one_of,
    optional,
    refuse_beyond_memory,
    shown,
)
from bayesgmm.progress import watched
from bayesgmm.result.fit import MixtureFit

Name = Literal["em", "map", "laplace", "nuts", "tempering"]
_NAME = one_of(*METHODS)
assert get_args(Name) == tuple(METHODS)


def _client(value: Any) -> Any:
    """Known by what is asked of it, since ``distributed`` need not be there."""
    if not (hasattr(value, "as_current") and hasattr(value, "compute")):
        raise TypeError
    return value


_CLIENT: Kind[Any] = optional(Kind("a distributed.Client", _client))


class _Default:
    """Of an option that is not given: its method's own default."""

    def __repr__(self) -> str:
        return "<the method's>"


_DEFAULT: Any = _Default()


@overload
def fit(
    spec: MixtureSpec,
    data: Any,
    *,
    method: Literal["em"] = "em",
    seed: Seed = None,
    start: MixtureParameters | MixtureFit | None = None,
    row_weights: Any = None,
    cores: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    client: Any = None,
    n_starts: int | None = None,
    n_best: int | None = None,
    rounds: int | None = None,
    max_iter: int = 2000,
    tol: float = 1e-9,
    accelerate: bool = True,
    avoid_collapse: bool = True,
    reg_covar: float = 0.0,
) -> MixtureFit: ...
@overload
def fit(
    spec: MixtureSpec,
    data: Any,
    *,
    method: Literal["map"],
    seed: Seed = None,
    start: MixtureParameters | MixtureFit | None = None,
    row_weights: Any = None,
    cores: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    client: Any = None,
    n_starts: int | None = None,
    n_best: int | None = None,
    rounds: int | None = None,
    max_iter: int = 2000,
    tol: float = 1e-9,
    accelerate: bool = True,
    avoid_collapse: bool = True,
) -> MixtureFit: ...
@overload
def fit(
    spec: MixtureSpec,
    data: Any,
    *,
    method: Literal["laplace"],
    seed: Seed = None,
    start: MixtureParameters | MixtureFit | None = None,
    row_weights: Any = None,
    cores: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    client: Any = None,
    draws: int = 1000,
) -> MixtureFit: ...
@overload
def fit(
    spec: MixtureSpec,
    data: Any,
    *,
    method: Literal["nuts"],
    seed: Seed = None,
    start: MixtureParameters | MixtureFit | None = None,
    row_weights: Any = None,
    cores: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    client: Any = None,
    draws: int = 1000,
    tune: int = 500,
    chains: int = 4,
    target_accept: float = 0.9,
    engine: Engine = "bayesgmm",
    progressbar: bool | None = None,
) -> MixtureFit: ...
@overload
def fit(
    spec: MixtureSpec,
    data: Any,
    *,
    method: Literal["tempering"],
    seed: Seed = None,
    start: MixtureParameters | MixtureFit | None = None,
    row_weights: Any = None,
    cores: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    client: Any = None,
    draws: int = 1000,
    tune: int = 500,
    chains: int = 4,
) -> MixtureFit: ...
@overload
def fit(
    spec: MixtureSpec,
    data: Any,
    *,
    method: Method,
    seed: Seed = None,
    start: MixtureParameters | MixtureFit | None = None,
    row_weights: Any = None,
    cores: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    client: Any = None,
) -> MixtureFit: ...
@whole_imports
def fit(
    spec: MixtureSpec,
    data: Any,
    *,
    method: Name | Method = "em",
    seed: Seed = None,
    start: MixtureParameters | MixtureFit | None = None,
    row_weights: Any = None,
    cores: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    client: Any = None,
    n_starts: Any = _DEFAULT,
    n_best: Any = _DEFAULT,
    rounds: Any = _DEFAULT,
    max_iter: Any = _DEFAULT,
    tol: Any = _DEFAULT,
    accelerate: Any = _DEFAULT,
    avoid_collapse: Any = _DEFAULT,
    reg_covar: Any = _DEFAULT,
    draws: Any = _DEFAULT,
    tune: Any = _DEFAULT,
    chains: Any = _DEFAULT,
    target_accept: Any = _DEFAULT,
    engine: Any = _DEFAULT,
    progressbar: Any = _DEFAULT,
) -> MixtureFit:
    """Fit a mixture.

    Parameters
    ----------
    spec : MixtureSpec
        The model.
    data : array, DataFrame, DataArray, Dataset or Observations
        N rows and D features.
    method : {"em", "map", "laplace", "nuts", "tempering"} or such an object, default "em"
        ``em``: maximum likelihood; ``map``: the maximum of the joint posterior
        density of (w, mu, sigma, R), no Jacobian; ``laplace``: draws from normals at
        the posterior's modes, reweighted to the exact density; ``nuts``: posterior
        draws, by NUTS where the search finds one mode, by chains that jump between them
        where it finds several, and by tempering where that is not enough;
        ``tempering``: posterior draws by tempering from the prior alone.  Options are
        arguments beside a name, or within an object: ``method=bg.NUTS(draws=500)``.
    seed : int, SeedSequence or Generator, optional
        The same seed gives the same fit.
    start : MixtureParameters or a point MixtureFit, optional
        Start there instead of searching.
    row_weights : array of shape (N,), optional
        See :class:`Observations`.
    cores : int, optional
        Threads; all that the process may use by default.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.  Without one a bar shows itself after two
        seconds, in terminals and notebooks.
    checkpoint : path, optional
        A folder in which what each pass over many rows (more than 16,384) has found is kept, so
        that the same call, after the fit was killed, goes on from there and ends as the
        other would have.
    client : distributed.Client, optional
        The cluster that goes over rows that are not in memory; without it the client that is
        active, if there is one.

    Other Parameters
    ----------------
    n_starts, n_best, rounds, max_iter, tol, accelerate, avoid_collapse
        ``em`` and ``map``: see :class:`EM`.
    reg_covar : float
        ``em``: see :class:`EM`.
    draws : int
        ``laplace``, ``nuts`` and ``tempering``: draws (of a chain), default 1000.
    tune, chains : int
        ``nuts`` and ``tempering``: warm-up draws of a chain (500), chains (4).
    target_accept, engine, progressbar
        ``nuts``: see :class:`NUTS`.

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
    options = {
        "n_starts": n_starts,
        "n_best": n_best,
        "rounds": rounds,
        "max_iter": max_iter,
        "tol": tol,
        "accelerate": accelerate,
        "avoid_collapse": avoid_collapse,
        "reg_covar": reg_covar,
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "target_accept": target_accept,
        "engine": engine,
        "progressbar": progressbar,
    }
    given = {name: value for name, value in options.items() if value is not _DEFAULT}
    chosen = _method(method, given)
    own = getattr(chosen, "progressbar", None) is not None  # nutpie's, or none at all
    with watched(PROGRESS("progress", progress), unasked=not own) as report:
        result = fitted(
            spec,
            data,
            chosen,
            seed=seed,
            start=start,
            row_weights=row_weights,
            cores=cores,
            progress=report,
            checkpoint=checkpoint,
            client=client,
        )
    if not result.status.ok:
        told = [result.status.sentence, result.note, result.status.remedy]
        warn(f"{spec.label} by {result.method}: {' '.join(part for part in told if part)}")
    return result


def _method(method: Any, given: dict[str, Any]) -> Method:
    if not isinstance(method, Method):
        return METHODS[_NAME("method", method)].of(**given)
    if given:
        raise SpecError(
            f"{next(iter(given))} is given beside method={method!r}; give it within.",
            name=next(iter(given)),
        )
    return method


def fitted(
    spec: MixtureSpec,
    data: Any,
    method: Method,
    *,
    seed: Seed = None,
    start: MixtureParameters | MixtureFit | None = None,
    row_weights: Any = None,
    cores: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    client: Any = None,
) -> MixtureFit:
    """:func:`fit` without a warning, for what judges the status by itself."""
    spec, progress = SPEC("spec", spec), PROGRESS("progress", progress)
    seed, folder = SEED("seed", seed), optional(PATH)("checkpoint", checkpoint)
    run = Run(seed, _start(start), CORES("cores", cores), progress)
    client = _CLIENT("client", client)
    with nullcontext() if client is None else client.as_current():
        observations = data
        if not isinstance(data, Observations) or row_weights is not None:
            observations = Observations(data, row_weights=row_weights)
    if client is not None:
        observations = observations.on_cluster(client)
    _refuse_too_many(spec, observations, method.n_draws)
    if folder is not None:
        seed = checkpoint_in(folder, spec.to_json(), observations, repr(method), seed)
    run = run._replace(seed=seed, passes=Passes(progress, folder))
    # By name, because the samplers are loaded by the methods that need them alone.
    maker = importlib.import_module(f"bayesgmm.{method.module}")
    result: MixtureFit = maker.fitted(spec, observations, method, run)
    result.tree.attrs["options"] = json.dumps(asdict(method), default=repr)
    if run.start is not None:
        result.tree.attrs["start"] = "given"
    return result


def _refuse_too_many(spec: MixtureSpec, observations: Observations, draws: int) -> None:
    k, d = spec.n_components, observations.n_features
    refuse_beyond_memory(
        f"{draws:,} draws of {k} components",
        8.0 * draws * k * (1 + 2 * d + 2 * d * d),
        "draw fewer",
    )


def _start(start: Any) -> MixtureParameters | None:
    if isinstance(start, MixtureFit):
        if start.is_posterior:
            raise SpecError("start holds draws; give a point fit or one MixtureParameters.")
        return start.parameters[0, 0]
    if start is not None and not isinstance(start, MixtureParameters):
        raise SpecError(f"start must be MixtureParameters or a fit, got {shown(start)}.")
    return start
