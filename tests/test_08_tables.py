"""Chapter 08's tables follow their own rule, and the runs in the notebook lie within the seeds' spread."""

import csv
import re

import pytest

from tests.notebooks import ROOT, cells, code

TOLERANCE = 0.03  # another processor sums in another order, and 400 steps let that grow: 68 of 2,280 digits


def table(part=""):
    with open(ROOT / "benchmarks" / f"training_well{part}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def column(rows, name, **chosen):
    return [float(r[name]) for r in rows if all(r[key] == value for key, value in chosen.items())]


def winners():
    """The strength of each remedy that the rule picks: highest mean on val, of equals the first."""
    scores = {}
    for row in table("_settings") + [row | {"setting": "all together"} for row in table("_team")]:
        scores.setdefault(row["setting"], {}).setdefault(row["strength"], []).append(float(row["val"]))
    assert {len(seeds) for of in scores.values() for seeds in of.values()} == {3}
    return {name: max(of, key=lambda s: round(sum(of[s]) / 3, 4)) for name, of in scores.items()}


def printed(cell_id):
    chapter = code(ROOT / "notebooks" / "08_training_well.ipynb")
    cell = next(cell for cell in chapter if cell["id"] == cell_id)
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


def test_every_setting_has_the_seeds_0_to_4():
    for part, keys in (
        ("", ["setting"]),
        ("_bias", ["setting"]),
        ("_leak", ["setting"]),
        ("_families", ["setting", "families", "steps"]),
    ):
        seeds = {}
        for row in table(part):
            seeds.setdefault(tuple(row[key] for key in keys), []).append(row["seed"])
        assert all(of == list("01234") for of in seeds.values()), part


def test_curves_and_scores_come_from_the_same_runs():
    curves = table("_curves")
    for row in table():
        losses = column(curves, "val_loss", setting=row["setting"], seed=row["seed"])
        assert len(losses) == 20
        assert losses[int(row["kept_epoch"]) - 1] <= min(losses) + 0.0011, row  # rounded to three digits


def test_the_chapter_uses_the_strengths_that_are_best_on_val():
    source = {cell["id"]: cell["source"] for cell in cells(ROOT / "notebooks" / "08_training_well.ipynb")}
    patterns = {
        "plain": ("plain", r"\blr=([\d.e-]+)"),
        "weight decay": ("together-run", r"weight_decay=([\d.e-]+)"),
        "dropout": ("together-run", r"dropout=([\d.e-]+)"),
        "all together": ("together-run", r"cycle=([\d.e-]+)"),
        "small moves": ("together-run", r"rng\)\), (\d+), rng\)"),
    }
    won = winners()
    for name, (cell_id, pattern) in patterns.items():
        assert float(re.search(pattern, source[cell_id])[1]) == float(won[name]), name


@pytest.mark.parametrize("name, score", [("plain", "test"), ("all together", "kept_test")])
def test_a_live_run_lies_within_the_spread_of_the_seeds(name, score):
    live = float(re.search(rf"{name}, seed 0: test ≈ ([\d.]+)", printed("together-run"))[1])
    five = column(table(), score, setting=name)
    assert min(five) - TOLERANCE <= live <= max(five) + TOLERANCE
    assert abs(live - five[0]) <= TOLERANCE


def test_the_leaking_run_lies_within_the_spread_of_the_seeds():
    live = [float(number) for number in re.findall(r"≈ ([\d.]+)", printed("wrong-run"))]
    for number, name in zip(live, ("same_families", "others"), strict=True):
        five = column(table("_leak"), name, setting="plain")
        assert min(five) - TOLERANCE <= number <= max(five) + TOLERANCE, name


def test_what_is_told_of_five_and_of_eighty_families_depends_on_the_steps():
    rows = table("_families")
    five = column(table(), "test", setting="plain")
    short = column(rows, "test", setting="no convolution", families="80", steps="400")
    longer = column(rows, "test", setting="no convolution", families="80", steps="4000")
    assert max(short) < min(five)
    assert sum(longer) > sum(five)
