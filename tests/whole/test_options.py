"""Every option of every public function refuses what it is not, in one sentence.

The functions and their options are found by looking at the package, so a new option
fails here until it has a line in ``WRONG``.  Nothing may pass, and nothing but a named
error may come back: no TypeError from three calls below, and no work before the refusal.
"""

from __future__ import annotations

import ast
import inspect
import re
import typing
from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm import options
from bayesgmm.analysis.partitions.credible_ball import CredibleBall
from bayesgmm.inference import fitting
from bayesgmm.methods import METHODS
from bayesgmm.result.rows import FitOfRows
from conftest import shift_seeds

X = np.random.default_rng(5).normal(size=(30, 2)) + np.repeat([[0.0], [6.0]], 15, axis=0)
SPEC = bg.MixtureSpec(2)

# What is wrong for which kind of option -----------------------------------------

HUGE = 10**30
OBJECTS = (object(), {}, [], 1j, [1, 2], np.array([1.0, 2.0]), {"a": 1}, b"1")
NO_NUMBERS = (*OBJECTS, None, "100", "x", True, float("nan"), float("inf"))
NOT_NUMBERS = (*NO_NUMBERS, 10**400)
FROM_ZERO = (*NO_NUMBERS, -1, 2.5, 100.0)  # as large as one likes
LIMIT = (*FROM_ZERO, 0)
COUNT = (*LIMIT, 10**12, HUGE, 10**5000)
COUNT_FROM_ZERO = (*FROM_ZERO, 10**12, HUGE, 10**5000)
POSITIVE = (*NOT_NUMBERS, 0, -1, 1e300, 1e-300)
NOT_NEGATIVE = (*NOT_NUMBERS, -1, -1e-9)
PROBABILITY = (*NOT_NUMBERS, 0, 1, 2, -1, 1.5)
SHARE = (*NOT_NUMBERS, 2, -1, 1.5)
TRUTH = (*OBJECTS, None, "yes", 0, 1, 2.5, float("nan"))
NAME = (*OBJECTS, None, "luck", "", 3, 2.5, -1, True, float("nan"))
SEED = (*OBJECTS, "a", "1", -1, 2.5, 1.0, True, float("nan"), float("inf"))
CORES = (*OBJECTS, "2", 0, -1, 2.5, True, float("nan"), float("inf"), 10**12, HUGE)
FUNCTION = (*OBJECTS, "f", 3, 2.5, True)
PATH = (*OBJECTS, None, 3, 2.5, True)
DATA = (
    object(),
    {},
    [],
    1j,
    "x",
    b"1",
    True,
    [[1j, 2]],
    [["a", "b"]],
    [[1, 2], [3]],
    [[np.nan, 1.0]],
    [[1e200, 1.0]],
    [[10**400, 1.0]],
    np.empty((0, 2)),
    np.zeros((2, 2, 2)),
    max,
    [[1.0, 2.0, 3.0]],
)
FIT = (object(), None, {}, [], 1j, "fit", 3, 2.5, True, X, SPEC)
PARAMETERS = (object(), {}, [], 1j, "fit", 3, 2.5, True, X, SPEC)
ARRAY = (
    object(),
    {},
    1j,
    "x",
    b"1",
    None,
    [["a"]],
    [[1j]],
    [[1.0], [1.0, 2.0]],
    np.nan,
    [],
    [10**400],
)
LABELS = (object(), {}, None, 3, [[1, 2], [3]], [], [1, 2], [object()] * 30, [[0] * 30] * 2, 1j)
WEIGHTS = (
    object(),
    {},
    [],
    1j,
    "x",
    3,
    2.5,
    True,
    [1, 2],
    [1j] * 30,
    ["a"] * 30,
    [-1] * 30,
    [np.nan] * 30,
    [np.inf] * 30,
    [0] * 30,
    [1e200] * 30,
    [[1], [2, 3]],
    [10**400] * 30,
)
FEATURES = (
    object(),
    None,
    3,
    2.5,
    1j,
    True,
    "depth",
    ["depth"],
    ["x0", "x0"],
    [],
    [1.5],
    [None],
    [["x0"]],
    [np.array([1, 2])],
)
NAMES = (object(), 3, 2.5, 1j, True, "ab", "x", ["a"], ["a", "a"], ["a", "b", "c"], ["\ud800", "b"])
GIVEN = (
    object(),
    None,
    [],
    3,
    2.5,
    1j,
    "x0",
    {"depth": 1},
    {"x0": "a"},
    {"x0": None},
    {"x0": np.nan},
    {"x0": 1j},
    {"x0": [1, 2]},
    {"x0": 10**400},
    {"x0": 1, "x1": 1},
)
SEVERAL = (
    object(),
    3,
    None,
    "full",
    2.5,
    1j,
    {},
    [],
    ["round"],
    [None],
    [0],
    [2.5],
    ["3"],
    [True],
    range(10**12),
)
AXES = (object(), {}, [], 1j, 3, "ax", True, [1, 2])


