"""The specification and the priors: values that travel, and refusals in one sentence."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import warnings

import numpy as np
import pytest
from scipy import stats

import bayesgmm as bg
from bayesgmm.errors import SpecError
from bayesgmm.model.priors import ScalePrior
from tests import support
from tests.support import STRUCTURES

FAMILIES = (
    bg.LogNormal(0.3, 1.7),
    bg.HalfNormal(2.5),
    bg.Gamma(3.5, 0.8),
    bg.InverseGamma(4.5, 1.2),
)
RICH = bg.Priors(
    weights=[1.0, 2.5, 0.25],
    mean_location=(0.0, -1.5),
    mean_scale=np.array([1.0, 3.0]),
    scales=bg.InverseGamma(3.0, 0.1),
    correlations=1.25,
    units="data",
)
NAMES = {cls.__name__: cls for cls in (bg.MixtureSpec, bg.Priors, *map(type, FAMILIES))}
SPECS = [
    bg.MixtureSpec(1),
    bg.MixtureSpec(7, "spherical"),
    bg.MixtureSpec(3, "tied", RICH),
    *(bg.MixtureSpec(2, "diag", bg.Priors(scales=family)) for family in FAMILIES),
    bg.MixtureSpec(2, priors=bg.Priors(correlations="uniform")),
    bg.MixtureSpec(2, priors=bg.Priors(correlations=2.0)),
]


def refused(match, make, *args, **kwargs):
    """The message of a refusal."""
    return str(support.refused(match, make, *args, error=SpecError, **kwargs))


def density(prior):
    """The same prior as SciPy has it, written down from the definitions."""
    return {
        "LogNormal": lambda p: stats.lognorm(s=p.sigma, scale=p.median),
        "HalfNormal": lambda p: stats.halfnorm(scale=p.sd),
        "Gamma": lambda p: stats.gamma(p.shape, scale=1 / p.rate),
        "InverseGamma": lambda p: stats.invgamma(p.shape, scale=p.scale),
    }[type(prior).__name__](prior)


# Values ------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_a_spec_is_a_value(spec):
    """Frozen, hashable, equal by value; JSON, repr, copies and pickles give it back."""
    same = bg.MixtureSpec(spec.n_components, spec.covariance, spec.priors)
    assert same == spec and hash(same) == hash(spec) and len({same, spec}) == 1
    for field in dataclasses.fields(spec):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(spec, field.name, getattr(spec, field.name))
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.priors.weights = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.priors.scales.code = 1
    text = spec.to_json()
    assert bg.MixtureSpec.from_json(text) == spec
    assert bg.MixtureSpec.from_json(text).to_json() == text
    assert bg.MixtureSpec.from_dict(json.loads(text)) == spec
    assert eval(repr(spec), NAMES) == spec
    assert copy.deepcopy(spec) == pickle.loads(pickle.dumps(spec)) == spec


def test_specs_of_other_content_differ():
    specs = {*SPECS, bg.MixtureSpec(2), bg.MixtureSpec(2, "tied"), bg.MixtureSpec(3)}
    assert len(specs) == len(SPECS) + 3
    assert bg.LogNormal(2.0, 4.0) != bg.Gamma(2.0, 4.0)


def test_sequences_become_tuples_of_floats():
    """However the numbers came, so that equality and the hash see values alone."""
    assert RICH.weights == (1.0, 2.5, 0.25) and RICH.mean_scale == (1.0, 3.0)
    assert all(type(entry) is float for entry in (*RICH.weights, *RICH.mean_scale))
    for one in (2, 2.0, np.float32(2), np.int64(2), np.array(2.0)):
        priors = bg.Priors(weights=one, correlations=one)
        assert priors == bg.Priors(weights=2.0, correlations=2.0)
        assert type(priors.weights) is type(priors.correlations) is float
    for many in ([1, 2], (1.0, 2.0), np.array([1, 2]), range(1, 3), (x for x in (1, 2))):
        assert bg.Priors(weights=many) == bg.Priors(weights=(1.0, 2.0))


def test_component_count_is_a_plain_int():
    for k in (3, np.int64(3), np.uint8(3)):
        assert type(bg.MixtureSpec(k).n_components) is int
        assert bg.MixtureSpec(k) == bg.MixtureSpec(3)


def test_defaults_are_those_that_the_documentation_defends():
    spec = bg.MixtureSpec(2)
    assert spec.covariance == "full"
    assert spec.priors == bg.Priors(
        weights=2.0,
        mean_location=0.0,
        mean_scale=2.0,
        scales=bg.LogNormal(median=0.5, sigma=1.0),
        correlations=None,
        units="standardised",
    )


def test_the_shape_of_correlations_by_features():
    """1 + D / 2 by default; what is given is the same among any number, and uniform is flat."""
    assert [bg.Priors().eta(d) for d in (1, 2, 5)] == [1.5, 2.0, 3.5]
    assert [bg.Priors(correlations=4).eta(d) for d in (2, 5)] == [4.0, 4.0]
    assert bg.Priors(correlations="uniform").eta(5) == 1.0
    told = {None: "LKJ(1 + D / 2)", 4: "LKJ(4.0)", "uniform": "uniform marginals"}
    for given, words in told.items():
        spec = bg.MixtureSpec(2, priors=bg.Priors(correlations=given))
        assert words in spec._repr_html_()


def test_json_needs_no_priors():
    assert bg.MixtureSpec.from_json('{"n_components": 2}') == bg.MixtureSpec(2)
    partial = '{"n_components": 2, "priors": {"scales": {"family": "HalfNormal"}}}'
    assert bg.MixtureSpec.from_json(partial).priors == bg.Priors(scales=bg.HalfNormal())


def test_replace_copies():
    spec = bg.MixtureSpec(3, "tied", RICH)
    assert spec.replace() == spec
    changed = spec.replace(covariance="diag", priors=bg.Priors())
    assert changed == bg.MixtureSpec(3, "diag") and spec.covariance == "tied"
    assert spec.replace(covariance="full").label == "K=3, full"
    refused("no field 'k'; it has n_components, covariance, priors", spec.replace, k=2)
    refused("3 entries but the model has 2 components", spec.replace, n_components=2)


def test_repr_shows_what_is_not_default():
    assert repr(bg.MixtureSpec(2)) == "MixtureSpec(n_components=2, covariance='full')"
    assert repr(bg.Priors()) == "Priors()"
    assert repr(bg.Priors(correlations=4)) == "Priors(correlations=4.0)"
    assert repr(bg.Priors(correlations="uniform")) == "Priors(correlations='uniform')"


def test_html_escapes():
    class Odd(bg.LogNormal):
        def __repr__(self):
            return "<script>&"

    page = bg.MixtureSpec(2, priors=bg.Priors(scales=Odd()))._repr_html_()
    assert "&lt;script&gt;&amp;" in page and "<script>" not in page


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_html_says_what_the_model_is(covariance):
    page = bg.MixtureSpec(3, covariance, RICH)._repr_html_()
    for text in ("<table", "InverseGamma(shape=3.0, scale=0.1)", "Dirichlet((1.0, 2.5, 0.25))"):
        assert text in page
    assert ("LKJ(1.25)" in page) == (covariance in ("full", "tied"))


# Number of free parameters, counted by hand for K = 1, 2, 3, 4 ----------

BY_HAND = {
    ("full", 1): (2, 5, 8, 11),
    ("full", 2): (5, 11, 17, 23),
    ("full", 3): (9, 19, 29, 39),
    ("tied", 1): (2, 4, 6, 8),
    ("tied", 2): (5, 8, 11, 14),
    ("tied", 3): (9, 13, 17, 21),
    ("diag", 1): (2, 5, 8, 11),
    ("diag", 2): (4, 9, 14, 19),
    ("diag", 3): (6, 13, 20, 27),
    ("spherical", 1): (2, 5, 8, 11),
    ("spherical", 2): (3, 7, 11, 15),
    ("spherical", 3): (4, 9, 14, 19),
}


@pytest.mark.parametrize(("covariance", "d"), BY_HAND)
def test_n_parameters(covariance, d):
    counts = tuple(bg.MixtureSpec(k, covariance).n_parameters(d) for k in (1, 2, 3, 4))
    assert counts == BY_HAND[covariance, d]


# Scale priors -------------------------------------------------------------


@pytest.mark.parametrize("prior", FAMILIES, ids=repr)
@pytest.mark.parametrize("unit", [1e-6, 0.37, 1.0, 42.0])
def test_rescaled_is_the_change_of_variable(prior, unit):
    """Against SciPy: the density of t = sigma / unit is unit p(unit t)."""
    t = density(prior).ppf([0.001, 0.1, 0.5, 0.9, 0.999]) / unit
    expected = density(prior).logpdf(unit * t) + np.log(unit)
    rescaled = prior.rescaled(unit)
    assert type(rescaled) is type(prior)
    np.testing.assert_allclose(density(rescaled).logpdf(t), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("prior", FAMILIES, ids=repr)
def test_rescaling_composes(prior):
    twice, once = prior.rescaled(3.0).rescaled(0.2), prior.rescaled(0.6)
    np.testing.assert_allclose(dataclasses.astuple(twice), dataclasses.astuple(once), rtol=1e-14)


def test_hyperparameters_mean_what_the_docstrings_say():
    """Against SciPy's medians, means and a grid's mode."""
    log_normal, _, gamma, inverse = FAMILIES
    assert density(log_normal).median() == pytest.approx(log_normal.median)
    assert density(log_normal).expect(np.log) == pytest.approx(np.log(log_normal.median))
    assert density(gamma).mean() == pytest.approx(gamma.shape / gamma.rate)
    grid = np.linspace(0.01, 2, 200_000)
    mode = grid[np.argmax(density(inverse).pdf(grid))]
    assert mode == pytest.approx(inverse.scale / (inverse.shape + 1), abs=1e-4)


@pytest.mark.parametrize("prior", FAMILIES, ids=repr)
def test_zero_avoiding_means_faster_than_any_power(prior):
    """p(sigma) / sigma^10 at sigma = 1e-100 vanishes for those families alone."""
    sigma = 1e-100
    log_ratio = density(prior).logpdf(sigma) - 10 * np.log(sigma)
    assert (log_ratio < -1000) == prior.zero_avoiding


# Refusals ------------------------------------------------------------------


@pytest.mark.parametrize("k", [True, False, 2.0, 1.5, "3", None, [2], np.bool_(True), 1j])
def test_component_count_must_be_whole(k):
    assert repr(k) in refused("n_components must be a whole number", bg.MixtureSpec, k)


@pytest.mark.parametrize("k", [0, -1, np.int64(0)])
def test_component_count_must_be_positive(k):
    refused(f"n_components must be a whole number of at least 1, got .*{k}", bg.MixtureSpec, k)


@pytest.mark.parametrize("covariance", ["round", "FULL", "", None, 1, ["full"], np.array(["full"])])
def test_covariance_is_one_of_four(covariance):
    text = refused("covariance must be one of", bg.MixtureSpec, 2, covariance)
    assert all(structure in text for structure in STRUCTURES)


@pytest.mark.parametrize("priors", [None, {}, 2.0, bg.LogNormal()])
def test_priors_are_priors(priors):
    refused("priors must be a bayesgmm.Priors", bg.MixtureSpec, 2, priors=priors)


POSITIVE = ("weights", "mean_scale", "correlations")


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0, -1, -1e-300, 0.0])
def test_positive_hyperparameters(name, value):
    """Dirichlet's alpha and the LKJ shape eta among them."""
    text = refused(f"Priors.{name} must be a finite number above 0", bg.Priors, **{name: value})
    assert text.endswith(f"got {value!r}.")


