"""The verdicts of a check, on a small exercise made here."""

import io
from contextlib import redirect_stdout

import numpy as np
import pytest

from helpers.checks._report import FAILED, NOT_ATTEMPTED, PASSED, Check, CheckFailed, check, expect


@check("9.9", tested="one hand example", hints=("Think of doubling.", "Write 2 * x."))
def double(answer):
    """x (3,) → 2x"""
    x = np.array([1.0, 2.0, 3.0])
    expect(answer, {"x": x}, 2 * x, mistakes=[("That is the square: multiply by two instead.", x**2)])


@check("9.8", tested="both results", hints=("a", "b"))
def both(answer):
    """x → 2x, x²"""
    x = np.array([1.0, 3.0])
    expect(
        answer,
        {"x": x},
        {"twice": 2 * x, "square": x**2},
        mistakes={"square": [("The square, not the cube.", x**3)]},
    )


def spoken(function, *arguments):
    with redirect_stdout(io.StringIO()) as out:
        function(*arguments)
    return out.getvalue()


def todo(x):
    raise NotImplementedError


def test_three_verdicts():
    assert double.verdict(todo).status == NOT_ATTEMPTED
    assert double.verdict(lambda x: x + x).status == PASSED
    assert double.verdict(lambda x: x**2).status == FAILED


def test_only_a_stub_counts_as_not_attempted():
    def stub(x):
        raise NotImplementedError("Exercise 9.9 is yours to write")

    def library(x):  # as PyTorch does where the labels stand in the place of the scores
        raise NotImplementedError("\"log_softmax_lastdim_kernel_impl\" not implemented for 'Long'")

    assert double.verdict(stub).status == NOT_ATTEMPTED
    verdict = double.verdict(library)
    assert verdict.status == FAILED
    assert "NotImplementedError: \"log_softmax" in verdict.text


def test_a_list_of_numbers_is_an_answer():
    assert double.verdict(lambda x: [2.0, 4.0, 6.0]).status == PASSED


def test_a_failure_says_input_expected_got_and_names_the_misconception():
    text = spoken(double, lambda x: x**2)
    assert "x = [1. 2. 3.] of shape (3,)" in text
    assert "expected  [2. 4. 6.]" in text
    assert "got       [1. 4. 9.]" in text
    assert "That is the square" in text
    assert "checks.test_report.double.hint()" in text


def test_an_unknown_mistake_gets_the_first_difference():
    verdict = double.verdict(lambda x: np.array([2.0, 5.0, 6.0]))
    assert "1 of 3 numbers differ, the first at [1]: expected 4, got 5" in verdict.hint


@pytest.mark.parametrize(
    "answer, part",
    [
        (lambda x: None, "without `return`"),
        (lambda x: np.array([2.0, np.nan, 6.0]), "nan or inf"),
        (lambda x: np.array([[2.0, 4.0, 6.0]]), "The shape should be (3,), yours is (1, 3)"),
        (lambda x: x @ np.ones((2, 2)), "Two shapes do not fit"),
        (lambda x: [1, [2, 3]], "Return numbers"),
        (lambda x: x.sum().undefined, "stopped with this error"),
        (lambda x: dict(a=1), "Return numbers"),
        (lambda x: nowhere, "nothing has defined"),  # noqa: F821
        (lambda x: x[5], "An index runs past"),
        (5, "Pass the function itself"),
    ],
)
def test_hostile_answers_are_told_what_is_wrong(answer, part):
    verdict = double.verdict(answer)
    assert verdict.status == FAILED
    assert part in verdict.hint


def test_several_results_are_told_apart():
    assert both.verdict(lambda x: (2 * x, x**2)).status == PASSED
    assert "Return 2 values, in this order: return twice, square" in both.verdict(lambda x: 2 * x).hint
    assert "not the cube" in both.verdict(lambda x: (2 * x, x**3)).hint


def test_writing_into_an_input_is_a_failure_even_when_the_value_is_right():
    def in_place(x):
        x *= 2
        return x

    assert "writes into its input x" in double.verdict(in_place).hint


def test_an_object_with_a_broken_repr_is_survived():
    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert "Broken" in double.verdict(lambda x: Broken()).text


def test_hints_come_one_by_one_and_then_the_solution():
    fresh = Check(double.function, "9.9", "x", ("one", "two"))
    assert [spoken(fresh.hint) for _ in range(3)] == [
        "Hint 1 of 2: one\n",
        "Hint 2 of 2: two\n",
        "That was the last hint. The solution is exercise 9.9 in the folder solutions/,\n"
        "beside notebooks/, under the name of this chapter.\n",
    ]


@pytest.mark.parametrize("answer", [todo, lambda x: x])
def test_course_checks_raise_makes_anything_but_a_pass_an_error(monkeypatch, answer):
    monkeypatch.setenv("COURSE_CHECKS", "raise")
    with pytest.raises(CheckFailed):
        spoken(double, answer)
    spoken(double, lambda x: 2 * x)


def test_without_it_nothing_is_raised(monkeypatch):
    monkeypatch.delenv("COURSE_CHECKS", raising=False)
    assert "not attempted yet" in spoken(double, todo)


def test_fails_refuses_a_wrong_answer_that_passes():
    assert "That is the square" in spoken(double.fails, lambda x: x**2)
    with pytest.raises(CheckFailed):
        spoken(double.fails, lambda x: 2 * x)


def test_warnings_of_an_answer_stay_silent_in_its_verdict():
    assert double.verdict(lambda x: np.where(x > 0, 2 * x, np.log(x - 5))).status == PASSED


def test_a_check_that_stumbles_over_an_answer_fails_it_without_raising():
    @check("9.7", tested="nothing", hints=("a", "b"))
    def first_size(answer):
        assert answer().shape[0] == 3

    verdict = first_size.verdict(lambda: "text")
    assert verdict.status == FAILED
    assert "AttributeError" in verdict.text