def but_none(wrong):
    """For an option that may be None."""
    return tuple(value for value in wrong if value is not None)


#: Options that are one number, name or the like: the refusal begins with their name.
SCALAR = {
    # how many
    "n_components": COUNT, "n_features": COUNT, "n": LIMIT, "n_starts": but_none(COUNT),
    "n_best": but_none(LIMIT), "rounds": but_none(FROM_ZERO), "max_iter": LIMIT,
    "draws": COUNT, "tune": COUNT, "chains": COUNT,
    "max_draws": LIMIT, "max_rows": LIMIT, "max_refits": LIMIT, "max_replicates": COUNT,
    "exceedances": LIMIT, "runs": COUNT, "max_clusters": LIMIT, "n_replicates": (*COUNT, 99),
    "n_projections": COUNT_FROM_ZERO, "posteriors": FROM_ZERO, "n_draws": LIMIT,
    "max_points": LIMIT, "max_parameters": LIMIT, "max_modes": LIMIT, "index": FROM_ZERO,
    "bins": COUNT, "chunk": LIMIT, "points": (*COUNT, 16, 1000), "n_init": COUNT,
    "verbose_interval": LIMIT, "n_samples": COUNT,
    "verbose": (*OBJECTS, None, "100", float("nan"), float("inf"), -1, 2.5, 100.0),
    # numbers
    "tol": NOT_NEGATIVE, "reg_covar": NOT_NEGATIVE, "target_accept": PROBABILITY,
    "mass": PROBABILITY, "level": PROBABILITY, "rate": PROBABILITY, "interval": PROBABILITY,
    "q": (*NOT_NUMBERS, 0, 1, 2, -1, [0.5, 1.5], [[0.5]], ["a"]), "threshold": SHARE,
    "unsampled": SHARE,
    "levels": (*NOT_NUMBERS, 0, 1, [0.5, 1.5], [[0.5]], ["a"]),
    "weights": POSITIVE, "mean_scale": POSITIVE, "correlations": but_none(POSITIVE),
    "mean_location": (*NOT_NUMBERS, 1e300), "median": POSITIVE, "sigma": POSITIVE, "sd": POSITIVE,
    "shape": POSITIVE, "rate_of_gamma": POSITIVE, "scale": POSITIVE,
    # truth values and names
    **dict.fromkeys(
        ("accelerate", "avoid_collapse", "progressbar", "repair", "by_feature", "spread",
         "legend", "zoom", "jacobian", "prior", "likelihood_only", "warm_start"), TRUTH,
    ),
    **dict.fromkeys(
        ("method", "engine", "by", "loss", "sign", "units", "covariance", "covariance_type",
         "init_params", "criterion", "frame", "missing"), NAME,
    ),
    "draw": (*OBJECTS, None, "best", -1, 2.5, 10**9, True, float("nan")),
    "classifier": (*OBJECTS, None, "luck", 3, 2.5, dict),
    # the rest of what many functions take
    "seed": SEED, "random_state": (*SEED, HUGE, np.random.default_rng(1)), "cores": CORES,
    "in_memory": but_none(TRUTH), "checkpoint": but_none(PATH), "client": FUNCTION,
    "progress": FUNCTION, "statistic": (*FUNCTION, None, lambda _: 3), "path": PATH, "out": PATH,
    "ax": AXES,
}  # fmt: skip
WRONG = SCALAR | {
    "name": NAME, "spec": FIT[:-1], "priors": FIT, "scales": FIT, "data": DATA, "x": DATA,
    "X": DATA,
    "observations": DATA, "row_weights": WEIGHTS, "start": PARAMETERS, "parameters": FIT,
    "predictive": FIT, "fit": FIT, "smaller": FIT, "larger": FIT, "point": FIT, "posterior": FIT,
    "partition": FIT,
    "pivot": PARAMETERS, "fits": (*FIT, {"a": 3}), "check_or_fit": FIT,
    "statistics": (object(), [], 3, "x", {"a": 3}, {"a": lambda x: "b"}, {"a": lambda x: np.nan}),
    "prior_on_k": (object(), [], 3, "x", 1j, {"a": 1}, {1: "x"}, {1: -1}, {1: np.nan}, {0: 1}),
    "sampling": (object(), [], 3, "x", 1j, {"draws": "x"}, {"speed": 1}, {3: 1}),
    "table": (object(), {}, [], 3, "x", None, X), "features": FEATURES, "names": NAMES,
    "feature": FEATURES, "given": GIVEN, "y": FEATURES, "at": (*DATA, *GIVEN[7:]),
    "covariances": SEVERAL, "means": ARRAY, "scale_tril": ARRAY, "theta": ARRAY,
    "permutation": (*ARRAY, [0, 0], [0.5, 1]), "first": LABELS, "second": LABELS,
    "other": LABELS, "labels": LABELS, "rows": (object(), "x", 2.5, 1j, [99], [1.5], [[1], [2, 3]]),
    "weights_init": ARRAY[:-1], "means_init": ARRAY, "precisions_init": ARRAY,
    "content": (object(), None, [], 3, "x", {}, {"k": 1}, {3: 1, "k": 1}),
    "text": (object(), None, [], 3, "x", "[]", b"\xff", "{}"),
    "errors": (object(), {}, [], 1j, "x", b"1", True, -1, np.nan, np.inf, [1, 2, 3], [[1, 2]],
               [10**400] * 2, np.ones((30, 3)), [[1], [2, 3]]),
    "allowed": (object(), {}, [], 3, 1j, "x", [1, 2], [[2, 3]] * 30, [[0, 0]] * 30, [[1], [2, 3]]),
    "background": (object(), {}, [], 3, 1j, "x", [1, 2], [np.nan] * 30, [np.inf] * 30,
                   {"depth": (0, 1)}, {"x0": 3}, {"x0": (1, 0)}, [[0, 0], [0, 0]],
                   {"x0": (-99, 99)}, [[-99, -99], [99, 1]]),
    "selection": (object(), [], 3, 1j, "x", [1, 2], {"depth": (0, 1)}, {"x0": 3}, {"x0": (1, 0)},
                  [[0, 0], [0, 0]], {"x0": (5, None)}, {"x0": ("a", 3)}),
    "columns": (object(), {}, 3, 1j, "x", True, ["a"], [3], ["x0"]),
    "noise": TRUTH,
    "subject": FIT,
    "label": (object(), None, [], {}, 3, "K=9, full"),
    "resolution": (object(), None, {"depth": 1}, [], 1j, "x", True, -1, 1e300, float("nan"), [1],
                   [1, 2, 3], [1, "x"], [1, None], {"x0": "x"}, {"x0": -1}, {1: 1}, 1e9, [[1], [2]],
                   b"1", np.array(["a", "b"]), 10**400, [np.array([1, 2]), 1]),
}  # fmt: skip

