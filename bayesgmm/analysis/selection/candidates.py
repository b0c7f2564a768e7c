"""The candidates of a selection: fitted once each, kept as they come.

With a folder every finished fit is a file of its own, named after everything that it
depends on, so that a run that was killed does only what is missing, and two processes
in one folder at worst do the same work twice: a file appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bayesgmm.data.observations import Observations
from bayesgmm.data.reopening import said
from bayesgmm.errors import BayesGMMError, FileError
from bayesgmm.inference.evidence.log_evidence import estimated
from bayesgmm.inference.fitting import fitted
from bayesgmm.methods import Method
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.options import Progress
from bayesgmm.result.fit import MixtureFit, load
from bayesgmm.result.tree import with_facts

Seed = int | np.random.SeedSequence | None


@dataclass(frozen=True)
class Candidates:
    """Fits of one data set, from a folder where there is one."""

    observations: Observations
    folder: Path | None
    seed: Seed

    @classmethod
    def of(cls, observations: Observations, out: Path | None, seed: Seed) -> Candidates:
        """Make the folder if need be."""
        if out is None:
            return cls(observations, None, seed)
        try:
            out.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=out):  # before anything is fitted for it
                pass
        except (OSError, ValueError) as error:  # ValueError for a name with a null byte
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
            raise FileError(
                f"{str(out)!r} cannot be a folder of fits ({reason}); give one that can be "
                "written to."
            ) from error
        return cls(observations, out, seed)

    def fitted(
        self,
        spec: MixtureSpec,
        method: Method,
        *,
        cores: int | None,
        progress: Progress | None = None,
        evidence: bool = False,
    ) -> MixtureFit | str:
        """A fit, with its evidence where asked for; or why there is none."""
        path = self._path(spec, method)
        try:
            found = _stored(path)
            if found is None:
                found = fitted(
                    spec, self.observations, method, seed=self.seed, cores=cores, progress=progress
                )
                self._keep(found, path)
        except FileError:  # a full disk is no fault of the model's
            raise
        except BayesGMMError as error:
            return str(error)
        if evidence and found.fact("log_evidence") is None:
            found = self._with_evidence(found, path, cores)
        if self.observations.stored is not None:  # which no first pass has to open again
            vars(found)["observations"] = self.observations
        return found

    def _with_evidence(self, found: MixtureFit, path: Path | None, cores: int | None) -> MixtureFit:
        """A fit with its evidence; or with why there is none, which leaves the fit what it is."""
        facts: dict[str, Any]
        try:
            estimate = estimated(found, seed=self.seed, cores=cores)
        except BayesGMMError as error:
            facts = {"log_evidence_note": str(error)}
            return MixtureFit(found.spec, with_facts(found.tree, facts))
        facts = {
            "log_evidence": estimate.value,
            "log_evidence_se": estimate.se,
            "log_evidence_note": estimate.note,
        }
        found = MixtureFit(found.spec, with_facts(found.tree, facts))
        self._keep(found, path)
        return found

    def _data(self) -> dict[str, Any]:
        """What fits depend on, by name; of rows that are not in memory where they lie."""
        rows = self.observations
        if rows.stored is not None:
            summary = rows.stored.summary
            return {
                "rows": said(rows),
                "low": summary.low,
                "high": summary.high,
                "sample": summary.sample,
            }
        return {
            "values": rows.values,
            "names": rows.names,
            "resolution": rows.resolution,
            "index": rows.index.tolist(),
            "row_weights": rows.row_weights,
            **vars(rows.views),
        }

    def _keep(self, found: MixtureFit, path: Path | None) -> None:
        if path is not None and found.status.value != "interrupted":
            found.save(path)

    def _path(self, spec: MixtureSpec, method: Method) -> Path | None:
        if self.folder is None:
            return None
        options = {k: v for k, v in asdict(method).items() if k != "progressbar"}  # changes no draw
        asked = json.dumps([spec.to_json(), method.name, repr(self.seed), options], sort_keys=True)
        digest = hashlib.sha256(asked.encode())
        for name, known in self._data().items():
            array = isinstance(known, np.ndarray) and known.dtype != object
            digest.update(f"{name} {known.shape} ".encode() if array else name.encode())
            digest.update(known.tobytes() if array else repr(known).encode())
        label = re.sub(r"[^\w]+", "-", spec.label)
        return self.folder / f"{label}-{method.name}-{digest.hexdigest()[:12]}.nc"


def _stored(path: Path | None) -> MixtureFit | None:
    """A fit that is there already; one that cannot be read is made anew."""
    if path is None or not path.exists():
        return None
    try:
        return load(path)
    except FileError:
        return None
