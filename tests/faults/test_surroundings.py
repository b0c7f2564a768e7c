"""Odd surroundings: disks, folders, memory, locales and clocks that are not as one expects."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import bayesgmm as bg

ROOT = Path(bg.__file__).parents[1]
posix = pytest.mark.skipif(os.name != "posix", reason="has no such limits")

#: Each starts a process; in the tests of every day a few do.
thorough = pytest.mark.skipif("FAULT_MOMENTS" not in os.environ, reason="part of make faults")

START = """
import os, signal, sys, warnings
import numpy as np
import bayesgmm as bg

X = bg.datasets.galaxies() / 1000
QUICK = {"n_starts": 3, "n_best": 1, "rounds": 0, "seed": 1}

def quick(**options):
    return bg.fit(bg.MixtureSpec(2), X, **QUICK, **options)
"""


def run(script, folder, *, limit=120, check=True, **environment):
    """What a script prints, which ends well within a time."""
    file = folder / "script.py"
    file.write_text(START + script, encoding="utf-8")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(file)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        timeout=limit,
    )
    text = done.stdout.decode("utf-8", "replace")
    if check:
        assert done.returncode == 0, text + done.stderr.decode("utf-8", "replace")
    return text.splitlines()


# Disks and folders ------------------------------------------------------------------

SMALL_DISK = """
import shutil, subprocess
disk = os.path.abspath("disk")
os.mkdir(disk)
mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk],
                         capture_output=True).returncode == 0
if not mounted:
    print("no disk")
    sys.exit()
try:
    fit = quick()
    old = quick(max_iter=500)
    old.save("disk/fit.nc")
    with open("disk/rest", "wb", buffering=0) as rest:  # all but a few kilobytes
        try:
            while True:
                rest.write(b"x" * 4096)
        except OSError:
            pass
    for name in ("fit.nc", "fit.zarr"):
        try:
            fit.save("disk/" + name)
        except bg.FileError as error:
            print(error)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            kept = quick(checkpoint="disk/kept")
            print(kept.log_likelihood == fit.log_likelihood)
        except bg.FileError as error:
            print("refused:", error)
    print([str(each.message).partition(":")[0] for each in told])
    print(bg.load("disk/fit.nc").log_likelihood == old.log_likelihood)
    print(sorted(name for name in os.listdir("disk") if name != "kept"))
    os.remove("disk/rest")
    print(bg.load(fit.save("disk/fit.nc")).log_likelihood == fit.log_likelihood)
finally:
    subprocess.run(["umount", "-l", disk])
"""


@pytest.mark.slow
@posix
def test_a_disk_that_is_full(tmp_path):
    """A real one of 256 kB, where this process may mount one."""
    lines = run(SMALL_DISK, tmp_path)
    if lines == ["no disk"]:
        pytest.skip("may not mount a disk")
    for line, name in zip(lines, ("fit.nc", "fit.zarr"), strict=False):
        assert line.startswith(f"Could not write {'disk/' + name!r}") or line.startswith(
            "Could not write to 'disk'"
        )
        assert "No space left on device" in line
    full = lines[2].startswith("refused: Could not write") or (
        lines[2] == "True" and "The fit goes on without further checkpoints" in lines[3]
    )
    assert full, lines
    assert lines[-3:] == ["True", "['fit.nc', 'rest']", "True"]


READ_ONLY = """
os.makedirs("closed/kept")
old = quick()
old.save("closed/fit.nc")
os.chmod("closed/kept", 0o555)
os.chmod("closed", 0o555)
if os.geteuid() == 0:  # whom no permission stops
    os.setuid(65534)
try:
    open("closed/x", "w")
    print("not read-only")
except OSError:
    pass
for make in (lambda: old.save("closed/fit.nc"), lambda: old.save("closed/other.zarr"),
             lambda: quick(checkpoint="closed/kept"), lambda: quick(checkpoint="closed/new"),
             lambda: bg.select(X, [1], ["full"], posteriors=0, out="closed/study")):
    try:
        make()
        print("written")
    except bg.FileError as error:
        print("Permission denied" in str(error) and str(error).endswith("."))
