"""Processes that are killed and interrupted at random moments lose nothing and hang nowhere.

Every job of ``tests.faults.jobs`` is hit FAULT_MOMENTS times by each signal: once, and at 50
moments in ``make faults``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MOMENTS = int(os.environ.get("FAULT_MOMENTS", "0"))
#: In the tests of every day the one whose file takes two moves to replace.
JOBS = (
    ("save-nc", "save-zarr", "select", "checkpoint", "partition", "evidence")
    if MOMENTS
    else ("save-zarr",)
)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="has no fork and no signals")
@pytest.mark.parametrize("jobs", [JOBS] if not MOMENTS else [(job,) for job in JOBS], ids=" ".join)
def test_hits_at_random_moments(tmp_path, jobs):
    """A child does nothing that it should not, and what it kept is whole and gone on from."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.hits", str(MOMENTS or 1), str(tmp_path), *jobs],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300 + 120 * MOMENTS,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["job"] for each in found] == [job for job in jobs for _ in range(2)]
    for each in found:
        assert each["faults"] == [] and each["hung"] == 0, each
        assert each["hits"] > 0 or not MOMENTS, each
        print(json.dumps(each))
