"""Time every chapter and compare with the README's map: python -m tests.times [NOTEBOOK ...].

Writes benchmarks/chapter_seconds.csv when all chapters were timed. Notebooks stay as they are.
"""

import csv
import os
import platform
import re
import sys

from tests import execute
from tests.notebooks import CHAPTERS, ROOT

TABLE = ROOT / "benchmarks" / "chapter_seconds.csv"
FACTOR = 2  # a row of the map is wrong when it is off by more than this …
LEAST = 10  # … but nobody minds whether it takes 4 seconds or 10


def promised(readme):
    """The README's text → dict file name → the seconds in its map's last column."""
    rows = re.findall(r"\(notebooks/(\S+\.ipynb)\).*\| (\d+) (s|min) \|$", readme, re.M)
    return {name: int(number) * (60 if unit == "min" else 1) for name, number, unit in rows}


def row(name, seconds):
    """One line of the table, from the seconds of each cell: dict cell id → seconds."""
    slowest = max(seconds, key=seconds.get)
    return {
        "chapter": name,
        "seconds": round(sum(seconds.values()), 1),
        "slowest_cell": slowest,
        "cell_seconds": round(seconds[slowest], 1),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "cores": os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def verdict(took, expected):
    """What to do about the map's row, if anything."""
    if expected is None:
        return "not in the README's map"
    off = max(took, LEAST) / max(expected, LEAST)
    return "" if 1 / FACTOR <= off <= FACTOR else f"the README says {expected} s: more than {FACTOR}× off"


def measure(paths):
    """Run each notebook and print its line as it comes; → the rows of those that ran to their end."""
    rows, map_of = [], promised((ROOT / "README.md").read_text(encoding="utf-8"))
    for path in paths:
        try:
            rows.append(row(path.name, execute.run(path)[1]))
        except execute.CellError as error:
            print(f"✗ {error}", file=sys.stderr, flush=True)
            continue
        took, cell, of_cell = (rows[-1][key] for key in ("seconds", "slowest_cell", "cell_seconds"))
        note = verdict(took, map_of.get(path.name))
        print(f"{path.name:<30} {took:6.1f} s   slowest: {cell} {of_cell:.1f} s   {note}", flush=True)
    return rows


def write(rows):
    with open(TABLE, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(names):
    """Time the notebooks named, or all chapters, whose table is written if all ran; → how many failed."""
    paths = execute.notebooks(names) if names else CHAPTERS
    rows = measure(paths)
    if not names and len(rows) == len(paths):
        write(rows)
        print(f"written: {TABLE.relative_to(ROOT)}")
    return len(paths) - len(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
