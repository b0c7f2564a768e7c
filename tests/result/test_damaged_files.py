"""Files cut short and changed at random places: each is refused, or reads as what was saved."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest

import bayesgmm as bg

#: Copies that are damaged; a quarter of each format and kind of damage.
COPIES = 8 * int(os.environ.get("FAULT_MOMENTS", "1"))
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_damage_at_random_places(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bg.FitWarning)  # so few draws mix in no way
        fit = bg.fit(
            bg.MixtureSpec(2), bg.datasets.galaxies()[:30], method="nuts", draws=4, tune=20,
            chains=1, seed=1,
        )  # fmt: skip
    for suffix in (".nc", ".zarr"):
        fit.save(tmp_path / f"fit{suffix}")
    command = [sys.executable, "-W", "ignore", "-m", "tests.result.damaging", tmp_path]
    done = subprocess.run(
        [*map(str, command), "0", str(COPIES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60 + 2 * COPIES,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, (lines[-1:], done.stderr[-2000:])
    counts = Counter(line.rpartition(": ")[2] for line in lines)
    assert counts.keys() <= {"refused", "whole"} and counts.total() == COPIES, lines
    assert counts["refused"] > COPIES / 2  # of the others most are changes of what is not read
