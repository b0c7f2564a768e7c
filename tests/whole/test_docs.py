"""The documentation is whole: every name, page and picture has its place.

What building it finds (``make docs``) is not asked here: this needs no Sphinx.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import bayesgmm

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *(DOCS / "reference").glob("*.md")])
README = ROOT / "README.md"

_PUBLIC = re.compile(r"^```\{public\}\n(.*?)```", re.DOTALL | re.MULTILINE)
_TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)```", re.DOTALL | re.MULTILINE)
_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
_DIRECTIVE = re.compile(r"^```\{(?:image|figure)\} (\S+)\n(.*?)```", re.DOTALL | re.MULTILINE)
_CARD = re.compile(r"^:img-top: (\S+)\n(:img-alt: \S)?", re.MULTILINE)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_the_reference_has_every_public_name_once():
    blocks = [block.split() for page in PAGES for block in _PUBLIC.findall(text(page))]
    assert [] in blocks, "one page takes what the others leave out"
    listed = [name for block in blocks for name in block]
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) <= set(bayesgmm.__all__)


@pytest.mark.parametrize("name", [name for name in bayesgmm.__all__ if name != "__version__"])
def test_every_public_name_has_an_example_and_says_what_goes_in_and_comes_out(name):
    value = getattr(bayesgmm, name)
    said = inspect.getdoc(value)
    sections = set(re.findall(r"^(\w+)\n-+$", said, re.MULTILINE))
    assert "\n>>> " in said, "no example"
    if isinstance(value, type):
        if not issubclass(value, (Exception, Warning)):
            assert sections & {"Parameters", "Attributes"}, "neither Parameters nor Attributes"
    elif callable(value):
        if inspect.signature(value).parameters:
            assert "Parameters" in sections
        assert "Returns" in sections


def test_every_page_is_in_a_table_of_contents():
    there = {page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES}
    named = {"index"}
    for page in PAGES:
        for block in _TOCTREE.findall(text(page)):
            for line in block.split("\n"):
                if line and not line.startswith(":"):
                    named.add((page.parent / line).relative_to(DOCS).as_posix())
    assert there <= named, f"not in the toctree of docs/index.md: {sorted(there - named)}"


@pytest.mark.parametrize(
    "page", [README, *PAGES], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_pictures_are_there_and_say_what_they_show(page):
    found = [(alt, target) for alt, target in _IMAGE.findall(text(page))]
    for target, options in _DIRECTIVE.findall(text(page)):
        found.append((":alt:" in options and "given", target))
    found += [(alt, target) for target, alt in _CARD.findall(text(page))]
    for alt, target in found:
        assert alt, f"{target} has no words for who cannot see it"
        assert (page.parent / target).exists(), target


def test_every_example_is_in_the_gallery():
    gallery = text(DOCS / "gallery.md")
    for script in (ROOT / "examples").glob("*.py"):
        assert f":link: gallery/{script.stem}\n" in gallery, script.name


def test_every_status_is_explained():
    page = text(DOCS / "faq.md")
    for status in bayesgmm.Status:
        assert status.ok or f"### {status}\n\n> {status.sentence}\n" in page, status


def test_the_readme_is_short():
    assert len(text(README).splitlines()) < 130
