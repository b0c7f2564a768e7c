"""The documentation's code runs and prints what it says it prints; the examples run.

``python -m tests.test_examples`` runs the blocks of docs/*.md, or of the pages named,
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

ROOT = Path(__file__).parent.parent
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
         if page.exists() and "```python\n" in page.read_text(encoding="utf-8")]  # fmt: skip
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


def words(text: str) -> str:
    """Text without its numbers: those of a sampler differ a little from machine to machine."""
    return " ".join(re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "#", text).split())


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_runs_and_prints_what_it_shows(page, monkeypatch):
    if page.name == "extending.md":
        monkeypatch.setattr("pymc.sample", drawn_by_pymc)
    for match, printed in run(page):
        if match[2] and page.parent.name == "docs":
            assert words(printed) == words(match[3]), "run: python -m tests.test_examples"


def test_pages_name_only_files_that_are_there():
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} names {target}"


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
