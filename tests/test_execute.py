"""`make execute`: a second run changes nothing but ≈ numbers, and a failing cell changes nothing at all."""

import configparser
import json
import re

import nbformat
import pytest

from tests import execute
from tests.notebooks import CHAPTERS, ROOT, SOLUTIONS

CELLS = {  # id: code of a notebook that has all that makes a stored output restless
    "setup": "import sys, time\nfrom ipywidgets import IntSlider\nfrom helpers import plots",
    "pieces": "for k in range(3):\n    print(k)\n    sys.stdout.flush()\n    time.sleep(0.1 * k)",
    "clock": "print(f'took ≈ {time.perf_counter():.9f} s')",
    "figure": "ax = plots.curves({'square': [1, 4, 9]}, 'x', 'y', 'A parabola')\n"
    "plots.show(ax.figure, alt='Three points of a parabola.')",
    "slider": "IntSlider()",
}


def write(path, cells):
    """A notebook with these code cells, ids kept, the first without outputs and in an odd order of keys."""
    made = [nbformat.v4.new_code_cell(source, id=name) for name, source in cells.items()]
    notebook = nbformat.v4.new_notebook(cells=made, metadata={"z": 1, "widgets": {}})
    path.write_text(json.dumps(dict(reversed(notebook.items()))), encoding="utf-8")
    return path


def sanitised(text):
    """The text as nbval compares it, pictures kept."""
    rules = configparser.RawConfigParser()
    rules.read(ROOT / "tests" / "nbval_sanitize.cfg", encoding="utf-8")
    for section in rules.sections():
        if not section.startswith("pictures"):
            text = re.sub(rules[section]["regex"], rules[section]["replace"], text)
    return text


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """The file's text after a first and a second execution."""
    path = write(tmp_path_factory.mktemp("notebooks") / "restless.ipynb", CELLS)
    texts = []
    for _ in range(2):
        assert execute.execute(path) > 0.3, "the seconds that its cells took"
        texts.append(path.read_text(encoding="utf-8"))
    return texts


def test_a_second_run_changes_numbers_behind_approx_alone(twice):
    assert twice[0] != twice[1], "the clock should have moved"
    assert sanitised(twice[0]) == sanitised(twice[1])


def test_ids_pictures_and_whole_streams_are_kept(twice):
    cells = {cell["id"]: cell for cell in json.loads(twice[1])["cells"]}
    assert list(cells) == list(CELLS)
    assert [output["text"] for output in cells["pieces"]["outputs"]] == [["0\n", "1\n", "2\n"]]
    assert 'src="data:image/png;base64,' in "".join(cells["figure"]["outputs"][0]["data"]["text/html"])
    assert list(cells["slider"]["outputs"][0]["data"]) == ["text/plain"]


def test_no_timing_no_widget_state_and_a_newline_at_the_end(twice):
    assert twice[1].endswith("}\n") and not twice[1].endswith("\n\n")
    assert json.loads(twice[1])["metadata"] == execute.METADATA
    assert all(not cell["metadata"] for cell in json.loads(twice[1])["cells"])


def test_a_failing_cell_is_named_its_notebook_stays_and_the_others_run(tmp_path, capsys):
    bad = write(tmp_path / "bad.ipynb", {"fine": "x = 1", "broken": "x / 0", "never": "print(x)"})
    good = write(tmp_path / "good.ipynb", {"fine": "print(2 + 2)"})
    before = bad.read_text(encoding="utf-8")
    assert execute.main([bad, good]) == 1
    assert bad.read_text(encoding="utf-8") == before
    assert '"4\\n"' in good.read_text(encoding="utf-8")
    assert "bad.ipynb, cell broken: ZeroDivisionError: division by zero" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.ipynb", "good.ipynb"]


def test_a_check_that_does_not_pass_is_an_error_in_solutions_only(monkeypatch):
    monkeypatch.setenv("COURSE_CHECKS", "raise")
    assert "COURSE_CHECKS" not in execute.environment(ROOT / "notebooks" / "01.ipynb")
    monkeypatch.delenv("COURSE_CHECKS")
    assert execute.environment(ROOT / "solutions" / "01.ipynb")["COURSE_CHECKS"] == "raise"


@pytest.mark.parametrize("path", CHAPTERS + SOLUTIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_stored_notebooks_have_the_form_that_execute_writes(path):
    stored = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(stored, as_version=4)
    assert nbformat.writes(notebook) + "\n" == stored
    assert notebook.metadata == execute.METADATA
    for cell in notebook.cells:
        assert not set(cell.metadata) - {"tags"}, cell.id
        assert cell.get("outputs", []) == execute.joined(list(cell.get("outputs", []))), cell.id
