"""Answers to the exercise of chapter 00."""

import numpy as np

from tests.exercises import Case


def loops(x):
    total = 0.0
    for row in x:
        for pixel in row:
            total += pixel
    return total / (len(x) * len(x[0]))


CASES = {
    "ink": Case(
        right=[loops, lambda x: x.sum() / x.size, lambda x: x.mean(axis=0).mean(), lambda x: [np.mean(x)][0]],
        wrong=[
            ("sum", lambda x: x.sum(), "the sum of the pixels"),
            ("divided by rows", lambda x: x.sum() / len(x), "by the rows only"),
            ("divided by columns", lambda x: x.sum() / x.shape[1], "by the columns only"),
            ("by column", lambda x: x.mean(axis=0), "each column"),
            ("by row", lambda x: x.mean(axis=1), "each row"),
            ("counts pixels", lambda x: np.mean(x > 0), "half-dark pixel"),
            ("share of paper", lambda x: 1 - x.mean(), "share of paper"),
            ("maximum", lambda x: x.max(), "darkest pixel"),
        ],
    )
}
