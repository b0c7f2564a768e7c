"""Every method and structure keeps every promise; and a suite that finds nothing is no proof, so
faults are made on purpose, each in one respect, and the check that is of it finds it."""

from __future__ import annotations

import dataclasses
import pickle
import sys
import types

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.inference.maximum import fit as maximum
from bayesgmm.inference.sampling import laplace
from bayesgmm.methods import METHODS
from bayesgmm.model.structure import STRUCTURES as BY_NAME
from bayesgmm.model.structure import Structure
from bayesgmm.testing import ConformanceError, check_method, check_structure, structures
from bayesgmm.testing.subject import easy_rows
from tests.support import STRUCTURES, refused

#: Tempering takes seconds a fit: what does not compare fits, and one comparison.
TEMPERING = (
    "layout", "names and coordinates", "status", "labels", "finite numbers", "weights",
    "covariances", "log likelihood", "log density", "memberships", "order of components",
    "same seed", "threads", "units", "known answer", "slopes of draws",
)  # fmt: skip

#: What other models are asked: all but files.
MODELS = (
    "layout", "names and coordinates", "status", "finite numbers", "weights", "covariances",
    "log likelihood", "log density", "memberships", "predictive density", "order of components",
    "generate", "same seed", "threads", "order of rows", "order of labels", "weights of rows",
    "units", "order of features", "rotation", "monotone likelihood", "stationary",
)  # fmt: skip


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in ("nuts", "tempering")))
        for name in METHODS
    ],
)
def test_every_method_keeps_its_promises(method):
    if method == "tempering":
        found = check_method(bg.Tempering(draws=80, tune=50, chains=2), only=TEMPERING)
    else:
        found = check_method(method)
    assert not found.of("failed")
    skipped = {check.name for check in found.of("skipped")}
    of_points = {"monotone likelihood", "stationary"}
    assert skipped <= of_points | {"slopes of draws", "rows by blocks"}
    assert method in ("em", "map") or found["known answer"].passed


@pytest.mark.slow
@pytest.mark.pymc
def test_the_engine_of_pymc_keeps_its_promises():
    """Of axis-aligned ellipses, the quickest to compile; two fits, since each compiles."""
    method = bg.NUTS(engine="pymc", draws=200, tune=200, chains=2, progressbar=False)
    names = (*TEMPERING[:-4], "slopes of draws")
    found = check_method(method, spec=bg.MixtureSpec(2, "diag"), only=names)
    assert [check.name for check in found.of("skipped")] == ["log density"]


@pytest.mark.parametrize("noise", [False, True])
def test_a_method_keeps_them_in_other_models(noise):
    """Three components of one shape, with row weights; or noise."""
    spec = bg.MixtureSpec(2 + (not noise), "tied", noise=noise)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 3)) + 5.0 * rng.integers(0, 3 - noise, size=(80, 1))
    rows = bg.Observations(x, row_weights=None if noise else rng.uniform(0.5, 2, 80))
    found = check_method(bg.EM(n_starts=8, rounds=1), spec=spec, data=rows, only=MODELS)
    assert not found.of("failed")


def test_a_check_that_was_not_made_is_refused():
    found = check_structure("diag", only="number of parameters")
    assert found["number of parameters"].passed
    refused("There is no check 'typo'; .* made: number of parameters", found.__getitem__, "typo")
    assert repr(check_structure("diag", only=[])).endswith(": 0 passed.")


@pytest.mark.parametrize("method", ["map", "laplace"])
def test_a_method_keeps_them_of_rows_seen_in_part(method):
    """A fifth of the values is gone, and all of one row."""
    x = easy_rows().values.copy()
    x[np.random.default_rng(2).random(x.shape) < 0.2] = np.nan
    x[3] = np.nan
    found = check_method(method, data=bg.Observations(x, missing="marginal"), only=MODELS)
    assert found["predictive density"].passed and found["units"].passed


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_every_structure_keeps_its_promises(covariance):
    for k, d in ((2, 3), (3, 1)):
        found = check_structure(covariance, n_components=k, n_features=d)
        assert len(found.of("passed")) == len(found)


# Faults of methods --------------------------------------------------------------


def changed(fit, tree):
    return bg.MixtureFit(fit.spec, tree)


def with_posterior(fit, **variables):
    tree = fit.tree.copy()
    tree["posterior"] = tree["posterior"].to_dataset().assign(variables)
    return changed(fit, tree)


def rebuilt(fit, parameters, kept=slice(None), lp=0.0):
    """The fit with other parameters and some of its draws, laid out as it should be."""
    statistics = {name: v.values[:, kept] for name, v in fit.statistics.data_vars.items()}
    statistics["lp"] = statistics["lp"] + lp
    return bg.MixtureFit.build(
        fit.spec, fit.observations, parameters, method=fit.method, status=fit.status,
        sample_stats=statistics, facts={},
    )  # fmt: skip


