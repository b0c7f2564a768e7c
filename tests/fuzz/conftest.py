"""Few examples in ``make test``, the same each time; thousands in ``make fuzz``."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Verbosity, settings
from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir("build/hypothesis")
# A call that hangs is ended by the test itself; on a machine with other work any may be slow.
_ANY = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": False}
settings.register_profile("few", max_examples=2, derandomize=True, database=None, **_ANY)
settings.register_profile(
    "fuzz", max_examples=int(os.environ.get("FUZZ_EXAMPLES", "2000")), verbosity=Verbosity.quiet,
    **_ANY,
)  # fmt: skip
settings.load_profile("fuzz" if "FUZZ_EXAMPLES" in os.environ else "few")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """Text as data is a path."""
    monkeypatch.chdir(tmp_path)
