"""Jobs that are hit at random moments, and what has to hold after each hit.

A job is run in a child process, in a folder of its own.  What it returns are numbers that the
same job returns again; ``check`` is run in another child after the hit, told whether the first
had reported that it was done.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

import bayesgmm as bg
from bayesgmm.result import store

SEARCH = {"n_starts": 4, "n_best": 2, "rounds": 0}


def rows(n: int) -> np.ndarray[Any, Any]:
    """Three clusters, of which two touch."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 2)) + np.array([[0, 0], [3, 0], [9, 9]])[np.arange(n) % 3]


class Job:
    """One kind of work."""

    #: Whether an interrupt may return less than all, as documented, in place of an exception.
    keeps_what_was_done = False
    #: What an undisturbed run returns, and the files that it leaves.
    known: list[Any] | None = None
    left: list[str] | None = None

    def reset(self, folder: Path) -> None:
        """The folder as it is before the job."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()

    def run(self, folder: Path) -> list[Any]:
        """The work; its numbers."""
        raise NotImplementedError

    def check(self, folder: Path, reported: bool) -> None:
        """What has to hold in the folder after a hit."""
        assert files(folder) == self.left

    def resumed(self, folder: Path) -> None:
        """A run in a folder where another was killed equals an undisturbed one."""
        again = self.run(folder)
        assert same(again, self.known), (again, self.known)
        assert files(folder) == self.left, (files(folder), self.left)


class Save(Job):
    """A fit saved over another."""

    def __init__(self, suffix: str) -> None:
        draws = {"method": "laplace", "draws": 100}
        self.old, self.new = (
            bg.fit(bg.MixtureSpec(k), rows(1000), seed=1, **draws) for k in (1, 2)
        )
        self.suffix = suffix

    def reset(self, folder: Path) -> None:
        super().reset(folder)
        self.old.save(folder / f"fit{self.suffix}")

    def run(self, folder: Path) -> list[Any]:
        self.new.save(folder / f"fit{self.suffix}")
        return [self.new.log_likelihood]

    def check(self, folder: Path, reported: bool) -> None:
        path = folder / f"fit{self.suffix}"
        whole = [self.new] if reported else [self.new, self.old]
        assert store._digest(bg.load(path).tree) in [store._digest(fit.tree) for fit in whole]
        another = self.old.save(folder / f"another{self.suffix}")
        assert sorted(os.listdir(folder)) == sorted([path.name, another.name])


class Select(Job):
    """A selection that keeps its fits in a folder."""

    keeps_what_was_done = True

    def run(self, folder: Path) -> list[Any]:
        chosen = bg.select(
            rows(60),
            [1, 2],
            ["full"],
            by="evidence",
            posteriors=1,
            sampling=bg.NUTS(draws=30, tune=50, chains=2),
            out=folder / "study",
            seed=1,
            cores=2,
        )
        columns = ["log_likelihood", "bic", "log_evidence", "elpd_loo", "probability"]
        table = chosen.table.sort_index()
        return [*table[columns].to_numpy(float).ravel().tolist(), *table["sampling"].astype(str)]

    def check(self, folder: Path, reported: bool) -> None:
        for file in folder.glob("study/*.nc"):
            bg.load(file)
        self.resumed(folder)


class Checkpoint(Job):
    """A fit that keeps what each of its passes has found."""

    def run(self, folder: Path) -> list[Any]:
        kept = folder / "kept"
        fit = bg.fit(bg.MixtureSpec(3), rows(24_000), seed=1, cores=2, checkpoint=kept, **SEARCH)
        return [fit.log_likelihood, *fit.parameters.means.ravel().tolist()]

    def check(self, folder: Path, reported: bool) -> None:
        kept = folder / "kept"
        for file in kept.glob("[!.]*"):
            if file.suffix == ".npz":
                with np.load(file, allow_pickle=False) as found:
                    assert all(np.isfinite(found[name]).all() for name in found)
            else:
                assert json.loads(file.read_text())["rows"] == 24_000
        before = {file.name: file.read_bytes() for file in kept.glob("[!.]*")}
        self.resumed(folder)
        assert all((kept / name).read_bytes() == content for name, content in before.items())


class Partition(Job):
    """The search for the best partition."""

    keeps_what_was_done = True

    def __init__(self) -> None:
        self.fit = bg.fit(bg.MixtureSpec(3), rows(200), method="laplace", draws=200, seed=1)

    def run(self, folder: Path) -> list[Any]:
        found = bg.partition(self.fit, seed=1, cores=2)
        return [float(found.expected_loss), *np.asarray(found.labels).tolist()]


class Evidence(Job):
    """The log evidence of a posterior."""

    def __init__(self) -> None:
        self.fit = bg.fit(bg.MixtureSpec(2), rows(300), method="laplace", draws=200, seed=1)

    def run(self, folder: Path) -> list[Any]:
        found = bg.log_evidence(self.fit, seed=1, cores=2)
        return [found.value, found.se]


JOBS = {
    "save-nc": lambda: Save(".nc"),
    "save-zarr": lambda: Save(".zarr"),
    "select": Select,
    "checkpoint": Checkpoint,
    "partition": Partition,
    "evidence": Evidence,
}


def files(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def same(one: list[Any], other: list[Any]) -> bool:
    """Texts equal and numbers to 1e-12: on one machine a run repeats another."""
    return len(one) == len(other) and all(
        a == b if isinstance(a, str) else np.isclose(a, b, rtol=1e-12, atol=0, equal_nan=True)
        for a, b in zip(one, other, strict=True)
    )
