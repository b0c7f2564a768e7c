"""Messy files on the command line: read right, or one message with a command that works."""

import io
import shlex

import numpy as np
import pandas as pd
import pytest

import bayesgmm as bg
from bayesgmm.datasets import NAMES
from bayesgmm.interface.csv_file import read_table
from bayesgmm.interface.numbers_as_written import grouping, is_proof, number
from bayesgmm.interface.table_options import SHIPPED, TableOptions
from tests.interface.test_cli import main

__all__ = ["main"]


def read(tmp_path, content, **options):
    path = tmp_path / "d.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(str(path), TableOptions(**options))


def refused(tmp_path, content, **options):
    with pytest.raises(bg.DataError) as caught:
        read(tmp_path, content, **options)
    return caught.value


def messy(n=60):
    """What people have: an id, a date, a category, thousands, holes and a constant."""
    rng = np.random.default_rng(1)
    lines = ["id,date,category,income,height,weight,unit,vat"]
    for i in range(n):
        side = i % 2
        height = f"{rng.normal(160 + 20 * side, 4):.1f}" if i % 9 else ""
        weight = f"{rng.normal(60 + 20 * side, 4):.2f}" if i % 11 else "NA"
        income = f"{rng.normal(12_000 + 8_000 * side, 900):,.1f}"
        lines.append(
            f'{1000 + i},2024-01-{i % 28 + 1:02d},{"abc"[i % 3]},"{income}",{height},{weight},kg,19'
        )
    return "\n".join(lines) + "\n"


def test_a_messy_file_is_one_message_with_one_command_that_works(tmp_path, main, monkeypatch):
    (tmp_path / "messy file.csv").write_text(messy())
    monkeypatch.chdir(tmp_path)
    code, out, err = main("fit", "messy file.csv", "-k", "2", "--method", "map", "--seed=3")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "Error: 'messy file.csv' cannot be used as it is:",
        "  column 'date': text in every row, first '2024-01-01' in line 2",
        "  column 'category': text in every row, first 'a' in line 2",
        "  column 'income': thousands apart by ',' in every row, first '12,311.0' in line 2",
        "  column 'height': no value in 7 of 60 rows, first in line 2",
        "  column 'weight': no value in 6 of 60 rows, first in line 2",
        "  column 'unit': text in every row, first 'kg' in line 2",
        "  column 'vat': constant, 19 in every row",
        "Mend the file or choose the columns that are right:",
        "  bayesgmm fit 'messy file.csv' -k 2 --method map --seed=3 --thousands , --id id "
        "--columns income,height,weight --missing",
    ]
    command = shlex.split(err.splitlines()[-1])[1:]
    code, out, err = main(*command)
    assert (code, err) == (0, "")
    assert "60 rows" in out and "13 values not seen" in out and "Status: converged" in out
    rows = read(tmp_path, messy(), thousands=",", id="id", columns=("income",)).observations
    assert rows.index.tolist()[:2] == ["1000", "1001"] and rows.values[0, 0] == 12311.0


