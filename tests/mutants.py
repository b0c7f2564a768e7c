"""Mutation testing of the core mathematics: ``make mutants``.

One small wrong change at a time (a mutant) is made to a copy of the package in ``build/mutants``,
and the tests of its room have to fail with it.  A random sample of all changes is tried, drawn
by a seed; results are kept, so that a run goes on where it was stopped, and forgotten for a
file that has changed.  What compiled code is made of runs as plain Python
(``tests/interpreted.py``), since compiling anew takes longer than the tests.

Survivors are either a test that is missing or a change that nothing can notice; the latter have
their reasons in ``tests/mutants.toml``, and any other fails the run.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "mutants"
COPY = BUILD / "copy"
RESULTS = BUILD / "results.jsonl"
REASONS = Path(__file__).with_name("mutants.toml")
SURVIVED = "survived"
SHARE = 0.9  # of the mutants that have to be killed, in each group


class Group(NamedTuple):
    """Files, and the tests that have to notice what is wrong in them."""

    files: tuple[str, ...]
    tests: tuple[str, ...]
    interpreted: bool  # as plain Python
    without: str = ""  # tests that are slow as plain Python, by pytest's -k


GROUPS = {
    "kernel": Group(
        (
            "expectation/kernel.py",
            "expectation/one_pass.py",
            "expectation/marginals.py",
            "expectation/precision.py",
            "expectation/statistics.py",
        ),
        ("tests/expectation/test_statistics.py", "tests/expectation/test_how_seen.py",
         "tests/expectation/test_views.py"),
        True,
        "correlated_errors or stationary or every_method or scipy_finds or em_holed or copies "
        "or conditional_mixture or no_array",
    ),
    "density": Group(
        (
            "density/slopes.py",
            "density/target.py",
            "density/coordinates.py",
            "density/prior_terms.py",
            "density/recording.py",
        ),
        ("tests/density/test_density.py", "tests/density/test_jacobian.py"),
        True,
        "integrates_to",
    ),
    "m_step": Group(("inference/maximum/m_step.py",), ("tests/maximum/test_m_step.py",), True),
    "evidence": Group(
        (
            "inference/evidence/importance.py",
            "inference/evidence/log_evidence.py",
            "inference/evidence/one_labelling.py",
            "inference/evidence/opinions.py",
            "inference/bridge.py",
        ),
        ("tests/evidence/test_evidence.py",),
        False,
        "labelling_and_in_all",
    ),
}  # fmt: skip

Change = tuple[ast.AST, str, Any]  # a node, its field, and what is put there


def changes(node: ast.AST) -> Iterator[Change]:
    """The changes of one node."""
    swapped = {
        ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
        ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: None, ast.LShift: ast.RShift,
        ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
        ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
        ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
        ast.And: ast.Or, ast.Or: ast.And,
    }  # fmt: skip
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        other = swapped.get(type(node.op))
        if other is not None:
            yield node, "op", other()
    if isinstance(node, ast.AugAssign):
        yield node, "op", None  # a plain assignment
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        other = swapped.get(type(node.ops[0]))
        if other is not None:
            yield node, "ops", [other()]
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield node, "test", ast.UnaryOp(ast.Not(), node.test)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node, "op", ast.UAdd() if isinstance(node.op, ast.USub) else None
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield node, "value", not node.value
        elif isinstance(node.value, int):
            yield node, "value", node.value + 1
        elif isinstance(node.value, float):
            yield node, "value", node.value * 1.5 if node.value else 1.0
    if isinstance(node, ast.Name) and node.id in ("min", "max"):
        yield node, "id", "max" if node.id == "min" else "min"
    if isinstance(node, ast.Break):
        yield node, "", ast.Continue()
    if isinstance(node, ast.Continue):
        yield node, "", ast.Break()


def visited(node: ast.AST, statement: ast.stmt | None = None) -> Iterator[tuple[ast.AST, Any]]:
    """What computes, with the statement that it is in: no annotations, decorators or classes'
    fields."""
    skipped = ("annotation", "returns", "decorator_list", "type_params", "type_comment")
    if isinstance(node, ast.stmt):
        statement = node
    yield node, statement
    for name, value in ast.iter_fields(node):
        if name in skipped:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST):
                continue
            if isinstance(child, ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr):
                continue  # errors' words are tested elsewhere
            yield from visited(child, statement)


class Mutant(NamedTuple):
    """One change of one file."""

    file: str
    line: int
    before: str  # the statement, or its head
    after: str
    source: str  # the file with it

    @property
    def key(self) -> tuple[str, str, str]:
        return self.file, self.before, self.after


def mutants_of(file: str, source: str) -> list[Mutant]:
    """All of them, in the order of the text."""
    found = []
    tree = ast.parse(source)
    for node, statement in list(visited(tree)):
        for at, field, value in list(changes(node)):
            before = head(statement)
            with changed(tree, at, field, value):
                after, text = head(statement), ast.unparse(tree)
            if after != before or isinstance(node, ast.Break | ast.Continue):
                if isinstance(node, ast.Break | ast.Continue):
                    before, after = type(node).__name__.lower(), type(value).__name__.lower()
                found.append(Mutant(file, node.lineno, before, after, text))
    return found


def head(statement: ast.stmt | None) -> str:
    """A statement on one line; of a compound one its first."""
    assert statement is not None
    if isinstance(statement, ast.For | ast.While | ast.If | ast.FunctionDef | ast.With | ast.Try):
        statement = copy.copy(statement)
        statement.body = [ast.Pass()]
        statement.orelse = []  # type: ignore[union-attr]
        if isinstance(statement, ast.FunctionDef):
            statement.decorator_list = []
        return ast.unparse(statement).split("\n")[0]
    return " ".join(ast.unparse(statement).split())


@contextlib.contextmanager
def changed(tree: ast.Module, node: ast.AST, field: str, value: Any) -> Iterator[None]:
    """The tree with a change, and as it was afterwards."""
    if field == "":  # the statement itself
        parent, name, at = next(
            (above, name, body.index(node))
            for above in ast.walk(tree)
            for name, body in ast.iter_fields(above)
            if isinstance(body, list) and node in body
        )
        body = getattr(parent, name)
        body[at] = value
        yield
        body[at] = node
        return
    if field == "op" and value is None:
        before = dict(node.__dict__)
        if isinstance(node, ast.AugAssign):
            own = ast.Assign([node.target], node.value, lineno=node.lineno)
        else:
            own = node.operand  # type: ignore[attr-defined]
        kind = type(node)
        node.__class__, node.__dict__ = type(own), dict(own.__dict__)
        yield
        node.__class__, node.__dict__ = kind, before
        return
    before_value = getattr(node, field)
    setattr(node, field, value)
    yield
    setattr(node, field, before_value)


def sampled(file: str, size: int, seed: int) -> list[Mutant]:
    """Those that are tried, in a random order."""
    every = mutants_of(file, (ROOT / "bayesgmm" / file).read_text())
    return random.Random(f"{seed} {file}").sample(every, min(size, len(every)))


def make_copy() -> None:
    """What is tested, apart from the checkout."""
    if COPY.exists():
        shutil.rmtree(COPY)
    COPY.mkdir(parents=True)
    for name in ("bayesgmm", "tests", "conftest.py", "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, COPY / name, ignore=ignored)
        else:
            shutil.copy(source, COPY / name)


def in_child(work: Callable[[], int], cpu: int) -> tuple[int, float]:
    """The exit status of a function in a fork, -9 if it took too long, and its time."""
    begin = time.monotonic()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
        signal.alarm(30 * cpu)  # of one that waits for ever
        status = 1
        with contextlib.suppress(BaseException):
            quiet = os.open(BUILD / "last.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            status = work()
        os._exit(status)
    _, found = os.waitpid(child, 0)
    status = os.waitstatus_to_exitcode(found)
    return (-9 if status < 0 else status), time.monotonic() - begin


class Shuffled:
    """Tests in a random order: of many like ones, one that notices comes early."""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        random.Random(0).shuffle(items)


def test_group(group: Group) -> int:
    """pytest's exit status."""
    import pytest

    arguments = [*group.tests, "-x", "-q", "-p", "no:cacheprovider"]
    if group.without:
        arguments += ["-k", f"not ({group.without})"]
    return int(pytest.main([*arguments, "-m", "not slow and not pymc"], plugins=[Shuffled()]))


