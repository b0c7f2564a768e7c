"""What the command line refuses, what it leaves on a disk, and how it looks on a narrow screen."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

import bayesgmm as bg
from bayesgmm.interface import cli
from bayesgmm.interface.commands import output
from bayesgmm.interface.commands.terminal import console_of, print_table, tell
from tests.interface.test_cli import main
from tests.interface.test_cli_fits import here, saved, table

__all__ = ["here", "main", "saved"]


# What is refused --------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "words"), [
    (["show", "nowhere.nc"], "There is no file 'nowhere.nc'; make a fit by bayesgmm fit"),
    (["show", "text.csv"], "'text.csv' could not be read"),
    (["fit", "faithful", "-k", "2", "--out", "fit.txt"], "end it in .nc or .zarr"),
    (["fit", "faithful", "-k", "2", "--draws", "5"], "method='em' has no option 'draws'"),
    (["fit", "faithful", "-k", "2", "--out", "no/fit.nc"], "The folder 'no' does not exist"),
    (["fit", "faithful", "-k", "2", "--out", "dir.nc"], "is no regular file"),
    (["fit", "faithful", "-k", "2", "--out", "dir.zarr"], "is a folder and no saved fit"),
    (["select", "faithful", "-k", "1", "--best", "dir.zarr"], "is a folder and no saved fit"),
    (["generate", "{em}", "--out", "new.xlsx"], "end it in .csv, .tsv, .txt, .parquet"),
    (["generate", "{em}", "--out", "dir.csv"], "'dir.csv' exists and is no regular file"),
    (["predict", "{em}", "text.csv", "--out", "text.csv"], "is the file that is read"),
    (["predict", "{em}", "faithful", "--columns", "a", "--out", "-"], "leave --columns out"),
    (["condition", "{em}", "--given", "waiting"], "write it as waiting=60"),
    (["condition", "{em}", "--given", "weight=6"], "There is no feature 'weight'"),
    (["condition", "{em}", "--given", "waiting=6", "--quantiles", "2"], "between 0 and 1"),
    (["condition", "{em}", "--given", "waiting=6", "-n", "2"], "give both or neither"),
    (["condition", "{em}", "--given", "waiting=6", "--given", "eruptions=1"], "Every feature is"),
    (["outliers", "{em}", "--rate", "2"], "rate must be"),
    (["plot", "{em}", "--out", "p.docx"], "end it in .png"),
    (["plot", "{em}", "--features", "weight", "--out", "p.png"], "weight"),
    (["datasets", "--out", "a.csv"], "name it, as"),
    (["datasets", "faithful", "--out", "a.csv", "--json"], "--json prints a list; give one"),
    (["condition", "{em}", "--given", "waiting=6", "-n", "2", "--out", "a.csv", "--json"],
     "--json is of an answer; give one"),
    (["outliers", "{em}", "--id", "name"], "--id is of a table, and the rows are the fitted ones"),
    (["predict", "{em}", "--columns", "a", "--missing", "--out", "-"],
     "--columns, --missing are of a table, and the rows are the fitted ones; leave them out"),
    (["report", "{em}", "--sep", "tab", "--by", "bic", "-k", "5", "--out", "r.html"],
     "--sep, --by, --max-components are of data to be fitted"),
])  # fmt: skip
def test_refusals_are_one_sentence_and_write_nothing(arguments, words, main, here, saved):
    Path("text.csv").write_text("eruptions,waiting\n1,2\n3,4\n")
    Path("dir.csv").mkdir()
    Path("dir.nc").mkdir()
    Path("dir.zarr").mkdir()
    before = sorted(os.listdir())
    code, out, err = main(*(a.replace("{em}", str(saved / "em.nc")) for a in arguments))
    assert (code, out) == (2, "")
    assert words in err and err.startswith("Error: ") and err.endswith(".\n")
    assert err.count("\n") == 1
    assert sorted(os.listdir()) == before


def test_an_answer_is_not_lost_to_a_file_that_cannot_be_written(main, here, monkeypatch):
    for name in ("fit.NC", "fit.ZARR"):
        assert main("fit", "galaxies", "-k", "1", "--out", name)[0] == 0
        assert main("show", name)[0] == 0

    def full(*_):
        raise bg.FileError("The disk is full; make room.")

    monkeypatch.setattr(bg.MixtureFit, "save", full)
    code, out, err = main("fit", "galaxies", "-k", "1", "--out", "new.nc")
    assert code == 2 and "log-likelihood" in out and err == "Error: The disk is full; make room.\n"
    command = ["select", "galaxies", "-k", "1", "--posteriors", "0", "--best", "new.nc"]
    code, out, _ = main(*command)
    assert code == 2 and "BIC" in out


def test_what_was_there_stays_where_writing_fails(here):
    Path("out.csv").write_text("before")

    def rows():
        yield [1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        output.write_rows("out.csv", ["a"], rows())
    assert Path("out.csv").read_text() == "before" and os.listdir() == ["out.csv"]
    os.chmod("out.csv", 0o640)
    os.symlink("out.csv", "link.csv")
    output.write_rows("link.csv", ["a"], [[1.5]], output.Manner(";", ","))
    assert Path("out.csv").read_text() == "a\n1,5\n" and Path("link.csv").is_symlink()
    assert Path("out.csv").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name != "posix", reason="needs numbers of processes")
def test_what_a_writer_left_that_was_killed_is_cleared_away(here):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    Path(f".out.writing-{ended.pid}.csv").touch()
    Path(f".out.writing-{os.getppid()}.csv").touch()  # somebody is at it
    output.write_rows("out.csv", ["a"], [[1.5]])
    assert sorted(os.listdir()) == [f".out.writing-{os.getppid()}.csv", "out.csv"]


def test_a_fit_that_did_not_end_well_says_so_whatever_is_asked(main, here):
    X = bg.datasets.faithful()
    with pytest.warns(bg.FitWarning):
        fit = bg.fit(bg.MixtureSpec(3), X, seed=1, max_iter=1, rounds=0, accelerate=False)
    fit.save("fit.nc")
    _, _, err = main("generate", "fit.nc", "-n", "2", "--out", "-")
    assert err.startswith("Warning: what this fit says is uncertain, for the fit is 'iteration")
    assert main("show", "fit.nc")[2] == ""


def test_rows_that_were_left_out_do_not_shift_the_others(main, here):
    frame = bg.datasets.faithful().to_pandas()
    frame.iloc[2, 0] = np.nan
    frame.to_csv("in.csv", index=False)
    code, _, err = main("fit", "in.csv", "-k", "1", "--drop-na", "--out", "fit.nc")
    assert code == 0 and "1 of 272 rows with empty fields are left out." in err
    _, out, _ = main("predict", "fit.nc", "--out", "-")
    assert table(out)["row"].tolist()[:3] == ["0", "1", "3"]
    _, out, _ = main("predict", "fit.nc", "in.csv", "--drop-na", "--out", "-")
    assert len(table(out)) == 271 and table(out)["eruptions"][2] == "2.283"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/null")
def test_a_device_is_not_replaced():
    with pytest.raises(bg.FileError, match="does not say what to write"):
        output.checked("/dev/null", output.TABLES)
    assert not Path("/dev/null").is_file()


def test_an_interrupt_says_what_is_kept(main, here, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bayesgmm.analysis.selection.candidates.fitted", stopped)
    code, _, err = main("select", "galaxies", "-k", "1", "--posteriors", "0", "--out", "kept")
    assert code == 130 and err.splitlines()[-2:] == [
        "Fits that were finished are in 'kept', and the same command goes on there.",
        "Interrupted; nothing half-written is left.",
    ]


# Screens ------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 50, 30])
def test_tables_of_a_narrow_screen_lose_columns_and_no_digits(monkeypatch, capsys, width):
    columns = {f"column {j}": [f"{j}2345.678", f"-{j}.5"] for j in range(8)}
    console = console_of()
    console.width = width
    print_table(console, columns, list(columns)[-2:0:-1])
    out = capsys.readouterr().out
    assert "…" not in out and "column 0" in out and "column 7" in out
    assert max(map(len, out.splitlines())) <= max(width, 26)
    assert "Not shown" in out


COMMANDS = ("", "select", "fit", "predict", "generate", "condition", "outliers", "impute", "plot",
            "report", "show", "datasets")  # fmt: skip


@pytest.mark.parametrize("width", [100, 80, 60, 50, 40, 30])
def test_help_cuts_no_word_of_a_narrow_screen(monkeypatch, main, width):
    monkeypatch.setenv("COLUMNS", str(width))
    wanted = {
        name: command.get_short_help_str(10_000)
        for name, command in typer.main.get_command(cli.app).commands.items()
    }
    assert set(wanted) == {*COMMANDS} - {""}
    for command in COMMANDS:
        code, out, _ = main(*([command] if command else []), "--help")
        said = " ".join(out.split())
        assert code == 0 and max(map(len, out.splitlines())) <= width, command
        # Only where there may be more of the same.
        plain = said.replace("[ARGS]...", "").replace("x0, x1, ...", "")
        assert "…" not in plain and "..." not in plain, command
        assert "--help Show this message and exit." in said
        if not command:
            for name, sentence in wanted.items():
                assert f"{name} {sentence}" in said
    said = " ".join(main("fit", "--help")[1].split())
    assert "-k, --components" in said
    assert "full, tied, diag, tied-diag, spherical, tied-spherical." in said


@pytest.mark.skipif(os.name != "posix", reason="a terminal is made as POSIX has it")
@pytest.mark.parametrize("width", [120, 72, 30])
def test_help_of_a_terminal_fits_it(width):
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", HELP, "select", "--help"], stdin=theirs, stdout=theirs,
        stderr=theirs, env={**os.environ, "COLUMNS": str(width), "NO_COLOR": "1"}, close_fds=True,
    ):  # fmt: skip
        os.close(theirs)
        out = b""
        while part := _read(ours):
            out += part
    os.close(ours)
    page = re.sub(r"\x1b\[[0-9;]*m", "", out.decode())
    assert max(map(len, page.splitlines())) <= width and "…" not in page
    assert ("╭" in page) == (width >= 72)
    assert "--max-components" in page


def _read(end):
    try:
        return os.read(end, 65_536)
    except OSError:  # on Linux what is closed at the other end
        return b""


def test_a_width_that_is_asked_for_holds_in_a_pipe_too(monkeypatch, capsys):
    columns = {f"column {j}": [f"{j}2345.678", f"-{j}.5"] for j in range(8)}
    for asked, widest in (("40", 40), ("", 112)):
        monkeypatch.setenv("COLUMNS", asked)
        print_table(console_of(), columns, list(columns)[-2:0:-1])
        tell(["One sentence that is longer than forty columns, and so in a pipe one line or two."])
        out, err = capsys.readouterr()
        assert max(map(len, out.splitlines())) <= widest
        assert ("Not shown" in out) == (asked == "40")
        assert (len(err.splitlines()) > 1) == (asked == "40")
        assert max(map(len, err.splitlines())) <= 2 * widest


HELP = "import sys; sys.argv[0] = 'bayesgmm'; from bayesgmm.interface.cli import main; main()"


def test_help_waits_for_no_heavy_package():
    code = (
        "import time; t = time.process_time(); import sys, bayesgmm.interface.cli as cli; "
        "from typer.testing import CliRunner; r = CliRunner().invoke(cli.app, ['--help']); "
        "assert r.exit_code == 0; print(time.process_time() - t); "
        "print([m for m in ('numpy', 'pandas', 'xarray', 'numba', 'matplotlib', 'scipy') "
        "if m in sys.modules])"
    )
    took = []
    for _ in range(2):
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        took.append(float(out[0]))
        assert out[1] == "[]"
    assert min(took) < 0.3


def test_completion_is_offered(main):
    assert "--install-completion" in main("--help")[1]
