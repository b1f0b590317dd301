"""A notebook as plain text, to edit cells, their ids and tags in any editor: python -m tests.text FILE ....

NAME.ipynb is written as NAME.txt beside it; NAME.txt is written back as NAME.ipynb, without outputs: run
`make execute NB=…` on it next. A cell begins with a line "%%%% md ID" or "%%%% code ID tag,tag".
"""

import json
import re
import sys
from pathlib import Path

from tests.execute import METADATA
from tests.notebooks import cells

HEAD = re.compile(r"%%%% (md|code) (\S+) ?(\S*)$")
KINDS = {"md": "markdown", "code": "code"}


def to_text(path):
    """The notebook's cells as text."""
    parts = []
    for cell in cells(path):
        kind = "md" if cell["cell_type"] == "markdown" else "code"
        tags = ",".join(cell["metadata"].get("tags", []))
        parts.append(f"%%%% {kind} {cell['id']} {tags}".rstrip() + f"\n{cell['source']}\n")
    return "\n".join(parts)


def to_notebook(text):
    """The text as a notebook, a dict as it stands in the file."""
    made = []
    for line in text.splitlines():
        if head := HEAD.match(line):
            made.append(new_cell(*head.groups()))
        elif line.startswith("%%%%") or not made:
            raise ValueError(f"{line!r}: a cell begins with '%%%% md ID' or '%%%% code ID', then tags")
        else:
            made[-1]["source"].append(line + "\n")
    for cell in made:
        cell["source"] = "".join(cell["source"]).strip("\n").splitlines(keepends=True)
    return {"cells": made, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def new_cell(kind, cell_id, tags):
    """A cell without source and outputs."""
    metadata = {"tags": tags.split(",")} if tags else {}
    cell = {"cell_type": KINDS[kind], "id": cell_id, "metadata": metadata, "source": []}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def convert(path):
    """Write the other form of the file beside it → its path."""
    if path.suffix == ".ipynb":
        target, content = path.with_suffix(".txt"), to_text(path)
    else:
        notebook = to_notebook(path.read_text(encoding="utf-8"))
        target = path.with_suffix(".ipynb")
        content = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    target.write_text(content, encoding="utf-8")
    return target


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(convert(Path(name)))
