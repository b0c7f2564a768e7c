"""How tests are run: with which seeds, and by several processes."""

from __future__ import annotations

import os

import numpy as np

WORKER = "PYTEST_XDIST_WORKER" in os.environ

# OpenMP's threads sleep while they wait: spinning, those of one worker would take the other's core.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_addoption(parser):
    parser.addoption(
        "--other-seeds", type=int, default=0, metavar="N",
        help="run with the Nth other set of random numbers in the place of every seed",
    )  # fmt: skip


def pytest_configure(config):
    if config.getoption("other_seeds"):
        shift_seeds(config.getoption("other_seeds"))
    if config.getoption("dist", "no") != "no" and not WORKER:
        compile_first()


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
