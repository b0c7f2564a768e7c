"""The report: whole in one file, readable by people and programs, written whole or not at all."""

from __future__ import annotations

import re
import shlex
from html import unescape

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.interface import report_findings as findings
from bayesgmm.interface.made_again import code, command_line
from bayesgmm.interface.plots.words import in_percent
from tests.interface.test_cli import main
from tests.support import refused
from tests.whole.test_notebooks import Checked

__all__ = ["main"]


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
    fast = bg.NUTS(draws=100, tune=100, chains=2)
    chosen = bg.select(
        rows.values[4:], [1, 2], ["full"], by="all", posteriors=2, seed=1, sampling=fast
    )
    selection = bg.select(rows.values[4:], [1, 2], ["full", "tied"], posteriors=0, seed=1)
    one = bg.fit(bg.MixtureSpec(2), rows.values[4:, :1], seed=1)
    fits = {"draws": post, "evidence": chosen, "selection": selection, "point": one}
    return {name: bg.report(fit) for name, fit in fits.items()}


@pytest.mark.parametrize("name", ["draws", "evidence", "selection", "point"])
def test_a_page_is_whole_and_says_what_its_pictures_show(pages, name):
    page = pages[name]
    assert len(page) < 5_000_000
    found = Checked(page.replace("<!DOCTYPE html>", ""))
    assert found.counts["h1"] == 1 and found.counts["h2"] >= 6 and found.counts["main"] == 1
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # nothing from elsewhere
    images = re.findall(r"<img [^>]*>", page)
    assert images and all(re.search(r'alt="[^"]{20,}"', image) for image in images)
    assert found.counts["figcaption"] == len(images)
    wanted = {"draws": 2, "evidence": 5, "selection": 4, "point": 3}
    assert len(images) == wanted[name]
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert 'lang="en"' in page and "viewport" in page


def test_a_page_says_what_was_done_and_how_to_do_it_again(pages):
    said = " ".join(Checked(pages["draws"].replace("<!DOCTYPE html>", "")).said)
    for words in (
        "with noise beside them", "1 value was not seen", "with errors of measurement",
        "1 with a label", "Status: converged", '"noise": true',
        "method=bg.Laplace(draws=200), seed=1",
        "Partition of 80 rows", "The data were not held against",
    ):  # fmt: skip
        assert words in said, words
    assert "<i>a" not in pages["draws"]
    assert "BIC prefers" in pages["selection"]


def test_pictures_say_what_they_show(pages):
    """The numbers, for who does not see them."""
    alts = {
        name: unescape("|".join(re.findall(r'alt="([^"]*)"', page))) for name, page in pages.items()
    }
    sees = alts["draws"]
    assert re.search(r"component \d with \d\d ± [\d.]+ % of the rows about <i>a", sees)
    assert re.search(r"\d\d in component 0", sees) and "in noise" in sees
    assert re.search(r"mean entropy is \d\.\d\d bits of at most 1\.58", sees)
    assert re.search(r"below 0\.95, the least 0\.\d\d at row \d+", sees)
    sees = alts["evidence"]
    assert re.search(r"Posterior probabilities: \d\.\d\d for K = \d", sees)
    assert "BIC of 2 models over K from 1 to 2: lowest for K=2, full" in sees
    assert "replicated data" in sees and "misfit found" in sees
    assert "lowest for" in alts["selection"]
    assert "Posterior probabilities" not in alts["selection"]
    assert "histogram and density: component" in alts["point"]


def test_sentences_stay_true_where_numbers_are_rounded():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(996, 1)), rng.normal(size=(4, 1)) + 30, [[9.0]]])
    fit = bg.fit(bg.MixtureSpec(2, "tied"), x, method="em", seed=1)
    told = findings.mixture(fit)
    assert "with over 99 % of the rows" in told and "with under 1 % of the rows" in told
    assert [in_percent(p) for p in (0, 0.004, 0.5, 0.996, 1)] == [
        "0", "under 1", "50", "over 99", "100",
    ]  # fmt: skip
    page = bg.report(bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1))
    assert "271 of 272 rows belong to their component with a probability of 0.95" in page


def test_what_to_see_names_noise():
    x = np.concatenate([bg.datasets.faithful().values, [[0.0, 150.0], [9.0, 20.0], [9.0, 140.0]]])
    spec = bg.MixtureSpec(2, noise=True)
    one = bg.report(bg.fit(spec, x[:, 1], method="map", seed=1))
    assert "275 rows of 1 feature." in one
    assert "the dotted one is noise, the black one is the sum of all" in one
    two = bg.report(bg.fit(spec, x, method="map", seed=1))
    assert "Crosses are rows that are most probably noise" in two


@pytest.mark.parametrize("name", ["draws", "evidence", "selection", "point"])
def test_tables_have_no_names_of_code(pages, name):
    said = " ".join(re.findall(r"<table.*?</table>", pages[name], flags=re.S))
    said = re.sub(r"<[^>]*>", " ", said)
    assert "mean of" in said and "standard deviation" in said
    assert not re.findall(r"\b[a-z]+_[a-z_]+\b|\b(?:weights|means|scales)\[", said)


# How to make it again -----------------------------------------------------------------


def made_again(fit, selection=None, **given):
    """What the code of a report makes, with what is left out in it put in."""
    text = code(fit, selection)
    for name in given:
        text, many = re.subn(rf"^{name} = \.\.\..*$", f"{name} = given[{name!r}]", text, flags=re.M)
        assert many == 1, name
    assert "= ..." not in text
    names = {"given": given}
    exec(text, names)
    return names


