"""The page of questions leads to sections that exist, and its numbers are those of the tables."""

import csv
import re
from statistics import mean
from urllib.parse import unquote

from tests.notebooks import ROOT, prose

PAGE = ROOT / "notebooks" / "QUESTIONS.md"
TEXT = PAGE.read_text(encoding="utf-8")


def headings(path):
    """The headings of a notebook, as JupyterLab names their anchors."""
    text = "\n".join(cell["source"] for cell in prose(path))
    return {line.strip().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)}


def column(table, name, **where):
    with open(ROOT / "benchmarks" / f"{table}.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if all(row[key] == value for key, value in where.items())]
    assert rows, where
    return [float(row[name]) for row in rows]


def test_every_link_leads_to_a_heading():
    links = re.findall(r"\]\(([\w.]+)#([^)\s]+)\)", TEXT)
    assert len(links) >= 20
    for file, anchor in links:
        assert unquote(anchor) in headings(ROOT / "notebooks" / file), f"{file}#{anchor}"
        assert anchor.isascii(), f"JupyterLab does not jump to #{anchor}"


def test_all_five_questions_are_asked():
    asked = re.findall(r"^## (.*\?)$", TEXT, re.M)
    assert len(asked) == 5
    for word in ("architecture", "train", "overfitting", "fine-tune", "pretrained"):
        assert any(word in question for question in asked)


def test_gains_are_those_of_the_table():
    plain = column("training_well", "test", setting="plain")
    assert f"against {mean(plain):.3f} without" in TEXT
    flat = mean(column("training_well", "test", setting="no convolution"))
    assert f"two linear layers of the same size {flat:.3f} in the same 400 steps" in TEXT
    longer = column("training_well_families", "test", setting="no convolution", families="80", steps="4000")
    assert f"they reach {mean(longer):.3f}" in TEXT
    joined = 100 * (mean(column("training_well", "kept_test", setting="all together")) - mean(plain))
    assert f"All remedies together gain {joined:.1f} points" in TEXT
    settings = ("20 families", "fresh colours", "small moves", "schedule", "dropout", "batch norm")
    for setting in (*settings, "weight decay"):
        gain = 100 * (mean(column("training_well", "test", setting=setting)) - mean(plain))
        assert f"{gain:+.1f}" in TEXT, f"{setting} {gain:+.1f}"
    assert f"{100 * (mean(column('training_well', 'kept_test', setting='plain')) - mean(plain)):+.1f}" in TEXT


def test_fine_tuning_numbers_are_those_of_the_table():
    def score(alphabet, shots, method):
        return mean(column("fine_tuning", "test", alphabet=alphabet, shots=str(shots), method=method))

    for words, value, digits in (
        ("from scratch reads", score("greek", 5, "scratch"), 3),
        ("frozen features", score("greek", 5, "head"), 3),
        ("that brings", score("han", 20, "layer-wise"), 2),
        ("frozen body has", score("han", 20, "head"), 2),
    ):
        assert re.search(rf"{words}\s+{value:.{digits}f}", TEXT), f"{words} {value:.{digits}f}"
