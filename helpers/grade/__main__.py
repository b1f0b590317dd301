"""The command `python -m helpers.grade`: options, progress, closing lines."""

import argparse
import ast
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from helpers.grade import child, runner, submissions, table

WARNING = (
    "This is no sandbox: the notebooks' code runs with your rights. The limits hold off accidents,\n"
    "not attacks. Grade strangers' notebooks in a virtual machine or a container."
)
DESCRIPTION = f"""
Grade students' notebooks: one row a student and exercise, by the course's own checks.

SUBMISSIONS holds one folder a student, or files such as Ann_03_convolution_equation.ipynb, or what Moodle or
Canvas packs. The chapter is found by the notebook's content. If a student has handed in two files for a
chapter, the newest counts. Rows in grades.csv of files that have not changed are kept.

{WARNING}
"""


def main(arguments=None):
    """Grade what the command line names; → exit status (0 done, 2 a wrong argument, 130 interrupted)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    chapters = submissions.course()
    folder, wanted = _checked(parser, options, chapters)
    found, others = submissions.collect(folder, chapters)
    if not found:
        parser.error(
            f"SUBMISSIONS '{folder}' holds no .ipynb file ({len(others)} others). Unpack archives first, and "
            "name the folder around the students' folders or notebooks."
        )
    others = [name for name in others if (folder / name).resolve() != options.out.resolve()]
    rows = _old_rows(parser, options)
    _say_first(sum(s.chapter not in wanted and s.chapter != "" for s in found), others)
    try:
        return _grade(found, wanted, chapters, rows, options)
    except OSError as error:
        parser.error(
            f"--out '{options.out}' cannot be written ({error}). Is it open in a spreadsheet? Close it."
        )


def _parser():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m helpers.grade", description=DESCRIPTION, formatter_class=raw)
    add = parser.add_argument
    add("submissions", metavar="SUBMISSIONS", type=Path, help="the folder with the notebooks")
    add("--out", type=Path, default=Path("grades.csv"), help="the table to write (grades.csv)")
    add("--chapter", action="append", help="grade only this chapter, as in --chapter 03; may be repeated")
    add("--time", type=float, default=20, help="seconds for each cell and each check (20, as in notebooks)")
    add("--memory", type=int, default=2000, help="MB that a notebook may take, on Linux (2000)")
    add("--jobs", type=int, default=_cores(), help=f"notebooks at once (as many as cores: {_cores()})")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--resume", action="store_true", help="keep the rows of unchanged files (the default)")
    begin.add_argument("--fresh", action="store_true", help="begin a new table, whatever stands in --out")
    return parser


def _checked(parser, options, chapters):
    """The folder, and the numbers of the chapters wanted; a wrong argument ends the command."""
    folder = options.submissions
    if not folder.is_dir():
        parser.error(f"SUBMISSIONS '{folder}' is no folder. Name the folder that holds the notebooks.")
    for name, least in (("time", 0.1), ("memory", 100), ("jobs", 1)):
        if getattr(options, name) < least:
            parser.error(f"--{name} {getattr(options, name)} is too small: give at least {least}.")
    wanted = [number.zfill(2) for number in options.chapter or chapters]
    for number in set(wanted) - set(chapters):
        parser.error(f"--chapter {number} has no exercises. Choose from {', '.join(chapters)}.")
    if not os.access(options.out.parent, os.W_OK) or options.out.is_dir():
        parser.error(f"--out '{options.out}' cannot be written. Name a file in a folder of yours.")
    return folder, wanted


def _old_rows(parser, options):
    try:
        return [] if options.fresh else table.read(options.out)
    except (OSError, ValueError) as error:
        remedy = "Choose another name, or begin it anew with --fresh."
        parser.error(f"--out '{options.out}' is no table of this command: {error}. {remedy}")


def _say_first(left_out, others):
    if not child.MEMORY_LIMITED:
        print(f"No memory limit on this system ({sys.platform}): --memory has no effect. Time limits work.")
    if others:
        print(f"No notebooks, not looked at (unpack archives first): {', '.join(others[:10])}", end="")
        print(f" and {len(others) - 10} more" if len(others) > 10 else "")
    if left_out:
        print(f"{left_out} notebooks of other chapters left out (--chapter).")


def _grade(found, wanted, chapters, old_rows, options):
    """Grade what is new or changed, writing the table after each notebook; → exit status."""
    start = time.perf_counter()
    best, older = submissions.newest(found)
    best = [s for s in best if s.chapter in wanted or not s.chapter]
    rows = _Rows(options.out, old_rows)
    for s, newer in older:
        rows.put([table.row_of_older(s, newer)])
    for s in [s for s in best if s.problem]:
        rows.put(table.rows_of(s, exercises=s.chapter and chapters[s.chapter].exercises))
    sound = [s for s in best if not s.problem]
    work = [s for s in sound if not rows.keep(s)]
    try:
        rows.save()
        _run(work, chapters, rows, options)
    except KeyboardInterrupt:
        print(f"\nInterrupted. What is graded stands in {options.out}; the same command goes on from there.")
        return 130
    print(table.summary(rows.of_this_run()))
    seconds = time.perf_counter() - start
    print(f"\n{len(best)} notebooks, {len(work)} run in {seconds:.0f} s, table in {options.out}")
    _say_last(len(best) - len(sound), len(sound) - len(work), len(set(rows.groups) - rows.seen))
    return 0


def _run(work, chapters, rows, options):
    """Each notebook in a process of its own, `--jobs` at once."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # the notebooks share the cores, and a fork must find no threads
    os.environ["MPLBACKEND"] = "agg"
    warm = sorted({name for s in work for name in _imports(chapters[s.chapter])})
    team = runner.Runner(options.time, options.memory, warm)
    bar = tqdm(total=len(work), unit="notebook", disable=None)
    with ThreadPoolExecutor(options.jobs) as pool, bar:
        futures = {pool.submit(team.grade, s, chapters[s.chapter]): s for s in work}
        try:
            for future in as_completed(futures):
                rows.put(_rows_of(future, futures[future], chapters))
                rows.save()
                bar.update()
        except BaseException:
            team.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _rows_of(future, submission, chapters):
    """The rows of a notebook; should the grader itself stumble over it, that is said in its rows."""
    exercises = chapters[submission.chapter].exercises
    try:
        return table.rows_of(submission, future.result(), exercises)
    except Exception as error:
        problem = f"the grader stumbled, tell its authors: {type(error).__name__}: {error}"
        return table.rows_of(replace(submission, problem=problem), exercises=exercises)


