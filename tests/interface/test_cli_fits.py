"""One saved fit on the command line: labels, new rows, answers, pictures, and what is refused."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesgmm as bg
from bayesgmm.interface.commands import fitting
from bayesgmm.interface.commands.terminal import number
from bayesgmm.methods import METHODS
from bayesgmm.model.structure import STRUCTURES
from tests.interface.test_cli import main
from tests.interface.test_cli_files import messy

__all__ = ["main"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A point, a posterior, and one with noise and holes, by name."""
    folder = tmp_path_factory.mktemp("fits")
    X = bg.datasets.faithful()
    bg.fit(bg.MixtureSpec(2), X, seed=1).save(folder / "em.nc")
    bg.fit(bg.MixtureSpec(2), X, method="laplace", draws=200, seed=1).save(folder / "draws.nc")
    rng = np.random.default_rng(1)
    strays = rng.uniform([0, 20], [8, 120], (15, 2))
    mixed = pd.DataFrame(np.concatenate([X.values, strays]), columns=["eruptions", "waiting"])
    mixed.loc[5, "waiting"] = np.nan
    rows = bg.Observations(mixed, missing="marginal")
    bg.fit(bg.MixtureSpec(2, noise=True), rows, method="map", seed=1).save(folder / "noise.nc")
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(out):
    return pd.read_csv(io.StringIO(out), dtype=str, keep_default_na=False)


def test_choices_are_those_of_the_library():
    assert fitting.Method.__args__ == tuple(METHODS)
    assert set(fitting.Covariance.__args__) == set(STRUCTURES)


def test_a_fit_is_kept_and_shown(main, here):
    code, out, err = main("fit", "faithful", "-k", "2", "--out", "fit.nc")
    assert (code, err) == (0, "Kept in fit.nc.\n")
    assert "log-likelihood -1130.26" in out and "54.48" in out
    assert main("show", "fit.nc") == (0, out, "")
    code, out, _ = main("show", "fit.nc", "--json")
    content = json.loads(out)
    assert content["status"] == "converged" and content["features"] == ["eruptions", "waiting"]
    fit = bg.load("fit.nc")
    np.testing.assert_allclose(content["means"], fit.parameters.means[0, 0])
    assert content["bic"] == pytest.approx(fit.bic())
    assert os.listdir() == ["fit.nc"]


def test_the_best_model_of_a_selection_is_kept(main, here):
    code, *_ = main("select", "galaxies", "-k", "2", "--posteriors", "0", "--best", "best.nc")
    assert code == 0 and bg.load("best.nc").spec.n_components == 2


def test_labels_stand_beside_all_columns_of_the_file(main, here, saved):
    frame = bg.datasets.faithful().to_pandas()
    frame.insert(0, "nr", [f"{i:04d}" for i in range(len(frame))])
    frame["note"] = ["x, y" if i % 2 else "" for i in range(len(frame))]
    frame.to_csv("in.csv", index=False)
    code, out, err = main("predict", str(saved / "em.nc"), "in.csv", "--out", "out.csv")
    assert (code, out) == (0, "")
    assert err == "Wrote out.csv: 272 rows: 97 of component 0, 175 of component 1.\n"
    was, found = table(Path("in.csv").read_text()), table(Path("out.csv").read_text())
    pd.testing.assert_frame_equal(found[was.columns], was)
    assert list(found.columns[4:]) == ["label", "probability_0", "probability_1"]
    fit = bg.load(saved / "em.nc")
    np.testing.assert_array_equal(found["label"].astype(int), fit.predict().values)
    p = found[["probability_0", "probability_1"]].astype(float)
    np.testing.assert_allclose(p, fit.predict_proba().values, rtol=1e-5)
    # Once more beside its own labels, which are not lost.
    code, _, err = main("predict", str(saved / "em.nc"), "out.csv", "--out", "-")
    assert code == 0 and "the new one is 'label_2'" in err


def test_a_file_is_written_as_it_was_read(main, here, saved):
    bg.datasets.faithful().to_pandas().to_csv("in.csv", index=False, sep=";", decimal=",")
    assert main("predict", str(saved / "em.nc"), "in.csv", "--out", "out.csv")[0] == 0
    found = pd.read_csv("out.csv", sep=";", decimal=",")
    assert found["waiting"][0] == 79 and found["eruptions"][0] == 3.6
    np.testing.assert_allclose(found["probability_0"] + found["probability_1"], 1, atol=1e-5)


def test_noise_is_label_minus_one_with_a_column_of_its_own(main, saved):
    code, out, err = main("predict", str(saved / "noise.nc"), "--out", "-")
    found, fit = table(out), bg.load(saved / "noise.nc")
    assert code == 0 and "noise." in err
    assert list(found.columns[-4:]) == ["label", "probability_0", "probability_1", "noise"]
    np.testing.assert_array_equal(found["label"].astype(int), fit.predict().values)
    assert (found["label"] == "-1").sum() > 5 and found["waiting"][5] == ""


