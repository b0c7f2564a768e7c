"""How tests are run: with which seeds, and by several processes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

WORKER = "PYTEST_XDIST_WORKER" in os.environ

# OpenMP's threads sleep while they wait: spinning, those of one worker would take the other's core.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_addoption(parser):
    parser.addoption(
        "--other-seeds",
        type=int,
        default=0,
        metavar="N",
        help="run with the Nth other set of random numbers in the place of every seed",
    )


def pytest_configure(config):
    refuse_stale()
    if config.getoption("other_seeds"):
        shift_seeds(config.getoption("other_seeds"))
    if config.getoption("dist", "no") != "no" and not WORKER:
        compile_first()


def pytest_collection_modifyitems(items):
    """The slow ones first: at the end one worker would wait for the other."""
    items.sort(key=lambda item: "slow" not in item.keywords)


def refuse_stale() -> None:
    """Numba renews a function when its own file changes, not when one that it calls does."""
    package = Path(__file__).parent / "bayesgmm"
    sources = [path for path in package.rglob("*.py") if "@njit" in path.read_text()]
    newest = max(sources, key=lambda path: path.stat().st_mtime)
    kept = list(package.rglob("*.nbi"))
    if kept and min(path.stat().st_mtime for path in kept) < newest.stat().st_mtime:
        raise pytest.UsageError(
            f"Compiled code is older than {newest.name}, which it may call; run: make recompile"
        )


def shift_seeds(other: int) -> None:
    """Let every seed stand for other random numbers than it does.

    Seeds that are the same stay the same and others stay others, so that only what a test
    owes to the luck of its seed is lost: a stress of the same kind as another machine's
    rounding, after which a chain goes elsewhere, and a harder one.
    """
    from bayesgmm import options

    def shifted(entropy, spawn_key=(), pool_size=4):
        if entropy is not None:
            values = [entropy] if np.ndim(entropy) == 0 else list(entropy)
            if values[-2:] != [MARK, other]:  # each seed once, however often it is read
                entropy = [*values, MARK, other]
        return np.random.SeedSequence(entropy, spawn_key=spawn_key, pool_size=pool_size)

    options._root = shifted


MARK = 20_011  # any number, by which a seed that was shifted is known


def compile_first() -> None:
    """Numba's cache is filled before the workers start, who would each compile the same."""
    import bayesgmm as bg

    x = bg.datasets.faithful()
    bg.fit(bg.MixtureSpec(2), x, method="nuts", seed=1, draws=50, tune=50, chains=1)
