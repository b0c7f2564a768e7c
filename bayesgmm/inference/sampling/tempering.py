"""Tempering: draws in which every mode has its share, and the evidence beside them.

Chains that start at modes stay in them, in proportion to how many were started there and
not to the modes' mass.  A ladder of tempered posteriors reaches every mode from the prior,
in proportion to its mass, without being told of any.  Its temperatures are set by its own
rejections: where all pairs of neighbours swap equally often, draws travel fastest.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import thread_map
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.density.prior_draws import prior_draws
from bayesgmm.inference.sampling.drawn import Drawn, in_blocks
from bayesgmm.inference.sampling.ladder import LEAPFROGS, Ladder, Scans
from bayesgmm.inference.sampling.temperatures import spread, stepping_stones
from bayesgmm.options import Progress

Array = NDArray[np.float64]

_FIRST_RUNGS = 16
_FIRST_ROUND = 50  # scans; each round of adaptation has twice as many as the last
_BLOCK = 100  # scans of the warm-up between looks at the clock
_FEWEST_RUNGS = 6
#: Work, in densities x (rows x components x (D^2 + 12) and what a call costs), up to which
#: more scans are made than draws are kept, and scans for each draw at most.
_CHEAP, _CALL = 2e10, 3e3
_MOST_SCANS = 5


def temper(
    density: LogPosterior,
    *,
    draws: int,
    tune: int,
    chains: int,
    cores: int,
    seed: np.random.SeedSequence,
    progress: Progress | None,
) -> Drawn:
    """Draw from a posterior by ladders from its prior, one for each chain.

    References
    ----------
    Syed, Bouchard-Cote, Deligiannidis and Doucet (2022), Non-reversible parallel
    tempering: a scalable highly parallel MCMC scheme, JRSS B 84.
    """
    one = density.with_cores(1)
    rng = np.random.default_rng(seed)
    betas = np.linspace(0.0, 1.0, _FIRST_RUNGS) ** 4
    ladders = [
        Ladder(one, betas, prior_draws(one, len(betas), rng), int(rng.integers(2**31)))
        for _ in range(chains)
    ]
    rounds = list(_rounds(tune))
    done, total = 0, sum(rounds) + draws

    def scanned(n: int, *, adapting: bool) -> list[Scans]:
        nonlocal done
        fresh = [prior_draws(one, n, rng) for _ in ladders]
        found = thread_map(
            lambda pair: pair[0].scan(pair[1], adapting=adapting),
            list(zip(ladders, fresh, strict=True)),
            cores,
        )
        done += n
        return found

    def report(_: int) -> None:
        if progress is not None:
            progress(f"tempering at {len(ladders[0].betas)} temperatures", done, total)

    blocks: list[list[Scans]] = []
    for n in rounds:
        blocks = []
        for size in _blocks(n):
            blocks.append(scanned(size, adapting=True))
            report(done)
        ladders = _adapted(ladders, blocks, settled=n > _FIRST_ROUND)
    thin = _scans_for_each_draw(one, chains * draws * len(ladders[0].betas))
    total = done + thin * draws
    blocks, status = in_blocks(draws, lambda n: scanned(thin * n, adapting=False), report)
    theta = np.stack(
        [np.concatenate(parts)[thin - 1 :: thin] for parts in _by_ladder(blocks, "tops")]
    )
    traces = np.stack([np.concatenate(parts) for parts in _by_ladder(blocks, "traces")])
    traces = traces - density.log_jacobian
    lp = density.with_cores(cores).values(theta)
    mean = np.mean([[block.rejected for block in part] for part in blocks], axis=(0, 1))
    facts = {
        "sampler": "tempering",
        "temperatures": ladders[0].betas,
        "swap_rejection": mean,
        "round_trips": int(sum(scans.trips for block in blocks for scans in block)),
        **stepping_stones(traces, ladders[0].betas),
    }
    return Drawn(theta, {"lp": lp}, status, facts)


def _scans_for_each_draw(density: LogPosterior, moves: int) -> int:
    work = density.work + _CALL
    return int(np.clip(_CHEAP / (work * moves * (LEAPFROGS + 1)), 1, _MOST_SCANS))


def _rounds(tune: int) -> Iterator[int]:
    """Scans of each round of adaptation: doubled until they are ``tune`` and half as many."""
    n, total = _FIRST_ROUND, 0
    while total < 1.5 * tune:
        yield n
        total += n
        n *= 2


def _blocks(n: int) -> list[int]:
    return [_BLOCK] * (n // _BLOCK) + [n % _BLOCK] * (n % _BLOCK > 0)


def _by_ladder(blocks: list[list[Scans]], name: str) -> list[list[Array]]:
    return [[getattr(scans, name) for scans in one] for one in zip(*blocks, strict=True)]


def _adapted(ladders: list[Ladder], blocks: list[list[Scans]], *, settled: bool) -> list[Ladder]:
    """Ladders with temperatures and trajectories set by what the last round saw.

    A coordinate's width is one over its typical slope: the mean square of a slope is the mean
    curvature, which holds within a mode, however far apart modes and labellings are.  The mean
    is of logarithms, so that a few steep places do not decide.
    """
    betas = ladders[0].betas
    weights = np.array([len(block[0].tops) for block in blocks], dtype=float)
    rejected = np.average(
        [np.mean([s.rejected for s in block], axis=0) for block in blocks], axis=0, weights=weights
    )
    logs = sum(scans.log_squares for block in blocks for scans in block)
    logs = logs / (weights.sum() * len(ladders))
    logs[0] = logs[1]
    other, place = spread(betas, rejected, _FEWEST_RUNGS if settled else None)
    low = np.minimum(place.astype(int), len(betas) - 2)
    share = (place - low)[:, None]
    widths = np.exp(-0.5 * ((1 - share) * logs[low] + share * logs[low + 1]))
    log_steps = np.mean([ladder.log_steps for ladder in ladders], axis=0)
    log_steps[0] = log_steps[1]  # the foot makes no trajectories
    log_steps = np.interp(place, np.arange(len(betas)), log_steps)
    return [
        ladder.climbed(other, np.rint(place).astype(int), widths, log_steps) for ladder in ladders
    ]
