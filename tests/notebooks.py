"""Notebooks as the tests read them: raw JSON, since nbformat's own reader repairs in silence."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted(ROOT.glob("notebooks/*.ipynb"))
SOLUTIONS = sorted(ROOT.glob("solutions/*.ipynb"))


def cells(path):
    """The notebook's cells as dicts, `source` joined to one string."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [{**cell, "source": "".join(cell["source"])} for cell in notebook["cells"]]


def code(path):
    return [cell for cell in cells(path) if cell["cell_type"] == "code"]


def prose(path):
    return [cell for cell in cells(path) if cell["cell_type"] == "markdown"]


def source(path, cell_id):
    """The source of one cell; a missing one is an error that names it."""
    for cell in cells(path):
        if cell["id"] == cell_id:
            return cell["source"]
    raise KeyError(f"{path.name} has no cell with id {cell_id!r}")


def defined(path, cell_id, name):
    """The function `name` that cell `cell_id` defines, run after the notebook's set-up cell alone."""
    scope = {"__name__": "__main__"}
    exec(compile(source(path, "setup"), f"{path.name}[setup]", "exec"), scope)
    exec(compile(source(path, cell_id), f"{path.name}[{cell_id}]", "exec"), scope)
    return scope[name]