def test_rows_of_other_columns_are_refused_by_name(main, here, saved):
    Path("in.csv").write_text("eruptions,wait\n1,2\n3,4\n")
    code, _, err = main("predict", str(saved / "em.nc"), "in.csv", "--out", "o.csv")
    assert code == 2 and err == (
        "Error: The fit's feature 'waiting' is not among the columns of 'in.csv' ('eruptions', "
        "'wait'); rename the column, or fit again.\n"
    )
    Path("in.csv").write_text("1,2\n3,4\n")
    code, _, err = main("predict", str(saved / "em.nc"), "in.csv", "--out", "o.csv")
    assert code == 2 and "line 1: numbers (1, 2) and not the names" in err
    assert err.endswith("in.csv --out o.csv --no-header\n")
    code, _, err = main("predict", str(saved / "em.nc"), "in.csv", "--no-header", "--out", "-")
    assert code == 0
    Path("in.csv").write_text("1,2,3\n3,4,5\n")
    code, _, err = main("predict", str(saved / "em.nc"), "in.csv", "--no-header", "--out", "-")
    assert code == 2 and "The fit has 2 features" in err


def test_columns_without_a_header_are_those_that_were_fitted(main, here):
    X = bg.datasets.faithful().values[:60]
    rows = np.column_stack([X[:, 0], np.arange(60) % 7, X[:, 1]])
    np.savetxt("in.csv", rows, delimiter=",", fmt="%g")
    options = ["--no-header", "--columns", "x2,x0", "--out", "fit.nc"]
    assert main("fit", "in.csv", "-k", "2", *options)[0] == 0
    _, fitted, _ = main("predict", "fit.nc", "--out", "-")
    _, asked, _ = main("predict", "fit.nc", "in.csv", "--no-header", "--out", "-")
    names = ["x0", "x2", "label", "probability_0", "probability_1"]
    pd.testing.assert_frame_equal(table(asked)[names[2:]], table(fitted)[names[2:]])
    # The command of a refusal takes the same columns.
    _, _, err = main("predict", "fit.nc", "in.csv", "--out", "-")
    assert main(*err.splitlines()[-1].split()[1:])[1] == asked
    # A hole is filled where it is, and nothing else changes.
    rows[3, 2] = np.nan
    pd.DataFrame(rows).to_csv("in.csv", header=False, index=False, na_rep="")
    assert main("impute", "fit.nc", "in.csv", "--no-header", "--out", "full.csv")[0] == 0
    full = pd.read_csv("full.csv").to_numpy()
    np.testing.assert_array_equal(full[~np.isnan(rows)], rows[~np.isnan(rows)])
    assert 40 < full[3, 2] < 100
    code, _, err = main("predict", "fit.nc", "faithful", "--no-header", "--out", "-")
    assert code == 2 and "The fit's feature 'x2' is not among" in err


def test_new_rows_with_problems_are_refused_with_the_command_that_works(main, here):
    Path("messy.csv").write_text(messy())
    options = ["--thousands", ",", "--id", "id", "--columns", "income,height,weight", "--missing"]
    assert main("fit", "messy.csv", "-k", "2", "-m", "map", "-o", "fit.nc", *options)[0] == 0
    code, _, err = main("predict", "fit.nc", "messy.csv", "-o", "out.csv")
    assert code == 2
    command = err.splitlines()[-1].strip()
    assert command == ("bayesgmm predict fit.nc messy.csv -o out.csv --thousands , --missing")
    assert main(*command.split()[1:])[0] == 0
    found = table(Path("out.csv").read_text())
    assert found["income"][0] == "12,311.0" and found["id"][59] == "1059" and len(found) == 60
    # Without data the rows are the fitted ones, by their ids.
    _, out, _ = main("predict", "fit.nc", "--out", "-")
    assert table(out)["id"].tolist() == [str(1000 + i) for i in range(60)]
    # Empty fields are filled in, and everything else is as it was.
    assert main("impute", "fit.nc", "messy.csv", "--thousands", ",", "-o", "full.csv")[0] == 0
    was, full = table(messy()), table(Path("full.csv").read_text())
    seen = ~was.isin(["", "NA"])
    assert (full[seen] == was[seen]).to_numpy()[seen.to_numpy()].all()
    assert 140 < float(full["height"][0]) < 180 and not (full == "").any(axis=None)
    assert main("impute", "fit.nc", "-n", "3", "--out", "copies.csv")[0] == 0
    copies = pd.read_csv("copies.csv")
    assert copies["copy"].tolist() == np.repeat([0, 1, 2], 60).tolist()
    assert copies.groupby("id")["height"].nunique()[1000] == 3


