"""Trees on disk: NetCDF or Zarr, no pickle, and never half-written.

A tree is written beside its target under a temporary name and then moved over
it, so that a reader sees the old file or the new one, and a failed save leaves
what was there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayesgmm.errors import FileError

#: Version of the layout; a newer one is refused by an older reader.
FORMAT = 1


def write_tree(tree: xr.DataTree, path: Path) -> Path:
    """Write ``tree`` to ``path``, whole or not at all."""
    if path.suffix not in (".nc", ".zarr"):
        raise FileError(f"{path.name!r} does not say the format; end it in .nc or .zarr.")
    if not path.parent.is_dir():
        raise FileError(f"The folder {str(path.parent)!r} does not exist; make it first.")
    if path.is_dir() and not (path / "zarr.json").is_file():
        raise FileError(f"{str(path)!r} is a folder and no saved fit; choose another name.")
    try:
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise FileError(f"Could not write to {str(path.parent)!r}: {_reason(error)}.") from error
    old = work / "old"
    try:
        fresh = work / path.name
        if path.suffix == ".nc":
            tree.to_netcdf(fresh, engine="h5netcdf")
        else:
            tree.to_zarr(fresh, consolidated=False)
        if path.is_dir():  # a Zarr store is a folder, which os.replace does not replace
            os.replace(path, old)
        os.replace(fresh, path)
    except Exception as error:  # every engine has errors of its own
        if old.is_dir():
            os.replace(old, path)
        raise FileError(
            f"Could not write {str(path)!r}: {_reason(error)}; what was there is as it was."
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return path


def read_tree(path: Path) -> xr.DataTree:
    """Read a tree into memory and close the file."""
    if not path.exists():
        raise FileError(f"There is no file {str(path)!r}.")
    options: dict[str, Any] = {"engine": "h5netcdf"}
    if path.suffix == ".zarr":
        options = {"engine": "zarr", "consolidated": False}
    try:
        with xr.open_datatree(path, **options) as opened:
            tree = opened.load()
    except Exception as error:  # every engine has errors of its own for a broken file
        raise FileError(
            f"{str(path)!r} could not be read ({_reason(error)}); it is damaged or no saved fit."
        ) from error
    version = tree.attrs.get("bayesgmm_format")
    if not isinstance(version, (int, np.integer)):
        raise FileError(f"{str(path)!r} is not a saved bayesgmm fit.")
    if version > FORMAT:
        raise FileError(
            f"{str(path)!r} was saved by a newer bayesgmm (format {version}, this one reads "
            f"{FORMAT}); upgrade bayesgmm."
        )
    missing = sorted({"posterior", "observed_data", "fit"} - set(tree.children))
    if missing:
        raise FileError(f"{str(path)!r} is damaged: it has no group {missing[0]!r}.")
    return tree


def _reason(error: Exception) -> str:
    """An error of another package as part of a sentence."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0].rstrip(".")
