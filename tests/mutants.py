"""Mutation testing of the core mathematics: ``make mutants``.

One small wrong change at a time (a mutant) is made to a module, and the tests of its room have to
fail with it.  A random sample of all changes is tried, drawn by a seed; results are kept, so
that a run goes on where it was stopped, and forgotten for a file that has changed.

pytest collects and runs the tests once without a change.  Then each mutant is a fork of that
process, in which the changed functions get their code; no file is touched.  What compiled code
is made of runs as plain Python (``tests/interpreted.py``), since compiling anew takes longer
than the tests.

Survivors are either a test that is missing or a change that nothing can notice; the latter have
their reasons in ``tests/mutants.toml``, and any other fails the run.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import hashlib
import inspect
import json
import os
import random
import resource
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "mutants"
RESULTS = BUILD / "results.jsonl"
REASONS = Path(__file__).with_name("mutants.toml")
SURVIVED = "survived"
SHARE = 0.9  # of the mutants that have to be killed, in each group, beside those with a reason


class Group(NamedTuple):
    """Files, and the tests that have to notice what is wrong in them."""

    files: tuple[str, ...]
    tests: tuple[str, ...]
    interpreted: bool  # as plain Python, without the tests that are slow so
    without: str = ""  # tests that are slow, by pytest's -k


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
        "holed_rows or whatever_is_said or say_nothing or is_not_seen or refused_unless",
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
        ("tests/evidence/test_evidence.py", "tests/evidence/test_estimators.py"),
        False,
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
            if isinstance(child, ast.FunctionDef) and any(
                ast.unparse(each) == "intrinsic" for each in child.decorator_list
            ):
                continue  # text for LLVM, which plain Python does not run
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


def in_child(work: Callable[[], bool], cpu: int) -> tuple[str, float]:
    """What became of a mutant in a fork, and its time."""
    begin = time.monotonic()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
        signal.alarm(10 * cpu)  # of one that waits for ever
        found = 1  # it could not even be imported
        with contextlib.suppress(BaseException):
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            found = int(not work())
        os._exit(found)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    outcome = SURVIVED if status == 0 else "killed" if status > 0 else "timed out"
    return outcome, time.monotonic() - begin


def functions(of: Any) -> dict[str, Any]:
    """The functions that a module or class defines itself, by their names."""
    found: dict[str, Any] = {}
    home = of.__name__ if isinstance(of, ModuleType) else of.__module__
    for name, value in vars(of).items():
        own = value
        if isinstance(own, classmethod | staticmethod):
            own = own.__func__
        elif isinstance(own, property):
            own = own.fget
        elif isinstance(own, cached_property):
            own = own.func
        own = inspect.unwrap(own) if callable(own) else own
        if inspect.isfunction(own) and own.__module__ == home:
            found[name] = own
        elif inspect.isclass(own) and own.__module__ == home and isinstance(of, ModuleType):
            found |= {f"{name}.{inner}": each for inner, each in functions(own).items()}
    return found


def become(module: ModuleType, source: str) -> None:
    """Give the functions and constants of a module, wherever they are, those of a changed text."""
    new = ModuleType(module.__name__)
    new.__dict__.update(__file__=module.__file__, __package__=module.__package__)
    exec(compile(source, str(module.__file__), "exec"), new.__dict__)
    theirs = functions(new)
    for name, own in functions(module).items():
        own.__code__ = theirs[name].__code__
        own.__defaults__, own.__kwdefaults__ = (
            theirs[name].__defaults__,
            theirs[name].__kwdefaults__,
        )
    everywhere = [m for name, m in sys.modules.items() if name.startswith(("bayesgmm", "tests"))]
    for name, value in vars(new).items():
        old = vars(module).get(name)
        if isinstance(value, int | float | tuple | dict) and value != old:
            for other in everywhere:
                if vars(other).get(name) is old:
                    setattr(other, name, value)


class Trying:
    """pytest's plugin: the tests once, then each mutant in a fork."""

    def __init__(self, name: str, mutants: list[Mutant]) -> None:
        self.name, self.mutants = name, mutants

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        random.Random(0).shuffle(items)  # of many like ones, one that notices comes early

    def pytest_runtestloop(self, session: Any) -> bool:
        def passed() -> bool:
            for i, item in enumerate(session.items):
                after = session.items[(i + 1) % len(session.items)]  # so fixtures stay
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
                if session.testsfailed:
                    return False
            return True

        begin = time.process_time()
        if not passed():
            raise session.Failed("tests fail without a change")
        limit = int(5 * (time.process_time() - begin)) + 10
        control, seconds = in_child(passed, limit)
        if control != SURVIVED:
            raise session.Failed(f"a fork without a change was {control}")
        print(f"\n{self.name}: {len(self.mutants)} to try, {seconds:.0f} s the tests", flush=True)
        for mutant in self.mutants:
            self.attempt(mutant, passed, limit)
        return True

    def attempt(self, mutant: Mutant, passed: Callable[[], bool], limit: int) -> None:
        module = import_module(f"bayesgmm.{mutant.file[:-3].replace('/', '.')}")

        def changed_and_passed() -> bool:
            become(module, mutant.source)
            return passed()

        outcome, seconds = in_child(changed_and_passed, limit)
        line = {
            "id": identity(mutant), "group": self.name, "file": mutant.file, "line": mutant.line,
            "before": mutant.before, "after": mutant.after, "outcome": outcome,
            "seconds": round(seconds, 1),
        }  # fmt: skip
        with RESULTS.open("a") as out:
            out.write(json.dumps(line) + "\n")


