"""What watches the passes over many rows: their progress, and a checkpoint of what they found.

A pass is a function of the point at which it is made, so what a fit that was killed had found
is found again by its point: the fit is begun anew, comes by the same points, and reads what
passes found there from the checkpoint, up to where it was killed.  So it ends as the fit that
was not killed ends, whatever the method.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bayesgmm.data.observations import Observations
from bayesgmm.errors import FileError, warn
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import Rows
from bayesgmm.expectation.statistics import Batch, SufficientStatistics, expected_statistics_under
from bayesgmm.expectation.stored_rows import StoredRows
from bayesgmm.options import Progress, Seed, seed_sequence
from bayesgmm.whole_files import replacing

#: Rows from which on passes are watched: below, they take no time to speak of.
MANY = 1_000_000
_HEADER = "fit.json"


class Passes:
    """The passes of one fit.

    Parameters
    ----------
    progress : callable, optional
        Called with rows that a pass has done, and what the passes before have found.
    folder : Path, optional
        Where each pass is kept, in a file of its own.
    """

    def __init__(self, progress: Progress | None = None, folder: Path | None = None) -> None:
        self._progress, self._folder = progress, folder
        self._number, self._told = 0, ""
        self._full = False  # whether the disk is
        self.seconds = 0.0  # that a pass takes under one form
        self._last: tuple[str, Any] = "", None

    def under(
        self,
        forms: Sequence[PrecisionForm],
        rows: Rows | StoredRows,
        *,
        cores: int,
        likelihood_only: bool = False,
    ) -> Batch:
        """The statistics under each form: of this pass, or as it was kept."""
        digest = _digest(forms, likelihood_only)
        if digest == self._last[0]:  # as where a climb ends and is judged
            return self._last[1]
        self._number += 1
        file = None if self._folder is None else self._folder / f"pass-{digest}.npz"
        found = None if file is None else _read(file)
        if found is None:
            begun = time.monotonic()
            done = self._done(rows) if rows.n_rows >= MANY else None
            found = expected_statistics_under(
                forms, rows, cores=cores, likelihood_only=likelihood_only, done=done
            )
            self.seconds = max(time.monotonic() - begun, 1e-9) / len(forms)
            rate = rows.n_rows / self.seconds
            best = max(one.log_likelihood for one in found)
            self._told = f", {rate / 1e6:.3g}M rows/s, log-likelihood {best:.8g}"
            if file is not None and not self._full:
                self._write(file, found)
        self._last = digest, found
        return found

    def _done(self, rows: Rows | StoredRows) -> Any:
        if self._progress is None:
            return None
        report, stage, n = self._progress, f"pass {self._number}{self._told}", rows.n_rows
        report(stage, 0, n)
        firsts = rows.table.firsts if isinstance(rows, StoredRows) else (0,)

        def done(parts: int) -> None:
            report(stage, firsts[parts] if parts < len(firsts) else n, n)

        return done

    def _write(self, file: Path, found: Batch) -> None:
        """Keep a pass; a fit does not end because its disk is full."""
        content = io.BytesIO()
        np.savez(
            content,
            log_likelihood=np.array([one.log_likelihood for one in found]),
            counts=np.stack([one.counts for one in found]),
            sums=np.stack([one.sums for one in found]),
            scatters=np.stack([one.scatters for one in found]),
        )
        try:
            with replacing(str(file)) as fresh:
                fresh.write_bytes(content.getvalue())
        except FileError as error:
            self._full = True
            warn(f"The fit goes on without further checkpoints: {error}")


def _digest(forms: Sequence[PrecisionForm], likelihood_only: bool) -> str:
    found = hashlib.sha256(bytes([likelihood_only]))
    for form in forms:
        for part in form:
            found.update(np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:32]


def _read(file: Path) -> Batch | None:
    """A pass that was kept; one that cannot be read is made again."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as kept:
            parts = [kept[name] for name in ("log_likelihood", "counts", "sums", "scatters")]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Batch(SufficientStatistics(float(one[0]), *one[1:]) for one in zip(*parts, strict=True))


def _seen(observations: Observations) -> str:
    """A digest of how rows were seen and count; of stored rows of what is said of that."""
    told = hashlib.sha256(f"{observations.how_seen()}, {observations.resolution.tolist()}".encode())
    if observations.stored is None:
        parts = {"row_weights": observations.row_weights, **vars(observations.views)}
        for name, part in parts.items():
            told.update(name.encode())
            if part is not None:
                told.update(np.ascontiguousarray(part).tobytes())
    return told.hexdigest()


def checkpoint_in(
    folder: Path, model: str, observations: Observations, method: str, seed: Seed
) -> Seed:
    """Begin a checkpoint in ``folder``, or find the one that is there; returns the seed to use.

    Raises
    ------
    FileError
        If what is there is of another model, data, method or seed.
    """
    own = {
        "model": model,
        "method": method,
        "rows": observations.n_rows,
        "features": list(observations.names),
        "center": [repr(float(value)) for value in observations.center],
        "scale": [repr(float(value)) for value in observations.feature_scale],
        "weight": repr(float(observations.total_weight)),
        "view of the rows": _seen(observations),
    }
    header = folder / _HEADER
    if header.exists():
        try:
            kept = json.loads(header.read_text())
        except (OSError, ValueError):
            raise FileError(
                f"{str(header)!r} cannot be read; give another folder, or remove this one."
            ) from None
        for what, value in own.items():
            if kept.get(what) != value:
                raise FileError(
                    f"The checkpoint in {str(folder)!r} is of another fit (its {what} differs); "
                    "give another folder, or remove this one."
                )
        if seed is not None and _entropy(seed) != kept.get("seed"):
            raise FileError(
                f"The checkpoint in {str(folder)!r} was begun with another seed; give that one, "
                "none, or another folder."
            )
        return np.random.SeedSequence(kept["seed"][0], spawn_key=tuple(kept["seed"][1]))
    sequence = seed_sequence(seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(str(header)) as fresh:
            fresh.write_text(json.dumps({**own, "seed": _entropy(sequence)}))
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"Could not write to {str(folder)!r}: {reason}.") from None
    return sequence


def _entropy(seed: Seed) -> list[Any]:
    sequence = seed_sequence(seed)
    entropy: Any = sequence.entropy
    return [entropy, list(sequence.spawn_key)]
