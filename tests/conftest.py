"""Data and fits that tests share; each slow one is made once."""

from __future__ import annotations

import os

import matplotlib
import numpy as np
import pytest

import bayesgmm as bg

matplotlib.use("Agg")
os.environ.pop(
    "COLUMNS", None
)  # which pytest-xdist gives to its workers: tests set their own width
#: For the type checker alone; a plugin, which makes Numba compile nothing.
collect_ignore = ["whole/typed_uses.py", "interpreted.py"]


@pytest.fixture(autouse=True, scope="session")
def every_error_is_one_sentence():
    """Whatever error of ours a test meets, caught or not: one line that ends in one full stop."""
    plain = bg.BayesGMMError.__init__

    def checked(self, message, **facts):
        assert message.endswith(".") and not message.endswith(".."), message
        assert "\n" not in message and message == message.strip(), message
        plain(self, message, **facts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bg.BayesGMMError, "__init__", checked)
        yield


@pytest.fixture(scope="session")
def faithful():
    return bg.datasets.faithful()


@pytest.fixture(scope="session")
def galaxies():
    return bg.datasets.galaxies() / 1000


@pytest.fixture(scope="session")
def em_faithful(faithful):
    return bg.fit(bg.MixtureSpec(2), faithful, method="em", seed=1)


@pytest.fixture(scope="session")
def nuts_faithful(faithful):
    return bg.fit(bg.MixtureSpec(2), faithful, method="nuts", seed=1)


@pytest.fixture(scope="session")
def blobs():
    """600 rows of three well-separated components in three dimensions, far from zero."""
    rng = np.random.default_rng(7)
    means = np.array([[1e3, -50.0, 7.0], [1008.0, -50.0, 9.0], [1e3, -41.0, 4.0]])
    tril = np.tril(rng.normal(size=(3, 3, 3)) * 0.4, -1) + np.eye(3)
    truth = bg.MixtureParameters([0.5, 0.3, 0.2], means, tril * [[1.0], [2.0], [0.5]])
    x, component = truth.simulate(600, seed=8)
    return truth, x, component


@pytest.fixture(scope="session")
def two_ways():
    """A fit whose posterior has two modes of like mass: three clusters in a row and K = 2, so
    that either pair of neighbours is one component.  Chains stay where they start, as where
    data are too many for other ways."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(m, 1.0, 40) for m in (-12.0, 0.0, 12.0)])[:, None]
    x = np.concatenate([x, 0.05 * rng.normal(size=x.shape) - x])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bayesgmm.inference.sampling.nuts._AFFORDABLE", 0.0)
        with pytest.warns(bg.FitWarning, match="Chains settled in modes"):
            return bg.fit(bg.MixtureSpec(2), x, method="nuts", seed=1)
