"""Every public entry with a valid array times one mutation.

Either one of the documented errors, whose message is one sentence, or finite numbers; no other
warning, no change of the caller's data, and an end in time.

``make test`` tries a few examples of each, the same ones every time; ``make fuzz`` thousands,
others every time, and starts with those that failed before.
"""

from __future__ import annotations

import faulthandler
import importlib
import re
import signal
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import example, given, settings

import bayesgmm as bg
from tests.fuzz.entries import ENTRIES, Entry, not_finite
from tests.fuzz.strategies import MUTATIONS, Case, cases, copied, made, unchanged

_LONG = 400  # characters of a message
_HANGS = 60  # seconds


class Hang(AssertionError):
    """A call that does not end."""


@contextmanager
def ends() -> Iterator[None]:
    """Raise where a call takes a minute; where compiled code does not return, end the process."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(*_: object) -> None:
        raise Hang(f"not over after {_HANGS} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(_HANGS)
    faulthandler.dump_traceback_later(5 * _HANGS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def sentence(error: Exception) -> str | None:
    """What is wrong with the message of a documented error, or None."""
    message = str(error)
    if isinstance(error, bg.BayesGMMError):
        if "\n" in message or not message.endswith(".") or message.endswith(".."):
            return f"not one sentence: {message!r}"
        if len(message) > _LONG:
            return f"{len(message)} characters: {message!r}"
    if not message or "Traceback" in message or "please report" in message:
        return f"no help: {message!r}"
    return None


def complaint(entry: Entry, case: Case) -> str | None:
    """What an entry does wrong with a case, or None."""
    hostile = made(case)
    before = copied(hostile)
    with warnings.catch_warnings(record=True) as caught, ends():
        warnings.simplefilter("always")
        try:
            found = entry.call(case, hostile)
        except (bg.BayesGMMError, *entry.raises) as error:
            wrong = sentence(error)
            if wrong:
                return wrong
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            return f"a raw {type(error).__name__} at {place.name}: {error}"
        else:
            wrong = "; ".join(not_finite(entry, found))
            if wrong:
                return wrong
    allowed = (bg.FitWarning, *entry.warns)
    for warning in caught:
        text = str(warning.message)
        if not issubclass(warning.category, allowed) and not re.search(entry.warned, text):
            return f"a {warning.category.__name__}: {warning.message}"
    if before is not None and not unchanged(before, hostile.data):
        return "the caller's data are changed"
    return None


VALID = Case(n=30, d=2, k=2, covariance="diag", seed=3, mutation="none")
#: A column of ones and 1e100.
ONE_FAR = Case(
    n=8, d=2, k=1, covariance="spherical", seed=3, mutation="a column constant but for one row"
)
#: Cases that failed once, by entry.
PINNED = {
    "Observations": [
        Case(n=7, d=5, k=4, seed=311, mutation="all equal"),
        Case(n=24, d=3, k=2, seed=292, mutation="a column constant but for one row"),
    ],
    "fit em": [Case(n=17, d=4, k=3, covariance="tied-diag", seed=881, mutation="an odd selection")],
    "MixtureFit.generate": [
        Case(n=21, d=1, k=1, seed=635, mutation="odd weights"),
        Case(n=34, d=3, k=3, covariance="tied-diag", seed=557, mutation="an odd index"),
    ],
    "LogPosterior": [
        Case(n=26, d=2, k=1, seed=891, mutation="odd errors"),
        Case(n=20, d=1, k=1, covariance="diag", seed=193, mutation="odd errors"),
    ],
    "MixtureFit.denoise": [Case(n=6, d=2, k=1, seed=377, mutation="an odd object")],
    "PredictiveDistribution": [
        Case(n=7, d=1, k=1, seed=7, mutation="an odd background"),
        Case(n=29, d=1, k=1, seed=78, mutation="an odd background"),
    ],
    "PredictiveDistribution.cdf": [Case(n=21, d=1, k=2, seed=456, mutation="missing values")],
    "MixtureParameters.from_covariances": [
        Case(n=6, d=4, k=2, seed=789, mutation="some odd entries"),
        Case(n=6, d=1, k=3, seed=453, mutation="a shape"),
    ],
    "MixtureFit.condition": [Case(n=1, d=4, k=1, seed=4, mutation="an odd object")],
    "MixtureFit.marginal": [
        Case(n=1, d=1, k=1, mutation="a container"),
        Case(n=8, d=1, k=1, seed=8, mutation="another frame"),
    ],
    "MixtureFit.regress": [Case(n=8, d=2, k=1, seed=1, mutation="missing values")],
    "MixtureParameters": [Case(n=4, d=4, k=1, seed=408, mutation="a container")],
    "criteria": [Case(n=2, d=2, k=1, seed=8, mutation="odd errors")],
    "occupied": [Case(n=39, d=1, k=3, seed=1, mutation="a scaled column")],
    "compare_partitions": [
        Case(n=1, d=1, k=1, mutation="an odd object"),
        Case(n=1, d=1, k=1, mutation="a dtype"),
        Case(n=6, d=6, k=1, seed=811, mutation="an odd object"),
        Case(n=8, d=1, k=1, seed=4, mutation="another frame"),
        Case(n=9, d=1, k=1, seed=9, mutation="an odd object"),
    ],
    "MixtureParameters.marginal": [Case(n=1, d=1, k=1, covariance="full", mutation="a container")],
    "MixtureParameters.condition": [
        Case(n=12, d=3, k=4, seed=86, mutation="a masked array"),
        Case(n=6, d=5, k=1, seed=6, mutation="some odd entries"),
    ],
    "GaussianMixture": [
        Case(n=2, d=3, k=1, covariance="full", seed=1, mutation="odd weights"),
        Case(n=47, d=6, k=3, seed=708, mutation="some odd entries"),
        Case(n=57, d=5, k=1, covariance="full", seed=872, mutation="an odd entry"),
    ],
    "LogPosterior.value_and_grad": [
        Case(n=14, d=5, k=1, covariance="tied-diag", seed=129, mutation="missing values")
    ],
    "LogPosterior.constrain": [
        Case(n=45, d=3, k=4, covariance="tied-diag", seed=285, mutation="some odd entries")
    ],
    "MixtureFit.summary": [
        Case(n=27, d=3, k=1, covariance="tied", seed=687, mutation="a far entry")
    ],
    "compare": [Case(n=18, d=2, k=2, covariance="spherical", seed=615, mutation="an odd row")],
    "posterior_check": [Case(n=2, d=1, k=2, covariance="full", mutation="a shifted column")],
    "plot_fit": [ONE_FAR],
    "plot_check": [
        Case(n=8, d=2, k=1, covariance="spherical", seed=1, mutation="far scales side by side"),
        ONE_FAR,
        Case(n=8, d=1, k=1, covariance="full", seed=5, mutation="an odd name"),
    ],
    "plot_k_hat": [Case(n=10, d=2, k=2, covariance="spherical", seed=18, mutation="a far entry")],
    "plot_prior_posterior": [
        Case(n=22, d=2, k=1, covariance="full", mutation="a column constant but for one row")
    ],
    "GaussianMixture.predict": [Case(n=8, d=1, k=1, seed=595, mutation="another frame")],
    "bic_scorer": [Case(n=13, d=1, k=4, seed=485, mutation="an odd object")],
}


def reports(name: str, case: Case) -> None:
    """Fail with what is wrong."""
    wrong = complaint(ENTRIES[name], case)
    if wrong is not None:
        pytest.fail(f"{name}: {wrong}\n{case!r}", pytrace=False)


@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")
@pytest.mark.parametrize("name", ENTRIES)
def test_hostile_input(name):
    entry = ENTRIES[name]
    if entry.loads:
        importlib.import_module(entry.loads)
    entry.call(VALID, made(VALID))  # which is answered, so that refusals are of what is hostile
    usual = settings.default.max_examples
    examples = 1 if entry.slow and usual < 10 else usual

    def hostile(case):
        reports(name, case)

    hostile.__qualname__ = f"hostile[{name}]"  # the database keeps examples by it
    for case in PINNED.get(name, []):
        hostile = example(case)(hostile)
    settings(max_examples=examples)(given(cases(**entry.most))(hostile))()


def test_every_mutation_makes_an_input():
    for name in MUTATIONS:
        for seed in range(40):
            made(Case(n=1 + seed % 9, d=1 + seed % 4, k=1 + seed % 3, seed=seed, mutation=name))
