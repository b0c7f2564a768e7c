"""What came of checks: one line each, and one error that lists all that failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from bayesgmm.errors import SpecError
from bayesgmm.options import shown
from bayesgmm.testing.expectations import Broken, Skipped

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One check that was made.

    Attributes
    ----------
    name : str
    promise : str
        What is to hold, in a sentence.
    outcome : {"passed", "failed", "skipped"}
    seconds : float
    said : str
        What was found where it failed, why it was skipped, or how well it holds.
    """

    name: str
    promise: str
    outcome: Outcome
    seconds: float
    said: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"


@dataclass(frozen=True, repr=False)
class Conformance:
    """The checks that were made of one method or structure; it prints as a table.

    Attributes
    ----------
    subject : str
    checks : tuple of Check
    """

    subject: str
    checks: tuple[Check, ...]

    def __len__(self) -> int:
        return len(self.checks)

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def __getitem__(self, name: str) -> Check:
        """One check by its name."""
        for check in self.checks:
            if check.name == name:
                return check
        there = ", ".join(check.name for check in self.checks) or "none"
        raise SpecError(f"There is no check {shown(name)}; choose among those made: {there}.")

    def of(self, outcome: Outcome) -> tuple[Check, ...]:
        """Those of one outcome."""
        return tuple(check for check in self.checks if check.outcome == outcome)

    def __repr__(self) -> str:
        wide = max((len(check.name) for check in self.checks), default=0)
        counts = ", ".join(
            f"{len(self.of(outcome))} {outcome}"
            for outcome in ("passed", "failed", "skipped")
            if outcome == "passed" or self.of(outcome)
        )
        lines = [
            f"  {each.name:{wide}}  {each.outcome:7}  {each.seconds:5.2f} s  {each.said}".rstrip()
            for each in self.checks
        ]
        return "\n".join([f"{self.subject}: {counts}.", *lines])


class ConformanceError(AssertionError):
    """Promises that are not kept, each with what was found; ``conformance`` has all checks."""

    def __init__(self, conformance: Conformance) -> None:
        failed = conformance.of("failed")
        told = [f"- {check.name}: {check.promise} {check.said}" for check in failed]
        count = f"{len(failed)} of {len(conformance)} checks failed"
        super().__init__("\n".join([f"{conformance.subject}: {count}.", *told]))
        self.conformance = conformance

    def __reduce__(self) -> Any:
        return type(self), (self.conformance,)


def name_of(check: Callable[[Any], Any]) -> str:
    """What a check is called: its function's name in words."""
    return check.__name__.replace("_", " ")


def chosen[Subject](
    checks: Iterable[Callable[[Subject], str | None]], only: Iterable[str] | None
) -> list[Callable[[Subject], str | None]]:
    """The checks of some names, or all; a name that is none is refused."""
    every = {name_of(check): check for check in checks}
    if only is None:
        return list(every.values())
    names = [only] if isinstance(only, str) else list(only)
    unknown = [name for name in names if name not in every]
    if unknown:
        raise SpecError(f"There is no check {unknown[0]!r}; there are {', '.join(every)}.")
    return [every[name] for name in names]


def carried_out[Subject](
    subject: str, checks: Iterable[Callable[[Subject], str | None]], what: Subject
) -> Conformance:
    """Every check made; the error comes after the last, so that it lists all that failed.

    A check is a function whose docstring is the promise.  It returns how well that holds, or
    raises what it found; an exception that was not meant is a promise broken as well.
    """
    made = []
    for check in checks:
        began = time.perf_counter()
        outcome: Outcome = "passed"
        try:
            said = check(what) or ""
        except Skipped as reason:
            outcome, said = "skipped", str(reason)
        except Broken as found:
            outcome, said = "failed", str(found)
        except Exception as error:
            outcome, said = "failed", f"Found {type(error).__name__}: {error}"
        promise = " ".join((check.__doc__ or "").split())
        seconds = time.perf_counter() - began
        made.append(Check(name_of(check), promise, outcome, seconds, said))
    conformance = Conformance(subject, tuple(made))
    if conformance.of("failed"):
        raise ConformanceError(conformance)
    return conformance