@pytest.mark.parametrize("name", [*POSITIVE, "mean_location"])
@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -np.inf, "2", "two", b"2", None, True, 1j, 10**400, [[1, 2]]]
)
def test_hyperparameters_are_finite_numbers(name, value):
    if name == "correlations" and value is None:  # by the number of features
        return
    refused(rf"Priors\.{name}.* must be a finite number", bg.Priors, **{name: value})


@pytest.mark.parametrize("name", ["weights", "mean_location", "mean_scale"])
def test_the_wrong_entry_is_named(name):
    refused(rf"Priors\.{name}\[1\] must be a finite", bg.Priors, **{name: [1.0, "a", 2.0]})
    refused(rf"Priors\.{name} is empty; give", bg.Priors, **{name: []})
    if name != "mean_location":
        refused(
            rf"Priors\.{name}\[2\] must be a finite number above 0",
            bg.Priors,
            **{name: [1.0, 2.0, 0]},
        )


def test_eta_is_one_number():
    """Or one of two words for a prior that has no number."""
    for wrong in ([1.0, 2.0], np.array([1.0, 2.0]), "Uniform", "lkj"):
        refused(
            r"Priors.correlations must be a finite number above 0, .*, 'uniform' or None, got",
            bg.Priors,
            correlations=wrong,
        )


