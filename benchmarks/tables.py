"""Tables of scores: CSV files beside the scripts that measure them."""

import csv
from pathlib import Path

HERE = Path(__file__).parent


def read(name):
    """The rows of the table `name`, a dict of str each."""
    with open(HERE / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(name, rows):
    """Write dicts with the same keys as the table `name`."""
    with open(HERE / name, "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
