"""The tests under several ways of rounding on one machine: ``python -m tests.rounding``.

Another processor adds in another order and fuses other products, so that its numbers differ in
their last digits, and after them whatever a sampler draws.  What a test asserts has to hold
there as well.  One machine can round in several ways: Numba, OpenBLAS and NumPy can be told
which instructions to use.  Each way is run with the seeds as they are and with others
(``--other-seeds``, see conftest.py), with caches of compiled code of its own.

``--quick`` is one of these runs, the farthest from any machine's own, without the models that
PyMC compiles for minutes.  Ways to run can be named.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "rounding"
X86 = platform.machine().lower() in ("x86_64", "amd64")

#: What neither samples, nor optimises, nor prints numbers: it rounds nothing.
LEFT_OUT = ("whole/test_options", "result/test_store")


def ways() -> dict[str, dict[str, str]]:
    """What to set for each way of rounding that this machine can go."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    # Features beyond those that NumPy always uses; to name one that is not there is an error.
    there = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    plain = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NPY_DISABLE_CPU_FEATURES": " ".join(there),
    }
    if not X86:
        return {"generic": plain, "own": {}}
    found = {"generic": plain | {"OPENBLAS_CORETYPE": "Prescott"}}
    if __cpu_features__.get("AVX2") and __cpu_features__.get("FMA3"):
        beyond = [name for name in there if name not in ("X86_V3", "AVX2", "FMA3")]
        found["haswell"] = {
            "NUMBA_CPU_NAME": "haswell",
            "NUMBA_CPU_FEATURES": "",
            "OPENBLAS_CORETYPE": "Haswell",
            "NPY_DISABLE_CPU_FEATURES": " ".join(beyond),
        }
    return found | {"own": {}}


class Result(NamedTuple):
    way: str
    seeds: int  # 0 as they are, or which others
    passed: int
    failed: list[str]
    skipped: int
    minutes: float
    code: int  # pytest's


def run(way: str, settings: dict[str, str], other: int, quick: bool) -> Result:
    """The tests in one way with one set of seeds."""
    folder = BUILD / way
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / f"seeds-{other}.xml"
    report.unlink(missing_ok=True)
    names = (
        "NUMBA_CPU_NAME",
        "NUMBA_CPU_FEATURES",
        "NPY_DISABLE_CPU_FEATURES",
        "OPENBLAS_CORETYPE",
    )
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= settings | {
        "NUMBA_CACHE_DIR": str(folder / "numba"),
        "PYTENSOR_FLAGS": f"base_compiledir={folder / 'pytensor'}",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "2",
        "--dist",
        "worksteal",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--other-seeds={other}",
        f"--junitxml={report}",
        *(f"--ignore=tests/{name}.py" for name in LEFT_OUT),
        *(["-m", "not pymc"] if quick else []),
    ]
    begun = time.monotonic()
    with (folder / f"seeds-{other}.log").open("w") as log:
        code = subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log).returncode
    minutes = (time.monotonic() - begun) / 60
    passed, failed, skipped = 0, [], 0
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"}:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif "skipped" in outcomes:
            skipped += 1
        else:
            passed += 1
    return Result(way, other, passed, failed, skipped, minutes, code)


def main() -> int:
    possible = ways()
    parser = argparse.ArgumentParser(description="The tests under several ways of rounding.")
    parser.add_argument("--quick", action="store_true", help="one run, without PyMC's models")
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1],
        metavar="N",
        help="0 for the seeds as they are, N for the Nth others (0 1)",
    )
    parser.add_argument("ways", nargs="*", metavar="way", help=f"of {', '.join(possible)}")
    asked = parser.parse_args()
    if unknown := [way for way in asked.ways if way not in possible]:
        parser.error(f"this machine has no way {unknown[0]!r}, only {', '.join(possible)}")
    chosen = asked.ways or (["generic"] if asked.quick else list(possible))
    seeds = [1] if asked.quick else asked.seeds
    results = []
    for way in chosen:
        for other in seeds:
            results.append(run(way, possible[way], other, asked.quick))
            told = results[-1]
            log = (BUILD / way / f"seeds-{other}.log").relative_to(ROOT)
            print(f"{way}, seeds {told.seeds}: {told.minutes:.1f} minutes, see {log}", flush=True)
            for name in told.failed:
                print(f"  failed: {name}", flush=True)
    print(f"\n{'way':10}{'seeds':>6}{'passed':>8}{'failed':>8}{'skipped':>9}{'minutes':>9}")
    for told in results:
        print(
            f"{told.way:10}{told.seeds:6}{told.passed:8}{len(told.failed):8}"
            f"{told.skipped:9}{told.minutes:9.1f}"
        )
    for told in results:
        if told.code and not told.failed:
            print(f"pytest ended with {told.code} in {told.way}, seeds {told.seeds}; see its log.")
    return int(any(told.code for told in results))


if __name__ == "__main__":
    sys.exit(main())