print(bg.load("closed/fit.nc").log_likelihood == old.log_likelihood)
print(sorted(os.listdir("closed")))
"""


@posix
@thorough
def test_a_folder_that_is_read_only(tmp_path):
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents[:3]:  # one more in a worker of pytest-xdist
        if parent.stat().st_uid == os.geteuid():
            os.chmod(parent, parent.stat().st_mode | 0o055)
    lines = run(READ_ONLY, tmp_path)
    assert lines == [*["True"] * 6, "['fit.nc', 'kept']"]


@posix
@thorough
def test_a_package_that_cannot_be_written_to(tmp_path):
    """Nowhere can compiled code be kept: a file is in the place of every folder for it."""
    site, closed = tmp_path / "site", tmp_path / "closed"
    shutil.copytree(
        ROOT / "bayesgmm", site / "bayesgmm", ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in {file.parent for file in site.rglob("*.py")}:
        (folder / "__pycache__").write_text("no folder")
    closed.write_text("no folder")
    nowhere = ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")
    lines = run(
        "with warnings.catch_warnings(record=True) as told:\n"
        "    warnings.simplefilter('always', bg.FitWarning)\n"
        "    fit = quick()\n"
        "print(bg.__file__)\nprint(round(fit.log_likelihood, 4))\n"
        "print([str(each.message)[:29] for each in told])",
        tmp_path,
        limit=900,
        PYTHONPATH=str(site),
        PYTHONDONTWRITEBYTECODE="1",
        **{name: str(closed) for name in nowhere},
    )
    assert lines[0].startswith(str(site)) and lines[2] == "['No folder can be written to i']"
    here = bg.fit(
        bg.MixtureSpec(2), bg.datasets.galaxies() / 1000, n_starts=3, n_best=1, rounds=0, seed=1
    )
    assert float(lines[1]) == pytest.approx(here.log_likelihood, abs=1e-3)


TWO = """
from concurrent.futures import ProcessPoolExecutor
import multiprocessing

def save(seed):
    fit = bg.fit(bg.MixtureSpec(1 + seed % 2), X, n_starts=2, rounds=0, seed=1)
    for _ in range(8):
        for name in ("fit.nc", "fit.zarr"):
            try:
                fit.save("folder/" + name)
            except bg.FileError as error:  # another was quicker, which is said
                print(error, flush=True)
    return fit.log_likelihood

def keep(seed):
    rows = np.random.default_rng(1).normal(size=(24_000, 2))
    fit = bg.fit(bg.MixtureSpec(2), rows, checkpoint="kept", **QUICK)
    return fit.log_likelihood

if __name__ == "__main__":
    os.mkdir("folder")
    quick(); keep(0)
    import shutil; shutil.rmtree("kept")
    with ProcessPoolExecutor(3, multiprocessing.get_context("fork")) as pool:
        known = set(pool.map(save, range(3)))
        print(all(bg.load("folder/" + name).log_likelihood in known
                  for name in ("fit.nc", "fit.zarr")))
        print(sorted(os.listdir("folder")))
        print(len(set(pool.map(keep, range(3)))))
    print(sorted({name.partition("-")[0] for name in os.listdir("kept")}))
"""


@posix
@thorough
def test_processes_that_write_to_one_place(tmp_path):
    lines = run(TWO, tmp_path, PYTHONWARNINGS="ignore")
    assert lines == ["True", "['fit.nc', 'fit.zarr']", "1", "['fit.json', 'pass']"]


# Memory -----------------------------------------------------------------------------

EXHAUSTED = """
import resource
rows = np.zeros((1_000_000, 3)) + np.arange(3) + np.arange(1_000_000)[:, None] % 7
many = {"method": "nuts", "tune": 20, "chains": 2, "seed": 1}
kept = bg.fit(bg.MixtureSpec(2), X, draws=20, **many).save("fit.nc")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
hard = resource.getrlimit(resource.RLIMIT_AS)[1]
resource.setrlimit(resource.RLIMIT_AS, (used + 60_000_000, hard))
try:
    if sys.argv[1:] == ["chain"]:
        bg.fit(bg.MixtureSpec(2), X, draws=1_000_000, **many)
    else:
        bg.fit(bg.MixtureSpec(2), np.tile(rows, (4, 1)), method="em", seed=1)
    print("done")
