"""Posteriors of real data against those of another sampler, from another start and in other
coordinates: ``benchmarks/reference_posteriors.py``, which says how they were found.

Each posterior mean, standard deviation and evidence is compared within the errors of both.  That
of the reference is from few independent runs: as many of its errors as Student's t has at the
probability that a normal has beyond ``ERRORS``.  So of the hundred and some comparisons one is
beyond the bound by chance in less than 1e-4 of all sets of seeds.
"""

from __future__ import annotations

import json

import arviz as az
import numpy as np
import pytest
from scipy import stats

import bayesgmm as bg
from benchmarks.reference_posteriors import ANSWERS, MODELS, of_components, rows_asked
from tests.monte_carlo import ERRORS

#: Labels of six components may be ambiguous, as the seed has it; what is compared has none, and
#: whatever else a fit doubts shows in the comparison.
pytestmark = pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")

#: Six components of 82 galaxies have so many modes that chains are tempered, which takes a minute
#: for as many draws as usual.
SHORTER = {"galaxies 6": {"draws": 100, "tune": 200, "chains": 2}}
FOUND = json.loads(ANSWERS.read_text())["models"]
NAMES = [pytest.param(name, marks=[pytest.mark.slow] * (name in SHORTER)) for name in FOUND]
AGREED = [each for each in NAMES if FOUND[each.values[0]]["log evidence"][1] < 0.2]
BY_NAME = {model.name: model for model in MODELS}


def allowed(error, own, runs):
    """How far an estimate with an error of its ``own`` may be from one of so many runs."""
    t = stats.t(runs - 1).isf(stats.norm.sf(ERRORS))
    return np.hypot(ERRORS * own, t * error)


def quantities(model, fit):
    """As the reference has them, by chain and draw."""
    p = fit.parameters
    rows = p.log_density(fit.observations, cores=1)
    found = {"log-likelihood": rows.sum(-1)}
    found |= {f"log density of row {i}": rows[..., i] for i in rows_asked(rows.shape[-1])}
    diagonal = np.diagonal(p.scale_tril, axis1=-2, axis2=-1)
    volumes = np.log(diagonal).sum(-1)
    if model.spec.structure.shared:
        volumes = volumes[..., :1]
    return found | of_components(p.weights, p.means, volumes, model.by)


@pytest.fixture(scope="module")
def fitted(nuts_faithful):
    """The fit of a model, by its name; that of the geyser is the one that other tests have."""
    known = {"faithful full 2": nuts_faithful}

    def fit(name):
        if name not in known:
            model, options = BY_NAME[name], SHORTER.get(name, {})
            known[name] = bg.fit(model.spec, model.x, method="nuts", seed=1, **options)
        return known[name]

    return fit


@pytest.mark.parametrize("name", NAMES)
def test_means_and_standard_deviations(name, fitted):
    """Of quantities that no order of components changes."""
    answer = FOUND[name]
    drawn = quantities(BY_NAME[name], fitted(name))
    assert set(drawn) == set(answer["quantities"])
    for quantity, values in drawn.items():
        for kind, estimate in (("mean", values.mean()), ("sd", values.std())):
            right, error = answer["quantities"][quantity][kind]
            own = float(az.mcse(values, method=kind))
            gap = abs(estimate - right)
            assert gap < allowed(error, own, answer["runs"]), (quantity, kind, estimate, right)


@pytest.mark.parametrize("name", AGREED)
def test_evidence(name, fitted):
    """Where the reference's runs agree on it to a fifth of a nat."""
    right, error = FOUND[name]["log evidence"]
    found = bg.log_evidence(fitted(name), seed=1)
    assert abs(found.value - right) < allowed(error, found.se, FOUND[name]["runs"])
