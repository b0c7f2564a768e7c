"""How the parts of a source are spread: over threads here, or over the workers of a cluster.

Everything that goes over all rows of a source goes through :func:`over_parts`: a function of a
part whose results add.  Results are added in the order of the rows, so that a sum does not
depend on who was done first.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from operator import add
from typing import Any

from bayesgmm.compiled.threads import pooled
from bayesgmm.data.sources.source import Part

#: Results that one task of a cluster adds up.
_FAN_IN = 16
#: Tasks for each thread of a cluster at most: enough that none waits long for another's last, few
#: enough that the scheduler, who takes a fraction of a millisecond for each, is not what is waited
#: for.
_TURNS = 32

#: Called with the number of parts that are done, as they are.
Done = Callable[[int], None]


def over_parts[Result](
    function: Callable[[Part, int], Result],
    parts: Iterable[tuple[Part, int]],
    *,
    cores: int,
    client: Any = None,
    done: Done | None = None,
) -> Result:
    """The sum of ``function(part, number of its first row)`` over parts, at least one."""
    if client is not None:
        return _on_cluster(function, parts, client)
    total: Any = None
    for number, result in enumerate(_in_order(function, parts, cores), start=1):
        total = result if total is None else total + result
        if done is not None:
            done(number)
    return total


def _in_order[Result](
    function: Callable[[Part, int], Result], parts: Iterable[tuple[Part, int]], cores: int
) -> Iterator[Result]:
    """Results one after the other, while the parts after them are read and worked on.

    One thread more than there are cores, so that reading does not keep a core waiting.  No
    thread reads more than one part at once, and no more wait than two for each, so that memory is
    bounded.
    """
    waiting: deque[Any] = deque()
    submit = pooled(cores + 1)
    try:
        for part, first in parts:
            waiting.append(submit(function, part, first))
            if len(waiting) > 2 * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _on_cluster[Result](
    function: Callable[[Part, int], Result], parts: Iterable[tuple[Part, int]], client: Any
) -> Result:
    """As a tree of tasks: what a worker that is lost had done is done again by others."""
    from dask.delayed import delayed

    # A task of its own, so that it travels once to each worker and can be made again.
    shared = delayed(_same, pure=False)(function)
    sent = [(part, part.sent(), first) for part, first in parts]
    anywhere = all(part is itself for part, itself, _ in sent)  # and not where a worker has it
    threads = sum(client.nthreads().values()) or 1
    size = max(1, len(sent) // (_TURNS * threads)) if anywhere else 1
    level = []
    for i in range(0, len(sent), size):
        _, some, firsts = zip(*sent[i : i + size], strict=True)
        level.append(delayed(_several, pure=False)(shared, list(some), firsts))
    while len(level) > 1:
        level = [
            delayed(_added, pure=False)(level[i : i + _FAN_IN])
            for i in range(0, len(level), _FAN_IN)
        ]
    return client.compute(level[0]).result()


def _same(value: Any) -> Any:
    return value


def _several(function: Any, parts: list[Part], firsts: tuple[int, ...]) -> Any:
    return reduce(add, map(function, parts, firsts))


def _added(results: list[Any]) -> Any:
    return reduce(add, results)


def active_client() -> Any:
    """The client of ``distributed`` that is in use, if there is one."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_client

    try:
        return get_client()
    except ValueError:
        return None
