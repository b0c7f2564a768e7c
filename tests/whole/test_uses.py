"""What fitted mixtures are for, measured: the benchmarks' claims on a smaller scale."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import bayesgmm as bg

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")  # few draws of models too large
@pytest.mark.parametrize("seed", [2])
def test_the_average_predicts_better_than_the_single_best_model_by_bic(seed, monkeypatch):
    """On rows that none has seen; ``benchmarks/averaging.py`` has twelve such simulations."""
    spec = importlib.util.spec_from_file_location("averaging", BENCHMARKS / "averaging.py")
    averaging = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(averaging)
    monkeypatch.setattr(averaging, "SAMPLING", bg.NUTS(draws=200, tune=300, chains=2))
    found = averaging.simulate(seed)
    assert found.average >= found.em
    assert found.average > found.best - 0.02  # and loses little where one model is right
    assert found.average < found.truth