#: Where a name means something else, by function.
ELSE = {
    ("occupied", "fit"): LABELS[:6], ("partition", "fit"): LABELS[:6],
    ("select", "n_components"): SEVERAL,
    ("select", "noise"): tuple(value for value in SEVERAL if value != [True]),
    ("MixtureParameters", "noise"): (object(), {}, [], 3, "x", True, 0.1),
    ("Observations", "labels"): (object(), {}, [], 3, 1j, "x", [1, 2], ["a"] * 30, [1.5] * 30,
                                 [-2] * 30, [[0] * 30], [10**400] * 30),
    ("plot_check", "check"): FIT, ("plot_selection", "selection"): FIT,
    ("plot_conditional", "x"): FEATURES,
    ("Gamma", "rate"): POSITIVE,
    ("MixtureParameters", "weights"): ARRAY,
    ("MixtureParameters.from_covariances", "weights"): ARRAY,
    ("MixtureParameters.from_covariances", "covariances"): ARRAY,
    ("MixtureParameters.marginal", "features"): (*FEATURES, [0, 0], [2], [True]),
    ("MixtureParameters.condition", "given"): (*GIVEN, {0: "a"}, {0: 1j}, {2: 1.0}),
    ("MixtureParameters.simulate", "n"): COUNT_FROM_ZERO,
    ("PredictiveDistribution.generate", "n"): COUNT, ("MixtureFit.generate", "n"): COUNT,
    ("two_sample_test", "max_rows"): (*LIMIT, 19),
    ("Selection.bootstrap_test", "smaller"): (object(), None, [], {}, 3, "K=9, full"),
    ("Selection.bootstrap_test", "larger"): (object(), None, [], {}, 3, "K=9, full"),
    ("LogPosterior.unconstrain", "parameters"): FIT,
    ("LogPosterior", "spec"): FIT[:-1],
    ("MixtureSpec.from_json", "text"): (object(), None, [], 3, "x", "[]", b"\xff", "{}"),
    ("Priors.from_dict", "content"): (object(), None, [], 3, "x", {"k": 1}, {3: 1}),
    ("GaussianMixture", "random_state"): (*SEED, HUGE, np.random.default_rng(1)),
    ("Observations.select", "names"): FEATURES[:-1],
    ("GaussianMixture", "max_iter"): FROM_ZERO,
    ("GaussianMixture", "learning_decay"): (*NOT_NUMBERS, 0.5, 0, -1, 1.5),
    ("GaussianMixtureClassifier", "n_components"): (0, 2.5, "2", True, None, [1], [1, 0], {0: 1},
                                                    {0: 1, 1: 1, 2: 1}, [[1, 1]], object(), 1j),
    ("GaussianMixtureClassifier", "priors"): (0.5, "x", True, 1j, object(), [1], [1, 0],
                                              [0.5, 0.6], [0.5, np.nan], {0: 1.0}, [[0.5, 0.5]]),
    ("GaussianMixtureClassifier", "shared"): (*OBJECTS, None, "size", 1, 2.5, ["size"], [[]]),
    ("GaussianMixtureClassifier", "model_priors"): (*OBJECTS, "flat", 3, True),
    ("Observations", "data"): DATA[:-1],
    ("MixtureFit.save", "data"): TRUTH, ("MixtureFit.save", "log_likelihood"): TRUTH,
    **{(f"FitOfRows.{name}", option): wrong
       for name in ("predict_proba", "memberships", "predict", "score_samples", "anomaly_score",
                    "outliers", "impute", "denoise")
       for option, wrong in {
           "out": (*but_none(PATH), "x", "x.csv", "x.nc", Path("x")),
           "data": tuple(value for value in DATA if value is not max),  # functions give batches
       }.items()},
    ("PredictiveDistribution.of", "names"): NAMES[:-1],
    **{("Priors", name): tuple(v for v in POSITIVE if not isinstance(v, (list, np.ndarray)))
       for name in ("weights", "mean_scale", "noise")},
    ("Priors", "mean_location"): (None, "x", True, 1j, {"a": 1}, object(), np.inf, 1e300, -1e300),
}  # fmt: skip

