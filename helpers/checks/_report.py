"""How a check talks: not attempted yet, passed, or the first failing fact with a hint."""

import os
import re
import signal
import textwrap
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

TIME_LIMIT = 20  # seconds for one check; an answer that never returns is stopped
NOT_ATTEMPTED, PASSED, FAILED = "not attempted", "passed", "failed"


class CheckFailed(AssertionError):
    """Raised instead of printed only, when the environment says COURSE_CHECKS=raise."""


class Failed(Exception):
    """One failing fact: what went in, what should come out, what came out, and what that suggests."""

    def __init__(self, hint, given="", expected="", got=""):
        super().__init__(hint)
        self.hint, self.given, self.expected, self.got = hint, given, expected, got


class _TimeUp(BaseException):
    """Not an Exception, so that an answer's own `except Exception` cannot swallow it."""


@dataclass(frozen=True)
class Verdict:
    """status is one of NOT_ATTEMPTED, PASSED, FAILED; text is what the learner reads."""

    status: str
    text: str
    hint: str = ""


class Check:
    """A check of one exercise: call it with the answer; `.hint()` gives one more hint per call."""

    def __init__(self, function, number, tested, hints):
        if len(hints) != 2:
            raise ValueError(f"hints of {function.__name__} must be two sentences, got {len(hints)}")
        self.function, self.number, self.tested, self.hints = function, number, tested, hints
        self.__name__, self.__doc__, self.__module__ = (
            function.__name__,
            function.__doc__,
            function.__module__,
        )
        self.asked = 0

    def __call__(self, answer):
        verdict = self.verdict(answer)
        print(verdict.text)
        if os.environ.get("COURSE_CHECKS") == "raise" and verdict.status != PASSED:
            raise CheckFailed(verdict.text)

    def fails(self, wrong):
        """Print the verdict on a deliberately wrong answer; a verdict other than "failed" is an error."""
        verdict = self.verdict(wrong)
        if verdict.status != FAILED:
            raise CheckFailed(f"{self.title}: a wrong answer got the verdict “{verdict.status}”")
        print(verdict.text)

    def verdict(self, answer):
        """The answer's Verdict; never raises, whatever the answer does."""
        try:
            with _time_limit(TIME_LIMIT):
                if not callable(answer):
                    raise Failed(
                        "Pass the function itself, without calling it: no brackets after its name.",
                        expected="a function",
                        got=describe(answer),
                    )
                self.function(answer)
        except Failed as fact:
            return self._failed(fact)
        except _TimeUp:
            fact = Failed(
                "A loop that never ends? Check that its condition can become false, "
                "or replace loops over single pixels by array operations.",
                expected=f"an answer within {TIME_LIMIT} s",
                got="still running",
            )
            return self._failed(fact)
        except KeyboardInterrupt:
            fact = Failed("You stopped the check. Did a loop never end?", got="interrupted")
            return self._failed(fact)
        except Exception as error:
            if _is_stub(error):
                return Verdict(
                    NOT_ATTEMPTED,
                    f"○ {self.title}: not attempted yet.\n"
                    "  Write your answer in the cell above, run it, then run this cell again.\n"
                    f"  Stuck? {self.where}.hint() gives a hint.",
                )
            # the answer gave something that the check itself stumbled over
            fact = Failed(
                "The check cannot work with what your function returns: give what the stub says, as arrays.",
                expected="numbers of the shapes in the stub",
                got=f"something that led to {type(error).__name__}: {_shorten(str(error), 120)}",
            )
            return self._failed(fact)
        return Verdict(PASSED, f"✓ {self.title}: passed. Tested: {self.tested}.")

    def hint(self):
        """Print the next of two hints; after them, where the solution stands."""
        if self.asked < len(self.hints):
            print(f"Hint {self.asked + 1} of {len(self.hints)}: {self.hints[self.asked]}")
        else:
            print(f"That was the last hint. The solution is exercise {self.number} in the folder solutions/,")
            print("beside notebooks/, under the name of this chapter.")
        self.asked += 1

    @property
    def title(self):
        return f"Exercise {self.number} ({self.__name__})"

    @property
    def where(self):
        return f"checks.{self.__module__.rsplit('.', 1)[-1]}.{self.__name__}"

    def _failed(self, fact):
        rows = [("input", fact.given), ("expected", fact.expected), ("got", fact.got), ("hint", fact.hint)]
        lines = [f"  {name:<9} {_indent(text)}" for name, text in rows if text]
        first = f"✗ {self.title}: not yet. The first fact that fails:"
        text = "\n".join([first, *lines, f"  {'more':<9} {self.where}.hint()"])
        return Verdict(FAILED, text, fact.hint)


