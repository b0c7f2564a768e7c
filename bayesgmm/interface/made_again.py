"""How a fit is made again: the command line that made it, and code that does the same.

What a fit keeps of how it was made is said as it would be typed.  What it does not keep, the
table and what was known of each row, has a line of its own to be filled in.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesgmm.errors import SpecError
from bayesgmm.methods import METHODS, Method
from bayesgmm.model.priors import Priors
from bayesgmm.result.fit import MixtureFit

if TYPE_CHECKING:
    from bayesgmm.analysis.selection.selected import Selection

#: Where a fit keeps the words of the command line that made it, but for the first.
COMMAND = "command"
_SHOWN = 12  # features that a comment names
_SEQUENCE = re.compile(r"SeedSequence\([\w\s=,()\[\]]*\)")


def typed(fits: Iterable[MixtureFit], words: Iterable[str], data: str) -> None:
    """Keep with fits, before they are saved, the command line that makes them of ``data``."""
    told = list(words)
    if data in told:  # otherwise the command was called from Python
        for fit in fits:
            fit.tree.attrs[COMMAND] = json.dumps(told)


def command_line(fit: MixtureFit) -> str:
    """The command line that made a fit; "" where it was made in Python.

    It is quoted anew from its words, so that whatever a file holds it is one command of ours.
    """
    try:
        words = json.loads(fit.tree.attrs[COMMAND])
    except (KeyError, TypeError, ValueError):
        return ""
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return ""
    return shlex.join(["bayesgmm", *words])


def code(fit: MixtureFit, selection: Selection | None = None) -> str:
    """Python that makes a fit again, and the selection that it comes from."""
    seed, method = _seed(str(fit.tree.attrs["seed"])), _method(fit)
    lines = ["import bayesgmm as bg"]
    if seed.startswith("np."):
        lines.append("import numpy as np")
    lines += ["", *_rows(fit)]
    lines.append(f"spec = bg.MixtureSpec.from_json({fit.spec.to_json()!r})")
    given = [f"method={method}", f"seed={seed}"]
    if "start" in fit.tree.attrs:
        lines.append("start = ...  # the fit or the parameters at which the search was to start")
        given.append("start=start")
    lines.append(_call("fit = bg.fit", ["spec", "rows", *given]))
    if seed == "None":
        lines.append("# No seed was given, so another run differs a little.")
    if selection is not None:
        lines += ["", *_select(selection, fit, seed)]
    return "\n".join(lines)


def _call(function: str, arguments: list[str]) -> str:
    """On one line where it is short, and otherwise with a line for each argument."""
    whole = f"{function}({', '.join(arguments)})"
    if len(whole) <= 88:
        return whole
    return "\n".join([f"{function}(", *(f"    {argument}," for argument in arguments), ")"])


def _method(fit: MixtureFit) -> str:
    """The method with those of its options that are not its defaults."""
    kind = METHODS[fit.method]
    try:
        chosen = kind.of(**json.loads(fit.tree.attrs["options"]))
    except (KeyError, TypeError, ValueError, SpecError):  # of a fit that was made otherwise
        return repr(fit.method)
    own = _options(chosen)
    return f"bg.{kind.__name__}({own})" if own else repr(fit.method)


def _options(method: Method) -> str:
    plain = type(method)()
    values = {option.name: getattr(method, option.name) for option in fields(method)}
    values.pop("progressbar", None)  # which changes no draw
    return ", ".join(
        f"{name}={value!r}" for name, value in values.items() if value != getattr(plain, name)
    )


def _seed(text: str) -> str:
    if re.fullmatch(r"\d+", text):
        return text
    return f"np.random.{' '.join(text.split())}" if _SEQUENCE.fullmatch(text) else "None"


# The rows ---------------------------------------------------------------------------


def _rows(fit: MixtureFit) -> Iterator[str]:
    """Lines that define ``rows``: what the fit keeps of them, and what is to be filled in."""
    rows = fit.observations
    names = ", ".join(map(repr, rows.names[:_SHOWN])) + (
        ", ..." if len(rows.names) > _SHOWN else ""
    )
    some = f"{rows.n_rows:,} rows"
    if rows.sample_of is not None:
        some = f"the sample of {rows.n_rows:,} of {rows.sample_of:,} rows"
    yield f"data = ...  # the table that was fitted: {some} of {names}"
    if "data" in fit.tree.attrs:
        told = json.loads(fit.tree.attrs["data"])
        given = [f"{name}={value!r}" for name, value in told["given"].items()]
        yield _call("rows = bg.Observations", ["data", *given])
        return
    arguments = [f"resolution={rows.resolution.tolist()}"]
    if rows.missing is not None:
        arguments.append(f"missing={rows.missing!r}")
    boxes = {"selection": rows.views.selection}
    if fit.spec.noise and fit.noise_box is not None:
        boxes["background"] = fit.noise_box
    for name, box in boxes.items():
        if box is not None:
            arguments.append(f"{name}={_box(box)}")
    known = {"row_weights": rows.row_weights} | {
        name: getattr(rows.views, name) for name in ("errors", "labels", "allowed")
    }
    if "background" not in boxes:
        known["background"] = rows.views.background
    for name, values in known.items():
        if values is None:
            continue
        if name == "errors" and (alike := _of_all_rows(values, rows.values)):
            arguments.append(f"errors={alike}")
            continue
        yield f"{name} = ...  # of the rows, as they were given: shape {values.shape}"
        arguments.append(f"{name}={name}")
    yield _call("rows = bg.Observations", ["data", *arguments])


def _of_all_rows(errors: Any, values: Any) -> list[float] | None:
    """Errors of the features where they are the same for every row; None where they are not."""
    if errors.ndim != 2:
        return None
    columns = [column[~np.isnan(x)] for column, x in zip(errors.T, values.T, strict=True)]
    if not all(len(column) and np.all(column == column[0]) for column in columns):
        return None
    return [float(column[0]) for column in columns]


def _box(box: Any) -> list[list[float | None]]:
    """Bounds as they are given, None where there is none."""
    return [[bound if np.isfinite(bound) else None for bound in side] for side in box.tolist()]


# The selection ----------------------------------------------------------------------


def _select(selection: Selection, fit: MixtureFit, seed: str) -> Iterator[str]:
    """Lines that make the selection again, of as many sampled models as it has."""
    table = selection.table
    structures = dict.fromkeys(
        name
        for _, row in table.iterrows()
        for name in [row["covariance"], *filter(None, row["same_as"].split(", "))]
    )
    arguments = [
        "rows", str(sorted({int(k) for k in table["n_components"]})), str(list(structures)),
        f"by={selection.by!r}", f"posteriors={len(selection.posteriors)}",
    ]  # fmt: skip
    if selection.by in ("evidence", "all"):
        arguments.append("unsampled=0")  # as many as were sampled, however little is left
    if selection.prior_on_k is not None:
        arguments.append(f"prior_on_k={dict(selection.prior_on_k)}")
    noisy = sorted({found.spec.noise for found in selection.fits.values()})
    if noisy != [False]:
        arguments.append(f"noise={noisy}")
    if fit.spec.priors != Priors():
        arguments.append("priors=spec.priors")
    sampled = next(iter(selection.posteriors.values()), None)
    if sampled is not None and (method := _method(sampled)) != "'nuts'":
        arguments.append(f"sampling={method}")
    yield "# The selection that it comes from."
    yield _call("selection = bg.select", [*arguments, f"seed={seed}"])