#: What no wrong value is known of, with the reason.
FREE = {
    "y": "scikit-learn's methods take and ignore it",
    "changes": "fields of the spec, checked by its constructor",
    "unlabelled": "any label may mean that the class is not known",
}
#: What is public by its name and made for the package itself.
WITHIN = {
    "MixtureFit.build", "MixtureFit.relabelled", "LogPosterior.on", "LogPosterior.with_cores",
    "LogPosterior.standardise", "LogPosterior.refuse_not_finite",
    "LogPosterior.unconstrain", "CredibleBall.around", "PredictiveDistribution.positions",
    "LogPosterior.mixture", "LogPosterior.of_recorded", "LogPosterior.precision",
    "LogPosterior.relabelled", "LogPosterior.framed", "LogPosterior.at", "LogPosterior.few_rows",
    "LogPosterior.at_each", "LogPosterior.watched", "LogPosterior.of_no_rows",
    "MixtureParameters.with_rows", "Observations.part", "Observations.on_cluster", "Priors.eta",
}  # fmt: skip


@pytest.fixture(scope="module")
def made():
    """One of everything that has methods."""
    em = bg.fit(SPEC, X, method="em", seed=1)
    one = bg.fit(bg.MixtureSpec(1), X, method="em", seed=1)
    laplace = bg.fit(SPEC, X, method="laplace", draws=200, seed=1)
    labels = np.repeat([0, 1], 15)
    partition = bg.partition([labels, labels, 1 - labels], runs=1, seed=1)
    return {
        "em": em,
        "one": one,
        "laplace": laplace,
        "MixtureFit": laplace,
        "FitOfRows": laplace,
        "MixtureParameters": em.parameters[0, 0],
        "PredictiveDistribution": laplace.predictive,
        "MixtureSpec": SPEC,
        "Priors": bg.Priors(),
        "Observations": bg.Observations(X),
        "LogPosterior": bg.LogPosterior(SPEC, X),
        "Selection": bg.select(X, [1, 2], ["full"], posteriors=0, seed=1),
        "Partition": partition,
        "CredibleBall": partition.credible_ball,
        "HighestDensityRegion": laplace.predictive.region(0.5, points=32),
    }