def run(name: str, size: int, seed: int, again: bool) -> int:
    """Try the mutants of a group that have no result yet, and the survivors if asked."""
    group = GROUPS[name]
    known = {i for i, each in latest().items() if not (again and survived(each))}
    sample = [mutant for file in group.files for mutant in sampled(file, size, seed)]
    sample = [mutant for mutant in sample if identity(mutant) not in known]
    if not sample:
        return 0
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    import pytest

    arguments = [*group.tests, "-q", "-p", "no:cacheprovider", "-m", "not slow and not pymc"]
    if group.interpreted:
        arguments += ["-p", "tests.interpreted"]
    if group.without:
        arguments += ["-k", f"not ({group.without})"]
    return int(pytest.main(arguments, plugins=[Trying(name, sample)]))


def identity(mutant: Mutant) -> str:
    """Of this change of this text."""
    original = (ROOT / "bayesgmm" / mutant.file).read_text()
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
    print(
        f"{'file':40}{'all':>6}{'tried':>7}{'killed':>8}{'share':>8}{'explained':>11}{'of rest':>9}"
    )
    for name in names:
        killed = tried = explained = 0
        for file in GROUPS[name].files:
            original = (ROOT / "bayesgmm" / file).read_text()
            own = [
                (mutant, survived(found[identity(mutant)]))
                for mutant in sampled(file, size, seed)
                if identity(mutant) in found
            ]
            left = [mutant for mutant, alive in own if alive]
            told = [mutant for mutant in left if mutant.key in reasons]
            n, k = len(own), len(own) - len(left)
            tried, killed, explained = tried + n, killed + k, explained + len(told)
            every = len(mutants_of(file, original))
            own_share = f"{k / n:.0%}" if n else "-"
            print(f"{file:40}{every:6}{n:7}{k:8}{own_share:>8}{len(told):11}")
            for mutant in left:
                if mutant.key not in reasons:
                    print(f"    line {mutant.line}: {mutant.before}\n       ->  {mutant.after}")
                    bad = 1
        share, of_rest = killed / max(tried, 1), killed / max(tried - explained, 1)
        print(f"{name:40}{'':6}{tried:7}{killed:8}{share:8.0%}{explained:11}{of_rest:9.0%}")
        bad = max(bad, int(of_rest < SHARE))
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
                os._exit(run(name, asked.size, asked.seed, asked.again))
            if os.waitpid(child, 0)[1]:
                return 1
    return report(names, asked.size, asked.seed)


if __name__ == "__main__":
    sys.exit(main())
