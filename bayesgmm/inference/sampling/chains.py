"""Chains on the fused density: run them, and keep whatever was drawn.

nutpie runs the chains and shows their progress.  An interrupt keeps the draws made
so far.  nutpie stops every chain when one fails, so then each is drawn on its own,
and only the one that fails is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.errors import FitError, panicked
from bayesgmm.inference.sampling.drawn import Drawn
from bayesgmm.inference.sampling.modes import Mode, shares_of
from bayesgmm.inference.sampling.nutpie_bridge import whitened_model
from bayesgmm.options import Progress
from bayesgmm.result.status import Status

#: Sampler statistics kept, under ArviZ's names, and nutpie's names for them.
SAMPLER_STATISTICS = {
    "lp": "logp",
    "diverging": "diverging",
    "n_steps": "n_steps",
    "tree_depth": "depth",
    "energy": "energy",
    "step_size": "step_size",
}


#: Every mode of at least this share of the mass gets a chain, as long as there are chains.
_LEAST_SHARE = 0.05


class Chain(NamedTuple):
    """What one chain drew after its warm-up."""

    z: NDArray[np.float64]  # (draw, P)
    statistics: dict[str, NDArray[Any]]  # each (draw,)


def run_chains(
    density: LogPosterior,
    modes: list[Mode],
    settings: dict[str, Any],
    progress: Progress | None,
    progressbar: bool,
) -> Drawn:
    """Draw from the density by NUTS, whitened at the modes where chains start.

    ``settings`` are nutpie's ``draws``, ``tune``, ``chains``, ``cores``,
    ``target_accept`` and ``seed``.
    """
    theta, statistics = [], []
    status = Status.CONVERGED
    seeds = [settings["seed"], *np.random.SeedSequence(settings["seed"]).generate_state(len(modes))]
    counts = chains_by_mode(shares_of(modes), settings["chains"])
    total = (settings["draws"] + settings["tune"]) * settings["chains"]
    begun = 0
    for mode, count, seed in zip(modes, counts, seeds, strict=False):
        if not count:
            continue
        cores = min(count, settings["cores"])
        own = {**settings, "chains": count, "cores": cores, "seed": int(seed)}
        options: dict[str, Any] = {"progress_bar": progressbar}
        if progress is not None:
            options["progress_callback"] = _relay(progress, begun, total)
        drawn, ended = _from_mode(density.with_cores(density.cores // cores), mode, own, options)
        theta += [mode.at(chain.z) for chain in drawn]
        statistics += [chain.statistics for chain in drawn]
        status = status if ended is Status.CONVERGED else ended
        begun += (settings["draws"] + settings["tune"]) * count
        if ended is Status.INTERRUPTED:
            break
    if not theta:
        raise FitError("Sampling stopped before any chain had two draws; nothing can be kept.")
    lengths = [len(chain) for chain in theta]  # as much as can be kept where they were cut short
    length = max(lengths, key=lambda n: n * sum(other >= n for other in lengths))
    kept = [i for i, n in enumerate(lengths) if n >= length]
    return Drawn(
        np.stack([theta[i][:length] for i in kept]),
        {
            name: np.stack([statistics[i][name][:length] for i in kept])
            for name in SAMPLER_STATISTICS
        },
        status,
        {"sampler": "nuts"},
    )


def chains_by_mode(shares: NDArray[np.float64], chains: int) -> NDArray[np.int64]:
    """How many chains start at each mode, so that what separates modes shows up as chains
    that disagree.

    In proportion to their shares of the mass, largest first (Sainte-Lague), once every
    mode that is not small has one.
    """
    counts = np.zeros(len(shares), dtype=np.int64)
    counts[
        [
            i
            for i in np.argsort(-shares, kind="stable")[:chains]
            if i == np.argmax(shares) or shares[i] >= _LEAST_SHARE
        ]
    ] = 1
    while counts.sum() < chains:
        counts[np.argmax(shares / (2 * counts + 1))] += 1
    return counts


def _from_mode(
    density: LogPosterior, mode: Mode, settings: dict[str, Any], options: dict[str, Any]
) -> tuple[list[Chain], Status]:
    """Chains that start as draws from a mode's normal approximation, and how they ended."""

    def initial_point(seed: int) -> NDArray[np.float64]:
        return 0.8 * np.random.default_rng(seed).standard_normal(density.size)

    model = whitened_model(density, mode, initial_point)
    try:
        chains, whole = _sample(model, settings, options)
        status = Status.CONVERGED if whole else Status.INTERRUPTED
    except RuntimeError as error:
        chains = _one_by_one(model, settings, options)
        whole = len(chains) == settings["chains"]
        status = Status.CONVERGED if whole else Status.CHAIN_LOST
        if not chains:
            cause = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise FitError(f"Sampling failed in every chain: {cause}.") from error
    # An interrupted chain is shorter, and those that had not begun have nothing.
    return [chain for chain in chains if len(chain.z) > 1], status


def _sample(
    model: Any, settings: dict[str, Any], options: dict[str, Any]
) -> tuple[list[Chain], bool]:
    """The chains, and whether they are whole: an interrupt keeps what had been drawn."""
    import nutpie

    try:
        sampler = nutpie.sample(
            model, **settings, **options, save_warmup=False, blocking=False, return_raw_trace=True
        )
    except BaseException as error:
        if not panicked(error):
            raise
        cause = (str(error).splitlines() or ["it panicked"])[0].rstrip(".")
        raise FitError(f"Sampling could not begin: {cause}.") from error
    try:
        trace, whole = sampler.wait(), True
    except KeyboardInterrupt:
        trace, whole = sampler.abort(), False
    return [
        _read(draws, statistics) for draws, statistics in zip(*trace.get_arrow_trace(), strict=True)
    ], whole


def _one_by_one(model: Any, settings: dict[str, Any], options: dict[str, Any]) -> list[Chain]:
    """Each chain as a run of its own, without those that fail."""
    kept = []
    for seed in np.random.SeedSequence(settings["seed"]).generate_state(settings["chains"]):
        alone = {**settings, "chains": 1, "cores": 1, "seed": int(seed)}
        try:
            kept += _sample(model, alone, options)[0]
        except RuntimeError:
            continue
    return kept


def _read(draws: Any, statistics: Any) -> Chain:
    """The draws after warm-up of one chain's Arrow tables."""
    import pyarrow as pa

    def column(table: Any, name: str) -> NDArray[Any]:
        return np.asarray(pa.array(table.column(name)).to_numpy(zero_copy_only=False))

    kept = ~column(statistics, "tuning").astype(bool)
    z = pa.array(draws.column("z")).flatten().to_numpy(zero_copy_only=False)
    size = z.size // max(draws.num_rows, 1)  # an interrupt may come before the first draw
    return Chain(
        z.reshape(draws.num_rows, size)[kept],
        {name: column(statistics, own)[kept] for name, own in SAMPLER_STATISTICS.items()},
    )


def _relay(progress: Progress, begun: int, total: int) -> Callable[[Any], None]:
    """nutpie's progress as calls of ours."""

    def report(chains: Any) -> None:
        divergences = sum(chain.divergences for chain in chains)
        told = f", {divergences} divergences" if divergences else ""
        progress(f"sampling{told}", begun + sum(chain.finished_draws for chain in chains), total)

    return report