@pytest.mark.parametrize("scales", [1.0, None, bg.LogNormal, "LogNormal", ScalePrior()])
def test_scales_are_one_of_the_families(scales):
    text = refused("Priors.scales must be one of", bg.Priors, scales=scales)
    assert "bayesgmm.LogNormal(median=0.5, sigma=1.0)" in text


@pytest.mark.parametrize("units", ["cm", None, 1, []])
def test_units_are_one_of_two(units):
    refused("Priors.units must be 'standardised' or 'data'", bg.Priors, units=units)


@pytest.mark.parametrize("family", [type(prior) for prior in FAMILIES])
def test_scale_prior_numbers_are_positive(family):
    for field in dataclasses.fields(family):
        for wrong in (0, -1.0):
            refused(
                f"{family.__name__}.{field.name} must be a finite number above 0",
                family,
                **{field.name: wrong},
            )
        for wrong in (np.nan, "1", None, True):
            refused("must be a finite number", family, **{field.name: wrong})


@pytest.mark.parametrize("value", [1e-300, 1e300])
def test_numbers_of_priors_are_within_what_doubles_tell_apart(value):
    """Beyond it a fit would say converged at an infinite density."""
    for name in POSITIVE:
        refused(
            rf"Priors\.{name} must be a finite number above 0, from 1e-", bg.Priors, **{name: value}
        )
    for family in map(type, FAMILIES):
        for field in dataclasses.fields(family):
            refused(rf"{field.name} must be .* above 0, from", family, **{field.name: value})
    assert bg.Priors(mean_location=1e-300).mean_location == 1e-300
    refused("mean_location must be a finite number, from -1e150", bg.Priors, mean_location=1e300)


