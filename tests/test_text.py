"""A notebook's text form gives the same cells back."""

import pytest

from tests import text
from tests.notebooks import CHAPTERS, SOLUTIONS, cells


@pytest.mark.parametrize("path", CHAPTERS + SOLUTIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_there_and_back_keeps_ids_sources_and_tags(path, tmp_path):
    (tmp_path / "copy.txt").write_text(text.to_text(path), encoding="utf-8")
    again = text.convert(tmp_path / "copy.txt")
    kept = ("cell_type", "id", "source", "metadata")
    assert [{k: cell[k] for k in kept} for cell in cells(again)] == [
        {k: cell[k] for k in kept} for cell in cells(path)
    ]
    assert text.to_text(again) == text.to_text(path)


@pytest.mark.parametrize("line", ["%%%% python setup", "%%%% code", "prose before any cell"])
def test_a_line_that_opens_no_cell_is_named(line):
    with pytest.raises(ValueError, match=line):
        text.to_notebook(line)
