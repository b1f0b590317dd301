"""Run notebooks on fresh kernels and store their outputs: python -m tests.execute [NOTEBOOK ...].

The result depends on the cells alone: no timing, no widget state, no Python version is stored.
"""

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
}


def notebooks():
    """All chapters and solutions, in reading order."""
    return sorted(ROOT.glob("notebooks/*.ipynb")) + sorted(ROOT.glob("solutions/*.ipynb"))


def execute(path):
    """Run the notebook at `path` from a fresh kernel in its own folder and write it back; seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=120, record_timing=False, resources={"metadata": {"path": str(path.parent)}}
    )
    start = time.perf_counter()
    client.execute()
    seconds = time.perf_counter() - start
    notebook.metadata = nbformat.from_dict(METADATA)  # without the widgets' state, which is drawn by lot
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if output.get("data", {}).pop(
                WIDGET, None
            ):  # its number is drawn by lot, and it lives with the kernel
                output.data["text/plain"] = "(Run this cell in JupyterLab: a slider appears here.)"
    temporary = path.with_suffix(".tmp")
    nbformat.write(notebook, temporary)
    os.replace(temporary, path)
    return seconds


if __name__ == "__main__":
    for path in [Path(name).resolve() for name in sys.argv[1:]] or notebooks():
        print(f"{execute(path):6.1f} s  {path.relative_to(ROOT)}", flush=True)
