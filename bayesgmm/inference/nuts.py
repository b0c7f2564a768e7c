"""NUTS: draws from the posterior, in one labelling, with a verdict on their mixing.

Two engines sample the same posterior.  ``bayesgmm`` runs nutpie on the fused
density in whitened coordinates, with nothing to compile; ``pymc`` samples the
PyMC model of the spec.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import FitError
from bayesgmm.inference.relabel import to_pivot
from bayesgmm.inference.search import Progress
from bayesgmm.inference.whitening import Mode, pivot_of, prepare
from bayesgmm.model.density import LogPosterior
from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import one_blas_thread
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.status import Status

#: Sampler statistics kept, under ArviZ's names, and nutpie's names for them.
_KEPT = {
    "lp": "logp",
    "diverging": "diverging",
    "n_steps": "n_steps",
    "tree_depth": "depth",
    "energy": "energy",
    "step_size": "step_size",
}


@dataclass(frozen=True)
class Draws:
    """What a sampler made, relabelled."""

    parameters: MixtureParameters  # batch (chain, draw), data units
    sample_stats: dict[str, NDArray[Any]]  # with permutation (chain, draw, component)
    status: Status
    n_modes: int  # modes that hold a share of the mass, relabellings apart


def sample(
    spec: MixtureSpec,
    observations: Observations,
    *,
    engine: str,
    draws: int,
    tune: int,
    chains: int,
    start: MixtureParameters | None,
    target_accept: float,
    seed: Any,
    cores: int | None,
    progress: Progress | None,
    progressbar: bool | None,
) -> Draws:
    """Find the modes, sample from them by an engine, relabel, judge."""
    if progressbar is None:
        progressbar = progress is None and sys.stderr.isatty()
    density, modes, root = prepare(
        spec, observations, start=start, seed=seed, cores=cores, progress=progress
    )
    pivot = pivot_of(density, modes[0])
    settings = {
        "draws": draws, "tune": tune, "chains": chains, "target_accept": target_accept,
        "cores": min(chains, density.cores),
        "seed": int(root.generate_state(1, np.uint64)[0] >> np.uint64(1)),
    }  # fmt: skip
    with one_blas_thread():
        if engine == "pymc":
            if progress is not None:
                progress("compiling with PyMC", 0, 0)
            parameters, stats, whole = _by_pymc(spec, observations, pivot, settings, progressbar)
        else:
            parameters, stats, whole = _by_bridge(density, modes, settings, progress, progressbar)
    permutation = to_pivot(parameters, pivot)
    relabelled = parameters.permute(permutation)
    status = _verdict(relabelled, stats, len(modes)) if whole else Status.INTERRUPTED
    return Draws(relabelled, {**stats, "permutation": permutation}, status, len(modes))


def _by_pymc(
    spec: MixtureSpec,
    observations: Observations,
    start: MixtureParameters,
    settings: dict[str, Any],
    progressbar: bool,
) -> tuple[MixtureParameters, dict[str, NDArray[Any]], bool]:
    import pymc as pm

    from bayesgmm.inference.pymc_model import initial_values, parameters_of, to_pymc

    options = {**settings, "random_seed": settings["seed"] % 2**32}
    del options["seed"]
    with to_pymc(spec, observations):
        tree = pm.sample(
            nuts_sampler="nutpie",
            initvals=initial_values(spec, start),
            progressbar=progressbar,
            compute_convergence_checks=False,  # of draws before relabelling
            **options,
        )
    return parameters_of(spec, tree["posterior"]), _statistics(tree), True


def _by_bridge(
    density: LogPosterior,
    modes: list[Mode],
    settings: dict[str, Any],
    progress: Progress | None,
    progressbar: bool,
) -> tuple[MixtureParameters, dict[str, NDArray[Any]], bool]:
    import nutpie

    from bayesgmm.inference.nutpie_bridge import whitened_model

    main = modes[0]
    to_white = np.linalg.inv(main.spread)

    def initial_point(seed: int) -> NDArray[np.float64]:
        # A chain starts as a draw from one mode's normal approximation: from any that
        # holds mass, so that what separates them shows up as chains that disagree.
        rng = np.random.default_rng(seed)
        mode = modes[rng.integers(len(modes))]
        theta = mode.at(0.8 * rng.standard_normal(density.size))
        return to_white @ (theta - main.theta)

    total = (settings["draws"] + settings["tune"]) * settings["chains"]
    # Cores that chains leave idle run the rows of one gradient.
    density = density.with_cores(density.cores // settings["cores"])
    sampler = nutpie.sample(
        whitened_model(density, main, initial_point),
        draws=settings["draws"],
        tune=settings["tune"],
        chains=settings["chains"],
        cores=settings["cores"],
        seed=settings["seed"],
        target_accept=settings["target_accept"],
        save_warmup=False,
        progress_bar=progressbar,
        progress_callback=None if progress is None else _relay(progress, total),
        blocking=False,
    )
    tree, whole = _wait(sampler)
    z = tree["posterior"]["z"].transpose("chain", "draw", "z_dim").values if (
        "posterior" in tree.children and "z" in tree["posterior"]
    ) else np.empty((0, 0, density.size))
    # An interrupted chain is shorter: the tree is as long as the longest, with gaps.
    done = np.isfinite(z).all(axis=-1)
    kept = done.any(axis=1)
    length = int(done[kept].sum(axis=1).min()) if kept.any() else 0
    if length < 2:
        raise FitError("Sampling stopped before any chain had two draws; nothing can be kept.")
    z = z[kept, :length]
    stats = {name: value[kept, :length] for name, value in _statistics(tree).items()}
    return density.constrain(main.at(z)), stats, whole


def _wait(sampler: Any) -> tuple[Any, bool]:
    """The draws, and whether all of them were made; an interrupt or a chain that fails
    loses none of the others'."""
    try:
        return sampler.wait(), True
    except KeyboardInterrupt:
        return sampler.abort(), False
    except (RuntimeError, ValueError) as error:
        try:
            return sampler.abort(), False
        except (RuntimeError, ValueError):
            raise FitError(f"Sampling failed, and no chain had draws to keep: {error}.") from error