def check(number, tested, hints):
    """Decorator: make `function(answer)`, which raises Failed at the first failing fact, a Check.

    number: as in the exercise's heading ("1.2"); tested: what a pass means; hints: two, growing in help.
    """
    return lambda function: Check(function, number, tested, hints)


def expect(answer, inputs, want, mistakes=(), tol=1e-6, dtype=None, may_write=False, errors=()):
    """Call `answer(*inputs.values())` and raise Failed unless it returns `want`. Return what it gave.

    inputs: dict name → value, in the order of the arguments.
    want: an array or number; for several results a dict name → array, in the order of the return.
    mistakes: pairs (hint, wrong), most telling first: `wrong` is the value that the misconception gives,
        or a function got → bool. For several results: a dict name → such pairs.
    errors: pairs (regular expression, hint) for an error raised inside the answer, "IndexError: …".
    tol: the largest difference allowed, relative to max(1, |want|). dtype: demanded of each result, if given.
    """
    given = _list_inputs(inputs)
    copies = [_copy(value) for value in inputs.values()]
    try:
        result = call(answer, copies, given)
    except (NotImplementedError, Failed) as error:
        got = error.got if isinstance(error, Failed) else str(error)
        fitting = [hint for pattern, hint in errors if re.search(pattern, got)]
        if not fitting:
            raise
        raise Failed(fitting[0], given, "a result without an error", got) from None
    if not may_write:
        _refuse_changed_inputs(inputs, copies, given)
    if not isinstance(want, dict):
        return _compare(result, want, mistakes, tol, dtype, given, "")
    if not isinstance(result, (tuple, list)) or len(result) != len(want):
        raise Failed(
            f"Return {len(want)} values, in this order: return {', '.join(want)}",
            given,
            f"{len(want)} results: {', '.join(want)}",
            describe(result),
        )
    pairs = zip(result, want.items(), strict=True)
    mistakes = mistakes or {}
    return [_compare(r, w, mistakes.get(name, ()), tol, dtype, given, name) for r, (name, w) in pairs]


def call(answer, arguments, given=""):
    """`answer(*arguments)`; whatever it raises becomes a Failed that names the error in one line."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = answer(*arguments)
    except Failed:
        raise
    except (Exception, SystemExit) as error:
        if _is_stub(error):
            raise
        raise Failed(
            _error_hint(error),
            given,
            "a result without an error",
            f"{type(error).__name__}: {_shorten(str(error), 160)}",
        ) from None
    if result is None:
        raise Failed(
            "The function came to its end without `return`: give the result back.", given, "a value", "None"
        )
    return result


def _is_stub(error):
    """Whether an error is a stub's own: libraries raise NotImplementedError too, with words of their own."""
    return isinstance(error, NotImplementedError) and (not str(error) or "is yours to write" in str(error))


def describe(value, name=""):
    """A value, after `name = ` if one is given: small arrays whole, large ones by shape and first numbers."""
    prefix = f"{name} = " if name else ""
    return prefix + _describe(value, prefix)


def _list_inputs(inputs):
    """The inputs on one line, or each on a line of its own where one needs several."""
    lines = [describe(value, name) for name, value in inputs.items()]
    return ("\n" if any("\n" in line for line in lines) or sum(map(len, lines)) > 88 else ", ").join(lines)


def _describe(value, prefix=""):
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        text = np.array2string(
            value,
            precision=4,
            suppress_small=True,
            separator=" ",
            threshold=24,
            edgeitems=2,
            max_line_width=84,
            prefix=prefix,
        )
        if value.ndim > 2:
            text = " ".join(text.split())
        if value.size > 24:
            text = f"[{' '.join(f'{v:.4g}' for v in value.ravel()[:4])} …]"
        return f"{text} of shape {value.shape}" if value.ndim else text
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if isinstance(value, (tuple, list)) and any(isinstance(v, np.ndarray) for v in value):
        return f"({', '.join(describe(v) for v in value)})"
    try:
        return _shorten(repr(value), 120)
    except Exception:
        return f"an object of type {type(value).__name__}"