except (MemoryError, bg.BayesGMMError) as error:
    print("refused")
resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
print(np.isfinite(quick().log_likelihood))
"""
linux = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")


@linux
@thorough
def test_memory_that_runs_out(tmp_path):
    """An error, after which the process goes on."""
    assert run(EXHAUSTED, tmp_path, PYTHONWARNINGS="ignore") == ["refused", "True"]


@linux
@thorough
def test_memory_that_runs_out_in_a_chain(tmp_path):
    """An error, or the end of the process: nutpie is written in Rust, which aborts.

    What was saved before is there, and nothing hangs.  Where there is no room for threads it
    panics, which is told as an error.
    """
    file = tmp_path / "script.py"
    file.write_text(START + EXHAUSTED)
    home = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(file), "chain"],
        cwd=tmp_path,
        env=os.environ | home,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if done.returncode:
        assert done.returncode == -signal.SIGABRT and "memory allocation of" in done.stderr
    else:
        assert done.stdout.split() == ["refused", "True"]
    assert bg.load(tmp_path / "fit.nc").parameters.batch_shape == (2, 20)


# Locales ----------------------------------------------------------------------------

LOCALE = """
import locale
for name in ("de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "C"):
    try:
        locale.setlocale(locale.LC_ALL, name)
        break
    except locale.Error:
        continue
import pandas as pd
frame = pd.DataFrame({"größe": X.values[:, 0]})
fit = bg.fit(bg.MixtureSpec(2), frame, **QUICK)
try:
    path = fit.save("é.nc")
except bg.FileError as error:  # where names of files are ASCII
    assert "can't encode" in str(error)
    path = fit.save("e.nc")
again = bg.load(path)
print(repr(again.log_likelihood), again.feature_names[0] == "gr\\u00f6\\u00dfe")
print(ascii(repr(again)).count("gr") > 0)
frame.to_csv("in.csv", index=False, encoding="utf-8")
from bayesgmm.interface.cli import main
sys.argv = "bayesgmm fit in.csv -k 2 --method em --out fit.nc --seed 1".split()
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


@thorough
@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "de_DE.UTF-8", "TZ": "Pacific/Apia"},
    ],
    ids=["ascii", "comma"],
)
def test_locales(tmp_path, environment):
    """Files are the same, and what cannot be printed does not end a command."""
    here = bg.fit(
        bg.MixtureSpec(2), bg.datasets.galaxies() / 1000, n_starts=3, n_best=1, rounds=0, seed=1
    )
    lines = run(LOCALE, tmp_path, **environment)
    number, name = lines[0].split()
    assert float(number) == pytest.approx(here.log_likelihood, rel=1e-9) and name == "True"
    assert lines[1] == "True" and len(lines) > 4


# Clocks -----------------------------------------------------------------------------

CLOCKS = """
import time
told = []
def same(kind):
    rows = bg.fit(bg.MixtureSpec(2), X, method="nuts", draws=30, tune=30, chains=2, seed=1,
                  progress=lambda *given: told.append(given))
    chosen = bg.select(X, [1, 2], ["full"], posteriors=0, seed=1, progress=lambda *given: None)
    saved = bg.load(rows.save("fit.nc")).log_likelihood
    return rows.log_likelihood, chosen.best.log_likelihood, saved

from bayesgmm.density import passes
passes.MANY = 0
warnings.simplefilter("ignore")
known = same("as it is")
real = time.time
start = real()
still = [0.0]
def backwards():
    still[0] += 3600.0
    return start - still[0]
for name, clock in (("backwards", backwards), ("constant", lambda: 0.0)):
    time.time = clock
    print(name, same(name) == known)
time.time = real
for name in ("monotonic", "perf_counter"):  # of few ticks: the same number many times
    setattr(time, name, lambda: 5.0)
print("no ticks", quick(progress=lambda *given: None).status)
"""


@pytest.mark.slow
def test_clocks(tmp_path):
    lines = run(CLOCKS, tmp_path)
    assert lines == ["backwards True", "constant True", "no ticks converged"]
