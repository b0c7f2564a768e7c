"""Compiled functions as plain Python, for what sees only Python: ``pytest -p tests.interpreted``.

Coverage and mutation testing can then look into the functions under ``@njit``, whose text is
valid Python.  Numba's own switch for that leaves two things that are not: intrinsics, which
are written in LLVM's terms, and calls through an address.  Both are replaced by what they mean.
It is slow, a hundred times and more, so it is for tests on small data, those named here; a
sampler of compiled code (nutpie) does not run at all.
"""

from __future__ import annotations

import os
import sys

assert "numba" not in sys.modules, "tests.interpreted comes before what imports Numba"
os.environ["NUMBA_DISABLE_JIT"] = "1"

import numpy as np  # noqa: E402
from numba import extending  # noqa: E402

#: Where the tests are that run in seconds as plain Python, and the words of those that do not.
QUICK = (
    "tests/density/test_density.py",
    "tests/density/test_jacobian.py",
    "tests/expectation/",
    "tests/maximum/test_m_step.py",
)
SLOW = (
    "gradient_with_correlated_errors", "is_monotone_and_stationary", "every_method",
    "rows_is_the_maximum", "conditional_mixture", "copies_are_frames", "no_array_of_the_size",
    "a_far_row", "integrates_to", "gradient_of_holed_rows", "whatever_is_said", "no_criterion",
    "refused_unless",
)  # fmt: skip


def pytest_collection_modifyitems(config, items):
    quick = [
        item
        for item in items
        if item.nodeid.startswith(QUICK) and not any(word in item.name for word in SLOW)
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(quick)])
    items[:] = quick


def _bits(value):
    return np.float64(value).view(np.int64)


def _double(bits):
    return np.int64(bits).view(np.float64)


def _intrinsic(function):
    return {"_bits": _bits, "_double": _double}.get(function.__name__, function)


def _by_address(function, arguments):
    return lambda: 0, lambda address, given: function(*given)


extending.intrinsic = _intrinsic

from bayesgmm.compiled import calls  # noqa: E402

calls.by_address = _by_address
