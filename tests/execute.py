"""Run notebooks on fresh kernels and store their outputs: python -m tests.execute [NOTEBOOK ...].

The result depends on the cells alone: no timing, no widget state, no Python version is stored, and text that
arrives in pieces is stored as one. A notebook with a failing cell stays as it was.
"""

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
WIDGET = "application/vnd.jupyter.widget-view+json"
SLIDER = "(Run this cell in JupyterLab: a slider appears here.)"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
}


class CellError(Exception):
    """A cell that failed, was too slow or took its kernel along: which one, and why."""


def notebooks(names=()):
    """The paths named, or all chapters and solutions, in reading order."""
    every = sorted(ROOT.glob("notebooks/*.ipynb")) + sorted(ROOT.glob("solutions/*.ipynb"))
    return [Path(name).resolve() for name in names] or every


def run(path):
    """Run the notebook at `path` from a fresh kernel in its own folder → notebook, dict cell id → seconds."""
    notebook, started, seconds = nbformat.read(path, as_version=4), {}, {}

    def on_start(cell, cell_index):
        started[cell["id"]] = time.perf_counter()

    def on_end(cell, cell_index, execute_reply):
        seconds[cell["id"]] = time.perf_counter() - started[cell["id"]]

    client = NotebookClient(
        notebook,
        timeout=120,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_execute=on_start,
        on_cell_executed=on_end,
    )
    try:
        client.execute(env=environment(path))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise CellError(f"{path.name}, cell {list(started)[-1]}: {_reason(error)}") from error
    return notebook, seconds


def environment(path):
    """The kernel's environment: a check that does not pass is an error in a solution, not in a chapter."""
    rest = {name: value for name, value in os.environ.items() if name != "COURSE_CHECKS"}
    return rest | ({"COURSE_CHECKS": "raise"} if path.parent.name == "solutions" else {})


def execute(path):
    """Run the notebook at `path` and write it back with its outputs; → the seconds its cells took."""
    notebook, seconds = run(path)
    notebook.metadata = nbformat.from_dict(METADATA)  # without the widgets' state, which is drawn by lot
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
            for output in cell.outputs:
                _settle_widget(output)
    temporary = path.with_suffix(".part")
    nbformat.write(notebook, temporary)
    os.replace(temporary, path)
    return sum(seconds.values())


def joined(outputs):
    """The outputs with neighbouring pieces of one stream as one: where text is cut depends on the clock."""
    whole = []
    for output in outputs:
        before = whole[-1] if whole else {}
        if output.output_type == "stream" and before.get("name") == output.name:
            before.text += output.text
        else:
            whole.append(output)
    return whole


def _settle_widget(output):
    """Replace a widget, whose number is drawn by lot and which lives with the kernel, by a sentence."""
    if output.get("data", {}).pop(WIDGET, None):
        output.data["text/plain"] = SLIDER


def _reason(error):
    if isinstance(error, CellExecutionError):
        return f"{error.ename}: {error.evalue}"
    return str(error).splitlines()[0]


def main(names):
    """Execute them all, also after a failure; → how many failed."""
    failed = 0
    for path in notebooks(names):
        try:
            print(f"{execute(path):6.1f} s  {path.parent.name}/{path.name}", flush=True)
        except CellError as error:
            failed += 1
            print(f"✗ {error}\n  {path} stays as it was.", file=sys.stderr, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
