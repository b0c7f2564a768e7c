"""What a fit says of rows, beside everything that the rows' own file has.

A fit knows rows by what was fitted of them.  Whoever asks knows them by ids and names that
were not, so what is written has the file's own columns, as they stand there, and the
answers after them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bayesgmm.errors import DataError
from bayesgmm.interface.commands.output import PLAIN, Manner, checked, distinct
from bayesgmm.interface.commands.parameters import refuse_unused
from bayesgmm.interface.commands.terminal import tell
from bayesgmm.interface.table_options import TableOptions

if TYPE_CHECKING:
    from bayesgmm.data.observations import Observations
    from bayesgmm.interface.csv_file import Table
    from bayesgmm.result.fit import MixtureFit

_SHOWN = 12
_UNNAMED = re.compile(r"x\d+")


@dataclass(frozen=True)
class Asked:
    """Rows of which a fit is asked, with their own columns."""

    observations: Observations
    header: list[str]
    own: Any  # a function that gives the own fields of each row, anew each time
    features: list[int]  # places of the fitted columns among them
    places: Any  # a function that gives where each row stands: its line in a file, or its number
    place: str = "row"
    manner: Manner = PLAIN

    def beside(
        self, names: Sequence[str], columns: Sequence[Sequence[Any]]
    ) -> tuple[list[str], Iterator[list[Any]]]:
        """The own columns, and new ones after them."""
        new = free(names, self.header)
        rows = (
            [*own, *values] for own, *values in zip(self.own(), *columns, strict=True)
        )  # fmt: skip
        return [*self.header, *new], rows


def free(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Names for new columns; what is said of those that the rows have already."""
    made = distinct(names, taken)
    tell(
        f"The rows have a column {name!r} already; the new one is {new!r}."
        for name, new in zip(names, made, strict=True)
        if new != name
    )
    return made


def fit_of(path: str, *, doubts: bool = True, by_component: bool = False) -> MixtureFit:
    """A saved fit; where it did not end well that is said, for whatever is made of it."""
    from pathlib import Path

    import bayesgmm as bg
    from bayesgmm.errors import FileError
    from bayesgmm.result.record import reason_to_doubt

    if not Path(path).exists():
        raise FileError(
            f"There is no file {path!r}; make a fit by bayesgmm fit DATA -k 2 --out fit.nc."
        )
    fit = bg.load(path)
    if doubts and (told := reason_to_doubt(fit, by_component=by_component)):
        tell([f"Warning: what this fit says is {told}"])
    return fit


def rows_for(
    fit: MixtureFit, data: str | None, reading: TableOptions, *, holes: bool = False
) -> Asked:
    """New rows with the features of a fit, or the fitted ones; ``holes`` are then expected."""
    from bayesgmm.interface.csv_file import read_table

    if data is None:
        refuse_unused(reading.options(), "of a table, and the rows are the fitted ones")
        return _fitted_rows(fit)
    features = fit.feature_names
    missing = reading.missing or (
        not reading.drop_na and (holes or fit.observations.missing is not None)
    )
    # Columns without a header are x0, x1, ...: where the fit knows them so, it says which ones.
    by_place = not reading.header and not all(_UNNAMED.fullmatch(name) for name in features)
    wanted = () if by_place else features
    if reading.columns:
        raise DataError("The fit says which columns are used; leave --columns out.")
    try:
        table = read_table(data, replace(reading, columns=wanted, missing=missing, fixed=True))
    except DataError as error:
        raise _of_this_fit(error, data) from None
    tell(table.said)
    if by_place and table.observations.n_features != len(features):
        raise DataError(
            f"The fit has {len(features)} features ({', '.join(features[:_SHOWN])}) and {data!r} "
            f"{table.observations.n_features} columns; give the same columns as in fitting."
        )
    source = table.source
    observations = table.observations
    if by_place and tuple(observations.names) != tuple(features):
        from bayesgmm.data.observations import Observations

        observations = Observations(
            observations.values, names=features, missing=observations.missing
        )
    return Asked(
        observations, list(source.names), table.own_rows, table.features, table.places,
        source.place, _manner(table, reading),
    )  # fmt: skip


def _manner(table: Table, reading: TableOptions) -> Manner:
    """Written back as it was read: fitted columns as numbers, and others by their types."""
    source, kinds = table.source, dict.fromkeys(table.features, "number")
    if source.frame is not None:
        known = {"i": "whole", "u": "whole", "f": "number", "M": "date"}
        for place, dtype in enumerate(source.frame.dtypes):
            if dtype.kind in known:
                kinds[place] = known[str(dtype.kind)]
    return Manner(source.sep, source.decimal, reading.thousands, kinds)


def _of_this_fit(error: DataError, data: str) -> DataError:
    """A refusal of new rows: which columns are read is the fit's to say, not the user's."""
    if "column" in error.facts and "no column" in str(error):
        name, told = error.facts["column"], str(error).partition("; choose among ")
        return DataError(
            f"The fit's feature {name!r} is not among the columns of {data!r} "
            f"({told[2].rstrip('.')}); rename the column, or fit again."
        )
    return error


def _fitted_rows(fit: MixtureFit) -> Asked:
    rows = fit.observations
    index = rows.index.tolist()
    numbered = index == list(range(rows.n_rows))
    place = "id" if any(isinstance(label, str) for label in index) else "row"
    header = [*([] if numbered else distinct([place], fit.feature_names)), *fit.feature_names]

    def own() -> Iterator[list[Any]]:
        for label, values in zip(index, rows.values.tolist(), strict=True):
            yield [*([] if numbered else [label]), *values]

    places = list(range(len(header) - rows.n_features, len(header)))
    return Asked(rows, header, own, places, lambda: index, place)


def out_for(out: str, data: str | None) -> str:
    """Where rows are written, checked before anything is computed."""
    from bayesgmm.interface.commands.output import TABLES

    return checked(out, TABLES, source=data or "")