def test_new_rows_come_from_the_fit_and_repeat(main, here, saved):
    fit = bg.load(saved / "draws.nc")
    assert main("generate", str(saved / "draws.nc"), "-n", "50", "--out", "new.csv")[0] == 0
    new = np.loadtxt("new.csv", delimiter=",", skiprows=1)  # to the last digit
    np.testing.assert_array_equal(new, fit.generate(50, seed=1)["x"].values)
    _, out, _ = main("generate", str(saved / "draws.nc"), "-n", "5", "--component", "-o", "-")
    assert table(out).columns.tolist() == ["eruptions", "waiting", "component"]


def test_a_condition_is_answered_by_numbers_and_by_rows(main, here, saved):
    path = str(saved / "draws.nc")
    given = bg.load(path).condition({"waiting": 60})
    code, out, err = main("condition", path, "--given", "waiting=60")
    assert (code, err) == (0, "") and "Given waiting = 60:" in out and "50 %" in out
    _, out, _ = main("condition", path, "--given", "waiting=60", "--json")
    content = json.loads(out)["features"]["eruptions"]
    assert content["mean"] == pytest.approx(float(given.mean[0]))
    assert content["quantiles"]["0.5"] == pytest.approx(float(given.quantile(0.5)))
    _, out, _ = main("condition", path, "--given", "waiting=60", "-n", "200", "--out", "-")
    rows = pd.read_csv(io.StringIO(out))
    assert (rows["waiting"] == 60).all() and rows["eruptions"].nunique() == 200


def test_a_condition_far_away_is_warned_of_in_a_sentence(main, saved, recwarn):
    import warnings

    warnings.simplefilter("always")
    code, _, err = main("condition", str(saved / "draws.nc"), "--given", "waiting=300")
    assert code == 0
    assert err.startswith("Warning: Given waiting=300, ") and ".py" not in err


def test_outliers_are_listed_and_written(main, here, saved):
    path = str(saved / "em.nc")
    flagged = bg.load(path).outliers(rate=0.02).values
    code, out, _ = main("outliers", path, "--rate", "0.02")
    assert code == 0 and f"rate of 0.02: {flagged.sum()} of 272 rows" in out
    _, out, _ = main("outliers", path, "--rate", "0.02", "--json")
    found = json.loads(out)["outliers"]
    assert sorted(entry["row"] for entry in found) == np.flatnonzero(flagged).tolist()
    assert found[0]["values"]["eruptions"] == 2.883
    assert main("outliers", path, "--rate", "0.02", "--out", "all.csv")[0] == 0
    every = pd.read_csv("all.csv")
    np.testing.assert_array_equal(every["outlier"], flagged)
    assert every["anomaly_score"].between(0, 1).all()
    bg.datasets.faithful().to_pandas().assign(nr="a").to_csv("in.csv", index=False)
    _, out, _ = main("outliers", path, "in.csv", "--id", "nr", "--json")
    first = json.loads(out)["outliers"][0]
    assert first["line"] == 7 and first["values"]["nr"] == "a"  # row 5, below a line of names


def test_columns_with_the_names_of_answers_are_not_lost(main, here):
    X = bg.datasets.faithful().to_pandas().set_axis(["score", "row"], axis=1).iloc[:60]
    X.index += 5
    bg.fit(bg.MixtureSpec(1), X, seed=1).save("fit.nc")
    X.assign(line="a", copy="b").to_csv("in.csv", index=False)
    _, out, _ = main("outliers", "fit.nc", "in.csv", "--rate", "0.1")
    assert out.splitlines()[2].split() == ["line_2", "score", "row", "line", "copy", "score_2"]
    _, out, _ = main("outliers", "fit.nc", "--rate", "0.1")
    assert out.splitlines()[2].split() == ["row_2", "score", "row", "score_2"]
    _, out, _ = main("predict", "fit.nc", "--out", "-")
    assert table(out).columns[:3].tolist() == ["row_2", "score", "row"]
    _, out, err = main("impute", "fit.nc", "in.csv", "-n", "2", "--out", "-")
    assert table(out).columns.tolist() == ["score", "row", "line", "copy", "copy_2"]
    assert "a column 'copy' already; the new one is 'copy_2'" in err
    X.columns = ["component", "component_2"]
    bg.fit(bg.MixtureSpec(1), X, seed=1).save("fit.nc")
    _, out, _ = main("generate", "fit.nc", "-n", "2", "--component", "--out", "-")
    assert table(out).columns.tolist() == ["component", "component_2", "component_3"]