def _compare(result, want, mistakes, tol, dtype, given, name):
    got = _as_numbers(result, given, name)
    want = np.asarray(want)
    shown = dict(given=given, expected=describe(want, name), got=describe(got, name))
    if got.shape == want.shape and _close(got, want, tol):
        if dtype is not None and got.dtype != dtype:
            hint = f"The numbers are right, their type is not: inputs of {np.dtype(dtype)} should stay so."
            raise Failed(hint, given, f"{name} dtype {np.dtype(dtype)}".strip(), f"dtype {got.dtype}")
        return got
    for hint, wrong in mistakes:
        if _is_mistake(got, wrong, tol):
            raise Failed(hint, **shown)
    if got.shape != want.shape:
        raise Failed(
            f"The shape should be {want.shape}, yours is {got.shape}: write the shape beside each line, "
            "and see where they part.",
            **shown,
        )
    if not np.isfinite(got).all():
        raise Failed("nan or inf: somewhere a number overflowed, or was divided by zero.", **shown)
    raise Failed(_first_difference(got, want, tol), **shown)


def _as_numbers(result, given, name):
    try:
        got = np.asarray(result)
    except Exception:
        got = None
    if got is None or got.dtype.kind not in "fiub":
        raise Failed(
            "Return numbers: a NumPy array, or a single number.",
            given,
            f"{name} numbers".strip(),
            describe(result),
        ) from None
    return got


def _is_mistake(got, wrong, tol):
    try:
        if callable(wrong):
            return bool(wrong(got))
        wrong = np.asarray(wrong)
        return got.shape == wrong.shape and _close(got, wrong, tol)
    except Exception:
        return False


def _close(got, want, tol):
    return np.allclose(got, want, rtol=tol, atol=tol, equal_nan=True)


def _first_difference(got, want, tol):
    if not got.ndim:
        return "The number differs: work the same example on paper, and compare the steps."
    wrong = ~np.isclose(got, want, rtol=tol, atol=tol)
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (
        f"{wrong.sum()} of {wrong.size} numbers differ, the first at {list(at)}: expected {want[at]:.6g}, "
        f"got {got[at]:.6g}. Work that one out on paper."
    )


def _refuse_changed_inputs(inputs, copies, given):
    for (name, before), after in zip(inputs.items(), copies, strict=True):
        if isinstance(before, np.ndarray) and not np.array_equal(
            before, after, equal_nan=before.dtype.kind == "f"
        ):
            raise Failed(
                f"Your function writes into its input {name}. Make a new array: `{name} = {name} * 2`, "
                f"not `{name} *= 2`; or start from `{name}.copy()`.",
                given,
                f"{name} unchanged",
                f"{name} = {describe(after)}",
            )


def _copy(value):
    return value.copy() if isinstance(value, np.ndarray) else value


def _error_hint(error):
    text = str(error)
    if "shapes" in text or "broadcast" in text or "mismatch in its core" in text:
        return "Two shapes do not fit together. Write each array's shape down: which axis should meet which?"
    if isinstance(error, IndexError):
        return "An index runs past the end of an array: look at the first and the last value of each loop."
    if isinstance(error, NameError):
        return "A name is used that nothing has defined: a typing slip, or a set-up cell that has not run?"
    if isinstance(error, TypeError) and "argument" in text:
        return "Keep the arguments that the stub has, in the same order."
    return "The function stopped with this error. Call it yourself with the worked example to see the line."


def _shorten(text, length):
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _indent(text):
    """Wrapped at 90 columns, under the column where it begins."""
    return ("\n" + " " * 12).join(part for line in text.split("\n") for part in textwrap.wrap(line, 90))


@contextmanager
def _time_limit(seconds):
    """Stop an endless answer, where the system can (main thread of Linux and macOS)."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(signum, frame):
        raise _TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
