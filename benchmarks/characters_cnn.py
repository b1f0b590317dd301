"""SimpleCNN in PyTorch on the coloured characters: 10 digits and 62 classes, families never trained on.

    OMP_NUM_THREADS=1 python benchmarks/characters_cnn.py choose   # writes characters_cnn_settings.csv
    OMP_NUM_THREADS=1 python benchmarks/characters_cnn.py score    # writes characters_cnn_seeds.csv
    OMP_NUM_THREADS=1 python benchmarks/characters_cnn.py save     # writes ../data/characters_cnn.safetensors

The rule was written before the first run: `choose` never loads test; of four peak learning rates, the one
with the highest mean validation accuracy over three seeds wins, for each alphabet by itself. `score` trains
the winner with five seeds and keeps what it finds. `save` trains 62 classes with seed 0 once more and keeps
the weights. Adam with a one-cycle schedule (Smith & Topin 2018), three epochs, fresh colours in each epoch.
`choose` takes about nine minutes of two cores, `score` six, `save` one.
"""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np
import torch
from safetensors.torch import save_file
from tables import read, write
from torch.nn.functional import cross_entropy

from helpers import data, models, train

RATES, SEEDS, ALPHABETS = (1e-3, 2e-3, 4e-3, 8e-3), range(5), ("digits", "latin")
EPOCHS, BATCH = 3, {"digits": 32, "latin": 64}


class FreshPaint:
    """The training characters of an alphabet in batches, painted anew in each epoch."""

    def __init__(self, alphabet, rng):
        self.alphabet, self.rng = alphabet, rng
        self.labels = data.load_characters(alphabet, "train", colour=False)[1]

    def __len__(self):
        return -(-len(self.labels) // BATCH[self.alphabet])

    def __iter__(self):
        seed = int(self.rng.integers(2**31))
        painted, labels = data.load_characters(self.alphabet, "train", seed=seed)
        batch = BATCH[self.alphabet]
        return iter(data.DataLoader(centred(painted), labels, batch_size=batch, shuffle=True, rng=self.rng))


def centred(images):
    return (images - 0.5) / 0.25


def trained(alphabet, lr, seed):
    """A SimpleCNN after EPOCHS epochs, and the seconds they took."""
    torch.manual_seed(seed)
    start, paint = time.perf_counter(), FreshPaint(alphabet, np.random.default_rng(seed))
    model = models.SimpleCNN(num_classes=len(data.class_names(alphabet)))
    adam = torch.optim.Adam(model.parameters(), lr=lr)
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=lr, total_steps=EPOCHS * len(paint))
    train.fit(model, cross_entropy, adam, paint, EPOCHS, progress=False, scheduler=cycle)
    return model, time.perf_counter() - start


def accuracy(model, alphabet, split, top=1):
    """The share of images whose true class is among the `top` best scores."""
    images, labels = data.load_characters(alphabet, split)
    best = np.argsort(-train.predict(model, centred(images)), axis=1)[:, :top]  # (N, top)
    return float(np.mean(np.any(best == labels[:, None], axis=1)))


def on_val(setting):
    torch.set_num_threads(1)
    alphabet, lr, seed = setting
    return accuracy(trained(alphabet, lr, seed)[0], alphabet, "val")


def choose():
    grid = list(product(ALPHABETS, RATES, SEEDS[:3]))
    with ProcessPoolExecutor(2) as pool:
        scores = list(pool.map(on_val, grid))
    rows = [
        {"alphabet": alphabet, "lr": lr, "seed": seed, "val": f"{score:.4f}"}
        for (alphabet, lr, seed), score in zip(grid, scores, strict=True)
    ]
    write("characters_cnn_settings.csv", rows)
    print("winners:", {alphabet: winner(alphabet) for alphabet in ALPHABETS})


def winner(alphabet):
    """The peak rate with the highest mean on val in the table that `choose` wrote; of equals the smallest."""
    scores = {}
    for row in read("characters_cnn_settings.csv"):
        if row["alphabet"] == alphabet:
            scores.setdefault(float(row["lr"]), []).append(float(row["val"]))
    means = {lr: round(float(np.mean(of_seeds)), 4) for lr, of_seeds in scores.items()}
    return min(means, key=lambda lr: (-means[lr], lr))


def score():
    rows = []
    for alphabet, seed in product(ALPHABETS, SEEDS):
        model, seconds = trained(alphabet, winner(alphabet), seed)
        scores = {split: f"{accuracy(model, alphabet, split):.4f}" for split in ("val", "test")}
        top3 = f"{accuracy(model, alphabet, 'test', top=3):.4f}"
        run = {"seconds": round(seconds), "threads": torch.get_num_threads()}
        rows.append({"alphabet": alphabet, "seed": seed, **scores, "top3": top3, **run})
        print(rows[-1], flush=True)
    write("characters_cnn_seeds.csv", rows)


def save():
    model, seconds = trained("latin", winner("latin"), seed=0)
    path = data.DATA / "characters_cnn.safetensors"
    weights = {name: weight.contiguous() for name, weight in model.state_dict().items()}
    save_file(weights, f"{path}.part")
    os.replace(f"{path}.part", path)
    print(f"test {accuracy(model, 'latin', 'test'):.4f}, {seconds:.0f} s; now write its SHA-256 into data.py")


if __name__ == "__main__":
    parts = {"choose": choose, "score": score, "save": save}
    if sys.argv[1:] not in [[name] for name in parts]:
        sys.exit(__doc__)
    parts[sys.argv[1]]()
