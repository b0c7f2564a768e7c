"""What is asked of rows, some of them at a time: of rows that are not in memory, and into a file.

An answer is a DataArray or a Dataset with the dimension ``obs``.  It is asked for group after
group of rows, and what comes back is put together in memory, or written to Parquet or Zarr as
it comes, so that no more than a group is held.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import bayesgmm
from bayesgmm.data.observations import Observations
from bayesgmm.data.sources.blocks import needed
from bayesgmm.errors import DataError, FileError
from bayesgmm.options import PATH, Kind, optional, refuse_beyond_memory
from bayesgmm.result.store import Mark, whole_or_not, writing

#: An answer for some rows.
Ask = Callable[[Observations], Any]
#: Rows of a group, which is a chunk of Zarr and a row group of Parquet.
GROUP = 131_072


def _path(value: Any) -> Path:
    path = PATH.read(value)
    if path.suffix not in (".parquet", ".zarr"):
        raise ValueError
    return path


_ANSWER = Mark("answer of a fit", "bayesgmm_answer")

#: Where an answer is written to.
OUT: Kind[Path | None] = optional(Kind("a path that ends in .parquet or .zarr", _path))


def answered(ask: Ask, rows: Observations, out: Any, *, copies: int = 1) -> Any:
    """The answer for all rows, or the path that it was written to.

    Parameters
    ----------
    ask : callable
        Called with some rows in memory, in their order; of rows in memory with all of them,
        where there is no ``out``.
    rows : Observations
    out : path or None
        That ends in .parquet or .zarr; it appears whole or not at all.
    copies : int
        How often an answer holds every row: groups have the fewer rows the more there are.
    """
    out = OUT("out", out)
    if out is None:
        return ask(rows) if rows.stored is None else _in_memory(ask, rows, copies)
    _refuse_own_source(rows, out)
    opened = {".parquet": _parquet, ".zarr": _zarr}[out.suffix]
    with whole_or_not(out, _ANSWER) as fresh, ExitStack() as stack:
        writer: Writer | None = None
        for answer in _groups(ask, rows, copies):
            with writing(out):
                group = _dataset(answer)
                if writer is None:
                    writer = stack.enter_context(opened(fresh, group, rows, out))
                writer(group)
        with writing(out):
            stack.close()
    return out


def summed(ask: Callable[[Observations], float], rows: Observations) -> float:
    """The sum of a number over groups of the rows."""
    return float(sum(ask(some) for some in _parts(rows, GROUP)))


# Rows in groups -----------------------------------------------------------------


def _parts(rows: Observations, size: int) -> Iterator[Observations]:
    """Rows in order, cut so that pieces end wherever a group of ``size`` does."""
    room = size
    for block in rows.blocks():
        begin = 0
        while begin < block.n_rows:
            end = min(begin + room, block.n_rows)
            whole = end - begin == block.n_rows
            yield block if whole else block.part(slice(begin, end))
            room = room - (end - begin) or size
            begin = end


def _groups(ask: Ask, rows: Observations, copies: int) -> Iterator[Any]:
    """Answers for one group of rows after the other."""
    size = max(1, GROUP // copies)
    waiting: list[Any] = []
    for some in _parts(rows, size):
        waiting.append(ask(some))
        if sum(each.sizes["obs"] for each in waiting) == size:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(answers: list[Any]) -> Any:
    if len(answers) == 1:
        return answers[0]
    minimal: dict[str, Any] = {"coords": "minimal", "compat": "override", "join": "override"}
    if isinstance(answers[0], xr.Dataset):
        minimal["data_vars"] = "minimal"
    return xr.concat(answers, "obs", **minimal)


def _dataset(answer: Any) -> xr.Dataset:
    return answer if isinstance(answer, xr.Dataset) else answer.to_dataset()


# In memory ------------------------------------------------------------------------


def _in_memory(ask: Ask, rows: Observations, copies: int) -> Any:
    """The answer as it is for rows in memory, where there is room for it."""
    groups = _groups(ask, rows, copies)
    first = next(groups)
    n = rows.n_rows
    refuse_beyond_memory(
        f"The answer for {n:,} rows",
        _dataset(first).nbytes / first.sizes["obs"] * n,
        "give out=..., a path that ends in .parquet or .zarr",
    )
    whole: dict[Any, NDArray[Any]] = {}
    begin = 0
    for answer in chain([first], groups):
        group = _dataset(answer)
        at = slice(begin, begin := begin + group.sizes["obs"])
        for name, variable in group.variables.items():
            if "obs" in variable.dims:
                if name not in whole:
                    shape = tuple(
                        n if dim == "obs" else size for dim, size in variable.sizes.items()
                    )
                    whole[name] = np.empty(shape, variable.dtype)
                whole[name][_along(variable.dims, at)] = variable.values
    template = _dataset(first)
    made = xr.Dataset(
        {name: (template[name].dims, whole[name]) for name in template.data_vars},
        {name: template[name] for name in template.coords if name != "obs"} | {"obs": whole["obs"]},
    )
    return made if isinstance(first, xr.Dataset) else made[first.name]


def _along(dims: tuple[Any, ...], at: slice) -> tuple[slice, ...]:
    return tuple(at if dim == "obs" else slice(None) for dim in dims)


# Into files -----------------------------------------------------------------------


class Writer(Protocol):
    """Takes one group after the other."""

    def __call__(self, group: xr.Dataset) -> None: ...


def _refuse_own_source(rows: Observations, out: Path) -> None:
    """Refuse to write over what is read."""
    address = None if rows.stored is None else rows.stored.source.address
    for given in (address or {}).get("paths", ()):
        for here in (Path(os.path.abspath(out)), out.resolve()):
            if here.is_relative_to(given) or fnmatch(str(here), given):
                raise FileError(
                    f"{str(out)!r} is where the rows are read from; choose another name for out."
                )


@contextmanager
def _parquet(fresh: Path, first: xr.Dataset, rows: Observations, out: Path) -> Iterator[Writer]:
    """A column for the labels of rows, and one for every variable and label of the others."""
    pa = needed("pyarrow", "Writing Parquet", "parquet")
    parquet = needed("pyarrow.parquet", "Writing Parquet", "parquet")

    def table(group: xr.Dataset) -> Any:
        return pa.table({name: pa.array(column) for name, column in _columns(group).items()})

    file = open(fresh, "wb")  # noqa: SIM115  - closed below, whatever happens
    try:
        writer = parquet.ParquetWriter(file, table(first).schema)
        try:
            yield lambda group: writer.write_table(table(group))
            writer.close()
            file.close()
        finally:  # on a full disk closing fails as writing has
            with suppress(Exception):
                writer.close()
    finally:
        with suppress(Exception):
            file.close()


def _columns(group: xr.Dataset) -> dict[str, NDArray[Any]]:
    """Flat columns by name; of several draws of the rows, one draw after the other."""
    n, labels = group.sizes["obs"], group["obs"].values
    if labels.dtype.kind == "O":
        labels = labels.astype(str)
    draws = group.sizes.get("draw", 1)
    columns = {"obs": np.tile(labels, draws)}
    if "draw" in group.dims:
        columns["draw"] = np.repeat(np.arange(draws), n)
    for name, variable in group.data_vars.items():
        others = [dim for dim in variable.dims if dim not in ("obs", "draw")]
        values = variable.transpose(*(("draw",) * ("draw" in group.dims)), "obs", *others).values
        if not others:
            columns[str(name)] = values.ravel()
            continue
        alone = len(group.data_vars) == 1
        flat = values.reshape(n * draws, -1)
        for j, label in enumerate(group[others[0]].values):
            column = str(label) if alone else f"{name} {label}"
            if column in columns:
                raise DataError(
                    f"A feature is named {column!r}, which is also a column of what is written; "
                    "write .zarr, or rename the feature before fitting."
                )
            columns[column] = np.ascontiguousarray(flat[:, j])
    return columns


@contextmanager
def _zarr(fresh: Path, first: xr.Dataset, rows: Observations, out: Path) -> Iterator[Writer]:
    """Arrays of all rows, of which a chunk is written at a time."""
    import zarr

    named = first.drop_dims("obs").assign_coords(
        {name: _as_stored(first[name]) for name in first.coords if name != "obs"}
    )
    if rows.stored is None:
        named = named.assign_coords(obs=rows.index)
    named.attrs[_ANSWER.attribute] = bayesgmm.__version__
    named.to_zarr(fresh, consolidated=False)
    store = zarr.open_group(fresh, mode="r+")
    arrays: dict[Any, Any] = {}
    for name, variable in first.variables.items():
        if name not in named.variables and "obs" in variable.dims:
            sizes = dict(variable.sizes) | {"obs": rows.n_rows}
            chunks = dict(variable.sizes) | ({"draw": 1} if "draw" in sizes else {})
            arrays[name] = store.create_array(
                str(name),
                shape=tuple(sizes.values()),
                chunks=tuple(chunks.values()),
                dtype=variable.dtype,
                dimension_names=[str(dim) for dim in variable.dims],
            )
    begin = 0

    def write(group: xr.Dataset) -> None:
        nonlocal begin
        at = slice(begin, begin := begin + group.sizes["obs"])
        for name, array in arrays.items():
            array[_along(group[name].dims, at)] = group[name].values

    yield write
    _consolidate(fresh)


def _as_stored(labels: xr.DataArray) -> xr.DataArray:
    """Labels that a file holds: numbers of components beside "noise" are text as well."""
    return labels.astype(str) if labels.dtype.kind == "O" else labels


def _consolidate(store: Path) -> None:
    """Keep what arrays there are with the group, where ``xarray.open_zarr`` looks for it first.

    Zarr's own function does the same and warns that its third format does not have it yet.
    """
    root = store / "zarr.json"
    content = json.loads(root.read_text(encoding="utf-8"))
    arrays = {
        entry.parent.name: json.loads(entry.read_text(encoding="utf-8"))
        for entry in sorted(store.glob("*/zarr.json"))
    }
    content["consolidated_metadata"] = {
        "kind": "inline",
        "must_understand": False,
        "metadata": arrays,
    }
    root.write_text(json.dumps(content), encoding="utf-8")
