"""Load damaged copies of saved fits: ``python -m tests.result.damaging FOLDER FIRST LAST``.

The copies are of ``fit.nc`` and ``fit.zarr`` in turn.  A process of its own, since a library that
reads what is damaged may end it.  Before each copy its number is printed, so that whoever started
this knows at which it ended; after it "refused", or "whole" where what was damaged was nothing
that is read.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

import bayesgmm as bg
from bayesgmm.result import store


def damage(path: Path, kind: str, number: int) -> str:
    """Cut a file short, or change some of its bytes; of a store one of its files."""
    rng = np.random.default_rng([number, len(kind)])
    if path.is_dir():
        path = sorted(p for p in path.rglob("*") if p.is_file())[number * 7919 % n_files(path)]
    content = bytearray(path.read_bytes())
    if kind == "cut":
        at = int(rng.integers(len(content)))
        path.write_bytes(content[:at])
        return f"{path.name} cut at {at}"
    at = rng.integers(len(content), size=int(rng.integers(1, 4)))
    for place in at:
        content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(content)
    return f"{path.name} changed at {at.tolist()}"


def n_files(store: Path) -> int:
    return sum(p.is_file() for p in store.rglob("*"))


def main() -> None:
    kept, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    known = store._digest(bg.load(kept / "fit.nc").tree)
    for number in range(first, last):
        source = kept / ("fit.nc", "fit.zarr")[number % 2]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, source.name)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, path)
            how = damage(path, ("cut", "flip")[number // 2 % 2], number)
            print(number, source.suffix, how, end=": ", flush=True)
            try:
                whole = store._digest(bg.load(path).tree) == known
                print("whole" if whole else "OTHER VALUES", flush=True)
            except bg.FileError as error:
                text = str(error)
                good = "\n" not in text and text.endswith(".") and repr(str(path)) in text
                print("refused" if good else f"NOT A SENTENCE {text!r}", flush=True)


if __name__ == "__main__":
    main()
