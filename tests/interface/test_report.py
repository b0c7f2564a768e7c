"""The report: whole in one file, readable by people and programs, written whole or not at all."""

from __future__ import annotations

import re

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest

import bayesgmm as bg
from tests.support import refused
from tests.whole.test_notebooks import Checked


@pytest.fixture(scope="module")
def rows():
    """Two features with names that look like markup, holes, labels, errors and noise."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 2)) + np.repeat([[0.0], [7.0]], 40, axis=0)
    x[3, 1] = np.nan
    return bg.Observations(
        x, names=["<i>a", "b & c"], missing="marginal", errors=0.1, labels=[0] + [-1] * 79
    )


@pytest.fixture(scope="module")
def pages(rows):
    post = bg.fit(bg.MixtureSpec(2, noise=True), rows, method="laplace", draws=200, seed=1)
    selection = bg.select(rows.values[4:], [1, 2], ["full"], posteriors=1, seed=1)
    one = bg.fit(bg.MixtureSpec(2), rows.values[4:, :1], seed=1)
    return {"draws": bg.report(post), "selection": bg.report(selection), "point": bg.report(one)}


@pytest.mark.parametrize("name", ["draws", "selection", "point"])
def test_a_page_is_whole_and_says_what_its_pictures_show(pages, name):
    page = pages[name]
    assert len(page) < 5_000_000
    found = Checked(page.replace("<!DOCTYPE html>", ""))
    assert found.counts["h1"] == 1 and found.counts["h2"] >= 6 and found.counts["main"] == 1
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # nothing from elsewhere
    images = re.findall(r"<img [^>]*>", page)
    assert images and all(re.search(r'alt="[^"]{20,}"', image) for image in images)
    assert found.counts["figcaption"] == len(images)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert 'lang="en"' in page and "viewport" in page


def test_a_page_says_what_was_done_and_how_to_do_it_again(pages):
    said = " ".join(Checked(pages["draws"].replace("<!DOCTYPE html>", "")).said)
    for words in (
        "with noise beside them", "1 value was not seen", "with errors of measurement",
        "1 with a label", "Status: converged", '"noise": true',
        "method='laplace', seed=1", "Partition of 80 rows", "The data were not held against",
    ):  # fmt: skip
        assert words in said, words
    assert "<i>a" not in pages["draws"]
    assert "BIC prefers" in pages["selection"]


def test_what_the_page_says_to_run_gives_the_same_fit(pages, rows):
    said = " ".join(Checked(pages["point"].replace("<!DOCTYPE html>", "")).said)
    code = said[said.index("import bayesgmm as bg") : said.index("Versions")]
    names = {"data": rows.values[4:, :1]}
    exec(code, names)
    fit = bg.fit(bg.MixtureSpec(2), rows.values[4:, :1], seed=1)
    assert names["fit"].log_likelihood == fit.log_likelihood


def test_a_file_is_written_whole_or_not_at_all(tmp_path, rows):
    fit = bg.fit(bg.MixtureSpec(1), rows, seed=1)
    path = bg.report(fit, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8").endswith("</html>\n")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    refused("does not exist", bg.report, fit, tmp_path / "none" / "report.html")
    (tmp_path / "folder").mkdir()
    refused("Could not write", bg.report, fit, tmp_path / "folder")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "report.html"]
    refused("takes a fit or a selection, got int", bg.report, 3)