def test_what_the_page_says_to_run_gives_the_same_fit(pages, rows):
    said = " ".join(Checked(pages["point"].replace("<!DOCTYPE html>", "")).said)
    text = said[said.index("import bayesgmm as bg") : said.index("Versions")]
    fit = bg.fit(bg.MixtureSpec(2), rows.values[4:, :1], seed=1)
    assert text.split() == code(fit).split()
    again = made_again(fit, data=rows.values[4:, :1])["fit"]
    assert again.log_likelihood == fit.log_likelihood


def test_options_of_the_method_and_of_the_rows_are_said(rows):
    x = rows.values
    for given in (
        bg.Observations(x, missing="marginal"),
        bg.Observations(np.round(x, 1), missing="marginal", resolution=[0.1, 0]),
    ):
        how = bg.NUTS(draws=120, tune=150, chains=2)
        fit = bg.fit(bg.MixtureSpec(2, "tied"), given, method=how, seed=3)
        assert "method=bg.NUTS(draws=120, tune=150, chains=2), seed=3" in code(fit)
        assert "missing='marginal'" in code(fit)
        again = made_again(fit, data=given.values)["fit"]
        assert np.array_equal(again.parameters.means, fit.parameters.means)


def test_what_is_known_of_rows_is_said_or_asked_for(rows, tmp_path):
    fit = bg.fit(bg.MixtureSpec(2, noise=True), rows, method="laplace", draws=200, seed=1)
    bg.load(fit.save(tmp_path / "fit.nc"))
    again = made_again(bg.load(tmp_path / "fit.nc"), data=rows.values, labels=rows.views.labels)
    assert np.array_equal(again["fit"].parameters.means, fit.parameters.means)
    assert again["rows"].views.errors[5, 1] == 0.1

    x = rows.values[4:]
    weights, errors = np.linspace(0.5, 1.5, len(x)), np.linspace(0.1, 0.2, x.size).reshape(x.shape)
    box = {"<i>a": (-10, None)}
    seen = bg.Observations(
        x, names=rows.names, row_weights=weights, errors=errors, selection=box, resolution=0
    )
    start = bg.fit(bg.MixtureSpec(2), seen, seed=2)
    fit = bg.fit(bg.MixtureSpec(2), seen, seed=np.random.SeedSequence(4), start=start, max_iter=900)
    assert "max_iter=900" in code(fit) and "selection=[[-10.0, None], [None, None]]" in code(fit)
    again = made_again(fit, data=x, row_weights=weights, errors=errors, start=start)["fit"]
    assert again.log_likelihood == fit.log_likelihood
    assert "another run differs" in code(bg.fit(bg.MixtureSpec(1), x))


def test_a_selection_is_made_again(rows):
    x = rows.values[4:]
    how = {"sampling": bg.NUTS(draws=100, tune=100, chains=2), "seed": 5}
    how["prior_on_k"] = {1: 3, 2: 0.5}
    found = bg.select(x, [1, 2], ["full", "tied"], by="all", posteriors=2, **how)
    names = made_again(found.best, found, data=x)
    again = names["selection"].table
    assert "with the prior_on_k given" in found.verdict == names["selection"].verdict
    assert list(again.index) == list(found.table.index)
    for column in ("bic", "elpd_loo", "log_evidence", "probability"):
        assert np.array_equal(again[column], found.table[column], equal_nan=True)
    assert np.array_equal(names["fit"].parameters.means, found.best.parameters.means)


def test_a_fit_of_the_command_line_says_the_command(main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(2).normal(size=(40, 2)) + np.repeat([[0.0], [7.0]], 20, axis=0)
    lines = [f'{a:.2f};"1,{int(abs(b) * 100):03d}";t' for a, b in x]
    (tmp_path / "my table.csv").write_text("a;b;c\n" + "\n".join([*lines, ";5;t"]) + "\n")
    words = ["fit", "my table.csv", "-k", "2", "-m", "laplace", "--draws", "100", "--seed", "3",
             "--thousands", ",", "--columns", "a,b", "--missing", "-o", "fit.nc"]  # fmt: skip
    code_of_exit, _, err = main(*words)
    assert code_of_exit == 0, err
    fit = bg.load("fit.nc")
    assert shlex.split(command_line(fit)) == ["bayesgmm", *words]
    assert main("report", "fit.nc", "-o", "page.html")[0] == 0
    page = (tmp_path / "page.html").read_text()
    said = "".join(Checked(page.replace("<!DOCTYPE html>", "")).said)
    assert command_line(fit) in said and "bg.Laplace(draws=100)" in said
    (tmp_path / "fit.nc").unlink()
    assert main(*shlex.split(command_line(fit))[1:])[0] == 0
    assert np.array_equal(bg.load("fit.nc").parameters.means, fit.parameters.means)
    words = ["report", "my table.csv", "-k", "1", "--drop-na", "--columns", "a", "--posteriors",
             "0", "-o", "all.html"]  # fmt: skip
    assert main(*words)[0] == 0
    assert shlex.join(["bayesgmm", *words]) in unescape((tmp_path / "all.html").read_text())


@pytest.mark.parametrize("held", ["{", "3", '{"a": 1}', "[1, 2]", '["; rm x"]', '"a"'])
def test_whatever_a_file_holds_its_command_is_one_of_ours(held):
    fit = bg.fit(bg.MixtureSpec(1), np.arange(20.0), seed=1)
    fit.tree.attrs |= {"command": held, "options": held, "seed": "__import__('os')"}
    assert command_line(fit) in ("", "bayesgmm '; rm x'")
    assert "__import__" not in code(fit) and "method='em'" in code(fit)


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
