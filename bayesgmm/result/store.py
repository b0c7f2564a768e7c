"""Trees on disk: NetCDF or Zarr, no pickle, never half-written, and known to be what was saved.

A tree is written beside its target under a temporary name and then moved over
it, so that a reader sees the old file or the new one, and a failed save leaves
what was there.  What a save that was killed leaves behind, the next one into the same
folder clears away.  A digest of all values goes with them, and is compared on reading.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from bayesgmm.errors import BayesGMMError, FileError
from bayesgmm.interrupts import undivided
from bayesgmm.result.store_entry import refuse_at_the_door

#: Version of the layout; a newer one is refused by an older reader.
FORMAT = 1
_DIGEST = "bayesgmm_digest"


class Mark(NamedTuple):
    """By what a Zarr store says that it is one of ours, which may be replaced by another."""

    what: str
    attribute: str


SAVED_FIT = Mark("saved fit", "bayesgmm_format")
#: In the names of folders that saves work in, before the number of their process.
_SAVING = ".saving-"
#: Seconds after which such a folder has been left behind, whoever has its number now.
_LONG_AGO = 24 * 3600


def write_tree(tree: xr.DataTree, path: Path) -> Path:
    """Write ``tree`` to ``path``, whole or not at all.

    A NetCDF file is made in memory first, which takes as much again as the tree: HDF5
    does not survive a write that fails.
    """
    if path.suffix.lower() not in (".nc", ".zarr"):
        raise FileError(f"{path.name!r} does not say the format; end it in .nc or .zarr.")
    signed = tree.copy(deep=False)
    signed.attrs = {**tree.attrs, _DIGEST: _digest(tree)}
    with whole_or_not(path, SAVED_FIT) as fresh, writing(path):
        if path.suffix.lower() == ".nc":
            content = signed.to_netcdf(engine="h5netcdf")
            # Released here: a view that outlives its buffer with an error crashes the process.
            with content, open(fresh, "wb") as file:
                file.write(content)
        else:
            signed.to_zarr(fresh, consolidated=False)
    return path


def refuse_to_replace(path: Path, ours: Mark) -> None:
    """Refuse to write over a folder that is none of ours, or a store over a file."""
    store = path.suffix.lower() == ".zarr"
    if path.is_dir() and not (store and _has(path, ours.attribute)):
        raise FileError(f"{str(path)!r} is a folder and no {ours.what}; choose another name.")
    if store and path.exists() and not path.is_dir():
        raise FileError(f"{str(path)!r} exists and is no folder of Zarr; choose another name.")


def _has(store: Path, attribute: str) -> bool:
    """Whether a folder says so of itself; other stores of Zarr do not."""
    try:
        return attribute in json.loads((store / "zarr.json").read_bytes())["attributes"]
    except (OSError, ValueError, KeyError, TypeError):  # no store, or one that is damaged
        return False


@contextmanager
@undivided
def whole_or_not(path: Path, ours: Mark) -> Iterator[Path]:
    """Where to write a file, or the folder of a Zarr store, that is ``path`` once it is whole.

    What is there is replaced, if it is a folder only one that has the mark of ``ours``.
    """
    if not path.parent.is_dir():
        raise FileError(f"The folder {str(path.parent)!r} does not exist; make it first.")
    refuse_to_replace(path, ours)
    _clear(path.parent)
    try:
        work = Path(
            tempfile.mkdtemp(prefix=f".{path.name}{_SAVING}{os.getpid()}-", dir=path.parent)
        )
    except (OSError, ValueError) as error:  # ValueError for a name that no file here can have
        raise FileError(f"Could not write to {str(path.parent)!r}: {reason(error)}.") from error
    fresh, old = work / path.name, work / "old"
    try:
        yield fresh
        with writing(path):
            if fresh.is_file():
                with open(fresh, "rb+") as file:
                    os.fsync(file.fileno())  # where some file systems say that they are full
            if path.is_dir():  # a Zarr store is a folder, which os.replace does not replace
                os.replace(path, old)
            os.replace(fresh, path)
    except BaseException:
        if old.is_dir() and not path.exists():
            os.replace(old, path)
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What goes wrong in writing is told in one sentence: every engine has errors of its own."""
    try:
        yield
    except BayesGMMError:
        raise
    except Exception as error:
        raise FileError(
            f"Could not write {str(path)!r}: {reason(error)}; what was there is as it was."
        ) from error


