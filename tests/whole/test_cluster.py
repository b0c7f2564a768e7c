"""Stored rows on a cluster of Dask: the same numbers, also where workers are lost."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.data import parts
from bayesgmm.data.sources import source
from bayesgmm.density import passes
from bayesgmm.density.log_posterior import LogPosterior

distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")

N = 24_000
SPEC = bg.MixtureSpec(2)
QUICK = {"n_starts": 2, "n_best": 1, "rounds": 0, "seed": 1}

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(2)
    return rng.normal(size=(N, 3)) + 4.0 * rng.integers(2, size=(N, 1))


@pytest.fixture(scope="module")
def client():
    """Two processes of one thread each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )
        client = distributed.Client(cluster, set_as_default=False)
        yield client
        client.close()
        cluster.close()


def in_parts(rows, folder, monkeypatch, size=3_000):
    monkeypatch.setattr(source, "BLOCK", size // 2)
    monkeypatch.setattr(source, "PART", size)
    path = folder / "rows.npy"
    np.save(path, rows)
    return path


@pytest.mark.slow
def test_passes_run_on_the_cluster_and_give_the_same(rows, client, tmp_path, monkeypatch):
    """However rows are cut: files, or chunks of a Dask array where they lie."""
    here = bg.Observations(in_parts(rows, tmp_path, monkeypatch), in_memory=False)
    lying = da.from_array(rows, chunks=(5_000, 2)).persist(scheduler="synchronous")
    with client.as_current():
        there = bg.Observations(tmp_path / "rows.npy", in_memory=False)
        chunks = bg.Observations(lying, in_memory=False)
    assert there.stored.client is client and here.stored.client is None
    theta = 0.3 * np.random.default_rng(1).normal(size=LogPosterior(SPEC, here).size)
    value, gradient = LogPosterior(SPEC, here).value_and_grad(theta)
    memory = LogPosterior(SPEC, bg.Observations(rows)).value(theta)
    assert value == pytest.approx(memory, rel=1e-12)
    for other in (there, chunks):
        np.testing.assert_allclose(other.center, here.center, rtol=1e-12)
        np.testing.assert_array_equal(other.kept.values, here.kept.values)
        found, slope = LogPosterior(SPEC, other).value_and_grad(theta)
        assert found == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(slope, gradient, rtol=1e-9)


def test_a_tree_of_sums_adds_all_once(client):
    """Against Python's own sum, with more parts than one task adds."""

    class Numbered:
        """A number that a cluster is given in place of a part, as a chunk that lies there."""

        def __init__(self, number):
            self.number = number

        def sent(self):
            return self.number

    class Sent(int):
        """A part that is sent as it is, with others in one task where there are many."""

        def sent(self):
            return self

    for kind in (Numbered, Sent):
        many = [(kind(i), i) for i in range(300)]
        found = parts.over_parts(_number_and_first, many, cores=1, client=client)
        assert found == 2 * sum(range(300))


def _number_and_first(number, first):
    return int(number) + first


def test_a_worker_that_is_lost_is_made_good(rows, client, tmp_path, monkeypatch):
    path = in_parts(rows, tmp_path, monkeypatch)
    here = bg.fit(SPEC, bg.Observations(path, in_memory=False), **QUICK)
    made, lost = [0], []
    real = passes.expected_statistics_under

    def losing(*given, **options):
        made[0] += 1
        if made[0] == 3:
            lost.extend(client.run(os.getpid).values())
            os.kill(lost[0], signal.SIGKILL)
        return real(*given, **options)

    monkeypatch.setattr(passes, "expected_statistics_under", losing)
    there = bg.fit(SPEC, bg.Observations(path, in_memory=False), client=client, **QUICK)
    assert len(lost) == 2
    assert there.log_likelihood == pytest.approx(here.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(there.parameters.means, here.parameters.means, rtol=1e-9)


KILLED = """
import sys, time
import bayesgmm as bg
from bayesgmm.density import passes

real = passes.expected_statistics_under
def slow(*given, **options):
    time.sleep(0.3)  # time in which to be killed
    return real(*given, **options)
passes.expected_statistics_under = slow

rows = bg.Observations(sys.argv[1], in_memory=False)
quick = {"n_starts": 2, "n_best": 1, "rounds": 0, "seed": 1}
fit = bg.fit(bg.MixtureSpec(2), rows, checkpoint=sys.argv[2], **quick)
print(repr(fit.log_likelihood))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="has no such signals")
def test_a_process_that_is_killed_goes_on(rows, tmp_path):
    path, kept = tmp_path / "rows.npy", tmp_path / "kept"
    np.save(path, rows)
    script = tmp_path / "script.py"
    script.write_text(KILLED)
    home = os.pathsep.join([str(Path(bg.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(script), str(path), str(kept)]
    begun = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": home})
    limit = time.monotonic() + 60
    while len(list(kept.glob("pass-*.npz"))) < 2 and time.monotonic() < limit:
        time.sleep(0.02)
    begun.kill()
    assert begun.wait() == -signal.SIGKILL
    before = {file.name: file.read_bytes() for file in kept.glob("pass-*.npz")}
    assert len(before) >= 2
    again = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": home}, capture_output=True, text=True, check=True
    )
    assert all((kept / name).read_bytes() == content for name, content in before.items())
    whole = bg.fit(SPEC, bg.Observations(path, in_memory=False), **QUICK)
    assert float(again.stdout) == pytest.approx(whole.log_likelihood, rel=1e-12)