def _imports(chapter):
    """The modules that the chapter's set-up cell names: loaded once, they are there for every notebook."""
    for node in ast.walk(ast.parse(dict(chapter.cells)["setup"])):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"helpers.{alias.name}" for alias in node.names if node.module == "helpers")


class _Rows:
    """The table as it grows: a student's chapter is replaced as a whole."""

    def __init__(self, path, rows):
        self.path, self.groups, self.seen = path, {}, set()
        for row in [row for row in rows if row["exercise"]]:  # the others are found anew each time
            self.groups.setdefault(table.key(row), []).append(row)

    def put(self, rows):
        self.groups[table.key(rows[0])] = rows
        self.seen.add(table.key(rows[0]))

    def keep(self, submission):
        """Whether the table has rows of this very file already; they stay."""
        rows = self.groups.get((submission.student, submission.chapter), [])
        same = [row for row in rows if row["sha256"] == submission.sha256]
        if same:
            self.put([{**row, "file": submission.file} for row in same])
        return bool(same)

    def save(self):
        table.write(self.path, [row for rows in self.groups.values() for row in rows])

    def of_this_run(self):
        return [row for key in self.seen for row in self.groups[key]]


def _say_last(problems, kept, other):
    if problems:
        print(f"{problems} could not be read or belong to no chapter: see their rows.")
    if kept:
        print(f"{kept} have not changed since they were graded: their rows are kept (--fresh runs all).")
    if other:
        print(f"The table's rows of {other} other notebooks are left as they were (--fresh drops them).")
    print(WARNING)


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs behind "&"
    sys.stdout.reconfigure(errors="replace")  # a name that this terminal cannot show must not end the run
    sys.exit(main())
