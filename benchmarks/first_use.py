"""From a fresh process to a posterior of Old Faithful in its final layout.

    python benchmarks/first_use.py

K = 2, full, 4 x 1000 draws, imports included: with empty caches of compiled code, with
warm ones, and, in the warm process, what another K, structure and dimension take after
that (nothing is compiled).  Beside them, the time of ``import pymc, arviz``.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

FIRST = """
import time; began = time.perf_counter()
import bayesgmm as bg
X = bg.datasets.faithful()
fit = bg.fit(bg.MixtureSpec(2), X, method="nuts", draws=1000, chains=4, seed=1)
assert fit.tree["posterior/means"].shape == (4, 1000, 2, 2)
print("first", time.perf_counter() - began)
for k, covariance, columns in ((3, "tied", 2), (2, "diag", 2), (2, "full", 1)):
    began = time.perf_counter()
    bg.fit(bg.MixtureSpec(k, covariance), X[:, :columns], method="nuts", seed=1)
    print(f"K={k}, {covariance}, D={columns}", time.perf_counter() - began)
print("import", bg.__version__)
"""


def run(code: str, cache: str) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - began, done.stdout


def first(output: str) -> float:
    return float(output.split("first ")[1].split()[0])


def main() -> None:
    with tempfile.TemporaryDirectory() as empty:
        cold = first(run(FIRST, empty)[1])
        warm_runs = [run(FIRST, empty)[1] for _ in range(5)]
    warm = statistics.median(first(output) for output in warm_runs)
    peer = statistics.median(run("import pymc, arviz", "")[0] for _ in range(5))
    print("| process | seconds |\n|---|---|")
    print(f"| first in a fresh process, empty caches | {cold:.1f} |")
    print(f"| first in a fresh process, warm caches (median of 5) | {warm:.1f} |")
    print(f"| `import pymc, arviz` (median of 5) | {peer:.1f} |")
    for line in warm_runs[-1].splitlines()[1:-1]:
        label, seconds = line.rsplit(" ", 1)
        print(f"| then {label} | {float(seconds):.1f} |")


if __name__ == "__main__":
    main()
