"""Where the rows of a table come from: CSV, Parquet, Arrow, NetCDF, or a data set that ships.

Every kind becomes rows of fields with a place each, so that one reader judges all of them;
what a file holds as numbers already is taken as it is.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bayesgmm.errors import DataError
from bayesgmm.interface.csv_text import LIKELY, SEPARATORS, Lines, content_of, lines_of, records
from bayesgmm.interface.numbers_as_written import is_missing, is_number
from bayesgmm.interface.table_options import SHIPPED, TableOptions

Rows = Callable[[], Iterator[tuple[int, Sequence[str]]]]
#: How files begin that are tables, and no text.
_BEGIN = {
    b"PAR1": "parquet", b"ARROW1": "arrow", b"\x89HDF": "netcdf", b"CDF": "netcdf",
}  # fmt: skip
ROW_NAMES = "row"


@dataclass(frozen=True)
class Source:
    """A table before it is judged."""

    path: str
    names: list[str]
    rows: Rows
    sep: str = ","
    decimal: str = "."
    place: str = "line"
    native: dict[int, Any] = field(default_factory=dict)  # columns that are numbers already
    frame: Any = None  # of pandas, where the file was no text
    wrong: tuple[str, ...] = ()
    amends: dict[str, Any] = field(default_factory=dict)  # options that would mend what is wrong
    said: tuple[str, ...] = ()
    row_names: bool = False  # the first field of a row is its name, and stands under no heading


def source_of(path: str, options: TableOptions, content: bytes) -> Source:
    """The table in a file's bytes."""
    kind = next((kind for start, kind in _BEGIN.items() if content.startswith(start)), "")
    if kind:
        return framed(path, _frame(path, kind, content))
    # What groups thousands is no decimal mark, so the other one is.
    decimal = options.decimal or {",": ".", ".": ","}.get(options.thousands, "")
    found = lines_of(path, content, encoding=options.encoding, sep=options.sep, decimal=decimal)
    return _csv(path, options, found)


def bytes_of(path: str) -> bytes:
    """The content of a file, whatever its kind."""
    return content_of(path, SHIPPED)


def _csv(path: str, options: TableOptions, found: Lines) -> Source:
    rows = records(path, found)
    _, header = next(rows)
    names = [name.strip() for name in header]
    source = Source(path, names, lambda: records(path, found), found.sep, found.decimal or ".")
    wrong: list[str] = []
    amends: dict[str, Any] = {}
    if found.undecoded:
        wrong.append(f"not in UTF-8 ({found.undecoded}), but maybe in {LIKELY}")
        amends["encoding"] = LIKELY
    if found.rival:
        one, other = SEPARATORS[found.sep], SEPARATORS[found.rival]
        wrong.append(f"its fields may be separated by {one} or by {other}")
        amends["sep"] = found.sep
    if not found.decimal:
        plain = found.example.replace(",", "")
        point = found.example.replace(",", ".")
        wrong.append(f"the comma in {found.example!r} may make it {point} or {plain}")
        amends["decimal"] = ","
    numbers = [is_number(n) or is_number(n.replace(",", ".")) or is_missing(n) for n in names]
    if not options.header:
        names = [f"x{j}" for j in range(len(names))]
    elif all(numbers) and not all(map(is_missing, names)):
        wrong.append(_no_header(names, found))
        amends["header"] = False
        names = [f"x{j}" for j in range(len(names))]
    else:
        second = next(rows, (0, []))[1]
        first = _line_of(found, 1).lstrip()
        if len(second) == len(names) + 1 and first.startswith('"') and second[-1].strip():
            said = f"{path!r}: the first field of each line is taken for the row's name."
            return _told(replace(
                source, names=[ROW_NAMES, *names], rows=_below_header(source.rows),
                row_names=True, wrong=tuple(wrong), amends=amends, said=(said,),
            ), options)  # fmt: skip
    whole = not options.header or "header" in amends
    return _told(replace(
        source, names=names, rows=source.rows if whole else _below_header(source.rows),
        wrong=tuple(wrong), amends=amends,
    ), options)  # fmt: skip


