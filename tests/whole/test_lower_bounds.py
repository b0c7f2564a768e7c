"""The lower bounds of pyproject.toml are the versions that `make test-minimal` installs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PIN = re.compile(r"^([\w.-]+)==([\w.]+)$", re.MULTILINE)
_BOUND = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)")


def release(version: str) -> tuple[int, ...]:
    """Its numbers without zeros at the end: 3.8 is 3.8.0."""
    numbers = [int(part) for part in version.split(".")]
    while numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_users_install_is_pinned_at_its_lower_bound():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = list(project["dependencies"])
    for extra in ("dask", "parquet", "polars", "test"):
        wanted += extras[extra]
    bounds = {}
    for requirement in wanted:
        if requirement.startswith("bayesgmm["):
            continue
        found = _BOUND.fullmatch(requirement)
        assert found, f"{requirement} has no plain lower bound"
        bounds[canonical(found[1])] = release(found[2])
    pins = dict(_PIN.findall((ROOT / "constraints-minimal.txt").read_text()))
    pinned = {canonical(name): version for name, version in pins.items()}
    assert {name: release(pinned[name]) for name in bounds} == bounds