def _relay(progress: Progress, total: int) -> Callable[[Any], None]:
    """nutpie's progress as calls of ours."""

    def report(chains: Any) -> None:
        divergences = sum(chain.divergences for chain in chains)
        told = f", {divergences} divergences" if divergences else ""
        progress(f"sampling{told}", sum(chain.finished_draws for chain in chains), total)

    return report


def _statistics(tree: Any) -> dict[str, NDArray[Any]]:
    statistics = tree["sample_stats"]
    return {
        name: statistics[own].values for name, own in _KEPT.items() if own in statistics
    }


def _verdict(
    parameters: MixtureParameters, sample_stats: dict[str, NDArray[Any]], n_modes: int
) -> Status:
    """The status of a set of chains."""
    diverging = sample_stats.get("diverging")
    if diverging is not None and diverging.mean() > 0.01:
        return Status.DIVERGENT
    if parameters.batch_shape[0] > 1:
        below = np.tril_indices(parameters.n_features, -1)
        flat = np.concatenate(
            [
                values.reshape(*parameters.batch_shape, -1)
                for values in (
                    parameters.weights, parameters.means, np.log(parameters.scales),
                    parameters.correlations[..., below[0], below[1]],
                )
            ],
            axis=-1,
        )  # fmt: skip
        if _split_r_hat(flat).max() > 1.05:
            return Status.MULTIMODAL if n_modes > 1 else Status.NOT_MIXED
    return Status.CONVERGED


def _split_r_hat(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Split R-hat of each column of draws (chain, draw, P) (Gelman and others 2013)."""
    half = draws.shape[1] // 2
    if half < 2:
        return np.ones(draws.shape[-1])
    parts = np.concatenate([draws[:, :half], draws[:, half : 2 * half]])
    within = parts.var(axis=1, ddof=1).mean(axis=0)
    between = half * parts.mean(axis=1).var(axis=0, ddof=1)
    return np.sqrt((half - 1) / half + between / (half * np.maximum(within, 1e-300)))
