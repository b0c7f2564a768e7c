"""From a fresh process to a posterior of Old Faithful in its final layout.

    python benchmarks/first_use.py

K = 2, full, 4 x 1000 draws, imports included: with empty caches of compiled code, with
warm ones, and, in the warm process, what another K, structure and dimension take after
that (nothing is compiled).  Beside them, the time of ``import pymc, arviz``, and of what the
shell is asked first, with warm caches: the help, a picture of a saved fit, and a report on every
model up to K = 5, ordered by BIC and by the evidence.  Seconds of processors are there because
those of a clock grow with whatever else the machine does.
"""

from __future__ import annotations

import os
import resource
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


SHELL = "import sys; sys.argv[0] = 'bayesgmm'; from bayesgmm.interface.cli import main; main()"


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


def shell(folder: str, cache: str, *words: str, times: int = 3) -> tuple[float, float]:
    """Seconds of a clock and of processors that a command takes, each the least of some runs."""
    taken = []
    for _ in range(times):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-c", SHELL, *words],
            env={**os.environ, "NUMBA_CACHE_DIR": cache},
            cwd=folder,
            capture_output=True,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        taken.append((time.perf_counter() - began, used))
    walls, cpus = zip(*taken, strict=True)
    return min(walls), min(cpus)


def first(output: str) -> float:
    return float(output.split("first ")[1].split()[0])


def main() -> None:
    with tempfile.TemporaryDirectory() as empty:
        cold = first(run(FIRST, empty)[1])
        warm_runs = [run(FIRST, empty)[1] for _ in range(5)]
        with tempfile.TemporaryDirectory() as folder:
            shell(folder, empty, "fit", "faithful", "-k", "2", "-m", "nuts", "-o", "f.nc", times=1)
            report = ("report", "faithful", "-k", "5", "-o", "r.html")
            shell(folder, empty, *report, times=1)  # which compiles what there is to compile
            asked = {
                "bayesgmm --help": shell(folder, empty, "--help", times=9),
                "bayesgmm plot, of a saved fit": shell(
                    folder, empty, "plot", "f.nc", "-o", "f.png"
                ),
                "bayesgmm report faithful -k 5": shell(folder, empty, *report, times=1),
                "the same with --by all": shell(folder, empty, *report, "--by", "all", times=1),
            }
    warm = statistics.median(first(output) for output in warm_runs)
    peer = statistics.median(run("import pymc, arviz", "")[0] for _ in range(5))
    print("| process | seconds |\n|---|---|")
    print(f"| first in a fresh process, empty caches | {cold:.1f} |")
    print(f"| first in a fresh process, warm caches (median of 5) | {warm:.1f} |")
    print(f"| `import pymc, arviz` (median of 5) | {peer:.1f} |")
    for line in warm_runs[-1].splitlines()[1:-1]:
        label, seconds = line.rsplit(" ", 1)
        print(f"| then {label} | {float(seconds):.1f} |")
    print("\n| command, warm caches | seconds | of processors |\n|---|---|---|")
    for label, (wall, cpu) in asked.items():
        print(f"| `{label}` | {wall:.2f} | {cpu:.2f} |")


if __name__ == "__main__":
    main()
