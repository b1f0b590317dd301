"""The form of every notebook: what a reader relies on and a cell's output cannot show."""

import ast
import json
import re
import statistics
import subprocess
import sys
from urllib.parse import unquote

import nbformat
import pytest

from tests.notebooks import CHAPTERS, ROOT, SOLUTIONS, cells, code, prose

COMPARED = 0.85  # the share of code cells that nbval compares, at least
every_notebook = pytest.mark.parametrize(
    "path", CHAPTERS + SOLUTIONS, ids=lambda p: f"{p.parent.name}-{p.stem}"
)
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
# Chapter 00 is a walk through the tools, not a lesson: it may be shorter.
every_lesson = pytest.mark.parametrize(
    "path", [p for p in CHAPTERS if not p.name.startswith("00")], ids=lambda p: p.stem
)


@every_notebook
def test_valid_nbformat_with_unique_ids(path):
    raw = json.loads(path.read_text(encoding="utf-8"))
    assert (raw["nbformat"], raw["nbformat_minor"]) == (4, 5)
    nbformat.validate(raw)
    ids = [cell["id"] for cell in raw["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", cell_id) for cell_id in ids), "ids are kebab-case words"
    assert "setup" in ids


@every_notebook
def test_executed_in_order_on_a_fresh_kernel(path):
    counts = [cell["execution_count"] for cell in code(path)]
    assert counts == list(range(1, len(counts) + 1)), (
        "run `make execute`: nbval compares no cell without a count"
    )


@every_notebook
def test_no_error_no_warning_no_empty_cell_stored(path):
    for cell in code(path):
        assert cell["source"].strip(), f"{cell['id']} is empty"
        for output in cell["outputs"]:
            assert output["output_type"] != "error", cell["id"]
            assert output.get("name") != "stderr", f"{cell['id']} wrote to stderr: {output.get('text')}"


@every_notebook
def test_compared_cells_are_at_least_85_per_cent(path):
    assert compared_share(path) >= COMPARED


def compared_share(path):
    """The share of code cells that nbval runs in strict mode and compares."""
    every = code(path)
    skipped = {"nbval-ignore-output", "nbval-skip", "nbval-raises-exception"}
    return sum(not skipped & set(cell["metadata"].get("tags", [])) for cell in every) / len(every)


@every_notebook
def test_only_widgets_are_excused_from_comparison(path):
    for cell in code(path):
        if cell["metadata"].get("tags"):
            assert cell["metadata"]["tags"] == ["nbval-ignore-output"], cell["id"]
            assert "slider" in cell["source"] or "interact" in cell["source"], cell["id"]


@every_notebook
def test_headings_begin_with_one_title_and_skip_no_level(path):
    levels = [
        len(mark)
        for cell in prose(path)
        for mark in re.findall(r"^(#+) ", _without_code(cell["source"]), re.M)
    ]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False)), levels


@every_notebook
def test_every_picture_has_a_text(path):
    for cell in prose(path):
        assert not re.search(r"!\[\s*\]\(|<img(?![^>]*alt=\"[^\"]{10})", cell["source"]), cell["id"]
    for cell in code(path):
        for output in cell["outputs"]:
            data = output.get("data", {})
            assert "image/png" not in data, f"{cell['id']}: show figures with plots.show(fig, alt=…)"
            page = "".join(data.get("text/html", ""))
            assert page.count("<img") == len(re.findall(r'<img alt="[^"]{20}', page)), cell["id"]


@every_notebook
def test_links_lead_somewhere(path):
    for cell in prose(path):
        for target in re.findall(r"\]\(([^)\s]+)\)", _without_code(cell["source"])):
            if not re.match(r"https?://|#|mailto:", target):
                file = path.parent / unquote(target.split("#")[0])
                assert file.exists(), f"{cell['id']}: {target}"


@every_chapter
def test_later_cells_never_use_an_exercise(path):
    stubs = {cell["id"]: _defined(cell["source"]) for cell in code(path) if cell["id"].endswith("-stub")}
    for cell in code(path):
        if not re.fullmatch(r"ex-.*-(stub|check)", cell["id"]):
            used = _used(cell["source"]) & set().union(*stubs.values())
            assert not used, f"{cell['id']} uses {used}, which is an exercise: the page must run without it"


@every_lesson
def test_length_as_designed(path):
    words = sum(len(_without_code(cell["source"]).split()) for cell in prose(path))
    lengths = [len(cell["source"].splitlines()) for cell in code(path)]
    assert 35 <= len(cells(path)) <= 60
    assert 1800 <= words <= 3000, words
    assert statistics.median(lengths) <= 4, sorted(lengths)
    assert max(lengths) <= 30


@every_lesson
def test_prose_comes_before_code(path):
    every = cells(path)
    pairs = [
        (before, cell)
        for before, cell in zip(every, every[1:], strict=False)
        if cell["cell_type"] == "code" and not cell["id"].endswith("-check")
    ]
    after_prose = sum(before["cell_type"] == "markdown" for before, _ in pairs)
    assert after_prose >= 0.8 * len(pairs), [
        cell["id"] for before, cell in pairs if before["cell_type"] == "code"
    ]


@every_lesson
def test_five_to_eight_figures_and_one_slider(path):
    stored = [output for cell in code(path) for output in cell["outputs"]]
    figures = sum("<img" in "".join(o.get("data", {}).get("text/html", "")) for o in stored)
    assert 5 <= figures <= 8
    assert sum("plots.slider(" in cell["source"] for cell in code(path)) == 1


@every_notebook
def test_small_enough_to_open_at_once(path):
    assert path.stat().st_size <= 400_000


@pytest.mark.parametrize("tool", ["ruff check --quiet .", "codespell_lib"])
def test_clean(tool):
    done = subprocess.run([sys.executable, "-m", *tool.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _without_code(text):
    return re.sub(r"```.*?```|`[^`\n]*`", "code", text, flags=re.S)


def _defined(source):
    return {node.name for node in ast.parse(source).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


def _used(source):
    source = "\n".join(
        "pass" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()
    )
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