def prepare(group: Group) -> None:
    """Import, once for all forks, what takes long and is not changed."""
    os.chdir(COPY)
    sys.path[0] = str(COPY)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # those of other packages take seconds
    os.environ["NUMBA_CACHE_DIR"] = str(BUILD / "compiled")
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if group.interpreted:
        import_module("tests.interpreted")
    for name in ("matplotlib", "numba", "pandas", "pytest", "scipy.optimize", "scipy.stats"):
        import_module(name)


def run(name: str, size: int, seed: int, again: bool) -> None:
    """Try the mutants of a group that have no result yet, and the survivors if asked."""
    group = GROUPS[name]
    make_copy()
    prepare(group)
    status, seconds = in_child(lambda: test_group(group), 3600)
    if status != 0:
        raise SystemExit(f"The tests of {name} fail without a change; see {BUILD}/last.log.")
    print(f"{name}: {seconds:.0f} s without a change", flush=True)
    limit = int(5 * seconds) + 20
    for file in group.files:
        there = COPY / "bayesgmm" / file
        original = there.read_text()
        known = {i for i, each in latest().items() if not (again and survived(each))}
        for mutant in sampled(file, size, seed):
            own = identity(mutant, original)
            if own in known:
                continue
            there.write_text(mutant.source)
            for compiled in there.parent.glob(f"__pycache__/{there.stem}.*.pyc"):
                compiled.unlink()  # Python knows a changed file by its size and its second
            status, seconds = in_child(lambda: test_group(group), limit)
            there.write_text(original)
            # 1: tests failed; 2 to 4: it could not even be imported; -9: it ran on and on.
            outcome = SURVIVED if status == 0 else "timed out" if status == -9 else "killed"
            line = {
                "id": own, "group": name, "file": file, "line": mutant.line,
                "before": mutant.before, "after": mutant.after,
                "outcome": outcome, "seconds": round(seconds, 1),
            }  # fmt: skip
            with RESULTS.open("a") as out:
                out.write(json.dumps(line) + "\n")


