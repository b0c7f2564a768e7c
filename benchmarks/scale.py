"""Rows that are not in memory: cost of a pass, memory, whole fits, a cluster, the machine's limit.

    python benchmarks/scale.py [--folder build/scale] [--rows 1e8] [--only pass]

Writes Parquet files of ``--rows`` rows of five features into the folder (4 GB for 1e8), where
they stay for another run; needs ``bayesgmm[dask,parquet]``.  Every part runs in a process of its
own, so that its peak of memory is its own.  The two sides of a ratio are run in turn.
"""

from __future__ import annotations

import argparse
import gc
import logging
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

import bayesgmm as bg
from bayesgmm.density.log_posterior import LogPosterior

SPEC = bg.MixtureSpec(5)
STEP = 1_000_000  # rows written at once
GROUP = 131_072  # rows of a row group


def mixture(k: int, d: int, seed: int = 0) -> bg.MixtureParameters:
    rng = np.random.default_rng(seed)
    means = 4 * rng.normal(size=(k, d))
    tril = np.linalg.cholesky(np.stack([np.cov(rng.normal(size=(d, 3 * d))) for _ in range(k)]))
    return bg.MixtureParameters(np.full(k, 1 / k), means, tril)


def written(folder: Path, n: int, k: int, d: int, *, nullable: bool = False) -> Path:
    """A Parquet file of ``n`` rows, Snappy as by default, made once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{n}x{d}{'-nullable' if nullable else ''}.parquet"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([pa.field(f"x{j}", pa.float64(), nullable=nullable) for j in range(d)])
    true, fresh = mixture(k, d), path.with_suffix(".writing")
    with pq.ParquetWriter(fresh, schema, use_dictionary=False) as writer:
        for i in range(0, n, STEP):
            x, _ = true.simulate(min(STEP, n - i), seed=i)
            columns = [pa.array(np.ascontiguousarray(column)) for column in x.T]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=GROUP)
    fresh.rename(path)
    return path


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def in_turn(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each, one after the other, again and again."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            found[name].append(seconds(work))
    return found


def one_pass(
    spec: bg.MixtureSpec, rows: bg.Observations, true: bg.MixtureParameters, cores: int = 2
) -> Callable[..., object]:
    """What one EM iteration does with rows: a pass at a mixture, and its gradient."""
    density = LogPosterior(spec, rows, prior=False, jacobian=False, cores=cores)
    point = density.standardise(true)
    density.at(point)  # compiled, and the file is in the page cache where it fits

    def work(likelihood_only: bool = False) -> object:
        return density.at_each([point], value_only=likelihood_only)

    return work


def product_of(a: np.ndarray, b: np.ndarray) -> float:
    """Seconds of a product of matrices."""
    out = np.empty((len(a), b.shape[1]))

    def many() -> None:
        for _ in range(2000):
            np.dot(a, b, out=out)

    return min(seconds(many) for _ in range(5)) / 2000


def passes(folder: Path, n: int) -> None:
    """Cost of a pass as N grows, peak of memory, and the share of the kernel's speed."""
    true = mixture(5, 5)
    sizes = [size for size in (10**6, 10**7, 10**8) if size <= n]
    files = {size: written(folder, size, 5, 5) for size in sizes}
    bg.Observations(files[sizes[0]], in_memory=False)  # compiled
    print("| rows | first pass, ns/row | EM pass, ns/row | M rows/s |\n|---|---|---|---|")
    for size in sizes:
        begun = time.perf_counter()
        rows = bg.Observations(files[size], in_memory=False)
        first = time.perf_counter() - begun
        work = one_pass(SPEC, rows, true)
        each = statistics.median(seconds(work) for _ in range(9 if size < 10**8 else 3)) / size
        print(f"| {size:,} | {1e9 * first / size:.1f} | {1e9 * each:.1f} | {1e-6 / each:.1f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nPeak of the process's memory, Python and libraries included: {peak:.2f} GB.")


def share(folder: Path, n: int) -> None:
    """Stored against the same rows in memory, in turn."""
    true, size = mixture(5, 5), min(n, 10**7)
    works = {}
    for name, nullable in (("required", False), ("nullable", True)):
        path = written(folder, size, 5, 5, nullable=nullable)
        works[name] = one_pass(SPEC, bg.Observations(path, in_memory=False), true)
    whole = bg.Observations(path, in_memory=True)
    from pyarrow import feather, table

    columns = {f"x{j}": column for j, column in enumerate(whole.values.T)}
    feather.write_feather(
        table(columns), folder / "rows.feather", compression="uncompressed", chunksize=GROUP
    )
    works["feather"] = one_pass(
        SPEC, bg.Observations(folder / "rows.feather", in_memory=False), true
    )
    works["memory"] = one_pass(SPEC, whole, true)
    np.save(folder / "rows.npy", whole.values)
    works["npy"] = one_pass(SPEC, bg.Observations(folder / "rows.npy", in_memory=False), true)
    found = in_turn(works, 9)
    print(f"\n{size:,} x 5, K = 5, medians of 9 passes in turn:\n")
    print("| rows | ns/row | share of the speed in memory |\n|---|---|---|")
    names = {
        "memory": "in memory",
        "npy": "memory map (.npy)",
        "feather": "Arrow file, uncompressed",
        "required": "Parquet, Snappy, columns declared without nulls",
        "nullable": "Parquet, Snappy, nullable columns (the default of most writers)",
    }
    memory = np.array(found["memory"])
    for name, words in names.items():
        ratio = np.median(memory / np.array(found[name]))
        print(f"| {words} | {1e9 * np.median(found[name]) / size:.1f} | {ratio:.0%} |")


