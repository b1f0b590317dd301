"""The rows of grades.csv: writing in whole steps, keeping, summing up."""

import csv
import os
from collections import Counter

COLUMNS = "student chapter exercise name status points hint seconds file sha256".split()
COULD_NOT_RUN = ("missing", "error", "timeout", "memory")
HINTS_SHOWN = 5


def rows_of(submission, results=None, exercises=None):
    """The rows of one submission: one an exercise, or a single one if the file belongs to no chapter.

    results: name → runner.Result; exercises: name → number, of its chapter.
    """
    about = dict(student=submission.student, file=submission.file, sha256=submission.sha256)
    if not submission.chapter:
        return [_row(about, status="no such chapter", hint=submission.problem)]
    about["chapter"] = submission.chapter
    rows = []
    for name, number in exercises.items():
        status, hint, seconds = "error", submission.problem, 0.0
        if results:
            status, hint, seconds = results[name].status, results[name].hint, results[name].seconds
        found = dict(exercise=number, name=name, status=status, hint=hint, seconds=f"{seconds:.1f}")
        rows.append(_row(about, **found))
    return rows


def row_of_older(submission, newer):
    """The row of a file whose student has handed in a newer one for the same chapter."""
    about = dict(student=submission.student, file=submission.file, sha256=submission.sha256)
    return _row(about, chapter=submission.chapter, status="older file", hint=f"graded: {newer}")


def read(path):
    """The table's rows, [] if there is no such file; ValueError if it is another kind of table."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise ValueError(f"its columns are {reader.fieldnames}, not {', '.join(COLUMNS)}")
        return list(reader)


def write(path, rows):
    """Write all rows to a temporary file and put it in place of the old one: never half a table."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", encoding="utf-8-sig", newline="") as file:  # -sig: Excel reads é as é
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (row["student"], row["chapter"], _place(row))))
    os.replace(temporary, path)


def key(row):
    """What new rows replace: a student's rows of one chapter; a row without an exercise stands alone."""
    return row["student"], row["chapter"] if row["exercise"] else row["file"]


def summary(rows):
    """Lines for the teacher: per exercise the shares of each outcome, then the hints, most common first."""
    graded = [row for row in rows if row["exercise"]]
    lines = [f"{'exercise':<28} {'passed':>7} {'failed':>7} {'not attempted':>14} {'could not run':>14}"]
    for exercise, name in dict.fromkeys((row["exercise"], row["name"]) for row in sorted(graded, key=_place)):
        lines += _about(exercise, name, [row for row in graded if row["exercise"] == exercise])
    odd = [row for row in rows if not row["exercise"]]
    lines += [f"{row['status']}: {row['file']} ({row['hint']})" for row in odd]
    return "\n".join(lines)


def _about(exercise, name, rows):
    statuses = [row["status"] for row in rows]
    groups = ("passed",), ("failed",), ("not attempted",), COULD_NOT_RUN
    shares = [sum(s in group for s in statuses) / len(rows) for group in groups]
    columns = " ".join(f"{share:>{width}.0%}" for share, width in zip(shares, (7, 7, 14, 14), strict=True))
    told = [row for row in rows if row["status"] in ("failed", *COULD_NOT_RUN)]
    hints = Counter((row["status"], row["hint"]) for row in told)
    lines = [f"{exercise + ' ' + name:<28} {columns}   of {len(rows)}"]
    lines += [f"  {count:>4} × {status}: {hint}" for (status, hint), count in hints.most_common(HINTS_SHOWN)]
    left = len(hints) - HINTS_SHOWN
    return lines + ([f"       and {left} more"] if left > 0 else [])


def _place(row):
    """In the order of the course: exercise 2.1 before 10.1."""
    return [int(part) for part in row["exercise"].split(".") if part], row["file"]


def _row(about, **values):
    return {**dict.fromkeys(COLUMNS, ""), "points": int(values["status"] == "passed"), **about, **values}
