"""What notebooks show: tables that are tables, and a bar where work takes long."""

from __future__ import annotations

import io
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm import progress as progress_of

VOID = {"br", "hr", "img", "meta", "link"}


class Checked(HTMLParser):
    """Counts tags, and holds that every one is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.said: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag == "th":
            assert dict(attrs)["scope"] in ("row", "col")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said.append(data)


@pytest.fixture(scope="module")
def shown():
    """One of everything that notebooks show, of features with names that look like markup."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 2)) + np.repeat([[0.0], [6.0]], 30, axis=0)
    rows = bg.Observations(x, names=["<b>a", "b & c"])
    fit = bg.fit(bg.MixtureSpec(2), rows, method="laplace", draws=200, seed=1)
    return {
        "spec": fit.spec,
        "fit": fit,
        "point": bg.fit(bg.MixtureSpec(2), rows, seed=1),
        "diagnosis": bg.diagnose(fit),
        "criteria": bg.criteria(fit),
        "predictive": fit.predictive,
        "selection": bg.select(rows, [1, 2], ["full"], posteriors=0, seed=1),
        "partition": bg.partition(fit, seed=1),
        "comparison": bg.compare_partitions(fit, np.repeat([0, 1], 30)),
        "check": bg.posterior_check(fit, seed=1, n_replicates=100),
    }


NAMES = ("spec", "fit", "point", "diagnosis", "criteria", "predictive", "selection", "partition",
         "comparison", "check")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_objects_show_tables(shown, name):
    page = shown[name]._repr_html_()
    found = Checked(page)
    assert "pre" not in found.counts and "<b>a" not in page
    if name != "partition":  # sentences alone
        assert found.counts["table"] >= 1 and found.counts["caption"] == found.counts["table"]
    if name in ("fit", "predictive", "check"):
        assert any("<b>a" in said for said in found.said)


def test_a_page_says_what_the_print_says(shown):
    """Every line of a printed fit but its table stands in the page, and every cell."""
    fit = shown["fit"]
    said = " ".join(Checked(fit._repr_html_()).said)
    lines = repr(fit).splitlines()
    blank = lines.index("")
    assert all(line in said for line in lines[:blank])
    assert all(cell in said for line in lines[blank + 2 :] for cell in line.split("  ") if cell)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("method", ["em", "map", "laplace", "nuts"])
def test_a_bar_shows_itself_in_a_terminal_where_work_takes_long(method, monkeypatch):
    monkeypatch.setattr(progress_of, "_PATIENCE", 0.0)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    x = np.random.default_rng(1).normal(size=(60, 2))
    options = {"draws": 50, "tune": 50, "chains": 1} if method == "nuts" else {}
    bg.fit(bg.MixtureSpec(1), x, method=method, seed=1, **options)
    assert "starting" in terminal.getvalue() or "converging" in terminal.getvalue()


def test_nothing_is_shown_where_nobody_looks_or_nothing_takes_long(monkeypatch, capfd):
    x = np.random.default_rng(1).normal(size=(60, 2))
    bg.fit(bg.MixtureSpec(2), x, seed=1)
    assert capfd.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bg.fit(bg.MixtureSpec(2), x, seed=1)
    assert terminal.getvalue() == ""
    told = []
    monkeypatch.setattr(progress_of, "_PATIENCE", 0.0)
    bg.fit(bg.MixtureSpec(2), x, seed=1, progress=lambda *report: told.append(report))
    assert told and terminal.getvalue() == ""  # the caller's own is all there is
