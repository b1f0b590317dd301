"""Everything CI runs, in turn, with a summary at the end: python -m tests.run (or `make test`)."""

import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tests.notebooks import CHAPTERS, ROOT, SOLUTIONS, code
from tests.test_form import compared_share

NBVAL = [
    *("--nbval", "--nbval-current-env", "--nbval-cell-timeout", "120"),
    *("--nbval-sanitize-with", "tests/nbval_sanitize.cfg", "--dist", "loadscope", "-o", "filterwarnings="),
    *("-p", "no:cacheprovider"),
]
STAGES = {  # what it shows: (arguments for pytest, environment)
    "code, data, checks, form": (["tests"], {}),
    "every cell of every chapter": ([*NBVAL, "notebooks"], {}),
    "every cell of every solution": ([*NBVAL, "solutions"], {"COURSE_CHECKS": "raise"}),
    "a learner's session in a browser": (["-m", "browser", "--dist", "loadgroup", "tests"], {}),
}


def run(title, arguments, environment):
    """Run pytest on two workers, its output as it comes; → (exit status, seconds, pytest's report as XML)."""
    print(f"\n== {title}", flush=True)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", f"--junitxml={report}", *arguments]
        status = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode
        xml = report.read_text(encoding="utf-8") if report.exists() else "<testsuites/>"
    return status, time.perf_counter() - start, xml


def seconds_by_notebook(xml):
    """pytest's report as XML → dict "notebooks/01_linear_equation.ipynb" → seconds of its cells together."""
    found = {}
    for case in ElementTree.fromstring(xml).iter("testcase"):
        if case.get("classname", "").endswith(".ipynb"):
            name = case.get("classname").replace(".", "/", 1)
            found[name] = found.get(name, 0) + float(case.get("time"))
    return found


def reasons_to_skip(xml):
    """pytest's report as XML → why tests were skipped, each reason once."""
    return sorted({case.get("message") for case in ElementTree.fromstring(xml).iter("skipped")})


def seconds_table(seconds):
    """Two lines: the seconds of each chapter, and of its solutions, kernel start included."""
    lines = []
    for folder in ("notebooks", "solutions"):
        of = {name.split("/")[1][:2]: took for name, took in seconds.items() if name.startswith(folder)}
        row = "".join(f"  {number} {took:3.0f} s" for number, took in sorted(of.items()))
        lines.append(f"{folder:<10}{row}")
    return "\n".join(lines)


def count():
    """Code cells whose output is compared, all code cells, exercises: over all chapters and solutions."""
    every = [(path, len(code(path))) for path in CHAPTERS + SOLUTIONS]
    compared = sum(round(compared_share(path) * cells) for path, cells in every)
    stubs = sum(bool(re.fullmatch(r"ex-.*-stub", cell["id"])) for path in CHAPTERS for cell in code(path))
    return compared, sum(cells for _, cells in every), stubs


def summary(results):
    """The closing lines: seconds a stage and a notebook, cells compared, exercises tested."""
    print("\n== summary")
    seconds = {}
    for title, (status, took, xml) in results.items():
        print(f"{'✓' if status == 0 else '✗'} {title:<32} {took:5.0f} s")
        for reason in reasons_to_skip(xml):
            print(f"  – skipped: {reason}")
        seconds |= seconds_by_notebook(xml)
    print(seconds_table(seconds))
    compared, every, stubs = count()
    print(f"{compared} of {every} code cells compared, {stubs} exercises tested")


if __name__ == "__main__":
    results = {title: run(title, *stage) for title, stage in STAGES.items()}
    summary(results)
    passed = sum(status == 0 for status, *_ in results.values())
    print(f"stages: {passed} passed, {len(results) - passed} failed")
    sys.exit(passed < len(results))
