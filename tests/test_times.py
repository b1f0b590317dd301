"""The timing table: what it reads from the README, and when it complains."""

import pytest

from tests import execute, times
from tests.notebooks import CHAPTERS, ROOT


def test_every_chapter_has_seconds_in_the_readme_map():
    promised = times.promised((ROOT / "README.md").read_text(encoding="utf-8"))
    assert list(promised) == [path.name for path in CHAPTERS]
    assert promised["01_linear_equation.ipynb"] == 10


def test_minutes_in_the_map_are_seconds():
    assert times.promised("| [12](notebooks/12_x.ipynb) | ? | y | 3 min | 4 min | 2 min |") == {
        "12_x.ipynb": 120
    }


def test_row_sums_the_cells_and_names_the_slowest():
    row = times.row("01.ipynb", {"setup": 1.25, "train": 4.5, "read": 0.25})
    assert (row["seconds"], row["slowest_cell"], row["cell_seconds"]) == (6.0, "train", 4.5)


CASES = [(19, 10, False), (21, 10, True), (2, 10, False), (26, 50, False), (24, 50, True), (4, None, True)]


@pytest.mark.parametrize("took, expected, complains", CASES)
def test_only_more_than_twice_or_less_than_half_is_worth_a_note(took, expected, complains):
    assert bool(times.verdict(took, expected)) == complains


def test_a_chapter_that_fails_is_named_and_the_table_stays(monkeypatch, tmp_path, capsys):
    def run(path):
        if path.name.startswith("02"):
            raise execute.CellError("02.ipynb, cell train: ZeroDivisionError")
        return None, {"setup": 1.0}

    monkeypatch.setattr(execute, "run", run)
    monkeypatch.setattr(times, "TABLE", tmp_path / "table.csv")
    assert times.main([]) == 1
    shown = capsys.readouterr()
    assert "cell train: ZeroDivisionError" in shown.err and "03_" in shown.out
    assert not times.TABLE.exists()
