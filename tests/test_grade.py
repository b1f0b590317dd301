"""The grader on made-up classes: whose file, which chapter, what an answer earns, going on after a stop."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.grade import answers, child, runner, submissions, table
from helpers.grade.__main__ import WARNING, main
from tests.notebooks import ROOT, source

STEM = "01_linear_equation"
NAMES = ["linear", "decide", "mse", "gradients", "measured_gradient", "gradient_descent"]
COURSE = submissions.course()
WRONG = {  # exercise: (a wrong answer, a part of its hint)
    "linear": ("def linear(W, x, b):\n    return W @ x", "bias is missing"),
    "decide": ("def decide(images, W, b):\n    return images", "shape should be"),
    "mse": ("def mse(Y_hat, Y):\n    return np.sum((Y_hat - Y) ** 2)", "sum of the squares"),
    "gradients": ("def gradients(X, Y, W, b):\n    return 1, 2, 3", "Return 2 values"),
    "measured_gradient": ("def measured_gradient(f, w, eps):\n    return f(w) / w", ""),
    "gradient_descent": ("def gradient_descent(X, Y, W, b, lr, steps):\n    return W, b", "has not moved"),
}


def stub_id(name):
    return f"ex-{name.replace('_', '-')}-stub"


def notebook(changes=None, solved=True, add=()):
    """Chapter 01 with its solutions; changes: cell id → new source, or None to leave the cell out.

    add: sources of cells of the student's own, put after the set-up cell.
    """
    book = json.loads((ROOT / "notebooks" / f"{STEM}.ipynb").read_text(encoding="utf-8"))
    new = {
        stub_id(n): source(ROOT / "solutions" / f"{STEM}.ipynb", f"ex-{n.replace('_', '-')}-answer")
        for n in NAMES
    }
    new = {**(new if solved else {}), **(changes or {})}
    for cell in book["cells"]:
        cell["source"] = new.get(cell["id"], cell["source"])
    book["cells"] = [cell for cell in book["cells"] if cell["source"] is not None]
    at = [cell["id"] for cell in book["cells"]].index("setup") + 1
    book["cells"][at:at] = [code(f"own-{n}", text) for n, text in enumerate(add)]
    return book


def code(identity, text):
    return {
        "cell_type": "code",
        "id": identity,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": text,
    }


def answer(name, body):
    """The stub's first line with another body."""
    head = source(ROOT / "notebooks" / f"{STEM}.ipynb", stub_id(name)).splitlines()[0]
    return head + "".join(f"\n    {line}" for line in body.splitlines())


def put(folder, files):
    """Write a class: path → notebook, or text as it is."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def without_ids(book):
    """As an older tool saves it: format 4.4, no ids, the answers' cells doubled."""
    doubled = [cell for cell in book["cells"] if cell["id"].endswith("-stub")]
    cells = [{k: v for k, v in cell.items() if k != "id"} for cell in book["cells"] + doubled]
    return {**book, "cells": cells, "nbformat_minor": 4}


