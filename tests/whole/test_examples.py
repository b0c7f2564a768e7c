"""The documentation's code runs and prints what it says it prints; the examples run.

``python -m tests.whole.test_examples`` runs the blocks of docs/*.md, or of the pages named,
and writes their output back into the ``text`` blocks that follow them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

ROOT = Path(__file__).parents[2]
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if page.exists() and "```python\n" in page.read_text(encoding="utf-8")
]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

#: A block of Python, and the block of its output where one follows.
_BLOCK = re.compile(r"```python\n(.*?)```(\n+```text\n(.*?)```)?", re.DOTALL)


def run(page: Path):
    """Run a page's blocks in order in one namespace; yield each match and what it printed."""
    namespace: dict[str, object] = {"__name__": page.stem}
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        line = text[: match.start()].count("\n") + 2
        code = compile("\n" * (line - 1) + match[1], str(page), "exec")  # true line numbers
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        yield match, printed.getvalue()


#: A number as Python, NumPy and pandas print it: sign, thousands separators, exponent.
_NUMBER = re.compile(r"[-+]?\d+(,\d{3})*(\.\d*)?(e[-+]?\d+)?")


#: What a verdict on chains says in words where it could say a number: R-hat beside its limit
#: (an R-hat of 1.01 is itself uncertain in the third digit), and a share of draws.
_GRADE = re.compile(r"\b(only )?roughly (?=on )")
_SHARE = re.compile(r"\bin (no draw|(under )?\d[\d.]*% of draws)")


#: Which sampler a fit ended with, where the first was not enough: by an R-hat that is itself noise.
_SAMPLER = re.compile(r"\bSampled by .*?(accepted\)|round trips\)|from the prior)\.")


def words(text: str) -> str:
    """What a page's block prints and holds on any machine: text without its numbers.

    Sampled numbers differ from machine to machine by their Monte Carlo error, and then so do
    the widths of columns, the spaces inside a printed array, and words that grade a number.
    """
    text = _SHARE.sub("in a share of draws", _GRADE.sub("", " ".join(text.split())))
    text = _SAMPLER.sub("Sampled.", text)
    text = re.sub(r"(?<=\[) | (?=\])", "", text)
    return " ".join(_NUMBER.sub("#", text).split())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,528 effective draws", "528 effective draws"),
        ("[ 9.7 19.8 20.6]", "[10.1 19.8 20.6]"),
        ("[1.   0.22 0.  ]", "[0.99 0.22 0.01]"),
        ("[[-0.5  1. ]\n [ 2.   3. ]]", "[[0.5 1. ]\n [2.  3. ]]"),
        ("a  1e-06  -3", "a  12.5   3"),
        ("(175, 97 rows)", "(1,750, 97 rows)"),
        ("agree on the density", "agree only roughly on the density"),
        ("and on each component;", "and roughly on each component;"),
        ("ambiguous in no draw.", "ambiguous in 15.2% of draws."),
        ("ambiguous in under 0.1% of draws.", "ambiguous in no draw."),
        (
            "Sampled by chains that jump between 3 modes (1.5% of their proposals accepted).",
            "Sampled by tempering at 10 temperatures, 586 round trips from the prior.",
        ),
    ],
)
def test_numbers_and_the_room_they_take_are_not_compared(one, other):
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[1, 2]", "[1 2]"),
        ("[1, 2]", "[1, 2, 3]"),
        ("K=3, tied", "K=3, full"),
        ("NaN", "1.5"),
        ("Chains agree on", "Chains disagree on"),
    ],
)
def test_words_and_how_many_numbers_there_are_are_compared(one, other):
    assert words(one) != words(other)


@pytest.fixture(autouse=True)
def _clean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    plt.close("all")


def drawn_by_pymc(*, initvals, **options):
    """In the place of ``pm.sample``, which compiles for minutes: draws about the values to start
    from, in another labelling on every other chain."""
    rng = np.random.default_rng(0)
    posterior = xr.Dataset()
    for name, value in initvals.items():
        size = 0.01 if name == "means" else 0.0
        values = value * rng.uniform(1 - size, 1 + size, (2, 5, *value.shape))
        values[1] = values[1, :, ::-1]
        posterior[name] = (("chain", "draw", *(f"{name}_{i}" for i in range(value.ndim))), values)
    return xr.DataTree.from_dict({"/posterior": posterior})


def test_no_block_of_the_page_on_extending_is_passed_over():
    assert "```py\n" not in (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.pymc if page.name == "extending.md" else ())
     for page in PAGES], ids=lambda page: page.name,
)  # fmt: skip
def test_page_runs_and_prints_what_it_shows(page, monkeypatch):
    if page.name == "extending.md":
        monkeypatch.setattr("pymc.sample", drawn_by_pymc)
    for match, printed in run(page):
        if match[2] and page.parent.name == "docs":
            assert words(printed) == words(match[3]), "run: python -m tests.whole.test_examples"


def test_pages_name_only_files_that_are_there():
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} names {target}"


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path, tmp_path, capsys):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.main(["--quick", "--out", str(tmp_path)])
    assert capsys.readouterr().out
    if path.stem == "digits":  # a nearest-neighbour judge of new digits beside unseen real ones
        assert found["accuracy"] <= 0.65
    for made in tmp_path.iterdir():
        assert made.stat().st_size > 0


def rewrite(page: Path) -> None:
    """Put what each block prints into the ``text`` block after it."""
    text = page.read_text(encoding="utf-8")
    for match, printed in reversed(list(run(page))):
        if match[2]:
            lines = "\n".join(line.rstrip() for line in printed.rstrip().splitlines())
            text = text[: match.start(3)] + lines + "\n" + text[match.end(3) :]
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    named = [Path(name).resolve() for name in sys.argv[1:]]
    pages = named or [page for page in PAGES if page.parent.name == "docs"]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for one in pages:
            rewrite(one)
