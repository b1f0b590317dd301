"""The process that runs one notebook's answers and checks them; `runner` watches it from outside.

It tells each step before it begins and its results after it ended, so that the watcher knows what was
running when nothing more is heard.
"""

import builtins
import contextlib
import importlib
import json
import math
import os
import re
import sys
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from helpers.grade import answers

try:
    import resource
except ImportError:  # Windows
    resource = None

MEMORY_LIMITED = resource is not None and sys.platform.startswith("linux")
OUT_OF_MEMORY = re.compile(r"^ +got .*MemoryError", re.MULTILINE)
WORDS = 300  # characters of an error that go into the table


@dataclass(frozen=True)
class Task:
    """What a child is to do, in plain values: it need not import nbformat, which takes two seconds.

    number: the chapter's; exercises: their names; text, submitted: cells as (id, source); memory: MB;
    skip: steps to pass over, each with its reason if it was deadly.
    """

    number: str
    exercises: tuple
    text: tuple
    submitted: tuple
    folder: str
    seconds: float
    memory: int
    skip: dict


def run(connection, task):
    """The child's life: each step's name and exercises are sent, then its results; at last "end"."""
    _settle(task.folder)
    checks = _checks(task)
    leans_on = _copies_of_modules(checks)
    plan = answers.cells(task.submitted, task.text, task.exercises)
    _limit(task.memory, 60 + 50 * task.seconds)
    for step, names, work in _steps(plan, checks, leans_on, task.skip):
        if step not in task.skip:
            _tell(connection, step=step, names=names)
            results = work()
            passed = [name for name, (status, _) in results.items() if status == "passed"]
            task.skip.update({last_check(name): "" for name in passed})
            _tell(connection, step=step, names=names, results=results)
    _tell(connection, step="end", names=[])
    os._exit(0)  # whatever threads or exit handlers the notebook has left


def last_check(name):
    """The step that checks an exercise again after the last cell."""
    return f"check of {name} after the last cell"


def _steps(plan, checks, leans_on, skip):
    """(name, exercises concerned, work) in the notebook's order: each cell, then a check of what it answers;
    after the last cell a check of every exercise. A deadly cell, and its checks, are left out."""
    scope = {"__name__": "__main__", "display": lambda *values, **options: None}
    broken, answered = {step: why for step, why in skip.items() if why}, {}
    deadly = set(broken)
    judge = partial(_judge, checks, leans_on, scope, answered, broken)
    for cell in plan:
        yield cell.label, cell.answers, partial(_execute, cell, scope, broken)
        for name in cell.answers:
            answered[name] = cell.label
            if cell.label not in deadly:
                yield f"check of {name} after {cell.label}", [name], partial(judge, name)
    for name in checks:
        yield last_check(name), [name], partial(judge, name)


def _execute(cell, scope, broken):
    """Run a cell's statements, each whatever became of the others."""
    for name in cell.answers:
        scope.pop(name, None)
    errors = [cell.error] if cell.error else []
    for statement in cell.statements:
        try:
            exec(statement.code, scope)
        except BaseException as error:  # SystemExit and KeyboardInterrupt too
            errors.append(_brief(error))
    if errors:
        broken[cell.label] = errors[0]
    return {}


def _judge(checks, leans_on, scope, answered, broken, name):
    """One exercise's status and hint, by the course's check as it was before the notebook ran."""
    if name not in answered:
        return {name: ("missing", f"no cell defines {name}")}
    if name not in scope:
        why = broken.get(answered[name], f"{name} is gone")
        return {name: ("memory" if "MemoryError" in why else "error", f"{answered[name]}: {why}")}
    _restore(leans_on)
    try:
        verdict = checks[name](scope[name])
    except BaseException as error:
        return {name: ("error", f"the answer ends with {_brief(error)}")}
    changed = _restore(leans_on)
    if changed:
        return {name: ("error", f"the answer changes {changed[0]}: look at this notebook yourself")}
    if OUT_OF_MEMORY.search(verdict.text):
        return {name: ("memory", "needs more memory than the limit allows")}
    return {name: (verdict.status, verdict.hint + _note(verdict, broken))}


def _note(verdict, broken):
    """For an undefined name, the first cell that failed: it may be what should have defined it."""
    if "NameError" not in verdict.text or not broken:
        return ""
    return " ({}: {})".format(*next(iter(broken.items())))


def _settle(folder):
    """A process group of its own, an empty folder to write into, no input, no output."""
    if hasattr(os, "setsid"):
        os.setsid()
    os.chdir(folder)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    sys.stdin, sys.stdout, sys.stderr = (open(os.devnull, mode, encoding="utf-8") for mode in ("r", "w", "w"))
    warnings.simplefilter("ignore")


def _checks(task):
    """Exercise → its check as a function; the notebook's `from helpers import checks` gets another copy."""
    report = importlib.import_module("helpers.checks._report")
    module = importlib.import_module(f"helpers.checks.ch{task.number}")
    report.TIME_LIMIT = 10 * task.seconds  # the watcher is stricter, and stops what a signal cannot
    verdict = report.Check.verdict
    found = {name: verdict.__get__(getattr(module, name)) for name in task.exercises}
    for name in [name for name in sys.modules if name.split(".")[:2] == ["helpers", "checks"]]:
        del sys.modules[name]
    vars(sys.modules["helpers"]).pop("checks", None)
    return found


def _copies_of_modules(checks):
    """What the checks lean on, as it is now: (module, a copy of its names)."""
    own = {id(f.__self__.function.__globals__): f.__self__.function.__globals__ for f in checks.values()}
    report = next(iter(checks.values())).__func__.__globals__
    shared = [m for name, m in sys.modules.items() if name.split(".")[0] == "numpy" and vars(m)]
    spaces = [*own.values(), report, vars(builtins), vars(math), *map(vars, [np, *shared])]
    return [(space, dict(space)) for space in spaces]


def _restore(leans_on):
    """Undo changes to what the checks lean on; → the names that had been changed."""
    changed = []
    for space, names in leans_on:
        for name, value in names.items():
            if space.get(name) is not value:
                space[name] = value
                changed.append(f"{names['__name__']}.{name}")
    return changed


def _limit(megabytes, cpu_seconds):
    """Memory beyond what is taken now, the size of a file, and, should the watcher die, processor time."""
    if not MEMORY_LIMITED:
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limits = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + megabytes * 2**20,
        resource.RLIMIT_FSIZE: 100 * 2**20,
        resource.RLIMIT_CPU: int(cpu_seconds),
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        with contextlib.suppress(ValueError):  # the system's own limit is lower already
            resource.setrlimit(kind, (most, most))


def _tell(connection, **message):
    connection.send_bytes(json.dumps(message).encode())


def _brief(error):
    return " ".join(f"{type(error).__name__}: {error}".split())[:WORDS].removesuffix(": ")
