"""The summary at the end of `make test` adds up right."""

import re

from tests import run
from tests.notebooks import CHAPTERS, SOLUTIONS

REPORT = """<testsuites><testsuite>
<testcase classname="notebooks.01_linear_equation.ipynb" name="Cell 0" time="2.5"/>
<testcase classname="notebooks.01_linear_equation.ipynb" name="Cell 1" time="0.75"><failure/></testcase>
<testcase classname="solutions.01_linear_equation.ipynb" name="Cell 0" time="4.0"/>
<testcase classname="notebooks.00_start_here.ipynb" name="Cell 0" time="11.2"/>
<testcase classname="tests.test_nn" name="test_linear" time="100.0"/>
</testsuite></testsuites>"""


def test_seconds_are_summed_by_notebook_and_other_tests_left_out():
    assert run.seconds_by_notebook(REPORT) == {
        "notebooks/01_linear_equation.ipynb": 3.25,
        "solutions/01_linear_equation.ipynb": 4.0,
        "notebooks/00_start_here.ipynb": 11.2,
    }


def test_summary_names_stages_chapters_cells_and_exercises(capsys):
    run.summary({"chapters": (1, 12.4, REPORT), "nothing came": (0, 1, "<testsuites/>")})
    text = capsys.readouterr().out
    assert re.search(r"✗ chapters +12 s\n✓ nothing came +1 s", text)
    assert "notebooks   00  11 s  01   3 s\nsolutions   01   4 s\n" in text
    assert re.search(r"(\d+) of (\d+) code cells compared, (\d+) exercises tested", text)


def test_summary_says_why_tests_were_skipped(capsys):
    skipped = '<testcase name="t"><skipped message="no Chromium found"/></testcase>'
    run.summary({"browser": (0, 3, f"<testsuites>{skipped}{skipped}</testsuites>")})
    assert capsys.readouterr().out.count("\n  – skipped: no Chromium found\n") == 1


def test_cells_and_exercises_are_counted_in_the_files():
    compared, every, exercises = run.count()
    sources = [path.read_text(encoding="utf-8") for path in CHAPTERS + SOLUTIONS]
    assert every == sum(text.count('"cell_type": "code"') for text in sources)
    assert every - compared == sum(text.count('"nbval-ignore-output"') for text in sources)
    assert exercises == sum(text.count("is yours to write") for text in sources)
