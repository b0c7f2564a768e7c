"""Make golden files: ``python tests/result/golden/make.py NAME KIND...``, by any version's code.

Writes ``NAME.tar.xz``, which has a fit of each kind as NetCDF and as Zarr, and ``NAME.json``, their
numbers as that version had them.  With another version's code in the path, that version makes
them; kinds that came later are left out.  Files that are here stay as they are: they are what
people have on their disks.

    first-digest     the layout of 866e7c3, the first with a digest: em laplace weighted
    first-missing    the layout of af5a32b, the first with values that were not seen: em holes
    rows-as-seen     the layout of today: all kinds
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import bayesgmm as bg

HERE = Path(__file__).parent


def frame() -> pd.DataFrame:
    rows = np.random.default_rng(3).normal(size=(24, 2)).round(3)
    rows[12:] += 6
    return pd.DataFrame(rows, columns=["a", "größe"], index=[f"row {i}" for i in range(24)])


def holes() -> pd.DataFrame:
    rows = frame()
    rows.iloc[3, 1] = rows.iloc[15, 0] = np.nan
    return rows


def stored(folder: Path) -> str:
    path = folder / "rows.npy"
    np.save(path, frame().to_numpy())
    return str(path)


def fits(folder: Path) -> dict[str, object]:
    """How each kind is made."""
    spec, classes = bg.MixtureSpec(2), np.repeat([0, 1], 12)
    few = {"seed": 1}
    chains = {"method": "nuts", "draws": 5, "tune": 30, "chains": 2, "seed": 1}
    weights = np.linspace(0.5, 1.5, 24)

    def seen(**options: object) -> object:
        return bg.Observations(frame(), **options)

    return {
        "em": lambda: bg.fit(spec, frame(), method="em", **few),
        "map": lambda: bg.fit(bg.MixtureSpec(2, "tied"), frame(), method="map", **few),
        "laplace": lambda: bg.fit(spec, frame(), method="laplace", draws=20, seed=1),
        "nuts": lambda: bg.fit(bg.MixtureSpec(2, "diag"), frame(), **chains),
        "weighted": lambda: bg.fit(spec, frame(), method="em", row_weights=weights, **few),
        "holes": lambda: bg.fit(
            spec, bg.Observations(holes(), missing="marginal"), method="em", **few
        ),
        "recorded": lambda: bg.fit(spec, seen(resolution=0.1), method="em", **few),
        "errors": lambda: bg.fit(spec, seen(errors=0.2), method="em", **few),
        "labels": lambda: bg.fit(spec, seen(labels=classes), method="em", **few),
        "selection": lambda: bg.fit(spec, seen(selection={"a": (-9, 19)}), method="em", **few),
        "noise": lambda: bg.fit(bg.MixtureSpec(2, noise=True), frame(), method="map", **few),
        "stored": lambda: bg.fit(
            spec, bg.Observations(stored(folder), in_memory=False), method="em", **few
        ),
    }


def numbers(fit: object) -> dict[str, object]:
    """What a fit says, as JSON has it."""
    p = fit.parameters
    kept = {name: getattr(p, name).tolist() for name in ("weights", "means", "covariances")}
    return {
        **kept,
        "spec": fit.spec.to_json(),
        "method": fit.method,
        "status": str(fit.status.value),
        "log_likelihood": fit.log_likelihood,
        "n_parameters": fit.n_parameters,
        "features": list(fit.feature_names),
        "density": p.log_density(np.array([[0.0, 0.5], [6.0, 5.0]])).tolist()
        if not getattr(fit.spec, "noise", False)
        else None,
    }


def main() -> None:
    name, kinds = sys.argv[1], sys.argv[2:]
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        saved = folder / "saved"
        saved.mkdir()
        makers, known = fits(folder), {}
        for kind in kinds or makers:
            fit = makers[kind]()
            known[kind] = numbers(fit)
            for suffix in (".nc", ".zarr"):
                fit.save(saved / f"{kind}{suffix}")
        (HERE / f"{name}.json").write_text(json.dumps(known) + "\n")
        with tarfile.open(HERE / f"{name}.tar.xz", "w:xz", preset=9) as archive:
            archive.add(saved, ".")


if __name__ == "__main__":
    main()
