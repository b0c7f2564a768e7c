"""Fits that every layout of files so far has saved: they load, with the numbers that they had."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

import bayesgmm as bg

GOLDEN = Path(__file__).parent / "golden"
KNOWN = {file.stem: json.loads(file.read_text()) for file in sorted(GOLDEN.glob("*.json"))}
#: What is in a store differs from what is in a file by the engine alone: one of each layout, in
#: the tests of every day.
EVERY = "FAULT_MOMENTS" in os.environ
KINDS = [
    (name, kind, suffix)
    for name, kinds in KNOWN.items()
    for kind in kinds
    for suffix in (".nc", ".zarr")
    if suffix == ".nc" or EVERY or kind in ("em", "noise", "stored")
]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    for name in KNOWN:
        with tarfile.open(GOLDEN / f"{name}.tar.xz") as archive:
            archive.extractall(folder / name, filter="data")
    return folder


def test_every_layout_is_there():
    assert set(KNOWN) == {"first-digest", "first-missing", "rows-as-seen"}
    assert len(KNOWN["rows-as-seen"]) == 12


@pytest.mark.parametrize(("name", "kind", "suffix"), KINDS)
def test_a_golden_file(unpacked, name, kind, suffix):
    known = KNOWN[name][kind]
    fit = bg.load(unpacked / name / f"{kind}{suffix}")
    assert fit.method == known["method"] and fit.status.value == known["status"]
    assert fit.log_likelihood == known["log_likelihood"]
    assert fit.spec == bg.MixtureSpec.from_json(known["spec"])
    assert fit.n_parameters == known["n_parameters"]
    assert list(fit.feature_names) == known["features"]
    p = fit.parameters
    np.testing.assert_array_equal(p.weights, known["weights"])
    np.testing.assert_array_equal(p.means, known["means"])
    # Factors are made anew from scales and correlations, so to rounding.
    np.testing.assert_allclose(p.covariances, known["covariances"], rtol=1e-9, atol=1e-12)
    if known["density"] is not None:
        density = p.log_density(np.array([[0.0, 0.5], [6.0, 5.0]]))
        np.testing.assert_allclose(density, known["density"], rtol=1e-9)
    assert fit.spec.label in repr(fit)
    if kind == "stored":
        assert not fit.has_rows
    else:
        likelihood = p.log_likelihood(fit.observations, fit.observations.row_weights).mean()
        assert likelihood == pytest.approx(fit.log_likelihood, rel=1e-9)
