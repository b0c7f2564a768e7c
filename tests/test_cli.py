"""The command line as a user meets it: table, JSON, CSV files, errors in one line."""

import json
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

import bayesgmm as bg
from bayesgmm.interface import cli

FAST = ["--posteriors", "0", "-k", "2", "--covariances", "full,tied"]


def run(*arguments):
    return CliRunner().invoke(cli.app, list(arguments))


def test_table_and_verdict():
    result = run("select", "faithful", *FAST)
    assert result.exit_code == 0, result.output
    for words in ("K=2, full", "-1130.26", "2322.19", "converged", "BIC prefers K=2, full"):
        assert words in result.output
    assert max(map(len, result.output.splitlines())) <= 120


def test_json_holds_the_whole_table_and_nothing_else():
    result = run(
        "select", "galaxies", "-k", "3", "--covariances", "full", "--posteriors", "1",
        "--draws", "200", "--json",
    )  # fmt: skip
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
    (["faithful", "--by", "luck"], "by must be one of"),
    (["faithful", "--covariances", "round"], "covariance must be one of"),
])  # fmt: skip
def test_errors_are_one_line_and_exit_code_two(arguments, words):
    done = subprocess.run(
        [sys.executable, "-c", "from bayesgmm.interface.cli import main; main()", "select",
         *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_text_columns_are_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,x\n2,y\n")
    with pytest.raises(bg.DataError, match="Column 'b' hold"):
        cli._read(str(path), "")


def test_import_is_light():
    """Less than 0.2 s above NumPy's, and none of the heavy packages."""
    code = (
        "import sys, time; import numpy; t = time.perf_counter(); import bayesgmm; "
        "print(time.perf_counter() - t); "
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
        time.sleep(0.1)
    assert sorted(took)[1] < 0.2


def test_public_names_exist_and_are_listed():
    for name in bg.__all__:
        assert getattr(bg, name) is not None
    assert set(bg.__all__) == set(dir(bg))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = bg.nonsense
