"""Everything CI runs, in turn, with a summary at the end: python -m tests.run (or `make test`)."""

import os
import re
import subprocess
import sys
import time

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
}


def run(title, arguments, environment):
    """Run pytest on two workers, its output as it comes; → (exit status, seconds)."""
    print(f"\n== {title}", flush=True)
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *arguments]
    status = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode
    return status, time.perf_counter() - start


def summary(results):
    """The closing lines: seconds a stage, cells compared, exercises tested."""
    print("\n== summary")
    for title, (status, seconds) in results.items():
        print(f"{'✓' if status == 0 else '✗'} {title:<32} {seconds:5.0f} s")
    every = [(path, len(code(path))) for path in CHAPTERS + SOLUTIONS]
    compared = sum(round(compared_share(path) * count) for path, count in every)
    stubs = sum(bool(re.fullmatch(r"ex-.*-stub", cell["id"])) for path in CHAPTERS for cell in code(path))
    print(f"{compared} of {sum(count for _, count in every)} code cells compared, {stubs} exercises tested")


if __name__ == "__main__":
    results = {title: run(title, *stage) for title, stage in STAGES.items()}
    summary(results)
    passed = sum(status == 0 for status, _ in results.values())
    print(f"stages: {passed} passed, {len(results) - passed} failed")
    sys.exit(passed < len(results))