def whole_fit(folder: Path, n: int) -> None:
    """``bg.fit`` against one run of ``bg.GaussianMixture``."""
    x, _ = mixture(4, 4, seed=3).simulate(2_000_000, seed=1)
    bg.fit(bg.MixtureSpec(4), x[:30_000], seed=1)
    bg.GaussianMixture(4, random_state=0).fit(x[:30_000])
    warnings.simplefilter("ignore")  # of the limit of iterations
    for apart in (4, 1.5):
        true = mixture(4, 4, seed=3)
        near = replace(true, means=true.means * apart / 4)
        rows = bg.Observations(near.simulate(500_000, seed=1)[0])
        start = bg.fit(bg.MixtureSpec(4), rows.sample(20_000, seed=1), seed=1)
        top = bg.fit(bg.MixtureSpec(4), rows, seed=1).log_likelihood
        slow = bg.fit(
            bg.MixtureSpec(4), rows, start=start, accelerate=False, tol=0.0, max_iter=1000
        )
        there = slow.facts["objective_trace"].values > top - 0.01
        print(
            f"\nMeans of sd {apart}: from the top of a sample of 20,000 of 500,000 x 4 rows plain "
            f"EM takes {int(np.argmax(there)) if there.any() else 'more than 1,000'} passes to "
            "0.01 of the largest log-likelihood."
        )
    ratios, better = [], []
    for seed in range(5):
        begun = time.perf_counter()
        plain = bg.GaussianMixture(4, random_state=seed).fit(x)
        single = time.perf_counter() - begun
        begun = time.perf_counter()
        fit = bg.fit(bg.MixtureSpec(4), x, method="em", seed=seed)
        ratios.append((time.perf_counter() - begun) / single)
        better.append(fit.log_likelihood - plain.score(x) * len(x))
    print(
        f"\n2,000,000 x 4, K = 4: `bg.fit` takes {np.median(ratios):.1f} times "
        f"`bg.GaussianMixture`'s single run (median of 5 seeds, {min(ratios):.1f} to "
        f"{max(ratios):.1f}); its log-likelihood is higher by {min(better):.1f} at least."
    )


def cluster(folder: Path, n: int) -> None:
    """One and two workers of one thread each, and a model of both."""
    import dask.array as da

    size = min(n, 2 * 10**7)
    print(
        f"\n{size:,} rows of Parquet on a cluster of one machine with two cores, medians of 9 "
        "passes:\n\n| K, D | one worker | two | faster | beside its rows, one and two | ns a row "
        "and worker | the model for two |\n|---|---|---|---|---|---|---|"
    )
    for k, d in ((5, 5), (10, 10)):
        spec, true, found = bg.MixtureSpec(k), mixture(k, d), {}
        for n_workers in (1, 2):
            with workers(n_workers):
                for rows in (size, 20_000):
                    stored = bg.Observations(written(folder, rows, k, d), in_memory=False)
                    work = one_pass(spec, stored, true)
                    passes = [seconds(work) for _ in range(9)]
                    found[n_workers, rows] = statistics.median(passes)
        one, two, small, few = (found[key] for key in sorted(found, key=lambda key: (-key[1], key)))
        row = (one - small) / size
        print(
            f"| {k}, {d} | {one:.2f} s | {two:.2f} s | {one / two:.2f} times | {1e3 * small:.0f} "
            f"and {1e3 * few:.0f} ms | {1e9 * row:.0f} | {few + row * size / 2:.2f} s |"
        )
    with workers(2):
        x, _ = mixture(5, 5).simulate(20_000, seed=1)
        cut = bg.Observations(da.from_array(x, chunks=(20, 5)), in_memory=False)
        work = one_pass(SPEC, cut, mixture(5, 5))
        each = statistics.median(seconds(work) for _ in range(5)) / 1000
    print(f"\nOf 1,000 chunks that lie on the cluster, each costs {1e3 * each:.1f} ms a pass.")


