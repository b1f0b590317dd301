"""Every check on answers whose verdict is known: stub, solution, other right, wrong and hostile ones."""

import importlib
from importlib import util

import numpy as np
import pytest

from helpers.checks import _report
from helpers.checks._report import FAILED, NOT_ATTEMPTED, PASSED, Check
from tests.notebooks import CHAPTERS, SOLUTIONS, cells, defined


def exercises():
    """All (chapter notebook, check) of the course."""
    for chapter in CHAPTERS:
        number = chapter.name[:2]
        if util.find_spec(f"helpers.checks.ch{number}"):  # its absence fails below, for its chapter alone
            module = importlib.import_module(f"helpers.checks.ch{number}")
            for name, found in vars(module).items():
                if isinstance(found, Check) and found.__module__ == module.__name__:
                    yield pytest.param(chapter, found, id=f"ch{number}-{name}")


def case_of(check):
    module = check.__module__.rsplit(".", 1)[-1]
    return importlib.import_module(f"tests.exercises.{module}").CASES[check.__name__]


def cell_id(check, part):
    return f"ex-{check.__name__.replace('_', '-')}-{part}"


every_exercise = pytest.mark.parametrize("chapter, check", list(exercises()))


@every_exercise
def test_stub_is_not_attempted_and_solution_passes(chapter, check):
    solution = chapter.parent.parent / "solutions" / chapter.name
    stub = defined(chapter, cell_id(check, "stub"), check.__name__)
    answer = defined(solution, cell_id(check, "answer"), check.__name__)
    assert check.verdict(stub).status == NOT_ATTEMPTED
    assert check.verdict(answer).text.startswith(f"✓ Exercise {check.number}"), check.verdict(answer).text


@every_exercise
def test_right_answers_written_otherwise_pass(chapter, check):
    right = case_of(check).right
    assert right
    for answer in right:
        verdict = check.verdict(answer)
        assert verdict.status == PASSED, verdict.text


@every_exercise
def test_wrong_answers_fail_each_with_the_hint_that_fits(chapter, check):
    wrong = case_of(check).wrong
    verdicts = {name: check.verdict(answer) for name, answer, _ in wrong}
    for name, _, part in wrong:
        assert verdicts[name].status == FAILED, f"{name} passed"
        assert part in verdicts[name].hint, f"{name}: {verdicts[name].text}"
    assert len(wrong) >= 4
    assert len({verdict.hint for verdict in verdicts.values()}) >= 4, "four wrong answers need four hints"


@every_exercise
def test_hostile_answers_get_a_clear_verdict(chapter, check, monkeypatch):
    monkeypatch.setattr(_report, "TIME_LIMIT", 0.3)
    right = case_of(check).right[0]
    expected = {
        "returns None": (lambda *a, **k: None, "None"),
        "wrong shape": (lambda *a, **k: np.zeros((17, 3)), ""),
        "nothing but zeros": (lambda *a, **k: _replaced(right(*_copies(a), **k), 0.0), ""),
        "not a number": (lambda *a, **k: _replaced(right(*_copies(a), **k), np.nan), ""),
        "raises": (_raises, "ZeroDivisionError"),
        "leaves": (_exits, "SystemExit"),
        "text": (lambda *a, **k: "forty-two", ""),
        "takes no argument": (lambda: 1, "TypeError"),
        "never returns": (_endless, "still running"),
    }
    for name, (answer, part) in expected.items():
        verdict = check.verdict(answer)
        assert verdict.status == FAILED, f"{name}: {verdict.text}"
        assert part in verdict.text, f"{name}: {verdict.text}"
    assert check.verdict(42).status == FAILED, "a number instead of a function"


@every_exercise
def test_an_answer_that_writes_into_its_input_fails(chapter, check):
    case = case_of(check)
    if case.values_only:
        return

    def writes(*arguments, **named):
        result = case.right[0](*_copies(arguments), **named)
        for argument in arguments:
            if isinstance(argument, np.ndarray) and argument.dtype.kind == "f":
                argument += 1
        return result

    verdict = check.verdict(writes)
    assert verdict.status == FAILED
    assert "writes into its input" in verdict.hint, verdict.text


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_exercise_has_text_stub_check_and_a_solution_that_shows_a_wrong_answer(chapter):
    solution = chapter.parent.parent / "solutions" / chapter.name
    stubs = [
        cell["id"][3:-5]
        for cell in cells(chapter)
        if cell["id"].startswith("ex-") and cell["id"].endswith("-stub")
    ]
    in_chapter = {cell["id"]: cell["source"] for cell in cells(chapter)}
    assert not stubs or util.find_spec(f"helpers.checks.ch{chapter.name[:2]}")
    in_solution = {cell["id"]: cell["source"] for cell in cells(solution)} if stubs else {}
    for name in stubs:
        function, module = name.replace("-", "_"), f"ch{chapter.name[:2]}"
        call = f"checks.{module}.{function}({function})"
        heading = in_chapter[f"ex-{name}-text"].splitlines()[0]
        assert heading.startswith(f"### Exercise {int(chapter.name[:2])}."), heading
        assert "★" in heading and "min)" in heading, heading
        assert in_chapter[f"ex-{name}-check"].strip() == call
        assert "raise NotImplementedError" in in_chapter[f"ex-{name}-stub"]
        assert "#" + in_solution[f"ex-{name}-text"].splitlines()[0] == heading
        assert in_solution[f"ex-{name}-check"].strip() == call
        assert len(in_solution[f"ex-{name}-why"].split()) <= 80
        assert f"checks.{module}.{function}.fails(" in in_solution[f"ex-{name}-wrong"]
    number = int(chapter.name[:2])
    assert number == 0 or 5 <= len(stubs) <= 7, f"{len(stubs)} exercises, not 5 to 7"


def test_every_solution_belongs_to_a_chapter():
    assert {path.name for path in SOLUTIONS} <= {path.name for path in CHAPTERS}


def _copies(arguments):
    return [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]


def _replaced(result, value):
    if isinstance(result, (tuple, list)):
        return type(result)(_replaced(r, value) for r in result)
    return np.full(np.shape(result), value, dtype=float)


def _raises(*arguments, **named):
    return 1 / 0


def _exits(*arguments, **named):
    raise SystemExit(3)


def _endless(*arguments, **named):
    while True:
        pass