def _clear(folder: Path) -> None:
    """Remove what saves that were killed have left in a folder."""
    for work in folder.glob(f".*{_SAVING}*"):
        if not work.is_dir() or not _abandoned(work):
            continue
        if (work / "old").is_dir():  # killed between two moves: what it had written is whole
            for fresh in work.iterdir():
                if fresh.suffix.lower() == ".zarr" and not (folder / fresh.name).exists():
                    with suppress(OSError):  # another process has done it
                        os.replace(fresh, folder / fresh.name)
        shutil.rmtree(work, ignore_errors=True)


def _abandoned(work: Path) -> bool:
    """Whether the process that made a working folder is no more."""
    try:
        if time.time() - work.stat().st_mtime > _LONG_AGO:
            return True
        if os.name != "posix":  # elsewhere signal 0 does not only ask
            return False
        os.kill(int(work.name.rpartition(_SAVING)[2].partition("-")[0]), 0)
    except (FileNotFoundError, PermissionError, ValueError):  # gone, another user's, or no number
        return False
    except ProcessLookupError:
        return True
    return False


def read_tree(path: Path) -> xr.DataTree:
    """Read a tree into memory and close the file."""
    if not path.exists():
        _clear(path.parent)  # a save that was killed between its two moves has it whole
    if not path.exists():
        raise FileError(f"There is no file {str(path)!r}.")
    options: dict[str, Any] = {"engine": "h5netcdf"}
    if path.suffix.lower() == ".zarr":
        options = {"engine": "zarr", "consolidated": False, "zarr_format": 3}
    try:
        refuse_at_the_door(path)
        with xr.open_datatree(path, decode_timedelta=False, **options) as opened:
            tree = opened.load()
            for node in tree.subtree:  # xarray passes over a variable that is named as a group is
                for variable in node.variables.values():
                    variable.load()
        saved = tree.attrs.pop(_DIGEST, None)  # bayesgmm 0.1.0 saved none
        same = saved is None or saved == _digest(tree)
    except Exception as error:  # every engine has errors of its own for a broken file
        raise FileError(
            f"{str(path)!r} could not be read ({reason(error)}); it is damaged or no saved fit."
        ) from error
    version = tree.attrs.get("bayesgmm_format")
    if not isinstance(version, (int, np.integer)) or version < 1:
        raise FileError(f"{str(path)!r} is not a saved bayesgmm fit.")
    if version > FORMAT:
        raise FileError(
            f"{str(path)!r} was saved by a newer bayesgmm (format {version}, this one reads "
            f"{FORMAT}); upgrade bayesgmm."
        )
    missing = sorted({"posterior", "fit"} - set(tree.children))
    if missing:
        raise FileError(f"{str(path)!r} is damaged: it has no group {missing[0]!r}.")
    if not same:
        raise FileError(
            f"{str(path)!r} is damaged: its values are not those that were saved; take another "
            "copy, or fit again."
        )
    return tree


def _digest(tree: xr.DataTree) -> str:
    """A digest of a tree's values, names and attributes, the same before and after a file."""
    found = hashlib.sha256(repr(sorted((k, str(v)) for k, v in tree.attrs.items())).encode())
    for name, group in sorted(tree.children.items()):
        for key, variable in sorted(group.to_dataset().variables.items(), key=lambda v: str(v[0])):
            found.update(repr((name, str(key), variable.dims, variable.shape)).encode())
            found.update(_canonical(np.asarray(variable.values)))
    return found.hexdigest()


def _canonical(values: np.ndarray[Any, Any]) -> Any:
    """Values as bytes; files keep numbers, and neither their width nor how texts are stored."""
    if values.dtype.kind == "M":
        values = values.astype("datetime64[ns]").view(np.int64)
    if values.dtype.kind in "biu":
        values = values.astype("<i8")
    elif values.dtype.kind == "f":
        values = values.astype("<f8", copy=False)
    else:
        return repr([str(value) for value in values.ravel()]).encode()
    return np.ascontiguousarray(values).data


def reason(error: Exception) -> str:
    """An error of another package as part of a sentence."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0].rstrip(".")