class Unnormalised(bg.MixtureFit):
    def predict_proba(self, data=None, *, out=None):
        return super().predict_proba(data) * 1.001


def memberships_are_not_normalised(real, spec, rows, method, run):
    fit = real(spec, rows, method, run)
    return Unnormalised(fit.spec, fit.tree)


def covariances_are_scaled(real, spec, rows, method, run):
    fit = real(spec, rows, method, run)
    return with_posterior(fit, covariances=1.01 * fit.tree["posterior"]["covariances"])


def scales_are_those_of_n_less_one(real, spec, rows, method, run):
    fit = real(spec, rows, method, run)
    p, n = fit.parameters, rows.total_weight
    return rebuilt(fit, dataclasses.replace(p, scale_tril=p.scale_tril * np.sqrt(n / (n - 1))))


def the_seed_is_ignored(real, spec, rows, method, run):
    return real(spec, rows, method, run._replace(seed=7))


def the_seed_is_chance(real, spec, rows, method, run):
    return real(spec, rows, method, run._replace(seed=None))


def threads_have_seeds(real, spec, rows, method, run):
    return real(spec, rows, method, run._replace(seed=run.seed + run.cores))


def labels_are_shuffled(real, spec, rows, method, run):
    fit = real(spec, rows, method, run)
    rng = np.random.default_rng(run.seed)
    order = rng.permuted(np.sort(fit.statistics["permutation"].values, axis=-1), axis=-1)
    return rebuilt(fit, fit.parameters.permute(order))


def the_jacobian_is_left_out(real, spec, rows, method, run):
    """As if theta were sampled without the Jacobian of the scales: draws weighted by 1 / prod
    sigma, and taken anew."""
    fit = real(spec, rows, dataclasses.replace(method, draws=8 * method.draws), run)
    p = fit.parameters.flat()
    weights = np.exp(-np.log(p.scales).sum(axis=(1, 2)) + np.log(p.scales).sum(axis=(1, 2)).min())
    kept = laplace.resampled(weights / weights.sum(), method.draws, np.random.default_rng(run.seed))
    return rebuilt(fit, fit.parameters[:, kept], kept)


def a_ridge_has_units(real, spec, rows, method, run):
    return real(spec, rows, dataclasses.replace(method, reg_covar=1e-3), run)


def weights_of_rows_are_ignored(real, spec, rows, method, run):
    plain = bg.Observations(rows.values, names=rows.names, resolution=rows.resolution)
    fit = real(spec, plain, method, run)
    bare = bg.Observations(plain, row_weights=rows.row_weights)
    return bg.MixtureFit.build(
        spec, bare, fit.parameters, method="em", status=fit.status,
        sample_stats={"lp": np.zeros((1, 1))}, facts={},
    )  # fmt: skip


def the_last_rows_are_left_out(real, spec, rows, method, run):
    fit = real(spec, rows.part(slice(0, rows.n_rows - 5)), method, run)
    return bg.MixtureFit.build(
        spec, rows, fit.parameters, method="em", status=fit.status,
        sample_stats={"lp": np.zeros((1, 1))}, facts={},
    )  # fmt: skip


def a_draw_is_lost(real, spec, rows, method, run):
    fit = real(spec, rows, method, run)
    groups = {name: group.to_dataset() for name, group in fit.tree.children.items()}
    groups = {
        name: group.isel(draw=slice(1, None)) if "draw" in group.dims else group
        for name, group in groups.items()
    }
    tree = type(fit.tree).from_dict({f"/{name}": group for name, group in groups.items()})
    tree.attrs = fit.tree.attrs
    return changed(fit, tree)


def the_density_is_another(real, spec, rows, method, run):
    fit = real(spec, rows, method, run)
    return rebuilt(fit, fit.parameters, lp=1.0)


def an_iteration_falls(real, spec, rows, method, run):
    fit = real(spec, rows, method, run)
    trace = fit.facts["objective_trace"]
    tree = fit.tree.copy()
    tree["fit"] = fit.facts.assign(objective_trace=trace.copy(data=trace.values[::-1]))
    return changed(fit, tree)


def only_the_first_feature_is_scaled_back(real, spec, rows, method, run):
    fit = real(spec, rows, method, run)
    means = fit.tree["posterior"]["means"].values * [1.0, 1.001]
    return with_posterior(fit, means=(("chain", "draw", "component", "feature"), means))


