"""Answers, right and wrong, on which the checks themselves are tested: one module a chapter.

Each module `chNN.py` has a dict CASES: name of the check → Case.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """right: answers unlike the solution in form. wrong: (name, answer, part of the hint that fits)."""

    right: list
    wrong: list
    values_only: bool = field(default=False)  # takes no array, so there is no input to write into