@contextmanager
def workers(number: int) -> Iterator[None]:
    """A cluster whose client is active."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=number,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as local,
        Client(local),
    ):
        yield


def peer(folder: Path, n: int) -> None:
    """K = 10, D = 10 against scikit-learn, for each row and iteration."""
    from sklearn.mixture import GaussianMixture

    size, few = min(n, 10**7), 500_000
    true = mixture(10, 10)
    path = written(folder, size, 10, 10)
    spec = bg.MixtureSpec(10)
    stored = one_pass(spec, bg.Observations(path, in_memory=False), true)
    x, _ = true.simulate(few, seed=5)
    memory = one_pass(spec, bg.Observations(x), true)
    start = {
        "weights_init": true.weights,
        "means_init": true.means + 0.1,
        "precisions_init": np.linalg.inv(true.covariances),
    }

    def iterations(number: int) -> Callable[[], object]:
        model = GaussianMixture(10, tol=0, max_iter=number, init_params="random", **start)
        return lambda: model.fit(x)

    warnings.simplefilter("ignore")
    found = in_turn(
        {"many": iterations(7), "few": iterations(2), "memory": memory, "stored": stored}, 3
    )
    peers = (np.array(found["many"]) - np.array(found["few"])) / 5 / few
    own = {name: np.array(found[name]) for name in ("memory", "stored")}
    print(
        f"\nK = 10, D = 10, full, an EM iteration: scikit-learn {1e9 * np.median(peers):.0f} "
        f"ns/row ({few:,} rows in memory), ours {1e9 * np.median(own['memory']) / few:.0f} "
        f"ns/row on the same, {np.median(peers / (own['memory'] / few)):.1f} times faster, and "
        f"{1e9 * np.median(own['stored']) / size:.0f} ns/row on {size:,} rows of a Parquet file, "
        f"{np.median(peers / (own['stored'] / size)):.1f} times faster."
    )


def limit(folder: Path, n: int) -> None:
    """What the machine could do at most, on one thread, and what the kernel does."""
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    with threadpool_limits(1):
        a = rng.normal(size=(1500, 1500))
        gemm = 2 * 1500**3 / min(seconds(lambda: a @ a) for _ in range(5))
        v, out = -rng.exponential(size=4096), np.empty(4096)
        many = 2000

        def exponentials() -> None:
            for _ in range(many):
                np.exp(v, out=out)

        exp = many * 4096 / min(seconds(exponentials) for _ in range(5))
        big = np.ones(40_000_000)
        bandwidth = 8 * big.size / min(seconds(big.sum) for _ in range(5))
        print(
            f"\nOne thread of this machine: dgemm {gemm / 1e9:.0f} Gflop/s, NumPy's exp "
            f"{exp / 1e6:.0f} M/s, reading memory {bandwidth / 1e9:.1f} GB/s.\n"
        )
        print(
            "| K, D | flops, exps, bytes a row | at the limit, ns/row | with products of these "
            "shapes | the pass, ns/row | of it the likelihood | share of the limit | of what "
            "these products allow |\n|---|---|---|---|---|---|---|---|"
        )
        for k, d in ((5, 5), (10, 10), (20, 20)):
            x, _ = mixture(k, d).simulate(500_000, seed=1)
            work = one_pass(bg.MixtureSpec(k), bg.Observations(x), mixture(k, d), cores=1)
            took = min(seconds(work) for _ in range(7)) / len(x)
            likelihood = min(seconds(lambda: work(True)) for _ in range(7)) / len(x)  # noqa: B023
            n_phi = 1 + d + d * (d + 1) // 2
            flops = 2 * k * d * d + 2 * k * n_phi
            beside = k / exp + 8 * d / bandwidth
            least = flops / gemm + beside
            # The products as they are: of blocks of rows that stay in cache, and narrow.
            m = 8 * max(4, min(128, 48_000 // (8 * (k * d + n_phi + k))))
            first = product_of(rng.normal(size=(k * d, d)), rng.normal(size=(d, m))) / m
            second = product_of(rng.normal(size=(k, m)), rng.normal(size=(n_phi, m)).T) / m
            reached = first + second + beside
            print(
                f"| {k}, {d} | {flops:,}, {k}, {8 * d} | {1e9 * least:.0f} | {1e9 * reached:.0f} "
                f"| {1e9 * took:.0f} | {1e9 * likelihood:.0f} | {least / took:.0%} "
                f"| {reached / took:.0%} |"
            )
            del x
            gc.collect()


PARTS = {
    "pass": passes,
    "share": share,
    "fit": whole_fit,
    "cluster": cluster,
    "peer": peer,
    "limit": limit,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/scale"))
    parser.add_argument("--rows", type=float, default=1e8)
    parser.add_argument("--only", choices=PARTS)
    asked = parser.parse_args()
    if asked.only:
        PARTS[asked.only](asked.folder, int(asked.rows))
        return
    for name in PARTS:
        given = ["--folder", str(asked.folder), "--rows", str(asked.rows), "--only", name]
        subprocess.run([sys.executable, __file__, *given], check=True)


if __name__ == "__main__":
    main()