@pytest.mark.parametrize("sep", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("decimal", [".", ","])
def test_numbers_are_read_to_the_last_digit_however_they_are_written(tmp_path, sep, decimal):
    frame = bg.datasets.faithful().to_pandas() / 3
    frame.insert(0, "year", np.arange(len(frame)) % 40 + 1980)
    frame.to_csv(tmp_path / "d.csv", index=False, sep=sep, decimal=decimal)
    table = read_table(str(tmp_path / "d.csv"), TableOptions())
    np.testing.assert_array_equal(table.observations.values, frame.to_numpy())
    assert len(table.said) == ((sep, decimal) != (",", "."))
    assert next(table.own_rows())[0] == "1980"


def test_a_number_that_can_be_read_in_two_ways_is_refused(tmp_path):
    content = "a;b\n1,234;2\n5,678;3\n"
    error = refused(tmp_path, content)
    assert "the comma in '1,234' may make it 1.234 or 1234" in str(error)
    assert error.command == f"bayesgmm select {tmp_path / 'd.csv'} --decimal ,"
    assert read(tmp_path, content, decimal=",").observations.values[0, 0] == 1.234
    assert read(tmp_path, content, thousands=",").observations.values[0, 0] == 1234


def test_separators_that_make_as_much_sense_are_refused(tmp_path):
    content = "a,b,c d\n" + "".join(f"{i},{i * i},{i + 2} {i % 3}\n" for i in range(1, 6))
    error = refused(tmp_path, content)
    assert "its fields may be separated by commas or by spaces" in str(error)
    assert error.command == f"bayesgmm select {tmp_path / 'd.csv'} --sep , --columns a,b"
    found = read(tmp_path, content, sep=",", columns=("a", "b")).observations
    assert found.values[1].tolist() == [2, 4]


def test_words_above_the_header_are_lines_of_another_length(tmp_path):
    error = refused(tmp_path, "Report for 2024\n\na,b\n1,3\n2,5\n")
    assert "line 3: 2 fields where the header has 1" in str(error)
    assert "decimal points" not in str(error) and error.command is None


def test_one_column_has_no_separator_to_speak_of(tmp_path):
    assert read(tmp_path, "a\n1,5\n2,5\n", decimal=",").said == ()


def test_fewer_numbers_are_no_rival(tmp_path):
    content = "a;b,c;d\n" + "".join(f"{i};2,{i}5;{i * i}\n" for i in range(1, 5))
    assert read(tmp_path, content).observations.names == ("a", "b,c", "d")
    content = "full name,home town,age,size\n" + "".join(
        f"John Smith,New York,{i},{i * i}\n" for i in range(1, 5)
    )
    found = read(tmp_path, content, ignore_text=True)
    assert found.observations.names == ("age", "size")


def test_decimal_commas_in_quotes_can_be_asked_for(tmp_path):
    found = read(tmp_path, 'a,b\n"1,5",3\n"1,25",4\n', decimal=",")
    assert found.observations.values.tolist() == [[1.5, 3], [1.25, 4]]


@pytest.mark.parametrize(("field", "decimal", "mark"), [
    ("1,234.5", ".", ","), ("12,345,678", ".", ","), ("1.234,5", ",", "."), ("1'234.5", ".", "'"),
    ("1 234,5", ",", " "), ("-1,234", ".", ","), ("1,23", ".", ""), ("12.03.2024", ",", ""),
    ("1,234,5", ".", ""), ("abc", ".", ""),
])  # fmt: skip
def test_thousands_are_groups_of_three(field, decimal, mark):
    assert grouping(field, decimal) == mark
    if mark:
        plain = field.replace(mark, "").replace(decimal, ".")
        assert number(field, decimal, mark) == float(plain)


@pytest.mark.parametrize(("field", "proof"), [
    ("1,5", True), ("0,123", True), ("1234,567", True), ("1,234", False), ("1,234,567", False),
    ("x,5", False), ("12", False),
])  # fmt: skip
def test_a_comma_is_decimal_where_it_cannot_group(field, proof):
    assert is_proof(field, ",") == proof


def test_text_in_another_encoding_is_one_problem_among_others(tmp_path):
    content = "größe;ort\n1,5;Köln\n2,5;Bonn\n".encode("cp1252")
    error = refused(tmp_path, content)
    assert error.problems == (
        "not in UTF-8 (byte 0xf6 in line 1), but maybe in cp1252",
        "column 'ort': text in every row, first 'Köln' in line 2",
    )
    assert error.command.endswith("d.csv --encoding cp1252 --columns 'größe'")
    found = read(tmp_path, content, encoding="latin-1", columns=("größe",)).observations
    assert found.values.ravel().tolist() == [1.5, 2.5]
    with pytest.raises(bg.DataError, match="is not in ascii"):
        read(tmp_path, content, encoding="ascii")


def test_german_thousands_are_asked_for(tmp_path):
    content = "a;b\n1.234,5;2\n2.345,75;4\n3,25;7\n"
    error = refused(tmp_path, content)
    assert error.command.endswith("d.csv --thousands .")
    read_right = read(tmp_path, content, thousands=".").observations
    assert read_right.values[:, 0].tolist() == [1234.5, 2345.75, 3.25]


def test_rows_without_values_can_be_left_out_and_are_counted(tmp_path):
    table = read(tmp_path, "a,b,t\n1,2,x\n,3,y\n4,5,\n7,9,z\n", columns=("a", "b"), drop_na=True)
    assert table.observations.values.tolist() == [[1, 2], [4, 5], [7, 9]]
    assert table.said == ("1 of 4 rows with empty fields are left out.",)
    assert [list(row) for row in table.own_rows()] == [
        ["1", "2", "x"], ["4", "5", ""], ["7", "9", "z"]
    ]  # fmt: skip
    assert table.places() == [2, 4, 5]
    with pytest.raises(bg.DataError, match="1 row without empty"):
        read(tmp_path, "a,b\n1,\n2,3\n,4\n", drop_na=True)


def test_columns_of_text_can_be_left_out_and_are_named(tmp_path):
    table = read(tmp_path, "a,t,b\n1,x,2\n3,y,5\n4,5,9\n", ignore_text=True)
    assert table.observations.names == ("a", "b")
    assert table.said == ("Left out, for they are not numbers: 't'.",)
    with pytest.raises(bg.DataError, match="no column of numbers"):
        read(tmp_path, "a,b\nx,y\nz,u\n", ignore_text=True)


def test_many_columns_of_text_are_left_out_by_one_word(tmp_path):
    names = ",".join([*(f"x{j}" for j in range(20)), "note"])
    rows = "\n".join(",".join([*(str(j * i * i) for j in range(1, 21)), "t"]) for i in range(1, 5))
    assert refused(tmp_path, f"{names}\n{rows}\n").command.endswith("d.csv --ignore-text")


@pytest.mark.parametrize(("header", "rows", "why"), [
    ("n,b", "7,1\n8,4\n9,9\n10,2\n11,3\n", "7 to 11 in steps of one"),
    ("ID,b", "7,1\n3,4\n9,9\n10,2\n11,3\n", "by its name"),
    ("patient_id,b", "7,1\n3,4\n9,9\n10,2\n11,3\n", "by its name"),
])  # fmt: skip
def test_a_column_that_looks_like_an_identifier_is_warned_of(tmp_path, header, rows, why):
    table = read(tmp_path, f"{header}\n{rows}")
    name = header.split(",")[0]
    assert table.said == (
        f"Warning: column {name!r} looks like an identifier ({why}) and is fitted; --id {name} "
        "keeps it without fitting it.",
    )
    assert read(tmp_path, f"{header}\n{rows}", id=name).said == ()
    assert read(tmp_path, f"{header}\n{rows}", columns=("b",)).said == ()


@pytest.mark.parametrize("name", ["idle", "indexed", "width", "liquid", "valid", "humid"])
def test_words_with_id_in_them_are_no_identifiers(tmp_path, name):
    assert read(tmp_path, f"{name},b\n7,1\n3,4\n9,9\n10,2\n11,3\n").said == ()


def test_a_file_without_names_is_read_from_its_first_line(tmp_path):
    rows = read(tmp_path, "5.1,3.5\n4.9,3.0\n4.7,3.2\n", header=False).observations
    assert rows.names == ("x0", "x1") and rows.values[0].tolist() == [5.1, 3.5]


@pytest.mark.parametrize(("options", "words"), [
    ({"sep": "ab"}, "--sep must be one character"),
    ({"encoding": "utf-0"}, "--encoding 'utf-0' is not known"),
    ({"decimal": ";"}, "--decimal must be . or ,"),
    ({"thousands": "x"}, "--thousands must be one of"),
    ({"thousands": ",", "decimal": ","}, "are both ','"),
    ({"missing": True, "drop_na": True}, "give one of them"),
    ({"id": "a", "columns": ("a",)}, "--columns names it as well"),
])  # fmt: skip
def test_options_that_contradict_each_other_are_refused(options, words):
    with pytest.raises(bg.SpecError, match=None) as caught:
        TableOptions(**options)
    assert words in str(caught.value) and str(caught.value).endswith(".")


def test_an_identifier_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(bg.DataError, match="no column 'nr'"):
        read(tmp_path, "a,b\n1,2\n3,4\n", id="nr")


# Other kinds of file --------------------------------------------------------------


@pytest.fixture
def frame():
    found = bg.datasets.faithful().to_pandas()[:40].reset_index(drop=True)
    found.insert(0, "name", [f"e{i}" for i in range(40)])
    found.loc[3, "waiting"] = np.nan
    return found


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_parquet_and_arrow_are_read_with_their_types(tmp_path, frame, ending):
    path = tmp_path / f"d.{ending}"
    getattr(frame, f"to_{ending}")(path)
    with pytest.raises(bg.DataError) as caught:
        read_table(str(path), TableOptions())
    assert caught.value.problems == (
        "column 'name': text in every row, first 'e0' in row 0",
        "column 'waiting': no value in 1 of 40 rows, first in row 3",
    )
    assert caught.value.command == (f"bayesgmm select {path} --columns eruptions,waiting --missing")
    table = read_table(str(path), TableOptions(columns=("eruptions", "waiting"), missing=True))
    np.testing.assert_array_equal(
        table.observations.values, frame[["eruptions", "waiting"]].to_numpy()
    )
    assert list(table.own_rows())[3] == ["e3", str(frame["eruptions"][3]), ""]


def test_netcdf_is_read_by_variable_and_as_one_table(tmp_path):
    X = bg.datasets.faithful()
    X.to_netcdf(tmp_path / "one.nc", engine="h5netcdf")
    X.to_dataset("feature").to_netcdf(tmp_path / "many.nc", engine="h5netcdf")
    for name in ("one.nc", "many.nc"):
        options = TableOptions(columns=("eruptions", "waiting"))
        found = read_table(str(tmp_path / name), options).observations
        np.testing.assert_array_equal(found.values, X.values)


def test_a_fit_is_no_data(tmp_path, main):
    path = bg.fit(bg.MixtureSpec(1), bg.datasets.galaxies(), seed=1).save(tmp_path / "fit.nc")
    code, _, err = main("select", str(path))
    assert code == 2 and "is a saved fit and no data" in err


def test_what_is_no_parquet_is_refused(tmp_path):
    with pytest.raises(bg.DataError, match="cannot be read"):
        read(tmp_path, b"PAR1 and then nothing")


def test_standard_input_is_a_file(monkeypatch, main):
    text = bg.datasets.faithful().to_pandas().to_csv(index=False, sep=";", decimal=",")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    code, out, err = main("select", "-", "-k", "1", "--posteriors", "0")
    assert code == 0 and "-1289.80" in out
    assert err == "'-' is read with semicolons between fields and decimal commas.\n"


def test_data_sets_that_ship_are_known_by_name_without_being_loaded():
    assert SHIPPED == NAMES
    rows = read_table("galaxies", TableOptions()).observations
    np.testing.assert_array_equal(rows.values, bg.datasets.galaxies().values)


def test_pandas_reads_what_pandas_wrote_with_its_index(tmp_path):
    pd.DataFrame({"a": [1.5, 2, 4], "b": [2, 5, 3.5]}).to_csv(tmp_path / "i.csv")
    with pytest.raises(bg.DataError) as caught:
        read_table(str(tmp_path / "i.csv"), TableOptions())
    assert caught.value.problems == ("column 1: no name",)
    assert caught.value.command.endswith("i.csv --columns a,b")
