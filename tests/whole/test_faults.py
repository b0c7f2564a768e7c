"""What comes from outside: forks, threads, full disks and interrupts neither hang nor break."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from threadpoolctl import ThreadpoolController

import bayesgmm as bg
from bayesgmm.compiled.threads import one_blas_thread, thread_map
from bayesgmm.inference import convergence

ROOT = Path(bg.__file__).parent
posix = pytest.mark.skipif(os.name != "posix", reason="has no fork and no signals")


def run(script: str, *arguments: object, folder: Path, limit: float = 120) -> str:
    """What a script prints that ends well within a time."""
    file = folder / "script.py"
    file.write_text(script)
    path = os.pathsep.join([str(ROOT.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(file), *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=limit,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


WORK = """
import multiprocessing, sys, threading
import numpy as np
import bayesgmm as bg

X = bg.datasets.galaxies() / 1000
QUICK = {"em": {}, "map": {}, "laplace": {"draws": 100},
         "nuts": {"draws": 50, "tune": 100, "chains": 2, "cores": 2}}

def one(method, **options):
    fit = bg.fit(bg.MixtureSpec(2), X, method=method, seed=1, **QUICK[method], **options)
    return round(fit.log_likelihood, 6)

def tested(_):
    fit = bg.fit(bg.MixtureSpec(2), X, seed=1)
    return bg.two_sample_test(fit, classifier="neighbours", seed=1).p_value

def plain(_):
    return bg.GaussianMixture(2, random_state=0).fit(X.values).converged_
"""

# scikit-learn's k-means leaves threads of OpenMP behind in the parent; a child has none of them.
FORKED = (
    WORK
    + """
if __name__ == "__main__":
    from sklearn.cluster import KMeans
    KMeans(8, n_init=3).fit(np.random.default_rng(0).normal(size=(50_000, 4)))
    here = {method: one(method) for method in QUICK}
    context = multiprocessing.get_context("fork")
    jobs = [(one, method, here[method]) for method in QUICK]
    jobs += [(job, 0, job(0)) for job in (tested, plain)]
    for job, argument, known in jobs:
        queue = context.SimpleQueue()
        child = context.Process(target=lambda: queue.put(job(argument)), daemon=True)
        child.start()
        child.join(20)
        print(job.__name__, argument, not child.is_alive() and queue.get() == known, flush=True)
        child.kill()
"""
)


@pytest.mark.slow
@posix
def test_every_method_works_in_a_forked_child(tmp_path):
    printed = run(FORKED, folder=tmp_path).splitlines()
    assert printed == [
        "one em True",
        "one map True",
        "one laplace True",
        "one nuts True",
        "tested 0 True",
        "plain 0 True",
    ]


PROCESSES = (
    WORK
    + """
if __name__ == "__main__":
    from concurrent.futures import ProcessPoolExecutor
    from joblib import Parallel, delayed
    known = one("nuts")
    pools = [ProcessPoolExecutor(1, multiprocessing.get_context(kind)) for kind in sys.argv[1:]]
    jobs = [pool.submit(one, "nuts") for pool in pools]
    print([job.result(60) == known for job in jobs])
    print(Parallel(n_jobs=2)([delayed(one)("em"), delayed(one)("em")]) == [one("em")] * 2)
"""
)


@pytest.mark.slow
def test_fits_in_other_processes(tmp_path):
    kinds = multiprocessing.get_all_start_methods()
    printed = run(PROCESSES, *kinds, folder=tmp_path)
    assert printed == f"{[True] * len(kinds)}\nTrue\n"


THREADS = (
    WORK
    + """
from concurrent.futures import ThreadPoolExecutor

if __name__ == "__main__":
    methods = [*QUICK, *QUICK]
    with ThreadPoolExecutor(8) as pool:  # the first fits of the process, packages unloaded
        found = list(pool.map(one, methods, timeout=60))
    print(found == [one(method) for method in methods])
"""
)


@pytest.mark.slow
def test_threads_that_fit_at_once(tmp_path):
    assert run(THREADS, folder=tmp_path) == "True\n"


# Threads of BLAS and OpenMP ------------------------------------------------------


def numbers(kind: str) -> list[int]:
    """Threads that the loaded libraries of a kind would use."""
    libraries = ThreadpoolController().lib_controllers
    return [library.num_threads for library in libraries if library.user_api == kind]


@pytest.fixture
def two_threads():
    """BLAS and OpenMP at two threads, whatever the machine."""
    import sklearn.cluster  # noqa: F401  - loads OpenMP

    controller = ThreadpoolController()
    with controller.limit(limits=2):
        yield
    assert set(numbers("blas")) | set(numbers("openmp")) != {1} or os.cpu_count() == 1


@pytest.mark.parametrize("first_out", [0, 1])
def test_blas_has_its_threads_back_when_the_last_has_left(two_threads, first_out):
    """Two threads that enter and leave in either order."""
    leave = [threading.Event(), threading.Event()]
    inside = [threading.Event(), threading.Event()]

    def stay(i: int) -> None:
        with one_blas_thread(), one_blas_thread():
            inside[i].set()
            leave[i].wait(10)

    with ThreadPoolExecutor(2) as pool:
        jobs = []
        for i in range(2):
            jobs.append(pool.submit(stay, i))
            assert inside[i].wait(10)
            assert set(numbers("blas")) == {1}
        leave[first_out].set()
        jobs[first_out].result(10)
        assert set(numbers("blas")) == {1}  # the other is still at work
        leave[1 - first_out].set()
        jobs[1 - first_out].result(10)
    assert set(numbers("blas")) == {2}


def test_openmp_is_held_to_one_thread_wherever_we_compute(two_threads):
    with one_blas_thread():
        assert set(numbers("openmp")) == {1}
        assert thread_map(lambda _: set(numbers("openmp")), range(4), 2) == [{1}] * 4
    assert set(numbers("openmp")) == {2}


@posix
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_forked_while_another_thread_is_inside(two_threads):
    """It has its own BLAS threads, and no lock that nobody will release."""
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with one_blas_thread():
            inside.set()
            leave.wait(20)

    thread = threading.Thread(target=stay)
    thread.start()
    assert inside.wait(10)
    child = os.fork()
    if child == 0:
        try:
            free = set(numbers("blas")) == {2}
            with one_blas_thread():
                os._exit(0 if free and set(numbers("blas")) == {1} else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    leave.set()
    thread.join()
    assert set(numbers("blas")) == {2}


# Warnings -----------------------------------------------------------------------


def test_nothing_in_the_package_suppresses_warnings():
    """Their filters are the process's: restored on one thread, they are spoilt for the others."""
    for file in ROOT.rglob("*.py"):
        assert "catch_warnings" not in file.read_text(encoding="utf-8"), file