def _line_of(found: Lines, number: int) -> str:
    below = [line for line in found.lines[: number + 50] if line.strip()]
    return below[number] if len(below) > number else ""


def _below_header(rows: Rows) -> Rows:
    def below() -> Iterator[tuple[int, Sequence[str]]]:
        every = rows()
        next(every)
        yield from every

    return below


def _told(source: Source, options: TableOptions) -> Source:
    """With a sentence on how the text is read, where that is not what CSV is by default."""
    told = []
    if source.sep != "," and not options.sep and len(source.names) > 1:
        told.append(f"{SEPARATORS.get(source.sep, repr(source.sep))} between fields")
    if source.decimal == "," and not options.decimal:
        told.append("decimal commas")
    if not told:
        return source
    how = f"{source.path!r} is read with {' and '.join(told)}."
    return replace(source, said=(how, *source.said))


def _no_header(names: list[str], found: Lines) -> str:
    numbers = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    told = f"line {found.first}: numbers ({numbers}) and not the names of the columns, "
    if found.comment:
        return told + "which may be in the comment above and need its # taken away"
    example = ",".join(f"x{j}" for j in range(min(len(names), 3))) + ",…" * (len(names) > 3)
    return told + f"which need a line of their own above it, such as {example}"


# Files that hold types ------------------------------------------------------------


def _frame(path: str, kind: str, content: bytes) -> Any:
    """The frame of pandas in a file that is no text."""
    import pandas as pd

    try:
        if kind == "netcdf":
            return _from_netcdf(path, content)
        read = pd.read_parquet if kind == "parquet" else pd.read_feather
        return read(io.BytesIO(content))
    except ImportError:
        raise DataError(
            f"{path!r} is a {kind.title()} file, which needs pyarrow; pip install "
            "'bayesgmm[polars]'."
        ) from None
    except DataError:
        raise
    except Exception as error:  # every engine has errors of its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(f"{path!r} cannot be read ({reason}); write the file again.") from None


def _from_netcdf(path: str, content: bytes) -> Any:
    import pandas as pd
    import xarray as xr

    data = xr.load_dataset(io.BytesIO(content), decode_timedelta=False)  # minutes are numbers
    if "bayesgmm_format" in data.attrs:
        raise DataError(f"{path!r} is a saved fit and no data; give the file that was fitted.")
    if len(data.data_vars) == 1:
        (array,) = data.data_vars.values()
        if array.ndim == 2:
            names = [f"x{j}" for j in range(array.shape[1])]
            if array.dims[1] in array.coords:
                names = [str(name) for name in array[array.dims[1]].values]
            return pd.DataFrame(array.values, columns=names)
    shapes = {variable.dims for variable in data.data_vars.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise DataError(
            f"{path!r} has variables along {', '.join(map(str, data.sizes)) or 'nothing'}; give "
            "one variable per feature, all along the rows, or a single one of rows and features."
        )
    (rows,) = next(iter(shapes))
    frame = data.to_dataframe()[[str(name) for name in data.data_vars]]
    return frame.reset_index() if rows in data.coords else frame.reset_index(drop=True)


def framed(path: str, frame: Any) -> Source:
    """A frame of pandas as a source."""
    import numpy as np

    if frame.index.name is not None and frame.index.name not in frame.columns:
        frame = frame.reset_index()
    frame.columns = [str(name) for name in frame.columns]
    native = {}
    for at in range(frame.shape[1]):
        column = frame.iloc[:, at]
        if column.dtype.kind in "iuf":
            native[at] = np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))

    def rows() -> Iterator[tuple[int, Sequence[str]]]:
        blank = frame.isna().to_numpy()
        for at, values in enumerate(frame.itertuples(index=False, name=None)):
            yield at, ["" if gone else str(v) for v, gone in zip(values, blank[at], strict=True)]

    return Source(path, list(frame.columns), rows, place="row", native=native, frame=frame)


def shipped(name: str) -> Source:
    """A data set by its name."""
    import pandas as pd

    from bayesgmm import datasets

    values = datasets.load(name)
    names = [str(feature) for feature in values["feature"].values]
    return framed(name, pd.DataFrame(values.values, columns=names))
