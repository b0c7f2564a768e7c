"""Hit jobs by a signal at random moments: ``python -m tests.faults.hits MOMENTS FOLDER JOB...``.

One warm process forks a child for each hit, since to import everything again would take longer
than most jobs.  Moments are uniform over the time that the job takes by itself.  A child that is
interrupted has to end in time, to leave the process as it was, and to do the same job right
afterwards.  A line of JSON is printed for each job and signal.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from tests.faults.jobs import JOBS, Job, files, same

#: Seconds after which a process hangs that was interrupted, or checks what another has left.
HUNG = 60.0
#: More than is read, since an interrupt may come right after a byte was.
_GO = b"go" * 100
#: Moments that are tried for each that comes while the job is at work.
_TRIES = 5


def surroundings() -> list[Any]:
    """What belongs to the process, and has to be as it was after an interrupt."""
    threads = [(lib.user_api, lib.num_threads) for lib in ThreadpoolController().lib_controllers]
    return [list(warnings.filters), threads, np.geterr(), os.umask(os.umask(0o22)), os.getcwd()]


class Child:
    """A forked process that tells what it does, a line of JSON at a time."""

    def __init__(self, work: Any) -> None:
        told, tell = os.pipe()
        self.go, go = os.pipe()[::-1]
        self.told = os.fdopen(told, "rb", buffering=0)
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - ends with the process
                work(lambda *words: os.write(tell, json.dumps(words).encode() + b"\n"), go)
                code = 0
            except BaseException:
                error = traceback.format_exc()
                os.write(tell, json.dumps(["fault", error]).encode() + b"\n")
            finally:
                os._exit(code)
        os.close(tell)
        os.close(go)
        self._text = b""

    def hear(self, limit: float) -> list[Any] | None:
        """The next that it tells; None where it ends or tells nothing in time."""
        end = time.monotonic() + limit
        while b"\n" not in self._text:
            left = end - time.monotonic()
            if left < 0 or not select.select([self.told], [], [], left)[0]:
                return None
            more = self.told.read(65536)
            if not more:
                return None
            self._text += more
        line, _, self._text = self._text.partition(b"\n")
        return json.loads(line)

    def end(self, limit: float) -> int | None:
        """Its exit status; None where it had to be killed."""
        until = time.monotonic() + limit
        hung = False
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > until and not hung:
                hung = True
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.002)
        self.told.close()
        os.close(self.go)
        return None if hung else os.waitstatus_to_exitcode(status)


def working(job: Job, folder: Path) -> Any:
    """What a child does that is to be hit."""

    def work(tell: Any, go: int) -> None:
        warnings.simplefilter("ignore")  # of searches cut short, which have a warning
        before = surroundings()
        answer, known = None, job.known
        try:
            tell("begun")
            answer = job.run(folder)
            tell("over", "done")
        except KeyboardInterrupt:
            tell("over", "interrupted")
        while True:  # until the signal has come, which may be late
            try:
                os.read(go, 1)
                time.sleep(0.01)
                break
            except KeyboardInterrupt:
                continue
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        after = surroundings()
        assert after == before, (before, after)
        if answer is not None and not job.keeps_what_was_done:
            assert known is None or same(answer, known), (answer, known)
        if known is not None:  # an interrupt that is raised twice would be met here
            job.reset(folder.with_name("further"))
            further = job.run(folder.with_name("further"))
            assert same(further, known), (further, known)
        tell("answer", answer)

    return work


def checking(job: Job, folder: Path, reported: bool) -> Any:
    def work(tell: Any, go: int) -> None:
        warnings.simplefilter("ignore")
        job.check(folder, reported)

    return work


def undisturbed(job: Job, folder: Path) -> float:
    """The least time that a job takes; what it returns and leaves is kept with it."""
    seconds, answers = [], []
    job.known = None
    for _ in range(3):
        job.reset(folder)
        child = Child(working(job, folder))
        assert child.hear(HUNG) == ["begun"]
        begun = time.monotonic()
        told = child.hear(HUNG)
        assert told == ["over", "done"], told
        seconds.append(time.monotonic() - begun)
        os.write(child.go, _GO)
        answers.append(child.hear(HUNG)[1])
        assert child.end(HUNG) == 0
    assert all(same(answer, answers[0]) for answer in answers)
    job.known, job.left = answers[0], files(folder)
    return min(seconds)


def hit(job: Job, name: str, number: int, moments: int, folder: Path) -> dict[str, Any]:
    """Hit one job by one signal until enough hits came while it was at work."""
    rng = np.random.default_rng([number, *name.encode()])
    seconds = undisturbed(job, folder)
    found: dict[str, Any] = {"hits": 0, "late": 0, "hung": 0, "slowest": 0.0, "faults": []}
    for _ in range(_TRIES * moments):
        if found["hits"] == moments:
            break
        job.reset(folder)
        moment = float(rng.uniform(0, seconds))
        child = Child(working(job, folder))
        assert child.hear(HUNG) == ["begun"]
        time.sleep(moment)
        os.kill(child.pid, number)
        struck = time.monotonic()
        told = child.hear(HUNG)
        reported = told == ["over", "done"]
        slow = time.monotonic() - struck
        late = reported and number == signal.SIGKILL
        if number == signal.SIGINT:
            late = reported and not job.keeps_what_was_done
            with contextlib.suppress(BrokenPipeError):
                os.write(child.go, _GO)
            answer = child.hear(HUNG)
            if reported and answer is not None:
                late = late or same(answer[1] or [], job.known)
            if answer is None or answer[0] != "answer":
                found["faults"].append([moment, "child", answer or told])
        expected = 0 if number == signal.SIGINT else -number
        status = child.end(HUNG if number == signal.SIGINT else 5)
        if status is None or (told is None and number == signal.SIGINT):
            found["hung"] += 1
        if status != expected and not (late and status == 0):
            found["faults"].append([moment, "status", status])
        found["hits"] += not late
        found["late"] += late
        found["slowest"] = max(found["slowest"], slow)
        checker = Child(checking(job, folder, reported))
        said = checker.hear(HUNG)
        status = checker.end(HUNG)
        found["hung"] += status is None
        if said is not None or status != 0:
            found["faults"].append([moment, "check", said])
    return {"job": name, "signal": signal.Signals(number).name, "seconds": seconds, **found}


def main() -> None:
    warnings.simplefilter("ignore")
    moments, folder, names = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or list(JOBS)
    for name in names:
        job = JOBS[name]()
        job.reset(folder / "warm")
        job.run(folder / "warm")  # compiled and imported here, once for all children
        for number in (signal.SIGKILL, signal.SIGINT):
            print(json.dumps(hit(job, name, number, moments, folder / "work")), flush=True)


if __name__ == "__main__":
    main()