@pytest.mark.parametrize("units", ["standardised", "data"])
@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"mean_scale": 1e30}, r"Priors.mean_scale is .* where the data have"),
        ({"mean_scale": (1.0, 1e-30)}, r"Priors.mean_scale is .*; give one from 1e-12 to 1e12"),
        ({"scales": bg.LogNormal(1e-40)}, r"LogNormal.median is"),
        ({"scales": bg.HalfNormal(1e40)}, r"HalfNormal.sd is"),
        ({"scales": bg.Gamma(2.0, 1e40)}, r"Gamma.rate is"),
        ({"scales": bg.InverseGamma(2.0, 1e-40)}, r"InverseGamma.scale is"),
        ({"mean_location": 1e20}, r"centred .* standard deviations from the data"),
    ],
)
def test_priors_far_from_the_data_are_refused_where_they_meet(changed, match, units, faithful):
    spec = bg.MixtureSpec(2, priors=bg.Priors(units=units, **changed))
    for method in ("map", "laplace", "nuts"):
        refused(match, bg.fit, spec, faithful, method=method)
    assert bg.fit(spec, faithful, method="em", seed=1).status.ok  # which has no priors


@pytest.mark.slow
@pytest.mark.parametrize("value", [1e-9, 1e-5, 1e5, 1e9])
def test_extreme_priors_give_finite_fits_or_one_sentence(value, faithful):
    families = (
        bg.LogNormal(value),
        bg.HalfNormal(value),
        bg.Gamma(2.0, value),
        bg.InverseGamma(2.0, value),
        bg.LogNormal(sigma=value),
    )
    several = [{"scales": family} for family in families]
    several += [{"weights": max(value, 1.0)}, {"correlations": value}, {"mean_scale": value}]
    for changed in several:
        spec = bg.MixtureSpec(2, priors=bg.Priors(**changed))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", bg.FitWarning)
                fit = bg.fit(spec, faithful, method="laplace", draws=5, seed=1)
        except bg.BayesGMMError:
            continue
        values = [fit.log_likelihood, *fit.tree["sample_stats/lp"].values.ravel()]
        assert np.isfinite(values).all(), changed


