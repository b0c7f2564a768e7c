"""Simulation-based calibration in short, and that it catches what is wrong.

``make calibrate`` has all configurations and more simulations.  What is an alarm here uniform
ranks give in at most one of 100,000 runs of a configuration, by a bound that holds for any
number of simulations and however quantities hang together; what is wrong on purpose is far
beyond it.  So nothing hangs on a seed, or on the last digit of a machine.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bayesgmm as bg
from benchmarks import calibration
from benchmarks.calibration import Configuration, false_alarm, priors, ranks, simulation

ALARM = 1e-5
#: So that nearly all data have one mode, which takes less time.
APART = priors(mean_scale=20.0, weights=10.0, scales=bg.InverseGamma())
SHORT = bg.NUTS(draws=100, tune=100, chains=2)

CALIBRATED = (
    Configuration("short, two", "full", 2, n=16, resolution=0.2, holes=0.1, priors=APART),
    Configuration("short, one", "diag", 1, n=12, errors=0.4),
)
PLAIN = Configuration("short, plain", "spherical", 1, n=15)
ERRORS = Configuration("short, errors", "diag", 1, n=25, errors=1.5)


@pytest.fixture(autouse=True)
def short_chains(monkeypatch):
    """Never made longer: what little they are off by is nothing beside the alarm."""
    monkeypatch.setitem(calibration.METHODS, "nuts", SHORT)
    monkeypatch.setattr(calibration, "LONGER", 0)


def simulated(configuration, n, assumed=None):
    done = [simulation(configuration, number, assumed=assumed) for number in range(n)]
    found = ranks(done)
    assert all(len(pit) > 0.8 * n for pit in found.values())
    assert list(found) == calibration.names(configuration)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("configuration", CALIBRATED, ids=lambda each: each.name)
def test_the_truth_is_one_more_draw(configuration):
    """False alarms: at most 1 of 100,000."""
    assert false_alarm(simulated(configuration, 20)) > ALARM


def test_a_wrong_prior_is_caught():
    """Scales six times as large, and sure of it: the truth is below nearly all draws."""
    wide = replace(PLAIN.priors, scales=bg.LogNormal(median=3.0, sigma=0.2))
    found = simulated(PLAIN, 16, replace(PLAIN, priors=wide))
    assert false_alarm(found) < ALARM
    assert np.median(found["smallest log volume"]) < 0.2


def test_a_wrong_likelihood_is_caught():
    """Errors of measurement that are not told are taken for the width of the component."""
    found = simulated(ERRORS, 16, replace(ERRORS, errors=0.0))
    assert false_alarm(found) < ALARM
    assert np.median(found["smallest log volume"]) < 0.2


def test_a_prior_on_the_standardised_scale_can_be_the_same_as_one_in_the_datas_units():
    one = Configuration("short, standardised", "spherical", 2, n=10, standardised=True)
    rng = np.random.default_rng(0)
    truth = one.truth(rng)
    observations = one.observations(*one.data(truth, rng))
    values = []
    for spec in (one.spec(observations), one.spec()):
        density = bg.LogPosterior(spec, observations)
        values.append(density.value(density.unconstrain(truth)))
    assert one.spec(observations).priors.units != one.spec().priors.units
    np.testing.assert_allclose(*values, rtol=1e-10)  # sums of some ten terms


def test_bands_hold_uniform_ranks_as_often_as_they_say(monkeypatch):
    """Of 1,000 sets of uniform ranks 5 % are outside, within five binomial errors and the
    chance in the band itself; the bound of a false alarm is no less than the probability."""
    monkeypatch.setattr(calibration, "CHANCE", 4000)
    calibration._by_chance.cache_clear()
    calibration.band.cache_clear()
    sets = np.random.default_rng(1).random((1000, 40))
    p = np.array([calibration.p_value(pit) for pit in sets])
    outside = np.array([calibration.beyond(pit) > 1e-12 for pit in sets])
    for found in (p < 0.05, outside):
        assert abs(found.mean() - 0.05) < 5 * np.sqrt(0.05 * 0.95 * (1 / 1000 + 1 / 4000))
    assert (outside != (p < 0.05)).mean() < 0.02  # two ways to count whole ranks at the edge
    bounds = np.array([false_alarm({"one": pit}) for pit in sets])
    assert (bounds >= p - 1e-3).all()
    calibration._by_chance.cache_clear()
    calibration.band.cache_clear()


def test_what_was_simulated_is_not_simulated_again(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "KEPT", tmp_path)
    names = calibration.names(PLAIN)
    calibration._keep(PLAIN, "nuts", {"number": 1, "pit": dict.fromkeys(names, 0.5)})
    path = calibration.kept_in(PLAIN, "nuts")
    path.write_text(path.read_text() + '\n{"number": 2, "pi')  # as one that was killed leaves it
    calibration._keep(PLAIN, "nuts", {"number": 0, "pit": dict.fromkeys(names, 0.25)})
    assert [each["number"] for each in calibration.kept(PLAIN, "nuts")] == [0, 1]
    found = calibration.ranks(calibration.kept(PLAIN, "nuts"))
    assert list(found) == names
    assert all(pit.tolist() == [0.25, 0.5] for pit in found.values())
    assert calibration.kept(replace(PLAIN, n=16), "nuts") == []
    assert calibration.kept(PLAIN, "laplace") == []


def test_configurations_cover_all_pairs_of_structure_components_and_way():
    sixteen = calibration.CONFIGURATIONS[:16]
    ways = [each.name.split("-")[-1] for each in sixteen]
    structures, components = ([getattr(e, n) for e in sixteen] for n in ("covariance", "k"))
    assert len(set(zip(structures, ways, strict=True))) == 16
    assert len(set(zip(structures, components, strict=True))) == 12
    assert len(set(zip(ways, components, strict=True))) == 12
    names = [each.name for each in calibration.CONFIGURATIONS]
    assert len(set(names)) == len(names)
