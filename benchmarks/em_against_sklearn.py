"""EM against scikit-learn's: time of a step, time to convergence, memory of a step.

    python benchmarks/em_against_sklearn.py            # some minutes
    python benchmarks/em_against_sklearn.py --large    # a million rows as well
    python benchmarks/em_against_sklearn.py --quick    # small data, seconds: does it run?

Full covariances on rows drawn from a mixture.  One process times the two sides in
turn, in pairs whose order alternates, and the ratios are medians over pairs:
scikit-learn's time over ours.  Each side uses all the cores in its own way (BLAS
threads; one BLAS thread under each of ours).

- A step is an E-step and an M-step.  scikit-learn: ``_e_step`` and ``_m_step`` of a
  started model, its own methods.  Ours: ``LogPosterior.statistics`` and ``m_step``.
  Both walk on from the same parameters with the same ridge, some steps in a row.
- To convergence: ``fit`` of the two classes from the same weights, means and
  precisions, with the same tolerance and limit.  scikit-learn's ``fit`` ends with
  one more E-step, for labels.
- Memory is the peak of the resident set in one step over what was resident before
  it, data included, each side in a process of its own.  Linux only.

The exit status is 1 if the two sides did not arrive at the same log-likelihood.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numba
import numpy as np
import scipy
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Theirs
from threadpoolctl import threadpool_info

import bayesgmm as bg
from bayesgmm.compiled.threads import available_cores, one_blas_thread
from bayesgmm.inference.maximum.m_step import m_step

TOL, MAX_ITER = 1e-3, 200
SAME = 1e-8  # of the mean log-likelihood of a row


def mixture_rows(n: int, d: int, k: int) -> np.ndarray:
    """Rows of a mixture whose components overlap."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d))
    for rows in np.array_split(np.arange(n), k):
        root = np.eye(d) + 0.5 * rng.standard_normal((d, d)) / np.sqrt(d)
        part = slice(rows[0], rows[-1] + 1)
        x[part] = x[part] @ root.T + 3 * rng.standard_normal(d) / np.sqrt(d)
    return x


def start(x: np.ndarray, k: int) -> dict[str, Any]:
    """Equal weights, rows as means and the data's variances, as both classes take them."""
    chosen = np.random.default_rng(1).choice(len(x), k, replace=False)
    precision = np.diag(1 / x.var(axis=0))
    return {
        "weights_init": np.full(k, 1 / k),
        "means_init": x[chosen],
        "precisions_init": np.stack([precision] * k),
    }


class TheirStep:
    """scikit-learn's step, from one iteration after the start."""

    def __init__(self, x: np.ndarray, k: int) -> None:
        self.x, self.model = x, Theirs(k, max_iter=1, tol=0, **start(x, k)).fit(x)

    def __call__(self) -> None:
        _, log_memberships = self.model._e_step(self.x)
        self.model._m_step(self.x, log_memberships)

    def score(self) -> float:
        return float(self.model.score(self.x))


class OurStep:
    """Our step, from the same parameters; BLAS is to be held to one thread around it."""

    def __init__(self, x: np.ndarray, k: int, model: Theirs) -> None:
        self.density = bg.LogPosterior(
            bg.MixtureSpec(k), x, prior=False, cores=available_cores(None)
        )
        begin = bg.MixtureParameters.from_covariances(
            model.weights_, model.means_, model.covariances_
        )
        self.at = self.density.standardise(begin)
        self.ridge = model.reg_covar / self.density.scale**2

    def __call__(self) -> None:
        _, _, statistics, form = self.density.at(self.at)
        floor = np.zeros_like(self.ridge)
        self.at = m_step(statistics, form, self.density.prior, self.ridge, floor, self.at)

    def score(self) -> float:
        return self.density.at(self.at).value / len(self.density.rows.values)


def timed(work: Callable[[], Any], times: int = 1) -> float:
    """Seconds of one call, over ``times`` calls in a row."""
    # BLAS threads wait for more work with a core each for some 20 ms; without a pause
    # those of the side before would take a core from this one.
    time.sleep(0.1)
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times


def in_pairs(ours: Callable[[], float], theirs: Callable[[], float], pairs: int) -> str:
    """Times of the two in turn, as cells of the table: ratio, its range, both medians."""
    found = []
    for pair in range(pairs):
        first, second = (ours, theirs) if pair % 2 else (theirs, ours)
        a, b = first(), second()
        found.append((a, b) if pair % 2 else (b, a))
    ratios = [b / a for a, b in found]
    mine, their = (statistics.median(side) for side in zip(*found, strict=True))
    return (
        f"{statistics.median(ratios):6.1f}  {min(ratios):5.1f} - {max(ratios):<5.1f}"
        f"  {_seconds(mine)}  {_seconds(their)}  {pairs:5}"
    )


def _seconds(value: float) -> str:
    return f"{value * 1e3:9.1f} ms" if value < 1 else f"{value:9.2f} s "