def graded(out):
    with out.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def statuses(rows):
    """Student → the six statuses, in one line of initials or words."""
    found = {}
    for row in rows:
        found.setdefault(row["student"], []).append(row["status"])
    return found


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """The command sets these for its children; they are put back after each test."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("MPLBACKEND", "agg")


def test_a_class_with_every_mishap_gets_the_right_table(tmp_path, capsys):
    traces = tmp_path / "traces"
    all_pass = ["passed"] * 6
    fake = "import numpy as np\nfrom helpers import checks\nfrom helpers.checks import _report\n"
    fake += "checks.ch01.linear.verdict = lambda answer: _report.Verdict('passed', '')\n"
    fake += "checks.ch01.linear.function = lambda answer: None\n"
    fake += "_report.Check.verdict = lambda self, answer: _report.Verdict('passed', '')\n"
    fake += "_report.expect = checks.ch01.expect = lambda *a, **k: None\nnp.allclose = lambda *a, **k: True\n"
    fake = "def cheat():\n    " + fake.replace("\n", "\n    ") + "return 1\n\ncheated = cheat()"
    solved = source(ROOT / "solutions" / f"{STEM}.ipynb", "ex-linear-answer")
    memory = "blocks = []\nwhile True:\n    blocks.append(np.empty(10**7))"
    submitted = {
        "Perfect Ann/01_linear_equation.ipynb": (notebook(), all_pass),
        "Empty_01_linear_equation.ipynb": (notebook(solved=False), ["not attempted"] * 6),
        "Wrong/homework.ipynb": (
            notebook({stub_id(n): text for n, (text, _) in WRONG.items()}),
            ["failed"] * 6,
        ),
        "Endless/a.ipynb": (
            notebook({stub_id("decide"): answer("decide", "while True:\n    pass")}),
            ["passed", "timeout", *all_pass[2:]],
        ),
        "Endless cell/a.ipynb": (
            notebook({stub_id("decide"): "while True:\n    def decide(images, W, b):\n        return 1"}),
            ["passed", "timeout", *all_pass[2:]],
        ),
        "Greedy/a.ipynb": (
            notebook({stub_id("mse"): answer("mse", memory)}),
            ["passed", "passed", "memory", *all_pass[3:]],
        ),
        "Crash/a.ipynb": (
            notebook(
                {
                    stub_id("linear"): answer(
                        "linear", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"
                    )
                }
            ),
            ["error", *all_pass[1:]],
        ),
        "Exit/a.ipynb": (
            notebook({stub_id("linear"): answer("linear", "import os\nos._exit(0)")}),
            ["error", *all_pass[1:]],
        ),
        "Deleted checks/a.ipynb": (
            notebook({f"ex-{n.replace('_', '-')}-check": None for n in NAMES}),
            all_pass,
        ),
        "Deleted stub/a.ipynb": (
            notebook({stub_id("mse"): None}),
            ["passed", "passed", "missing", *all_pass[3:]],
        ),
        "Edited checks/a.ipynb": (
            notebook({"ex-linear-check": "print('✓ Exercise 1.1 (linear): passed.')"}, solved=False),
            ["not attempted"] * 6,
        ),
        "Fake checks/a.ipynb": (
            notebook(
                {
                    stub_id("linear"): fake + "\n" + answer("linear", "return W @ x + 0 * cheated"),
                    "setup": "class checks: pass",
                }
            ),
            ["failed", *all_pass[1:]],
        ),
        "Fake numpy/a.ipynb": (
            notebook(
                {stub_id("linear"): answer("linear", "np.allclose = lambda *a, **k: True\nreturn W @ x")}
            ),
            ["error", *all_pass[1:]],
        ),
        "Not_a_notebook_01_linear_equation.ipynb": ("PK\x03\x04 this was a Word file", ["error"] * 6),
        "No ids/x.ipynb": (without_ids(notebook()), all_pass),
        "Syntax/x.ipynb": (
            notebook({stub_id("linear"): "def linear(W, x, b)\n    return 1"}),
            ["error", *all_pass[1:]],
        ),
        "Helpers/x.ipynb": (
            notebook(
                {stub_id("linear"): answer("linear", "return plus(W @ x, b)")},
                add=[
                    f"print(never_defined)\nopen({str(traces)!r}, 'w')\n%matplotlib inline\n"
                    "def plus(a, b):\n    return a + b + ZERO",
                    "ZERO = 0",
                ],
            ),
            all_pass,
        ),
        "Own cell/x.ipynb": (
            notebook({stub_id("linear"): None}, add=["def linear(W, x, b):\n    return W @ x + b"]),
            all_pass,
        ),
        "Second try/x.ipynb": (
            notebook({stub_id("linear"): "def linear(W, x, b):\n    return 0"}, add=[solved]),
            all_pass,
        ),
        "Müller Özge_12345_assignsubmission_file_/01_linear_equation.ipynb": (notebook(), all_pass),
        "leebob_LATE_12345_678901_01_linear_equation-1.ipynb": (notebook(), all_pass),
        "Lost/essay.ipynb": (
            {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5},
            ["no such chapter"],
        ),
    }
    put(tmp_path / "class", {file: content for file, (content, _) in submitted.items()})
    out = tmp_path / "grades.csv"
    assert (
        main([str(tmp_path / "class"), "--out", str(out), "--time", "2", "--memory", "500", "--jobs", "2"])
        == 0
    )
    rows = graded(out)
    expected = {}
    for file, (_, wanted) in submitted.items():
        student = file.split("/")[0].replace("_01_linear_equation.ipynb", "")
        student = {"Müller Özge_12345_assignsubmission_file_": "Müller Özge"}.get(student, student)
        expected["leebob" if "leebob" in student else student] = wanted
    assert statuses(rows) == expected
    assert not traces.exists(), "a statement that no answer needs has run"
    assert all(row["points"] == str(int(row["status"] == "passed")) for row in rows)
    hints = {(row["student"], row["name"]): row["hint"] for row in rows}
    for name, (_, part) in WRONG.items():
        assert part in hints["Wrong", name]
    assert "still running after 2 s" in hints["Endless", "decide"]
    assert "SIGSEGV" in hints["Crash", "linear"]
    assert "exit code 0" in hints["Exit", "linear"]
    assert "bias is missing" in hints["Fake checks", "linear"]
    assert "changes numpy.allclose" in hints["Fake numpy", "linear"]
    assert "SyntaxError" in hints["Syntax", "linear"]
    assert "no cell defines mse" in hints["Deleted stub", "mse"]
    said = capsys.readouterr().out
    assert WARNING in said
    assert "no such chapter: Lost/essay.ipynb" in said


def test_a_second_run_keeps_unchanged_rows_and_grades_a_changed_file_anew(tmp_path, capsys, monkeypatch):
    klass = put(tmp_path / "class", {"Ann/a.ipynb": notebook(), "Bob/b.ipynb": notebook(solved=False)})
    command = [str(klass), "--out", str(tmp_path / "grades.csv"), "--jobs", "2"]
    assert main(command) == 0
    first = graded(tmp_path / "grades.csv")
    put(klass, {"Bob/b.ipynb": notebook()})
    run, asked = runner.Runner.grade, []
    monkeypatch.setattr(runner.Runner, "grade", lambda self, s, c: asked.append(s.student) or run(self, s, c))
    assert main(command) == 0
    assert asked == ["Bob"]
    second = graded(tmp_path / "grades.csv")
    assert statuses(second) == {"Ann": ["passed"] * 6, "Bob": ["passed"] * 6}
    assert [r for r in first if r["student"] == "Ann"] == [r for r in second if r["student"] == "Ann"]
    said = capsys.readouterr().out
    assert "2 notebooks, 1 run" in said
    assert "1 have not changed" in said
    (klass / "Ann/a.ipynb").rename(klass / "Ann/renamed.ipynb")
    assert main(command) == 0
    assert asked == ["Bob"], "a file under another name is the same file"
    assert {r["file"] for r in graded(tmp_path / "grades.csv")} == {"Ann/renamed.ipynb", "Bob/b.ipynb"}


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="Ctrl-C is sent as a signal")
def test_an_interrupted_run_loses_only_who_is_running(tmp_path):
    endless = notebook({stub_id("linear"): answer("linear", "while True:\n    pass")})
    klass = put(tmp_path / "class", {"Ann/a.ipynb": notebook(), "Bob/b.ipynb": endless})
    out = tmp_path / "grades.csv"
    command = [sys.executable, "-m", "helpers.grade", str(klass), "--out", str(out), "--jobs", "1"]
    with subprocess.Popen([*command, "--time", "60"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            time.sleep(0.1)
            if out.exists() and graded(out):
                break
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[0]
    assert process.returncode == 130, said
    assert "Interrupted" in said
    assert statuses(graded(out)) == {"Ann": ["passed"] * 6}
    put(klass, {"Bob/b.ipynb": notebook()})
    assert main([str(klass), "--out", str(out)]) == 0
    assert statuses(graded(out)) == {"Ann": ["passed"] * 6, "Bob": ["passed"] * 6}


def test_a_child_that_starts_as_a_new_python_gives_the_same(tmp_path):
    """So it is on macOS and Windows."""
    klass = put(tmp_path, {"Ann/a.ipynb": notebook({stub_id("mse"): WRONG["mse"][0]})})
    (ann,), _ = submissions.collect(klass, COURSE)
    results = runner.Runner(method="spawn").grade(ann, COURSE["01"])
    assert [result.status for result in results.values()] == ["passed", "passed", "failed", *["passed"] * 3]


PLACES = {  # where one student's notebook of chapter 03 may lie: the student
    "Ann Lee/03_convolution_equation.ipynb": "Ann Lee",
    "Ann Lee/homework/final FINAL.ipynb": "Ann Lee",
    "03_convolution_equation/Ann Lee.ipynb": "Ann Lee",
    "chapter 3/Ann Lee/x.ipynb": "Ann Lee",
    "Ann_03_convolution_equation.ipynb": "Ann",
    "03_convolution_equation_Ann.ipynb": "Ann",
    "Ann-ch03 (1).ipynb": "Ann",
    "Ann.ipynb": "Ann",
    "Lee Ann_12345_assignsubmission_file_/03_convolution_equation.ipynb": "Lee Ann",
    "Lee Ann_12345_assignsubmission_file_03_convolution_equation.ipynb": "Lee Ann",
    "leeann_12345_678901_03_convolution_equation-2.ipynb": "leeann",
    "leeann_LATE_12345_678901_my homework.ipynb": "leeann",
    "17/03_convolution_equation.ipynb": "17",
    "03_convolution_equation (2).ipynb": "03_convolution_equation (2)",
}


@pytest.mark.parametrize("place", PLACES)
def test_the_student_is_read_from_the_path(place):
    parts = [Path(place).parts, Path("Someone Else/03_convolution_equation.ipynb").parts]
    tokens = submissions._tokens(parts, COURSE)
    assert submissions._students(tokens, ["03", "03"]) == [PLACES[place], "Someone Else"]


def test_a_folder_around_all_students_is_no_student():
    files = ["class/Ann/03_convolution_equation.ipynb", "class/Bob/03_convolution_equation.ipynb"]
    assert submissions._tokens([Path(f).parts for f in files], COURSE) == ["Ann", "Bob"]
    files = ["Ann/ch01/01_linear_equation.ipynb", "Ann/ch03/03_convolution_equation.ipynb"]
    assert submissions._tokens([Path(f).parts for f in files], COURSE) == ["Ann", "Ann"]


def test_two_students_of_one_name_stay_two():
    tokens = ["Lee Ann_11111_assignsubmission_file_", "Lee Ann_22222_assignsubmission_file_"]
    assert submissions._students(tokens, ["03", "03"]) == tokens
    assert submissions._students(tokens, ["03", "04"]) == ["Lee Ann", "Lee Ann"]


def test_the_chapter_is_read_from_cells_then_title_then_name(tmp_path):
    bare = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    title = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# 02 · Classification"}
    stub = code("ex-im2col-stub", "def im2col(x, k, stride):\n    return x")
    own = code("own", "def im2col(x, k, stride):\n    return x")
    put(
        tmp_path,
        {
            "cells/01_linear_equation.ipynb": {**bare, "cells": [title, stub]},
            "title/01_linear_equation.ipynb": {**bare, "cells": [title]},
            "name/01_linear_equation.ipynb": bare,
            "function/x.ipynb": {**bare, "cells": [own]},
            "nothing/x.ipynb": bare,
            "broken/ch03.ipynb": "{",
            "broken/notes.txt": "",
            "broken/.ipynb_checkpoints/ch03-checkpoint.ipynb": "{",
        },
    )
    found, others = submissions.collect(tmp_path, COURSE)
    chapters = {s.student: s.chapter for s in found}
    assert chapters == dict(cells="03", title="02", name="01", function="03", nothing="", broken="03")
    assert [s.student for s in found if s.problem] == ["broken", "nothing"]
    assert others == ["broken/notes.txt"]


def test_a_name_that_an_archive_has_garbled_can_be_written(tmp_path):
    try:
        put(tmp_path, {os.fsdecode(b"M\xfcller") + "/ch01.ipynb": "{"})
    except OSError:
        pytest.skip("this system has no such names")
    ((garbled,), _), out = submissions.collect(tmp_path, COURSE), tmp_path / "grades.csv"
    table.write(out, table.rows_of(garbled, exercises=COURSE["01"].exercises))
    assert {(row["student"], row["status"]) for row in graded(out)} == {("M\ufffdller", "error")}


def test_of_two_files_for_one_chapter_the_newest_counts_and_the_other_is_named(tmp_path):
    put(
        tmp_path,
        {"Ann/old.ipynb": notebook(), "Ann/new.ipynb": notebook(solved=False), "Bob/b.ipynb": notebook()},
    )
    os.utime(tmp_path / "Ann/old.ipynb", (1e9, 1e9))
    best, older = submissions.newest(submissions.collect(tmp_path, COURSE)[0])
    assert [s.file for s in best] == ["Ann/new.ipynb", "Bob/b.ipynb"]
    ((old, newer),) = older
    row = table.row_of_older(old, newer)
    assert (row["file"], row["status"], row["hint"]) == (
        "Ann/old.ipynb",
        "older file",
        "graded: Ann/new.ipynb",
    )


def test_only_what_an_answer_needs_is_run():
    cells = (
        ("a", "import numpy as np\nimages = load()\nweights = train(images)\nplot(weights)"),
        ("b", "table = []\ntable.append(1)\ntable[0] = 2\nnp.random.seed(0)\nother = [3]"),
        ("c", "%%time\ndef helper(images):\n    return np.sum(images) + table[0]"),
        ("ex-linear-stub", "def linear(W, x, b):\n    weights = helper(W)\n    return weights"),
    )
    plan = answers.cells(cells, (), ["linear"])
    kept = {(cell.label, *sorted(s.binds | s.changes)) for cell in plan for s in cell.statements}
    assert kept == {
        ("code cell 1", "np"),
        ("code cell 2", "table"),
        ("code cell 3", "helper"),
        ("code cell 4", "linear"),
    }
    assert [len(cell.statements) for cell in plan] == [1, 3, 1, 1]


def test_an_answer_may_use_the_chapter_s_text_even_where_it_was_deleted():
    text = [
        ("loops", "def conv2d_loops(x):\n    return x"),
        ("ex-im2col-stub", "def im2col(x):\n    return 1"),
    ]
    plan = answers.cells([("new", "def im2col(x):\n    return conv2d_loops(x)")], text, ["im2col"])
    assert [(cell.label, cell.answers) for cell in plan] == [
        ("the chapter's text", []),
        ("code cell 1", ["im2col"]),
    ]


def test_the_best_of_two_tries_counts_and_the_seconds_of_both():
    result = runner.Result()
    result.take("not attempted", "", 1)
    result.take("failed", "the sum", 2)
    result.take("passed", "", 3)
    result.take("failed", "later", 4)
    assert (result.status, result.hint, result.seconds) == ("passed", "", 10)


def test_the_summary_gives_shares_and_the_commonest_hint_first():
    def row(exercise, status, hint=""):
        return {
            **dict.fromkeys(table.COLUMNS, ""),
            "exercise": exercise,
            "name": "f",
            "status": status,
            "hint": hint,
        }

    rows = [row("2.1", "failed", h) for h in ("a rare one", "common", "common")] + [row("2.1", "passed")]
    rows += [row("10.1", s, "why") for s in ("timeout", "missing", "not attempted", "not attempted")]
    lines = table.summary(rows).splitlines()
    assert lines[1].split() == ["2.1", "f", "25%", "75%", "0%", "0%", "of", "4"]
    assert [line.strip() for line in lines[2:4]] == ["2 × failed: common", "1 × failed: a rare one"]
    assert lines[4].split() == ["10.1", "f", "0%", "0%", "50%", "50%", "of", "4"]


@pytest.mark.parametrize(
    "arguments, part",
    [
        (["nowhere"], "SUBMISSIONS 'nowhere' is no folder. Name"),
        (["{empty}"], "holds no .ipynb file (1 others). Unpack"),
        (["{full}", "--chapter", "99"], "--chapter 99 has no exercises. Choose from 00, 01"),
        (["{full}", "--time", "0"], "--time 0.0 is too small: give at least 0.1"),
        (["{full}", "--out", "{empty}/no/grades.csv"], "cannot be written. Name a file"),
        (["{full}", "--out", "{empty}/other.csv"], "is no table of this command: its columns are ['a', 'b']"),
    ],
)
def test_a_wrong_argument_is_named_with_its_value_and_remedy(tmp_path, capsys, arguments, part):
    put(tmp_path, {"full/Ann/a.ipynb": notebook(), "empty/other.csv": "a,b\n1,2\n"})
    with pytest.raises(SystemExit) as stop:
        main([text.format(full=tmp_path / "full", empty=tmp_path / "empty") for text in arguments])
    assert stop.value.code == 2
    assert part in " ".join(capsys.readouterr().err.split())


def test_help_and_docstring_say_that_it_is_no_sandbox(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert WARNING in capsys.readouterr().out
    assert "no sandbox" in sys.modules["helpers.grade"].__doc__


def test_without_a_memory_limit_the_command_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(child, "MEMORY_LIMITED", False)
    put(tmp_path, {"class/Lost/x.ipynb": "{"})
    assert main([str(tmp_path / "class"), "--out", str(tmp_path / "grades.csv")]) == 0
    assert "--memory has no effect" in capsys.readouterr().out
