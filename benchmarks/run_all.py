"""Run every benchmark and write docs/benchmarks.md (an hour on two cores).

    python benchmarks/run_all.py [--only em_against_sklearn]

Each script prints a Markdown part; this one adds the machine and the versions, and
keeps the parts that were not run again as they are.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"

PARTS = {
    "em_against_sklearn": ("EM against scikit-learn", ["--large"]),
    "best_of_thirty": ("The best likelihood found, against scikit-learn's best of 30 starts", []),
    "same_optimum": ("Whether other seeds end at the same optimum", []),
    "whole_fits": ("A whole search where a pass costs much", []),
    "posterior": ("The posterior against PyMC's mixture and NumPyro", []),
    "default_fits": ("What becomes of default posterior fits", []),
    "every_mode": ("Whether each mode has its share", []),
    "laplace_calibration": ("How often Laplace's intervals hold the truth", []),
    "engines": ("The two engines on the same posteriors", []),
    "scale": ("Rows that are not in memory", []),
    "missing": ("Values missing at random, against the usual remedies", []),
    "as_seen": ("Rows that were not seen as they are", []),
    "classification": ("Mixtures as classifiers", []),
    "labels": ("Relabelling", []),
    "partitions": ("Partitions", []),
    "averaging": ("Averaging over K against a single K, on rows that none has seen", []),
    "correlation_priors": ("Priors of correlations, among few and many features", []),
    "generate": ("Generating ten million rows", []),
    "evidence": ("The evidence", []),
    "first_use": ("A fresh process to a posterior", []),
}
INTRODUCTION = """# Benchmarks

Measured, never claimed: every figure on this page was printed by a script in `benchmarks/`,
run by `make bench`, which writes the page. A speed is a ratio against a named peer, both
sides run in turn in one process on one machine; ratios come first, because absolute times
are those of the machine. Peers and their versions are named with the figures.
"""


def machine() -> str:
    """Processor, cores and versions, in a line."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.*)", info.read_text())
        cpu = found[1] if found else cpu
    names = (
        "numpy", "numba", "scikit-learn", "pymc", "nutpie", "numpyro", "jax", "arviz", "pyarrow",
        "dask",
    )  # fmt: skip
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return (
        f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"{', '.join(versions)}; {date.today().isoformat()}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append")
    chosen = parser.parse_args().only or list(PARTS)
    fresh = {}
    for name in [name for name in PARTS if name in chosen]:
        title, options = PARTS[name]
        print(f"{name}...", flush=True)
        done = subprocess.run(
            [sys.executable, str(HERE / f"{name}.py"), *options],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        print(done.stdout)
        if done.returncode:
            raise SystemExit(f"{name} failed; {PAGE.name} was not written.")
        text = done.stdout.strip()
        shown = text if text.startswith("|") else f"```text\n{text}\n```"
        fresh[name] = f"## {title}\n\nOn {machine()}\n\n{shown}"
    before = PAGE.read_text() if PAGE.exists() else ""  # now, not before an hour of runs
    parts = []
    for name, (title, _) in PARTS.items():
        old = re.search(rf"## {re.escape(title)}\n.*?(?=\n## |\Z)", before, re.DOTALL)
        parts += [fresh[name]] if name in fresh else [old[0].strip()] if old else []
    PAGE.write_text("\n\n".join([INTRODUCTION.strip(), *parts]) + "\n")


if __name__ == "__main__":
    main()