def identity(mutant: Mutant, original: str) -> str:
    text = "\0".join((mutant.file, original, mutant.source))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def latest() -> dict[str, dict[str, Any]]:
    """The last result of each mutant."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {each["id"]: each for each in map(json.loads, lines)}


def survived(result: dict[str, Any]) -> bool:
    return bool(result["outcome"] == SURVIVED)


def report(names: list[str], size: int, seed: int) -> int:
    """Say what was found; 1 if too few were killed, or a survivor has no reason."""
    reasons = {
        (each["file"], each["before"], each["after"]): each["why"]
        for each in tomllib.loads(REASONS.read_text())["survivor"]
    }
    found = latest()
    bad = 0
    print(f"{'file':40}{'all':>6}{'tried':>7}{'killed':>8}{'share':>8}{'explained':>11}")
    for name in names:
        killed = tried = 0
        for file in GROUPS[name].files:
            original = (ROOT / "bayesgmm" / file).read_text()
            own = [
                (mutant, survived(found[identity(mutant, original)]))
                for mutant in sampled(file, size, seed)
                if identity(mutant, original) in found
            ]
            left = [mutant for mutant, alive in own if alive]
            told = [mutant for mutant in left if mutant.key in reasons]
            n, k = len(own), len(own) - len(left)
            tried, killed = tried + n, killed + k
            every = len(mutants_of(file, original))
            share = f"{k / n:.0%}" if n else "-"
            print(f"{file:40}{every:6}{n:7}{k:8}{share:>8}{len(told):11}")
            for mutant in left:
                if mutant.key not in reasons:
                    print(f"    line {mutant.line}: {mutant.before}\n       ->  {mutant.after}")
                    bad = 1
        share_of_all = killed / max(tried, 1)
        print(f"{name:40}{'':6}{tried:7}{killed:8}{share_of_all:8.0%}")
        bad = max(bad, int(share_of_all < SHARE))
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], help="all by default")
    parser.add_argument("--size", type=int, default=40, help="mutants of each file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="what survived, with other tests")
    parser.add_argument("--report", action="store_true", help="of what has been tried, only")
    asked = parser.parse_args()
    names = asked.groups or list(GROUPS)
    if not asked.report:
        BUILD.mkdir(parents=True, exist_ok=True)
        for name in names:  # each in a process of its own: some interpret compiled code
            child = os.fork()
            if child == 0:
                try:
                    run(name, asked.size, asked.seed, asked.again)
                except SystemExit as stop:
                    print(stop, file=sys.stderr, flush=True)
                    os._exit(1)
                os._exit(0)
            if os.waitpid(child, 0)[1]:
                return 1
    return report(names, asked.size, asked.seed)


if __name__ == "__main__":
    sys.exit(main())