CLASSES = {
    name: getattr(bg, name)
    for name in ("MixtureFit", "MixtureParameters", "PredictiveDistribution", "MixtureSpec",
                 "Priors", "Observations", "LogPosterior", "Selection", "Partition",
                 "HighestDensityRegion")
} | {"CredibleBall": CredibleBall, "FitOfRows": FitOfRows}  # fmt: skip
MADE_BY_HAND = (
    "MixtureSpec",
    "Priors",
    "LogNormal",
    "HalfNormal",
    "Gamma",
    "InverseGamma",
    "Observations",
    "MixtureParameters",
    "LogPosterior",
)
SKLEARN = ("GaussianMixture", "GaussianMixtureClassifier", "MCMCGaussianMixture")


def subjects():
    """Names of all that is called: functions, constructors, methods."""
    functions = [name for name in bg.__all__ if inspect.isfunction(getattr(bg, name))]
    found = [*functions, *MADE_BY_HAND, *SKLEARN, "datasets.load", "GaussianMixture.sample"]
    for name, cls in CLASSES.items():
        for method, value in vars(cls).items():
            function = getattr(value, "__func__", value)
            if not method.startswith("_") and inspect.isfunction(function):
                found.append(f"{name}.{method}")
    return sorted(set(found) - WITHIN)


def callable_of(name, made):
    if name in SKLEARN:
        labels = np.repeat([0, 1], 15)
        return lambda **options: getattr(bg, name)(**options).fit(X, labels)
    if name == "GaussianMixture.sample":
        return bg.GaussianMixture(2, random_state=1).fit(X).sample
    if name == "datasets.load":
        return bg.datasets.load
    if name == "PredictiveDistribution.quantile":  # of one feature
        return made["PredictiveDistribution"].marginal("x0").quantile
    if "." in name:
        owner, method = name.split(".")
        return getattr(made[owner], method)
    return getattr(bg, name)


def parameters_of(name):
    """Its parameters: name to default."""
    if "." in name and name.split(".")[0] in CLASSES:
        owner, method = name.split(".")
        function = getattr(CLASSES[owner], method)
    elif name == "GaussianMixture.sample":
        function = bg.GaussianMixture.sample
    else:
        function = bg.datasets.load if name == "datasets.load" else getattr(bg, name)
    found = inspect.signature(function).parameters
    return {
        each.name: each.default
        for each in found.values()
        if each.name != "self" and each.kind is not each.VAR_KEYWORD
    }


def valid(name, parameter, made):
    """A right value of a parameter that has no default."""
    own = {
        ("relabel", "fit"): made["laplace"],
        ("log_evidence", "fit"): made["laplace"],
        ("waic", "fit"): made["laplace"],
        ("dic", "fit"): made["laplace"],
        ("diagnose", "fit"): made["laplace"],
        ("elpd_loo", "fit"): made["laplace"],
        ("agreement", "posterior"): made["laplace"],
        ("agreement", "point"): made["em"],
        ("plot_agreement", "posterior"): made["laplace"],
        ("plot_agreement", "point"): made["em"],
        ("plot_conditional", "x"): "x1",
        ("bootstrap_test", "smaller"): made["one"],
        ("bootstrap_test", "larger"): made["em"],
        ("Selection.bootstrap_test", "smaller"): "K=1, full",
        ("Selection.bootstrap_test", "larger"): "K=2, full",
        ("MixtureParameters.marginal", "features"): [0],
        ("MixtureParameters.condition", "given"): {0: 1.0},
        ("MixtureParameters", "weights"): [1.0],
        ("MixtureParameters.from_covariances", "weights"): [1.0],
        ("Observations.require", "covariance"): "full",
        ("Observations.scale_for", "covariance"): "full",
        ("Observations.scaling", "covariance"): "full",
        ("Observations.recorded_variance", "covariance"): "full",
        ("Observations.select", "names"): ["x0"],
        ("MixtureFit.regress", "at"): {"x1": [1.0]},
        ("CredibleBall.distance", "labels"): np.repeat([0, 1], 15),
    }
    if (name, parameter) in own:
        return own[name, parameter]
    return {
        "spec": SPEC,
        "data": X,
        "x": X,
        "X": X,
        "observations": X,
        "fit": made["em"],
        "fits": {"em": made["em"]},
        "check": made["em"],
        "partition": made["Partition"],
        "selection": made["Selection"],
        "table": made["Selection"],
        "parameters": made["MixtureParameters"],
        "predictive": made["MixtureFit"].marginal("x0"),
        "statistic": lambda d: d.mean,
        "n": 3,
        "n_components": 2,
        "n_features": 2,
        "likelihood_only": False,
        "features": ["x0"],
        "given": {"x0": 1.0},
        "y": "x0",
        "q": 0.5,
        "path": "fit.nc",
        "name": "faithful",
        "means": [[0.0, 0.0]],
        "scale_tril": [np.eye(2)],
        "covariances": [np.eye(2)],
        "permutation": [1, 0],
        "theta": np.zeros(11),
        "first": np.repeat([0, 1], 15),
        "second": np.repeat([0, 1], 15),
        "other": np.repeat([0, 1], 15),
        "content": {"n_components": 2},
        "subject": made["em"],
        "text": "{}",
        "index": 0,
    }[parameter]