EM, LAPLACE = bg.EM(n_starts=4, n_best=1, rounds=0), bg.Laplace(draws=300)
FAULTS = [
    (memberships_are_not_normalised, EM, "memberships"),
    (covariances_are_scaled, EM, "covariances"),
    (scales_are_those_of_n_less_one, EM, "stationary"),
    (scales_are_those_of_n_less_one, EM, "known answer"),
    (the_seed_is_ignored, LAPLACE, "other seed"),
    (the_seed_is_chance, LAPLACE, "same seed"),
    (threads_have_seeds, LAPLACE, "threads"),
    (labels_are_shuffled, LAPLACE, "labels"),
    (the_jacobian_is_left_out, LAPLACE, "known answer"),
    (the_jacobian_is_left_out, bg.Laplace(draws=2000), "slopes of draws"),
    (a_ridge_has_units, EM, "units"),
    (weights_of_rows_are_ignored, EM, "known answer"),
    (the_last_rows_are_left_out, EM, "order of rows"),
    (a_draw_is_lost, LAPLACE, "layout"),
    (the_density_is_another, LAPLACE, "log density"),
    (an_iteration_falls, EM, "monotone likelihood"),
    (only_the_first_feature_is_scaled_back, EM, "order of features"),
]


def wrong(fault, method, monkeypatch):
    """A method that is another but for a fault."""
    real = {"em": maximum, "laplace": laplace}[method.name].fitted
    module = types.ModuleType("bayesgmm.wrong")
    module.fitted = lambda *given: fault(real, *given)
    monkeypatch.setitem(sys.modules, "bayesgmm.wrong", module)
    one = type("Wrong", (type(method),), {"module": "wrong"})
    return one(**{item.name: getattr(method, item.name) for item in dataclasses.fields(method)})


@pytest.mark.parametrize(
    ("fault", "method", "check"),
    FAULTS,
    ids=lambda v: getattr(v, "__name__", v if isinstance(v, str) else ""),
)
def test_a_fault_is_found_by_the_check_that_is_of_it(fault, method, check, monkeypatch):
    with pytest.raises(ConformanceError) as caught:
        check_method(wrong(fault, method, monkeypatch), only=[check])
    (found,) = caught.value.conformance.of("failed")
    assert found.name == check and found.said.startswith("Found ") and found.said.endswith(".")


def test_one_error_lists_all_that_failed(monkeypatch):
    with pytest.raises(ConformanceError) as caught:
        check_method(
            wrong(covariances_are_scaled, EM, monkeypatch),
            only=["covariances", "weights", "layout"],
        )
    assert "1 of 3 checks failed.\n- covariances: Covariances are scales times" in str(caught.value)
    assert "\n- layout" not in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert "1 failed" in repr(again.conformance) and len(repr(again.conformance).splitlines()) == 4


def test_an_exception_that_was_not_meant_fails_the_checks_and_not_the_suite(monkeypatch):
    def breaks(*given):
        raise ZeroDivisionError("of nothing")

    with pytest.raises(ConformanceError, match="Found ZeroDivisionError: of nothing"):
        check_method(wrong(breaks, EM, monkeypatch), only=["layout", "weights"])


# Faults of structures -----------------------------------------------------------


class Wanders(Structure):
    def restricted(self, covariance):
        return covariance + np.eye(len(covariance))


class OneMore(Structure):
    def entries(self, d):
        return super().entries(d) + 1


class Forgets(Structure):
    def from_distinct(self, scales, k, d):
        return 2 * super().from_distinct(scales, k, d)


@pytest.mark.parametrize(
    ("kind", "check"),
    [(Wanders, "restricted"), (OneMore, "number of parameters"), (Forgets, "factors")],
)
def test_a_fault_of_a_structure_is_found(kind, check, monkeypatch):
    own = BY_NAME["diag"]
    values = {item.name: getattr(own, item.name) for item in dataclasses.fields(own)}
    monkeypatch.setitem(BY_NAME, "diag", kind(**values))
    with pytest.raises(ConformanceError, match=f"- {check}: "):
        check_structure("diag", only=check)


def test_faults_of_a_density_are_found(monkeypatch):
    real = LogPosterior.value_and_grad

    def flatter(self, theta):
        value, slope = real(self, theta)
        return value, 1.001 * slope

    def leaning(self, theta):  # a Jacobian that is another, and the gradient with it
        value, slope = real(self, theta)
        lean = 0.1 * self.prior.jacobian * np.arange(self.size)
        return value + lean @ theta, slope + lean

    for fault, check in ((flatter, "gradient"), (leaning, "jacobian")):
        with monkeypatch.context() as patch:
            patch.setattr(LogPosterior, "value_and_grad", fault)
            with pytest.raises(ConformanceError, match=f"- {check}: "):
                check_structure("full", only=check)
    update = structures.m_step

    def overshoots(*given):
        point = update(*given)
        return point._replace(factors=1.5 * point.factors)

    monkeypatch.setattr(structures, "m_step", overshoots)
    with pytest.raises(ConformanceError, match=r"- updates: .* lowered from"):
        check_structure("tied", only="updates")


def test_what_is_no_method_or_structure_is_refused():
    refused("method must be one of", check_method, "vb")
    refused("method must be a method's name", check_method, 3)
    refused("covariance must be one of", check_structure, "round")
    refused("There is no check 'luck'", check_method, "em", only=["luck"])
    refused("n_features must be a whole number", check_structure, "full", n_features=0)
    refused("exact must be True or False or None", check_method, "em", exact=3)
