"""One value of every type for every option of every public callable: it works or is refused.

``tests/whole/test_options.py`` knows which values of each option are wrong, and that they are
refused by name.  Here the callables are all that can be reached by a public name, methods that are
inherited and those of scikit-learn's estimators among them, and the values are one of each type:
whatever is right among them has to work, and nothing may raise anything but a documented error.
"""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import inspect
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr
from hypothesis import settings

import bayesgmm as bg
from tests.whole import test_options as known
from tests.whole.test_options import made

__all__ = ["made"]  # a fixture

ANY = (
    None, True, False, 0, 1, -1, 2.5, float("nan"), float("inf"), 10**30, 1j, "x", "", "\ud800",
    b"1", bytearray(2), [], [1], (1, 2), {}, {"a": 1}, {1}, object(), object, int, len, range(3),
    slice(1), iter([1]), Ellipsis, np.float64(1), np.float64("nan"), np.int8(1), np.bool_(True),
    np.array([]), np.array(1.0), np.array([1.0, 2.0]), np.array(["a"]), np.array([1j]),
    np.ma.masked, np.ma.masked_array([1.0], [True]), np.datetime64("NaT", "s"),
    np.datetime64("2020-01-01"), np.str_("x"), dt.date(2020, 1, 1), dt.timedelta(1),
    decimal.Decimal("1.5"), decimal.Decimal("NaN"), fractions.Fraction(1, 2), Path("x"), pd.NA,
    pd.NaT, pd.Series([1.0]), pd.DataFrame(), pl.Series([1.0]), pl.DataFrame(), xr.Dataset(),
    xr.DataArray(1.0), bg.MixtureSpec(1), bg.Priors(), bg.EM(), np.random.RandomState(0),
    np.random.default_rng(0), np.random.SeedSequence(0), [[1.0, 2.0]], [None], [[]], ["x0"],
)  # fmt: skip
#: Each option has some of them: one in ``make test``, all in ``make fuzz``.
STEP = len(ANY) if settings.default.max_examples < 50 else 1

#: Options that are functions: what they raise is their author's.
CALLED = ("progress", "statistic", "statistics", "data", "observations", "x", "X")
#: What makes a call quick.
QUICK = {
    "select": {"n_components": [1], "covariances": ["full"], "posteriors": 0},
    "bootstrap_test": {"max_replicates": 2},
    "Selection.bootstrap_test": {"max_replicates": 2},
    "fit": {"n_starts": 2, "n_best": 1, "rounds": 0},
    "wbic": {"draws": 10},
    "posterior_check": {"n_replicates": 100},
}
#: Methods for which faults are known that are not mended yet.
ESTIMATORS = known.SKLEARN
LABELS = np.repeat([0, 1], 15)


def reached():
    """Methods that are reached by a public name and not among the subjects of test_options."""
    own = set(known.subjects()) | known.WITHIN
    for name in bg.__all__:
        cls = getattr(bg, name)
        if not inspect.isclass(cls) or issubclass(cls, Exception):
            continue
        for method in dir(cls):
            value = inspect.getattr_static(cls, method)
            function = getattr(value, "__func__", value)
            if method.startswith("_") or not inspect.isfunction(function):
                continue
            if not function.__module__.startswith("bayesgmm") or len(
                inspect.signature(function).parameters
            ) < 2:  # fmt: skip
                continue
            named = {f"{name}.{method}", function.__qualname__}
            if not named & own and not issubclass(cls, bg.methods.Method):
                yield f"{name}.{method}"


SUBJECTS = sorted({*known.subjects(), *reached()})


def prepared(name, made):
    """A callable with right values of what it needs, its options, and errors documented of it."""
    owner, _, method = name.rpartition(".")
    if name in known.subjects():
        options = known.parameters_of(name)
        needed = {
            each: known.valid(name, each, made)
            for each, default in options.items()
            if default is inspect.Parameter.empty
        } | QUICK.get(name, {})
        return known.callable_of(name, made), options, needed, name.split(".")[0] in ESTIMATORS
    if owner in ESTIMATORS:
        quick = {"draws": 10, "tune": 10, "chains": 1} if owner.startswith("MCMC") else {}
        model = getattr(bg, owner)(random_state=0, **quick).fit(known.X, LABELS)
        function = getattr(model, method)
    else:
        function = getattr(made[owner] if owner in made else getattr(bg, owner)(), method)
    options = {each.name: each.default for each in inspect.signature(function).parameters.values()}
    right = {"X": known.X, "y": LABELS, "unit": 2.0, "name": "n_rows", "index": 0}
    needed = {
        each: right[each] for each, default in options.items() if default is inspect.Parameter.empty
    }
    return function, options, needed, owner in ESTIMATORS


def raw(call, documented, **arguments):
    """A raw error of a call, or None."""
    try:
        call(**arguments)
    except documented:
        return None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        plt.close("all")
    return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SUBJECTS)
def test_a_value_of_any_type(name, made):
    call, options, needed, of_sklearn = prepared(name, made)
    documented = (ValueError, TypeError) if of_sklearn else (bg.BayesGMMError,)
    found = []
    start = sum(map(ord, name))  # other values for each
    for position, option in enumerate(options):
        values = [ANY[i] for i in range((start + position) % STEP, len(ANY), STEP)]
        for value in values:
            if callable(value) and option in CALLED:
                continue
            wrong = raw(partial(call), documented, **{**needed, option: value})
            if wrong is not None:
                found.append(f"{name}({option}={value!r:.60}): {wrong:.200}")
    assert not found, "\n".join(found)