def test_one_weight_per_component():
    text = refused(
        "has 2 entries but the model has 3", bg.MixtureSpec, 3, priors=bg.Priors(weights=[1, 2])
    )
    assert "one number, or one per component" in text


@pytest.mark.parametrize("method", ["em", "map"])
@pytest.mark.parametrize("name", ["mean_location", "mean_scale"])
def test_one_prior_mean_per_feature(name, method, faithful):
    spec = bg.MixtureSpec(2, priors=bg.Priors(**{name: (1.0, 1.0, 1.0)}))
    text = refused(
        f"Priors.{name} has 3 entries but the data have 2", bg.fit, spec, faithful, method=method
    )
    assert "one number, or one per feature" in text


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "This is not JSON: Expecting property name"),
        ("", "This is not JSON"),
        (None, "This is not JSON"),
        (b"\xff", "This is not JSON"),
        ("[2]", "A MixtureSpec in JSON is an object"),
        ("3", "A MixtureSpec in JSON is an object"),
        ("null", "A MixtureSpec in JSON is an object"),
        ("{}", "no n_components"),
        ('{"n_components": 2, "seed": 1}', "unknown field 'seed'"),
        ('{"n_components": 2.0}', "must be a whole number"),
        ('{"n_components": true}', "must be a whole number"),
        ('{"n_components": 2, "covariance": "round"}', "covariance must be one of"),
        ('{"n_components": 2, "priors": 3}', "priors must be a bayesgmm.Priors"),
        ('{"n_components": 2, "priors": {"alpha": 1}}', "Unknown prior 'alpha'; known are weights"),
        ('{"n_components": 2, "priors": {"weights": NaN}}', "must be a finite number"),
        ('{"n_components": 2, "priors": {"weights": [1]}}', "1 entries but the model has 2"),
        ('{"n_components": 2, "priors": {"scales": "Gamma"}}', "Priors.scales must be one of"),
        ('{"n_components": 2, "priors": {"scales": {"family": "Cauchy"}}}', "family 'Cauchy'"),
        ('{"n_components": 2, "priors": {"scales": {"family": ["Gamma"]}}}', "Unknown scale prior"),
        ('{"n_components": 2, "priors": {"scales": {"sd": 1}}}', "Unknown scale prior family None"),
        (
            '{"n_components": 2, "priors": {"scales": {"family": "Gamma", "sd": 1}}}',
            "Gamma has no 'sd'; it has shape, rate",
        ),
    ],
)
def test_json_that_is_no_spec(text, match):
    refused(match, bg.MixtureSpec.from_json, text)


# Errors ----------------------------------------------------------------------


def test_errors_carry_facts():
    """As attributes, kept by pickling; an error is a ValueError."""
    with pytest.raises(bg.BayesGMMError) as caught:
        bg.MixtureSpec(0)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert isinstance(error, ValueError) and isinstance(error, SpecError)
        assert error.name == "n_components" and str(error) == str(caught.value)
        assert not hasattr(error, "row")