@pytest.mark.slow
def test_select_on_threads_leaves_the_filters_as_they_are(galaxies):
    before = list(warnings.filters)
    for _ in range(3):
        bg.select(galaxies, [1, 2, 3], ["full", "tied"], posteriors=0, seed=1, cores=4)
    assert list(warnings.filters) == before


def test_warnings_point_at_the_line_outside_the_package(faithful, monkeypatch):
    monkeypatch.setattr(convergence.Convergence, "status", lambda *_: bg.Status.NOT_MIXED)
    model = bg.MCMCGaussianMixture(1, draws=20, tune=50, chains=1, random_state=1)
    with pytest.warns(bg.FitWarning, match="chains do not agree") as caught:
        model.fit_predict(faithful.values)
    assert {warning.filename for warning in caught} == {__file__}
    with pytest.warns(UserWarning, match="not converged after 1 iteration") as caught:
        bg.GaussianMixture(2, max_iter=1, random_state=0).fit_predict(faithful.values)
    assert {warning.filename for warning in caught} == {__file__}
    with pytest.warns(bg.FitWarning, match="iteration limit") as caught:
        bg.fit(bg.MixtureSpec(3), faithful, seed=1, max_iter=1, rounds=0, accelerate=False)
    assert {warning.filename for warning in caught} == {__file__}


# Full disks ---------------------------------------------------------------------

FULL = """
import os, resource, signal, sys
import bayesgmm as bg
from bayesgmm.interface.cli import main

fit = bg.fit(bg.MixtureSpec(2), bg.datasets.galaxies(), seed=1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
for suffix in (".nc", ".zarr"):
    try:
        fit.save("fit" + suffix)
    except bg.FileError as error:
        print(error)
sys.argv = ["bayesgmm", "select", "galaxies", "-k", "1", "--posteriors", "0", "--out", "study"]
try:
    main()
except SystemExit as end:
    print(end.code)
print([name for name in os.listdir() if "fit" in name], os.listdir("study"))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
print(bg.load(fit.save("fit.nc")).log_likelihood == fit.log_likelihood)
"""


@pytest.mark.slow
@posix
def test_a_full_disk_is_a_file_error_and_no_more(tmp_path):
    """By a limit on the size of files, which stops writers as a full disk does."""
    lines = run(FULL, folder=tmp_path).splitlines()
    for line, suffix in zip(lines, (".nc", ".zarr"), strict=False):
        assert line == (
            f"Could not write 'fit{suffix}': File too large; what was there is as it was."
        )
    assert lines[2:] == ["2", "[] []", "True"]


# Interrupts ---------------------------------------------------------------------

INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's & has ignored
import bayesgmm as bg

when = None
def watch(event, arguments):
    global when
    if event == "import" and arguments[0] == when:
        when = None
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(watch)

def work():
    X = bg.datasets.faithful()  # one mode, so that nutpie is loaded
    fit = bg.fit(bg.MixtureSpec(2), X, method="nuts", draws=50, tune=50, chains=2, seed=1)
    fit.save("fit.nc")
    return fit

for when in sys.argv[1:]:
    try:  # an interrupt while chains are drawn keeps their draws
        print("interrupted" if work().status is bg.Status.INTERRUPTED else "not interrupted")
    except KeyboardInterrupt:
        print("interrupted")
print(work().status in tuple(bg.Status))
"""
#: Modules in the middle of packages that a first fit loads, in the order in which it does.
MIDDLE = (
    "xarray.core.dataset", "numba.core.typing", "scipy.spatial.distance", "nutpie.sample",
)  # fmt: skip


@pytest.mark.slow
@posix
def test_an_interrupt_in_an_import_leaves_no_package_half_there(tmp_path):
    printed = run(INTERRUPTED, *MIDDLE, folder=tmp_path).splitlines()
    assert printed == ["interrupted"] * len(MIDDLE) + ["True"]


ANSWERING = """
import os, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from bayesgmm.interrupts import whole_imports

there = {"__name__": "llvmlite.binding.executionengine"}
exec("def answer(ask):\\n    ask()\\n    return 'whole'", there)

@whole_imports
def work():
    print(there["answer"](lambda: os.kill(os.getpid(), signal.SIGINT)))
    time.sleep(5)
    print("not interrupted")

try:
    work()
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
@posix
def test_an_interrupt_waits_for_an_answer_to_llvm(tmp_path):
    """ctypes would drop it and answer with nothing, and LLVM take that for compiled code."""
    assert run(ANSWERING, folder=tmp_path) == "whole\ninterrupted\n"
