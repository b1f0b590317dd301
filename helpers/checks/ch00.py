"""Checks of chapter 00: one exercise, to meet the three verdicts."""

import numpy as np

from helpers.checks._report import check, expect


@check(
    "0.1",
    tested="a 2 × 2 picture by hand, an empty and a full one, pictures of three sizes",
    hints=(
        "Add all pixels up, then divide by how many there are: H times W.",
        "NumPy has one function for both steps: np.mean. Without `axis` it takes the whole array.",
    ),
)
def ink(answer):
    """The share of ink: picture (H, W) in [0, 1] → one number, its mean."""
    rng = np.random.default_rng(0)
    by_hand = np.array([[0.0, 1.0], [0.5, 0.5], [0.25, 0.0]])
    sizes = [(3, 7), (6, 2), (1, 5)]
    for x in [by_hand, np.zeros((2, 3)), np.ones((3, 2)), *(rng.random(size) for size in sizes)]:
        total = sum(float(x[i, j]) for i in range(x.shape[0]) for j in range(x.shape[1]))
        expect(answer, {"x": x}, total / (x.shape[0] * x.shape[1]), mistakes=_mistakes(x, total))


def _mistakes(x, total):
    height, width = x.shape
    leave = "leave `axis` out, so that the whole picture is averaged."
    return [
        ("That is the sum of the pixels. Divide it by their number, H times W.", total),
        ("Divided by the rows only: there are H times W pixels.", total / height),
        ("Divided by the columns only: there are H times W pixels.", total / width),
        (f"One number for each column: {leave}", x.mean(axis=0)),
        (f"One number for each row: {leave}", x.mean(axis=1)),
        ("You counted the pixels that have any ink; a half-dark pixel counts half.", np.mean(x > 0)),
        ("That is the share of paper: the ink is what is left over.", 1 - x.mean()),
        ("That is the darkest pixel: the mean takes them all.", x.max()),
    ]