def test_columns_of_one_name_are_all_written(main, here, saved):
    pytest.importorskip("pyarrow")
    Path("in.csv").write_text("note,eruptions,note,waiting\na,3,b,70\nc,2,d,50\n")
    assert main("predict", str(saved / "em.nc"), "in.csv", "--out", "out.parquet")[0] == 0
    frame = pd.read_parquet("out.parquet")
    assert frame["note"].tolist() == ["a", "c"] and frame["note_2"].tolist() == ["b", "d"]


def test_numbers_are_not_rounded_to_others(main, here, saved):
    path = str(saved / "em.nc")
    ask = ["condition", path, "--given", "waiting=60", "--quantiles", "0.07,0.999999,0.9999999"]
    assert all(f" {q} %" in main(*ask)[1] for q in ("7", "99.9999", "99.99999"))
    cuts = json.loads(main(*ask, "--json")[1])["features"]["eruptions"]["quantiles"]
    assert list(cuts) == ["0.07", "0.999999", "0.9999999"]
    _, out, _ = main("outliers", path, "--rate", "0.6")
    assert "it would be about 163." in out
    assert [number(v) for v in (9999.4, 9999.6, -9999.6)] == ["9999", "10,000", "-10,000"]


def test_pictures_and_data_sets(main, here, saved):
    for name in ("p.png", "p.svg"):
        assert main("plot", str(saved / "draws.nc"), "--out", name)[0] == 0
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")
    assert main("datasets", "faithful", "--out", "f.csv")[0] == 0
    np.testing.assert_array_equal(pd.read_csv("f.csv"), bg.datasets.faithful().values)
    _, out, _ = main("datasets", "--json")
    assert [entry["n_rows"] for entry in json.loads(out)] == [272, 82]
    assert "galaxies" in main("datasets")[1]
    code, _, err = main("datasets", "nothing")
    assert code == 2 and "There is no data set 'nothing'" in err


def test_a_report_is_of_a_fit_or_of_a_selection(main, here, saved, monkeypatch):
    about = []

    def report(found, path):
        about.append(found)
        Path(path).write_text("<html>")

    monkeypatch.setattr("bayesgmm.interface.report.report", report)
    assert main("report", str(saved / "em.nc"), "--out", "r.html")[0] == 0
    assert main("report", "galaxies", "-k", "1", "--posteriors", "0", "-o", "s.html")[0] == 0
    assert isinstance(about[0], bg.MixtureFit) and isinstance(about[1], bg.Selection)
    assert Path("s.html").read_text() == "<html>"


@pytest.mark.parametrize("ending", ["parquet", "feather", "tsv"])
def test_rows_are_written_in_other_formats(main, here, saved, ending):
    out = f"out.{ending}"
    assert main("predict", str(saved / "em.nc"), "faithful", "--out", out)[0] == 0
    found = {"parquet": pd.read_parquet, "feather": pd.read_feather, "tsv": pd.read_table}
    frame = found[ending](out)
    np.testing.assert_array_equal(frame[["eruptions", "waiting"]], bg.datasets.faithful().values)
    assert frame["label"].sum() == 175
    assert main("predict", str(saved / "em.nc"), out, "--out", "-")[0] == 0


@pytest.mark.parametrize(("text", "label"), [
    ("eruptions,waiting\n3,50\n", "0"),
    ("eruptions,waiting\n4,80\n4,80\n4,80\n", "1"),  # constant
])  # fmt: skip
def test_a_fit_is_asked_of_a_single_row_or_the_same_again(main, here, saved, text, label):
    Path("in.csv").write_text(text)
    code, out, _ = main("predict", str(saved / "em.nc"), "in.csv", "--out", "-")
    assert code == 0 and set(table(out)["label"]) == {label}
    Path("in.csv").write_text("waiting,eruptions\n80,\n")
    code, out, _ = main("impute", str(saved / "em.nc"), "in.csv", "--out", "-")
    assert code == 0 and 4 < float(table(out)["eruptions"][0]) < 4.6
    Path("in.csv").write_text("waiting,eruptions\n")
    code, _, err = main("predict", str(saved / "em.nc"), "in.csv", "--out", "-")
    assert code == 2 and "no rows of data, where at least one is needed" in err


def test_types_of_a_parquet_file_stay(main, here, saved):
    frame = bg.datasets.faithful().to_pandas().reset_index(drop=True)
    frame["when"], frame["n"] = pd.date_range("2024-01-01", periods=272), np.arange(272)
    frame.to_parquet("in.parquet")
    assert main("predict", str(saved / "em.nc"), "in.parquet", "--out", "out.parquet")[0] == 0
    found = pd.read_parquet("out.parquet")[list(frame.columns)]
    pd.testing.assert_frame_equal(found, pd.read_parquet("in.parquet"), check_names=False)
