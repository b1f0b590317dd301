"""Scores to beat on the printed characters, unseen families: majority, linear and nearest neighbour.

    python benchmarks/character_baselines.py       # prints the table of data/README.md; some minutes

The linear model is softmax regression by mini-batch steps (batch 64, 20 epochs) on pixels from which the mean
training image was taken. Its learning rate and weight decay are chosen on the validation families alone.
"""

import itertools

import numpy as np

from helpers import data

RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
DECAYS = (0, 1e-3, 1e-2)
SEEDS = range(5)


def flat(alphabet, split, colour, seed):
    """Images as rows (N, D), and labels (N,)."""
    images, labels = data.load_characters(alphabet, split, colour, seed)
    return images.reshape(len(images), -1), labels


def fit_linear(X, t, lr, decay, rng, epochs=20, batch=64):
    """Weights (K, D) and bias (K,) of softmax regression."""
    Y = np.eye(t.max() + 1, dtype=np.float32)[t]  # (N, K)
    W, b = np.zeros((Y.shape[1], X.shape[1]), np.float32), np.zeros(Y.shape[1], np.float32)
    for _ in range(epochs):
        order = rng.permutation(len(X))
        for rows in np.split(order, range(batch, len(X), batch)):
            Z = X[rows] @ W.T + b  # (B, K)
            P = np.exp(Z - Z.max(axis=1, keepdims=True))
            G = (P / P.sum(axis=1, keepdims=True) - Y[rows]) / len(rows)  # (B, K)
            W -= lr * (G.T @ X[rows] + decay * W)
            b -= lr * G.sum(axis=0)
    return W, b


def linear_scores(alphabet, colour, lr, decay, seed, splits):
    """Share read right of each split, after training on the train split."""
    X, t = flat(alphabet, "train", colour, seed)
    mean = X.mean(axis=0)
    W, b = fit_linear(X - mean, t, lr, decay, np.random.default_rng(seed))
    unseen = {split: flat(alphabet, split, colour, seed) for split in splits}
    return {split: np.mean(((x - mean) @ W.T + b).argmax(axis=1) == t) for split, (x, t) in unseen.items()}


def linear(alphabet, colour):
    """Test scores of five seeds, with the settings that do best on val at seed 0, and these settings."""
    grid = itertools.product(RATES, DECAYS)
    best = max(grid, key=lambda s: linear_scores(alphabet, colour, *s, seed=0, splits=("val",))["val"])
    return [linear_scores(alphabet, colour, *best, seed=s, splits=("test",))["test"] for s in SEEDS], best


def nearest(alphabet, colour, seed):
    """Share of test images whose nearest training image, by squared differences, has their class."""
    (X, t), (x, answers) = flat(alphabet, "train", colour, seed), flat(alphabet, "test", colour, seed)
    lengths = np.square(X).sum(axis=1)  # |x|² is the same for all candidates, so it is left out
    found = [t[(lengths - 2 * part @ X.T).argmin(axis=1)] for part in np.array_split(x, len(x) // 200 + 1)]
    return np.mean(np.concatenate(found) == answers)


def spread(scores):
    """Lowest to highest, with three decimals."""
    low, high = f"{min(scores):.3f}", f"{max(scores):.3f}"
    return low if low == high else f"{low}–{high}"


def report(alphabet, colour):
    _, answers = data.load_characters(alphabet, "test")
    print(f"{alphabet}, {'coloured' if colour else 'grey'}, {len(answers):,} test images")
    print(f"  majority   {np.bincount(answers).max() / len(answers):.3f}")
    seeds = SEEDS if colour else (0,)  # without colours nothing is drawn by lot
    print(f"  nearest    {spread([nearest(alphabet, colour, s) for s in seeds])}", flush=True)
    if alphabet == "digits":
        scores, (lr, decay) = linear(alphabet, colour)
        print(f"  linear     {spread(scores)}   (lr={lr}, weight decay={decay}, chosen on val)", flush=True)


if __name__ == "__main__":
    report("digits", colour=False)
    report("digits", colour=True)
    report("latin", colour=False)