def _agreed(gap: float) -> str:
    return f"{gap:8.1e}{'' if gap < SAME else '  NOT THE SAME'}"


def step(n: int, d: int, k: int, pairs: int) -> bool:
    in_a_row = max(4, min(40, 2_000_000 // n))  # EM makes many, with warm caches
    x = mixture_rows(n, d, k)
    theirs = TheirStep(x, k)
    ours = OurStep(x, k, theirs.model)

    def our_time() -> float:
        with one_blas_thread():
            return timed(ours, in_a_row)

    our_time()
    for _ in range(in_a_row):
        theirs()  # not timed: compiled code is loaded, threads start
    cells = in_pairs(our_time, lambda: timed(theirs, in_a_row), pairs)
    gap = abs(ours.score() - theirs.score())
    print(f"{cells}  {_agreed(gap)}  step, {n:,} x {d}, K = {k}", flush=True)
    return gap < SAME


def convergence(n: int, d: int, k: int, pairs: int) -> bool:
    x = mixture_rows(n, d, k)
    options = {"tol": TOL, "max_iter": MAX_ITER, **start(x, k)}
    ours, theirs = bg.GaussianMixture(k, **options), Theirs(k, **options)
    bg.GaussianMixture(k, max_iter=1, tol=0).fit(x[: 40 * k])  # not timed
    cells = in_pairs(
        lambda: timed(lambda: ours.fit(x)), lambda: timed(lambda: theirs.fit(x)), pairs
    )
    gap = abs(ours.lower_bound_ - theirs.lower_bound_)
    how = f"{ours.n_iter_} and {theirs.n_iter_} iterations"
    how += "" if ours.converged_ and theirs.converged_ else ", not converged"
    print(f"{cells}  {_agreed(gap)}  fit, {n:,} x {d}, K = {k}: {how}", flush=True)
    return gap < SAME


def peak_of_step(ours: bool, n: int, d: int, k: int) -> int | None:
    """Bytes by which one step raises the peak of the resident set."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    x = mixture_rows(n, d, k)
    theirs = TheirStep(x[: 40 * k].copy(), k)
    some = OurStep(theirs.x, k, theirs.model)
    theirs(), some()  # what is loaded once is not the step's
    theirs.x = x
    one = OurStep(x, k, theirs.model) if ours else theirs
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
        before = _kibibytes("VmRSS")
        with one_blas_thread() if ours else nullcontext():
            one()
        return 1024 * (_kibibytes("VmHWM") - before)
    except OSError:
        return None


def _kibibytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def memory(n: int, d: int, k: int) -> None:
    peaks = []
    for ours in (True, False):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peaks.append(pool.apply(peak_of_step, (ours, n, d, k)))
    if None in peaks:
        print("memory: not measured, which needs Linux's /proc")
        return
    mine, theirs = (peak / 2**20 for peak in peaks)
    print(
        f"{theirs / mine:6.1f}  memory of a step, {n:,} x {d}, K = {k}: ours {mine:.1f} MiB, "
        f"scikit-learn {theirs:.1f} MiB, beside data of {8 * n * d / 2**20:.1f} MiB"
    )


def machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    blas = sorted(
        {
            f"{pool['internal_api']} {pool['version']} ({pool['num_threads']} threads)"
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        }
    )
    versions = ", ".join(
        f"{module.__name__} {module.__version__}" for module in (bg, sklearn, np, scipy, numba)
    )
    return (
        f"{names[0] if names else platform.machine()}, {available_cores(None)} of {os.cpu_count()} "
        f"cores, {platform.system()}\nPython {platform.python_version()}, {versions}\n"
        f"BLAS: {', '.join(blas)}\n"
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small data, in seconds")
    size.add_argument("--large", action="store_true", help="also a fit of 1,000,000 rows")
    options = parser.parse_args(argv)
    steps = [(200_000, 10, 10, 15), (10_000, 5, 5, 51)]
    fits = [(10_000, 5, 5, 9), (200_000, 10, 10, 3), (50_000, 30, 10, 3)]
    beside = (200_000, 10, 10)
    if options.quick:
        steps = [(20_000, 10, 10, 3), (2_000, 5, 5, 5)]
        fits, beside = [(2_000, 5, 5, 3), (10_000, 10, 10, 1)], (50_000, 10, 10)
    if options.large:
        fits.append((1_000_000, 10, 10, 1))
    print(machine())
    print(
        f"scikit-learn's time over ours; fits with tol={TOL}, max_iter={MAX_ITER}\n"
        f"{'ratio':>6}  {'from - to':>13}  {'ours':>12}  {'scikit-learn':>12}  pairs  "
        "log-likelihoods differ, per row"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        same = [step(*case) for case in steps] + [convergence(*case) for case in fits]
    memory(*beside)
    return 0 if all(same) else 1


if __name__ == "__main__":
    raise SystemExit(main())
