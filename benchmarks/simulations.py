"""Simulations that take hours: each is kept when it is done, and all are told in a page.

A simulation has a number, which is its seed, and is a line of JSON in the file of what it is
one of.  So a run that was stopped, or that goes on elsewhere, does only what is not there yet.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import islice, zip_longest
from multiprocessing import get_context
from pathlib import Path
from typing import Any


def kept_in(path: Path) -> list[dict[str, Any]]:
    """What was simulated, in the order of its numbers; a line that was cut off is left out."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            each = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[each["number"]] = each
    return [found[number] for number in sorted(found)]


def keep(path: Path, found: dict[str, Any]) -> None:
    """One line more; it begins with the line break that a killed run may not have written."""
    with path.open("a") as file:
        file.write("\n" + json.dumps(found))


def carry_out[Task](
    work: Callable[[Task], dict[str, Any]],
    tasks: Sequence[Sequence[Task]],
    done_with: Callable[[Task, dict[str, Any]], None],
    named: Callable[[Task], str],
    *,
    workers: int,
    seconds: float,
) -> None:
    """Every task, one of each sequence at a time; none is begun after so many seconds.

    ``work`` is done by other processes, ``done_with`` by this one, as each task ends.
    """
    left = [task for turn in zip_longest(*tasks) for task in turn if task is not None]
    if not left:
        return
    began, done, turn = time.perf_counter(), 0, iter(left)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(work, task): task for task in islice(turn, 2 * workers)}
        while running:
            finished = next(as_completed(running))
            task = running.pop(finished)
            done_with(task, finished.result())
            done, took = done + 1, time.perf_counter() - began
            print(
                f"\r{done} of {len(left)}, {took:.0f} s, {took / done * (len(left) - done):.0f} s "
                f"to go; {named(task):<40}",
                end="",
                flush=True,
            )
            if took < seconds:
                running |= {pool.submit(work, task): task for task in islice(turn, 1)}
    print()


def write_tables(page: Path, script: str, tables: Mapping[str, Sequence[str]]) -> None:
    """Write the lines of each table between its marks in a page."""
    text = page.read_text(encoding="utf-8")
    for name, lines in tables.items():
        begin, end = f"% {name}: written by {script}\n", f"% {name}: end\n"
        before, rest = text.split(begin)
        after = rest.split(end)[1]
        text = before + begin + "\n" + "\n".join(lines) + "\n\n" + end + after
    page.write_text(text, encoding="utf-8")
