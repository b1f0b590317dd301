"""Chapter 06's recipe for the digits in PyTorch: does the framework make the difference?

    OMP_NUM_THREADS=1 python benchmarks/simple_cnn_torch.py   # writes simple_cnn_torch.csv

Nothing is chosen here: rate, epochs, seeds, starting weights, colours and order are those of
`simple_cnn_seeds.py score`, and only the sums are PyTorch's. Five seeds, each tested once. Chapter 07 reads
the table. Takes three minutes of one core.
"""

import time

import numpy as np
import simple_cnn_seeds as recipe
import torch
from tables import write
from torch.nn.functional import cross_entropy

from helpers import models, nn, train


def trained(lr, epochs, seed):
    """`simple_cnn_seeds.trained` in PyTorch: the network after so many epochs, and the seconds they took."""
    rng, start = np.random.default_rng(seed), time.perf_counter()
    weights = nn.SimpleCNN(num_classes=10, rng=rng).state_dict()
    model = models.SimpleCNN(num_classes=10)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    paint = recipe.FreshPaint(rng)
    sgd = torch.optim.SGD(model.parameters(), lr=lr, momentum=recipe.MOMENTUM)
    train.fit(model, cross_entropy, sgd, paint, epochs - 1, progress=False)
    sgd.param_groups[0]["lr"] = recipe.LAST * lr
    train.fit(model, cross_entropy, sgd, paint, 1, progress=False)
    return model, time.perf_counter() - start


def main():
    settings, rows = recipe.winner(), []
    for seed in recipe.SEEDS:
        model, seconds = trained(*settings, seed)
        scores = {split: f"{recipe.accuracy(model, split):.4f}" for split in ("val", "test")}
        rows.append({"seed": seed, **scores, "seconds": round(seconds), "threads": torch.get_num_threads()})
        print(rows[-1], flush=True)
    write("simple_cnn_torch.csv", rows)


if __name__ == "__main__":
    main()
