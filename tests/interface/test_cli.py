"""The command line as a user meets it: table, JSON, CSV files, errors in one line."""

import dataclasses
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import bayesgmm as bg
from bayesgmm.analysis.selection import candidates
from bayesgmm.analysis.selection.select import CRITERIA
from bayesgmm.interface import cli
from bayesgmm.interface.csv_file import listed, read_csv, read_table
from bayesgmm.interface.selection_table import selection_table
from bayesgmm.interface.table_options import TableOptions

FAST = ["--posteriors", "0", "-k", "2", "--covariances", "full,tied"]


def run(*arguments):
    return CliRunner().invoke(cli.app, list(arguments))


@pytest.fixture
def main(monkeypatch, capsys):
    """The command as it is installed: exit code, output and errors."""

    def called(*arguments):
        monkeypatch.setattr(sys, "argv", ["bayesgmm", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *capsys.readouterr()

    return called


@pytest.fixture
def nothing_fitted(monkeypatch):
    monkeypatch.setattr(candidates, "fitted", lambda *_, **__: pytest.fail("a model was fitted"))


def test_table_and_verdict():
    result = run("select", "faithful", *FAST)
    assert result.exit_code == 0, result.output
    for words in ("K=2, full", "-1130.26", "2322.19", "converged", "BIC prefers K=2, full"):
        assert words in result.output
    assert max(map(len, result.output.splitlines())) <= 120


def test_json_holds_the_whole_table_and_nothing_else():
    result = run(
        "select",
        "galaxies",
        "-k",
        "3",
        "--covariances",
        "full",
        "--posteriors",
        "1",
        "--draws",
        "200",
        "--json",
    )
    content = json.loads(result.stdout)
    assert content["data"] == "galaxies"
    assert content["models"][0]["model"] == "K=3, full"
    assert content["models"][0]["elpd_loo"] is not None
    assert content["models"][1]["elpd_loo"] is None
    assert "verdict" in content


def test_csv_files_and_columns(tmp_path):
    path = tmp_path / "geyser.csv"
    frame = bg.datasets.faithful().to_pandas()
    frame.assign(note="text").to_csv(path, index=False)
    result = run("select", str(path), "--columns", "waiting", *FAST)
    assert result.exit_code == 0, result.output
    assert "1 feature" in result.output


@pytest.mark.parametrize(("arguments", "words"), [
    (["nowhere.csv"], "There is no file 'nowhere.csv'"),
    (["faithful", "--columns", "colour"], "There is no column 'colour'"),
    (["faithful", "--columns", "Waitin"], "and the closest is 'waiting'; choose among"),
    (["faithful", "--columns", "waiting,waiting"], "'waiting' is asked for twice"),
    (["faithful", "--columns", "[/b]"], "There is no column '[/b]' in 'faithful'"),
    (["faithful", "--columns", " ,"], "There is no column name in ' ,'"),
    (["faithful", "--columns", '"a'], "names '\"a' cannot be read"),
    (["faithful", "--covariances", "round"], "covariance must be one of"),
    (["faithful", "--covariances", ""], "There is no model to fit"),
    (["faithful", "-k", "273"], "'faithful' has 272 rows; give at most 272."),
])  # fmt: skip
def test_errors_are_one_line_and_exit_code_two(arguments, words, main, nothing_fitted):
    code, out, err = main("select", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.startswith("Error: ") and err.endswith(".\n") and err.count("\n") == 1


@pytest.mark.parametrize(("option", "value", "known"), [
    ("--by", "luck", "'bic', 'aic', 'icl', 'loo', 'evidence', 'all'"),
    ("--engine", "zzz", "'bayesgmm', 'pymc'"),
    ("--engine", "[/b]", "'bayesgmm', 'pymc'"),
    ("-k", "0", "1"),
    ("-k", "many", "integer"),
    ("--posteriors", "-1", "0"),
    ("--draws", "9", "10"),
    ("--seed", "-1", "0"),
])  # fmt: skip
def test_values_of_options_are_checked_before_anything_is_fitted(
    option, value, known, main, nothing_fitted
):
    code, out, err = main("select", "faithful", option, value)
    assert (code, out) == (2, "")
    assert option in err and "Invalid value" in err
    words = " ".join(err.replace("│", " ").split())
    assert known in words
    assert value in words or value in ("0", "many", "-1", "9")


def test_choices_on_the_command_line_are_those_of_select():
    assert cli.Criterion.__args__ == tuple(CRITERIA)


def test_exit_codes_are_in_the_help():
    assert "Exit status: 0 with a table; 2 if" in " ".join(run("select", "--help").output.split())


# Files ------------------------------------------------------------------------


def refused(tmp_path, content, *wanted):
    """The error of a file of this text or these bytes."""
    path = tmp_path / "d.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(bg.DataError) as caught:
        read_csv(str(path), wanted)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message and repr(str(path)) in message
    return caught.value


@pytest.mark.parametrize(("content", "said", "options", "header"), [
    ("a;b\n1,5;2\n2,5;3\n", "semicolons between fields and decimal commas",
     {"sep": ";", "decimal": ","}, ("a", "b")),
    ("a;b\n1.5;2\n2.5;3\n", "semicolons between fields", {"sep": ";"}, ("a", "b")),
    ("a\tb\n1,5\t2\n2,5\t3\n", "tabs between fields and decimal commas",
     {"sep": "\t", "decimal": ","}, ("a", "b")),
    ("a|b\n1|2\n2|3\n", "vertical bars between fields", {"sep": "|"}, ("a", "b")),
    ("a b\n1  2\n2 3 \n", "spaces between fields", {"sep": r"\s+"}, ("a", "b")),
    # Commas in names and numbers make as many fields in every line, of which few are numbers.
    ('length, cm;width, cm\n1,5;2,5\n2,5;3,5\n',
     "semicolons between fields and decimal commas",
     {"sep": ";", "decimal": ","}, ("length, cm", "width, cm")),
    # A first line for Excel.
    ("sep=;\na;b\n1,5;2\n2,5;3\n", "semicolons between fields and decimal commas",
     {"sep": ";", "decimal": ",", "skiprows": 1}, ("a", "b")),
    ('"a" "b"\n"1" 3.6 79\n"2" 1.8 54\n', "spaces between fields", {"sep": r"\s+"},
     ("a", "b")),  # R's write.table
])  # fmt: skip
def test_another_separator_is_found_and_said(tmp_path, content, said, options, header):
    import pandas as pd

    path = tmp_path / "d.csv"
    path.write_text(content)
    table = read_table(str(path), TableOptions())
    assert table.said[0] == f"{str(path)!r} is read with {said}."
    assert table.observations.names == header
    expected = pd.read_csv(path, **options)
    assert expected.shape == (2, 2)
    np.testing.assert_array_equal(table.observations.values, expected.to_numpy())


def test_a_first_line_of_numbers_is_refused_with_another_separator_too(tmp_path, main):
    error = refused(tmp_path, "sep=;\n1,5;2\n2,5;3\n")
    path = str(tmp_path / "d.csv")
    assert "line 2: numbers (1,5, 2)" in str(error)
    assert error.command == f"bayesgmm select {path} --no-header"
    read = read_table(path, TableOptions(header=False)).observations
    assert (read.names, read.values.tolist()) == (("x0", "x1"), [[1.5, 2], [2.5, 3]])


@pytest.mark.parametrize("content", [
    'name;unit,b c,d|e\n1,2,3\n2,4,5\n',
    "when it was,x\n1,3\n2,4\n",
    "a\n1\n2\n",
])  # fmt: skip
def test_other_separators_in_names_are_names(tmp_path, content):
    path = tmp_path / "d.csv"
    path.write_text(content)
    assert read_csv(str(path)).names == tuple(content.splitlines()[0].split(","))


def test_decimal_commas_without_another_separator_are_refused(tmp_path):
    error = refused(tmp_path, "a\n1,5\n2,5\n")
    told, path = str(error), str(tmp_path / "d.csv")
    assert "line 2: 2 fields where the header has 1, and 2 lines in all" in told
    assert "decimal points, not commas" in told
    assert error.command == f"bayesgmm select {path} --decimal ,"
    found = read_table(path, TableOptions(decimal=",")).observations
    assert found.values.tolist() == [[1.5], [2.5]]
    told = str(refused(tmp_path, 'a,b\n"1,5",3.5\n"1,234",4\n'))  # beside a decimal point
    assert "column 'a': thousands apart by ',' in 1 of 2 rows, first '1,234' in line 3" in told
    assert "a comma inside the number in 1 of 2 rows, first '1,5' in line 2" in told


def test_decimal_commas_in_quotes_are_read_where_nothing_else_can_be_meant(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text('a,b\n"1,5",3\n"1,234",4\n')
    table = read_table(str(path), TableOptions())
    assert table.observations.values.tolist() == [[1.5, 3], [1.234, 4]]
    assert table.said == (f"{str(path)!r} is read with decimal commas.",)


def test_a_first_line_of_numbers_is_refused_and_so_loses_no_row(tmp_path):
    told = str(refused(tmp_path, "5.1,3.5\n4.9,3.0\n4.7,3.2\n"))
    assert "line 1: numbers (5.1, 3.5) and not the names of the columns" in told
    assert "such as x0,x1" in told
    told = str(refused(tmp_path, "# made by x\n# a,b\n1,2\n3,4\n"))  # as numpy.savetxt writes it
    assert "line 3: numbers (1, 2)" in told and "comment above" in told
    one = refused(tmp_path, "1,x\n2,y\n", "1", "x")  # names that are numbers in part are names
    assert "one row of data, where at least two" in str(one)


def test_repeated_names_are_refused_where_they_are_asked_for(tmp_path):
    content = "a,b, a\n1,2,3\n2,3,4\n3,5,9\n"
    error = refused(tmp_path, content)
    assert error.problems == ("columns 1 and 3: both named 'a'",)
    assert error.command.endswith("d.csv --columns b")
    refused(tmp_path, content, "a")
    assert read_csv(str(tmp_path / "d.csv"), ["b"]).values.ravel().tolist() == [2, 3, 5]


MANY = (
    'id,,name,[/b],c,d,e,"length, cm",-x\n'
    "1,1,x,1.5,7,1,inf,2,1\n"
    '2,2,"y\nz",,7,"1,5",2,3,1\n'
    "3,3,1_000,NA,7,2,3,4,1\n"
    "5,4,z,3,7,2,1e999,7,2\n"
)


def test_every_problem_of_a_file_is_in_one_message_with_a_command_that_works(
    tmp_path, main, nothing_fitted
):
    error = refused(tmp_path, MANY)
    assert error.problems == (
        "column 2: no name",
        "column 'name': text in every row, first 'x' in line 2",
        "column '[/b]': no value in 2 of 4 rows, first in line 3",
        "column 'c': constant, 7 in every row",
        "column 'd': a comma inside the number in 1 of 4 rows, first '1,5' in line 3",
        "column 'e': an infinite value in 2 of 4 rows, first 'inf' in line 2",
    )
    assert all(problem in str(error) for problem in error.problems)
    path = str(tmp_path / "d.csv")
    code, out, err = main("select", path)
    assert (code, out) == (2, "")
    first, *problems, remedy, command = err.splitlines()
    assert first == f"Error: {path!r} cannot be used as it is:"
    assert problems == [f"  {problem}" for problem in error.problems]
    assert remedy == "Mend the file or choose the columns that are right:"
    assert command == (
        f"  bayesgmm select {path} --id id --columns '[/b],\"length, cm\",-x' --missing"
    )
    found = read_csv(path, listed('[/b],"length, cm",-x'), missing=True)
    assert found.names == ("[/b]", "length, cm", "-x")
    assert read_csv(path, listed('id,"length, cm",-x')).names == ("id", "length, cm", "-x")


def test_lines_of_the_wrong_length_are_counted_and_the_first_is_named(tmp_path):
    error = refused(tmp_path, "a,b\n\n1,2\n3\n4,x\n6,7,8\n")
    assert error.problems == (
        "line 4: 1 field where the header has 2, and 2 lines in all differ from it",
        "column 'b': text in 1 of 2 rows, first 'x' in line 5",
    )
    assert str(error).endswith("--columns a).")
    assert "mend the lines first" in str(error)


def test_problems_of_columns_that_are_not_asked_for_do_not_matter(tmp_path):
    (tmp_path / "d.csv").write_text(MANY)
    found = read_csv(str(tmp_path / "d.csv"), ["length, cm", "id"])
    assert found.values.tolist() == [[2, 1], [3, 2], [4, 3], [7, 5]]
    error = refused(tmp_path, MANY, "id", "name")
    assert len(error.problems) == 1 and error.command.endswith("--columns id")
    assert refused(tmp_path, MANY, "name").command.count(",") == 3  # all that are right
    assert refused(tmp_path, "a,b\nx,y\nz,\n").command is None


def test_a_hundred_bad_columns_are_counted(tmp_path):
    names = ",".join(f"c{j}" for j in range(100))
    error = refused(tmp_path, f"{names}\n" + 2 * (",".join("x" * 100) + "\n"))
    assert len(error.problems) == 13 and error.problems[-1] == "88 more columns like these"


@pytest.mark.parametrize(("content", "words"), [
    (b"", "has no data"),
    (b"\n \n# note\n", "has no data"),
    (b"a,b\n", "no rows of data, where at least two"),
    (b"a,b\n1,\x00\n", "a binary file and no CSV"),
    (b"PK\x03\x04", "a zip archive or an Excel workbook and no CSV"),
    ("a,b\n1,2\n".encode("utf-16"), "UTF-16 text and no CSV"),
    ("a,b\n1,é\n".encode("latin-1"), "not in UTF-8 (byte 0xe9 in line 2)"),
    (b'a,b\n1,2\n3,"4\n', "cannot be read as CSV from line 3 on"),
])  # fmt: skip
def test_what_is_no_csv_is_refused(tmp_path, content, words):
    assert words in str(refused(tmp_path, content))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(bg.DataError, match="is a folder; give the path of a CSV file"):
        read_csv(str(tmp_path))
    with pytest.raises(bg.DataError, match="cannot be read"):
        read_csv("n" * 5000)


@pytest.mark.parametrize("content", [
    b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n3,4.5\r\n",
    b'# by hand\n\n"a", "b"\n 1 ,"2"\n3,4.5',
    b"a,b\r1,2\r3,4.5\r",
])  # fmt: skip
def test_marks_quotes_comments_and_line_ends_are_read(tmp_path, content):
    import gzip

    (tmp_path / "d.csv").write_bytes(content)
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(content))
    for name in ("d.csv", "d.csv.gz"):
        found = read_csv(str(tmp_path / name))
        assert found.names == ("a", "b")
        assert found.values.tolist() == [[1, 2], [3, 4.5]]


def test_numbers_are_read_to_the_last_digit(tmp_path):
    frame = bg.datasets.faithful().to_pandas() / 3
    frame.to_csv(tmp_path / "d.csv", index=False)
    np.testing.assert_array_equal(read_csv(str(tmp_path / "d.csv")).values, frame.to_numpy())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a folder closed to all")
def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_fitted(
    main, nothing_fitted
):
    code, _, err = main("select", "faithful", "--out", "/proc")
    assert code == 2 and "'/proc' cannot be a folder of fits" in err


# What is printed --------------------------------------------------------------

ODD = ("[/b]", "[red]x", "a\nb", ":smile:")


def test_names_that_look_like_markup_are_printed_as_they_are(tmp_path, main):
    x = np.random.default_rng(1).normal(size=(30, 4))
    path = tmp_path / "[bold]d[i]:smile:\n.csv"
    header = ",".join(f'"{name}"' for name in ODD)
    np.savetxt(path, x, delimiter=",", header=header, comments="", fmt="%.3f")
    code, out, err = main(
        "select", str(path), "-k", "1", "--covariances", "diag", "--posteriors", "0"
    )
    assert (code, err) == (0, "")
    assert out.startswith(f"{tmp_path}/[bold]d[i]:smile:\\n.csv: 30 rows, 4 features\n")
    _, _, err = main("select", str(path), "--columns", "[/i]")
    assert "no column '[/i]'" in err and "'[red]x', 'a\\nb', ':smile:'." in err


def test_an_output_of_few_characters_loses_none(main, monkeypatch):
    """Where the plus-minus sign is unknown."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    code, _, err = main("select", "galaxies", "-k", "1", "--posteriors", "0")
    output.flush()
    assert (code, err) == (0, "")
    assert b"log evidence (\\xb1 their" in output.buffer.getvalue()


def test_reasons_that_look_like_markup_are_printed_as_they_are(few):
    table = few.table.assign(status="Column '[/b]' is constant.")
    chosen = dataclasses.replace(few, table=table)
    assert "Column '[/b]' is constant." in shown(chosen, 200)


@pytest.fixture(scope="module")
def few(faithful):
    return bg.select(faithful, [1, 2], ["full", "tied", "spherical"], posteriors=0, seed=1)


def shown(chosen, width):
    console = Console(file=io.StringIO(), width=width)
    table, left_out = selection_table(chosen, console)
    console.print(table)
    return console.file.getvalue() + str(left_out)


@pytest.mark.parametrize("width", [112, 80, 60, 40])
def test_a_narrow_terminal_has_fewer_columns_and_no_number_cut(few, width):
    text = shown(few, width)
    assert "…" not in text
    assert max(map(len, text.splitlines()[:-1])) <= width
    for label, row in few.table.iterrows():
        assert f"{label}  " in text and f"{row['bic']:.2f}" in text
    assert ("'AIC'" in text) == (width < 80)
    assert "elpd_loo" not in text  # nothing was sampled
    shown(few, 5)


def test_a_model_by_two_names_is_one_row_and_is_told(main):
    code, out, _ = main("select", "galaxies", "-k", "2", "--posteriors", "0")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if "converged" in line] == ["K=2,"] * 2 + [
        "K=1,"
    ]
    words = " ".join(out.split())
    assert "full = diag = spherical at K = 2; full = tied = diag = spherical at K = 1." in words


def test_import_is_light():
    """Less than 0.2 s of computing above NumPy's, whatever else runs, and no heavy package."""
    code = (
        "import sys, time; import numpy; t = time.process_time(); import bayesgmm; "
        "print(time.process_time() - t); "
        "print([m for m in ('pymc', 'arviz', 'sklearn', 'matplotlib', 'numba', 'xarray', "
        "'pandas') if m in sys.modules])"
    )
    took = []
    for _ in range(3):
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        took.append(float(out[0]))
        assert out[1] == "[]"
    assert min(took) < 0.2


def test_public_names_exist_and_are_listed():
    for name in bg.__all__:
        assert getattr(bg, name) is not None
    assert set(bg.__all__) == set(dir(bg))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = bg.nonsense


def test_missing_values_are_refused_with_the_command_that_takes_them(tmp_path, main):
    path = tmp_path / "holes.csv"
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 2)) + np.repeat([[0.0], [6.0]], 20, axis=0)
    lines = [f"{a:.3f},{b:.3f}" for a, b in x]
    lines[3] = f"{x[3, 0]:.3f},"
    lines[7] = f"NA,{x[7, 1]:.3f}"
    path.write_text("a,b\n" + "\n".join(lines) + "\n")
    with pytest.raises(bg.DataError, match="no value in 1 of 40 rows") as caught:
        read_csv(str(path))
    assert caught.value.command == f"bayesgmm select {path} --missing"
    rows = read_csv(str(path), missing=True)
    assert rows.n_unseen == 2 and np.isnan(rows.values[3, 1])
    code, out, _ = main("select", str(path), "--missing", "--noise", "-k", "2", "--posteriors", "0")
    assert code == 0 and "K=2" in out and "noise" in out
    path.write_text("a,b\n1,\n2,\n3,\n")
    with pytest.raises(bg.DataError, match="no value in every row"):
        read_csv(str(path), missing=True)