def values_of(name, parameter, default):
    """Wrong values of an option, or None where it has no line in the table."""
    if (name, parameter) in ELSE:
        wrong = ELSE[name, parameter]
    elif parameter in WRONG:
        wrong = WRONG[parameter]
    else:
        return None
    return [value for value in wrong if value is not default]


def complaint(call, told, **arguments):
    """What is wrong with the refusal of these arguments, or None; ``told`` is to be named."""
    try:
        call(**arguments)
    except bg.BayesGMMError as error:
        message = str(error)
        if told is not None and told not in message:
            return f"the message does not name it, {message!r}"
        one_line = "\n" not in message and message.strip() == message
        if one_line and message.endswith(".") and not message.endswith(".."):
            return None
        return f"the message {message!r}"
    except Exception as error:  # a raw error is what is looked for
        return f"a raw {type(error).__name__}: {error}"
    return "no error"


def complaints(name, call, options, made):
    """Of all wrong values of all options of one function, with their number."""
    found, count = [], 0
    required = {
        parameter: valid(name, parameter, made)
        for parameter, default in options.items()
        if default is inspect.Parameter.empty
    }
    for parameter, default in options.items():
        values = values_of(name, parameter, default)
        if values is None:
            assert parameter in FREE, f"{name}: {parameter} has no line in the table of options"
            continue
        for value in values:
            count += 1
            named = parameter if parameter in SCALAR and (name, parameter) not in ELSE else None
            wrong = complaint(call, named, **{**required, parameter: value})
            if wrong is not None:
                shown = f"{value!r:.40}" if not isinstance(value, int) or value < HUGE else "huge"
                found.append(f"{name}({parameter}={shown}): {wrong}")
    return found, count


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", subjects())
def test_a_wrong_value_is_one_sentence(name, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, _ = complaints(name, callable_of(name, made), parameters_of(name), made)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_option_of_a_method_is_one_sentence(method, made):
    """As an argument of ``fit``, and of the method's own object."""
    options = {field.name: field.default for field in fields(METHODS[method])}
    found, _ = complaints(method, METHODS[method], options, made)
    needed = {"spec": inspect.Parameter.empty, "data": inspect.Parameter.empty}
    found += complaints("fit", partial(bg.fit, method=method), needed | options, made)[0]
    assert not found, "\n".join(found)
    other = "draws" if method in ("em", "map") else "reg_covar"
    with pytest.raises(bg.SpecError, match=f"has no option '{other}'; it has"):
        bg.fit(SPEC, X, method=method, **{other: 1})
    with pytest.raises(bg.SpecError, match="is given beside method="):
        bg.fit(SPEC, X, method=METHODS[method](), **{next(iter(options)): 3})


@pytest.mark.parametrize(
    ("overload", "method"),
    [*zip(typing.get_overloads(fitting.fit.__wrapped__), [*METHODS.values(), None], strict=True)],
)
def test_every_overload_of_fit_has_the_options_of_its_method(overload, method):
    own = inspect.signature(overload).parameters
    assert own["method"].annotation == (f"Literal['{method.name}']" if method else "Method")
    told = {name: own[name].default for name in list(own)[10:]}
    assert told == {field.name: field.default for field in fields(method or bg.methods.Method)}


def test_no_public_function_takes_options_that_it_does_not_name():
    for name in set(subjects()) - {"MixtureSpec.replace"}:
        owner, _, method = name.rpartition(".")
        function = getattr(CLASSES.get(owner, bg), method, None)
        kinds = (
            {each.kind for each in inspect.signature(function).parameters.values()}
            if (inspect.isfunction(function))
            else set()
        )
        assert inspect.Parameter.VAR_KEYWORD not in kinds, name


def test_options_within_and_beside_a_method_are_the_same():
    within = bg.fit(SPEC, X, method=bg.Laplace(draws=50), seed=1)
    beside = bg.fit(SPEC, X, method="laplace", draws=50, seed=1)
    np.testing.assert_array_equal(within.parameters.means, beside.parameters.means)


def test_the_sentence_is_the_same_everywhere(made):
    """A mass beyond one, by every function that has a mass."""
    em, laplace, predictive = made["em"], made["laplace"], made["laplace"].predictive
    calls = (
        partial(bg.partition, em),
        partial(bg.agreement, em, laplace),
        em.memberships,
        partial(em.regress, "x0", X),
        predictive.region,
        partial(bg.credible_interval, predictive, lambda d: d.mean),
    )
    for call in calls:
        with pytest.raises(bg.SpecError) as caught:
            call(mass=2)
        assert str(caught.value) == "mass must be a number between 0 and 1, got 2."
    with pytest.raises(bg.SpecError) as caught:
        bg.fit(SPEC, X, max_iter=2.5)
    assert str(caught.value) == "max_iter must be a whole number of at least 1, got 2.5."
    assert caught.value.name == "max_iter"


@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")
def test_small_integers_of_numpy_do_not_overflow():
    """100 draws as an int8 are 400 proposals."""
    plain = bg.fit(SPEC, X, method="laplace", draws=100, seed=3)
    small = bg.fit(SPEC, X, method="laplace", draws=np.int8(100), seed=np.uint8(3))
    np.testing.assert_array_equal(plain.parameters.means, small.parameters.means)


# Messages -------------------------------------------------------------------------


def raised():
    """Every call of an error of ours in the source, with its place."""
    package = Path(bg.__file__).parent
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(getattr(node, "func", None), "id", "")
            if name in ("SpecError", "DataError", "FitError", "FileError") and node.args:
                yield f"{path.relative_to(package)}:{node.lineno}", node.args[0]


def test_every_message_ends_in_one_full_stop_on_one_line():
    """As it stands in the source, where the end is written out; the rest is seen in the tests."""
    places = list(raised())
    assert len(places) > 150
    for place, message in places:
        parts = message.values if isinstance(message, ast.JoinedStr) else [message]
        written = [part.value for part in parts if isinstance(part, ast.Constant)]
        assert not any("\n" in text for text in written), place
        if isinstance(parts[-1], ast.Constant):
            assert written[-1].endswith(".") and not written[-1].endswith(".."), place


# Seeds ------------------------------------------------------------------------------


def seeded(made):
    """What has a seed, as a function of it that gives numbers."""
    em, one, laplace = made["em"], made["one"], made["laplace"]
    labels = [np.repeat([0, 1], 15), np.arange(30) % 3, np.arange(30) % 2]
    return {
        "fit em": lambda seed: bg.fit(SPEC, X, seed=seed).parameters.means,
        "fit laplace": lambda seed: (
            bg.fit(SPEC, X, method="laplace", draws=20, seed=seed).parameters.means
        ),
        "simulate": lambda seed: made["MixtureParameters"].simulate(5, seed=seed)[0],
        "generate": lambda seed: laplace.generate(5, seed=seed)["x"],
        "chunks": lambda seed: next(laplace.generate_chunks(9, chunk=5, seed=seed))["x"],
        "region": lambda seed: laplace.predictive.region(0.5, points=512, seed=seed).log_threshold,
        "outliers": lambda seed: laplace.anomaly_score(X, points=512, seed=seed),
        "draw_allocations": lambda seed: bg.draw_allocations(em, max_draws=3, seed=seed),
        "occupied": lambda seed: bg.occupied(em, max_draws=3, seed=seed),
        "partition": lambda seed: bg.partition(labels, runs=2, seed=seed).labels,
        "with_predictive": lambda seed: bg.with_predictive(em, by_feature=False, seed=seed)[
            "posterior_predictive/x"
        ],
        "two_sample_test": lambda seed: (
            bg.two_sample_test(em, classifier="neighbours", seed=seed).accuracy
        ),
        "posterior_check": lambda seed: bg.posterior_check(em, n_replicates=100, seed=seed).pit[
            "p_value"
        ],
        "bootstrap_test": lambda seed: (
            bg.bootstrap_test(one, em, max_replicates=2, seed=seed).replicates
        ),
        "log_evidence": lambda seed: bg.log_evidence(laplace, seed=seed).value,
        "select": lambda seed: (
            bg.select(X, [2], ["full"], posteriors=0, seed=seed).table["bic"].to_numpy()
        ),
    }


def same(first, second):
    return np.array_equal(np.asarray(first), np.asarray(second))


@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")
@pytest.mark.parametrize("name", seeded(dict.fromkeys(
    ("em", "one", "laplace", "MixtureParameters")
)))  # fmt: skip
def test_a_seed_is_read_alike_everywhere(name, made):
    """A SeedSequence is a value, a Generator moves on, and NumPy's integers are integers."""
    call = seeded(made)[name]
    sequence = np.random.SeedSequence(11, spawn_key=(4,))
    sequence.spawn(2)
    first, second = call(sequence), call(sequence)
    assert same(first, second) and sequence.n_children_spawned == 2
    assert same(call(7), call(np.int64(7))) and same(call(7), call(np.random.SeedSequence(7)))
    rng = np.random.default_rng(3)
    before = rng.bit_generator.state
    first = call(rng)
    assert rng.bit_generator.state != before
    assert same(first, call(np.random.default_rng(3)))
    call(None)


def test_different_seeds_differ(made):
    call = seeded(made)["generate"]
    sequences = [np.random.SeedSequence(1, spawn_key=key) for key in ((), (0,), (1,))]
    found = [np.asarray(call(seed)) for seed in (1, 2, *sequences[1:])]
    assert same(call(1), call(sequences[0]))
    assert all(not same(a, b) for i, a in enumerate(found) for b in found[:i])
    rng = np.random.default_rng(3)
    assert not same(call(rng), call(rng))


# Too much for the machine -------------------------------------------------------------


def test_what_no_memory_holds_is_said_before_it_is_tried(made):
    em, gigabytes = made["em"], r"would take [\d,]+ GB of memory and this machine has [\d,]+ GB"
    with pytest.raises(bg.SpecError, match=gigabytes + "; generate_chunks makes any number"):
        em.generate(10**12)
    with pytest.raises(bg.SpecError, match=gigabytes + "; make chunk smaller"):
        em.generate_chunks(10**13, chunk=10**12)
    assert next(em.generate_chunks(10**12, chunk=3, seed=1)).sizes["sample"] == 3
    for call in (
        partial(made["MixtureParameters"].simulate, 10**12),
        partial(bg.draw_allocations, em, max_draws=10**12),
        partial(bg.occupied, em, max_draws=10**12),
    ):
        with pytest.raises(bg.SpecError, match=gigabytes):
            call()
    wide = np.random.default_rng(0).normal(size=(60, 40))
    with pytest.raises(bg.SpecError, match=gigabytes + "; draw fewer"):
        bg.fit(SPEC, wide, method="laplace", draws=10**7)


def test_other_seeds_are_other_numbers_and_the_same_stay_the_same(monkeypatch):
    """What ``pytest --other-seeds`` does to every seed, once however often it is read."""
    before = options.generator(1).random()
    monkeypatch.setattr(options, "_root", options._root)  # put back when this test ends
    shift_seeds(7)
    shifted = options.generator(1).random()
    assert shifted != before
    assert shifted == options.generator(1).random()
    assert shifted == options.generator(np.random.SeedSequence(1)).random()
    assert shifted == options.generator(options.seed_sequence(options.seed_sequence(1))).random()
    assert shifted != options.generator(2).random()
    one, two = options.seed_sequence(1).spawn(2)
    assert options.generator(one).random() != options.generator(two).random()
    shift_seeds(8)
    assert options.generator(1).random() != shifted


def test_type_checkers_see_the_names_that_are_loaded():
    """``__init__.pyi`` says where each name is, as ``__init__`` does."""
    text = Path(bg.__file__).with_suffix(".pyi").read_text()
    said = re.findall(r"from bayesgmm\.(\S+) import (\w+) as \2", text)
    assert sorted((name, module) for module, name in said) == sorted(bg._WHERE.items())
