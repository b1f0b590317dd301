"""Chapter 07's scores: the five seeds keep the promises, and the stored run agrees with them."""

import csv
import re
from statistics import mean

import pytest

from tests.notebooks import ROOT, code, prose

CHAPTER = ROOT / "notebooks" / "07_pytorch_cnn.ipynb"
TOLERANCE = 0.005  # another processor sums in another order: 11 of 2,280 test digits may change


def rows(table, alphabet):
    with open(ROOT / "benchmarks" / table, encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["alphabet"] == alphabet]


def column(alphabet, name):
    return [float(row[name]) for row in rows("characters_cnn_seeds.csv", alphabet)]


def whole(table, name):
    with open(ROOT / "benchmarks" / table, encoding="utf-8", newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def cell(cell_id):
    return next(cell for cell in code(CHAPTER) if cell["id"] == cell_id)


def printed(cell_id):
    return "".join("".join(output.get("text", "")) for output in cell(cell_id)["outputs"])


@pytest.mark.parametrize("alphabet", ["digits", "latin"])
def test_there_are_five_seeds(alphabet):
    assert column(alphabet, "seed") == [0, 1, 2, 3, 4]


def test_five_seeds_read_98_of_100_digits_of_unseen_families():
    assert min(column("digits", "test")) >= 0.98


def test_the_live_digits_lie_within_the_spread_of_the_seeds():
    live = float(re.search(r"accuracy ≈ ([\d.]+)", printed("result"))[1])
    five = column("digits", "test")
    assert min(five) - TOLERANCE <= live <= max(five) + TOLERANCE


def test_the_committed_reader_scores_what_the_table_says_of_seed_0():
    scores = re.search(r"three epochs +≈ ([\d.]+) ≈ ([\d.]+)", printed("score"))
    for printed_score, name in zip(scores.groups(), ("test", "top3"), strict=True):
        assert abs(float(printed_score) - column("latin", name)[0]) <= 0.001


def test_every_seed_of_the_reader_beats_the_nearest_neighbour_clearly():
    found = re.findall(r"neighbour, \w+ +≈ ([\d.]+)", printed("score"))
    neighbours = [float(score) for score in found]
    assert len(neighbours) == 2
    assert min(column("latin", "test")) > max(neighbours) + 0.1


@pytest.mark.parametrize(("alphabet", "cell_id"), [("digits", "dataset"), ("latin", "reader")])
def test_the_chapter_uses_the_rate_that_is_best_on_val(alphabet, cell_id):
    means = {}
    for row in rows("characters_cnn_settings.csv", alphabet):
        means.setdefault(float(row["lr"]), []).append(float(row["val"]))
    assert {len(scores) for scores in means.values()} == {3}
    means = {lr: round(sum(scores) / 3, 4) for lr, scores in means.items()}
    best = min(means, key=lambda lr: (-means[lr], lr))
    used = re.findall(r"\blr=([\d.e-]+)", cell(cell_id)["source"])
    assert float(used[0]) == best


def test_the_chapter_shows_the_tables_own_numbers():
    assert str(column("digits", "test")) in printed("result")
    for table in ("simple_cnn_seeds.csv", "simple_cnn_torch.csv"):
        assert str(whole(table, "test")) in printed("result")
    top1, top3 = column("latin", "test"), column("latin", "top3")
    assert f"{mean(top1):.3f}   {mean(top3):.3f}   from {min(top1)} to {max(top1)}" in printed("score")


def test_what_is_said_of_the_two_recipes_and_the_two_frameworks():
    numpy, same, here = (
        {split: whole("simple_cnn_seeds.csv", split) for split in ("val", "test")},
        {split: whole("simple_cnn_torch.csv", split) for split in ("val", "test")},
        {split: column("digits", split) for split in ("val", "test")},
    )
    assert min(numpy["test"]) > max(here["test"])
    assert mean(here["test"]) < mean(same["test"]) < mean(numpy["test"])
    assert 0.004 < mean(numpy["test"]) - mean(here["test"]) < 0.006
    moved = max(abs(a - b) for a, b in zip(numpy["test"], same["test"], strict=True))
    assert round(moved, 4) == 0.007
    assert [round(mean(scores["val"]), 3) for scores in (here, numpy, same)] == [0.976, 0.977, 0.976]
    text = next(cell["source"] for cell in prose(CHAPTER) if cell["id"] == "files-text")
    for fact in ("0.007", "0.976, 0.977 and 0.976"):
        assert fact in text


def test_the_largest_difference_of_twenty_steps_is_below_the_bar_and_grows_later():
    first, last = (float(n) for n in re.findall(r"(?:20|120) ≈ (\d\S*?)[,;\n]", printed("curves")))
    assert first < 1e-3 < last
