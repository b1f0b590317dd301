"""SimpleCNN on the coloured digits: settings chosen on val, then five seeds on families never trained on.

    OMP_NUM_THREADS=1 python benchmarks/simple_cnn_seeds.py choose   # writes simple_cnn_settings.csv
    OMP_NUM_THREADS=1 python benchmarks/simple_cnn_seeds.py score    # writes simple_cnn_seeds.csv

The rule was written before the first run: `choose` never loads test; of the grid below, the highest mean
validation accuracy over five seeds wins, rounded to 0.001, and of equals the one with fewer epochs, then with
the smaller rate. `score` trains the winner five times and keeps what it finds. Chapter 06 reads both tables
and repeats seed 0. `choose` takes a quarter of an hour of one core, `score` two minutes.
"""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np
from tables import read, write

from helpers import data, functional, nn, optim, train

RATES, EPOCHS, SEEDS = (0.01, 0.02, 0.04), (3, 4), range(5)
MOMENTUM, BATCH, LAST = 0.9, 32, 0.2  # the last epoch runs at LAST times the rate


class FreshPaint:
    """Training digits in batches, painted anew in each epoch."""

    def __init__(self, rng):
        self.rng, self.labels = rng, data.load_characters("digits", "train")[1]

    def __len__(self):
        return -(-len(self.labels) // BATCH)

    def __iter__(self):
        painted, labels = data.load_characters("digits", "train", seed=int(self.rng.integers(2**31)))
        return iter(data.DataLoader(centred(painted), labels, batch_size=BATCH, shuffle=True, rng=self.rng))


def centred(images):
    return (images - 0.5) / 0.25


def trained(lr, epochs, seed):
    """A SimpleCNN after so many epochs, and the seconds they took."""
    rng = np.random.default_rng(seed)
    model, start = nn.SimpleCNN(num_classes=10, rng=rng), time.perf_counter()
    paint, sgd = FreshPaint(rng), optim.SGD(model.parameters(), lr=lr, momentum=MOMENTUM)
    train.fit(model, functional.cross_entropy, sgd, paint, epochs - 1, progress=False)
    sgd.lr = LAST * lr
    train.fit(model, functional.cross_entropy, sgd, paint, 1, progress=False)
    return model, time.perf_counter() - start


def accuracy(model, split):
    images, labels = data.load_characters("digits", split)
    return float(np.mean(train.predict(model, centred(images)).argmax(axis=1) == labels))


def on_val(settings):
    return accuracy(trained(*settings)[0], "val")


def choose():
    grid = list(product(RATES, EPOCHS, SEEDS))
    with ProcessPoolExecutor(2) as pool:
        scores = list(pool.map(on_val, grid))
    rows = [
        {"lr": lr, "epochs": epochs, "seed": seed, "val": f"{score:.4f}"}
        for (lr, epochs, seed), score in zip(grid, scores, strict=True)
    ]
    write("simple_cnn_settings.csv", rows)
    print("winner: rate", *winner())


def winner():
    """(lr, epochs) by the rule, from the table that `choose` wrote."""
    rows = read("simple_cnn_settings.csv")
    scores = {}
    for row in rows:
        scores.setdefault((float(row["lr"]), int(row["epochs"])), []).append(float(row["val"]))
    means = {settings: round(float(np.mean(of_seeds)), 3) for settings, of_seeds in scores.items()}
    print(*(f"lr {lr:g}, {epochs} epochs: {mean:.3f}" for (lr, epochs), mean in means.items()), sep="\n")
    return min(means, key=lambda settings: (-means[settings], settings[1], settings[0]))


def score():
    settings, rows = winner(), []
    for seed in SEEDS:
        model, seconds = trained(*settings, seed)
        scores = {split: f"{accuracy(model, split):.4f}" for split in ("val", "test")}
        rows.append({"seed": seed, **scores, "seconds": round(seconds), "threads": threads()})
        print(rows[-1], flush=True)
    write("simple_cnn_seeds.csv", rows)


def threads():
    return int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))


if __name__ == "__main__":
    parts = {"choose": choose, "score": score}
    if sys.argv[1:] not in [[name] for name in parts]:
        sys.exit(__doc__)
    parts[sys.argv[1]]()
