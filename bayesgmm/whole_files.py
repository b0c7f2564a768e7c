"""Files that appear whole or not at all, whatever ends the writing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bayesgmm.errors import FileError
from bayesgmm.interrupts import undivided

#: In the names of files that are being written, before the number of the process.
_WRITING = ".writing-"


@contextmanager
@undivided
def replacing(out: str) -> Iterator[Path]:
    """A path to write to, in the same folder, that takes the name ``out`` once it is whole."""
    try:
        path = Path(os.path.realpath(out))  # a link stays one
    except ValueError as error:  # for a name that no file here can have
        raise FileError(f"Could not write {out!r}: {error}.") from None
    _clear(path)
    fresh = path.with_name(f".{path.stem}{_WRITING}{os.getpid()}{path.suffix}")
    try:
        yield fresh
        with open(fresh, "rb+") as file:
            os.fsync(file.fileno())  # where some file systems say that they are full
        os.chmod(fresh, _mode(path))
        os.replace(fresh, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(
            f"Could not write {out!r}: {reason}; what was there is as it was."
        ) from None
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """Who may read a file: who could before, or whoever may read new files of this user."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _clear(path: Path) -> None:
    """Remove what writers of this file that were killed have left behind."""
    if os.name != "posix":  # elsewhere signal 0 does not only ask
        return
    for left in path.parent.glob(f".{path.stem}{_WRITING}*{path.suffix}"):
        try:
            os.kill(int(left.stem.rpartition("-")[2]), 0)
        except ProcessLookupError:
            left.unlink(missing_ok=True)
        except (PermissionError, ValueError, OverflowError):  # another user's, or no number
            continue
