"""The Latin network meets Greek, Cyrillic and Chinese with few examples a class, on unseen font families.

    export OMP_NUM_THREADS=1
    python benchmarks/fine_tuning.py choose greek   # rows of fine_tuning_settings.csv; also cyrillic, han
    python benchmarks/fine_tuning.py score greek    # rows of fine_tuning.csv; also cyrillic, han
    python benchmarks/fine_tuning.py steps          # fine_tuning_steps.csv
    python benchmarks/fine_tuning.py forgetting     # fine_tuning_forgetting.csv
    python benchmarks/fine_tuning.py digits         # fine_tuning_digits_settings.csv, fine_tuning_digits.csv

A pilot on the Greek val families set the range of the rates; the rest of the rule was written before
the first run of `choose`. Every method gets the same 150 steps of 32 examples in fresh
colours, Adam with a one-cycle schedule, and the same five peak rates of the last layer. "head, then all"
spends the first third of its steps on the head, and then trains all layers with a tenth of the rate;
"layer-wise" divides the rate by three from each layer to the one before it. `choose` never loads test: for
each alphabet and method, at 5 and at 20 examples a class, the rate with the highest mean on val wins (of
equals the smallest), over seeds that are not scored: two for Greek at 5 examples, else one. The choice at 5
also serves 1, the choice at 20 also 10. `score` then runs three seeds: a seed draws other examples, another
start and other batches. Greek gets all numbers of examples, the others 5 and 20. The nearest neighbours see
four paintings of each example, in colour and by features; one more judge sees examples and test letters in
grey. `steps` and `forgetting` take their rates from the same choice. The handwritten digits are chosen
likewise, at 5 examples and at all, 20 borrowing the choice at 5, and scored with five seeds; there the
winners lay at both ends of the five rates, so one was added at each end. These two rates, the Chinese rows
of `steps`, the grey judge, the digits' seeds 3 and 4, and in `forgetting` the setting in which the new head
has its own rate (the choice of `head` at 20) came after the first scores had been seen.

On a core of its own, `choose` takes about 5 minutes for Greek and 4 for the others, `score` 4 and 2,
`steps` 2, `forgetting` 3, `digits` 5.
"""

import sys
import time
from copy import deepcopy
from itertools import product

import numpy as np
import torch
from tables import HERE, read, write
from torch.nn.functional import cross_entropy, interpolate

from helpers import data, models, train

STEPS, BATCH, SEEDS, DIGIT_SEEDS = 150, 32, range(3), range(5)
SHOTS = {"greek": (1, 5, 10, 20), "cyrillic": (5, 20), "han": (5, 20)}
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
DIGIT_RATES = (3e-4, *RATES, 3e-1)
METHODS = ("scratch", "head", "full", "head, then all", "layer-wise")
LAYERS = ("conv1", "conv2", "fc1", "fc2")


def centred(images):
    return (images - 0.5) / 0.25


class FewShots:
    """`steps` batches of a few examples, each example equally often, painted anew each time."""

    def __init__(self, ink, labels, steps, rng, batch_size=BATCH, paint=data.paint):
        self.ink, self.labels, self.steps, self.rng = ink, labels, steps, rng
        self.batch_size, self.paint = batch_size, paint

    def __len__(self):
        return self.steps

    def __iter__(self):
        rounds = -(-self.steps * self.batch_size // len(self.labels))
        order = np.concatenate([self.rng.permutation(len(self.labels)) for _ in range(rounds)])
        for rows in order[: self.steps * self.batch_size].reshape(self.steps, self.batch_size):
            yield centred(self.paint(self.ink[rows], self.rng)), self.labels[rows]


def pretrained(num_classes):
    """The Latin network with a new last layer."""
    model = models.SimpleCNN(num_classes)
    weights = data.load_weights("characters_cnn")
    body = {name: torch.from_numpy(w) for name, w in weights.items() if not name.startswith("fc2")}
    model.load_state_dict(body, strict=False)
    return model


def run(model, loader, rates, loss=cross_entropy):
    """One pass over the loader: Adam, and a one-cycle schedule up to the rate of each layer."""
    adam = torch.optim.Adam(models.param_groups(model, rates))
    peaks = [group["lr"] for group in adam.param_groups]
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=peaks, total_steps=len(loader))
    train.fit(model, loss, adam, loader, progress=False, scheduler=cycle)


def fine_tuned(method, num_classes, lr, rng, steps=STEPS, **examples):
    """A network after `steps` steps; examples: ink, labels and paint, as FewShots takes them."""
    model = models.SimpleCNN(num_classes) if method == "scratch" else pretrained(num_classes)
    rates, first = dict.fromkeys(LAYERS, lr), 0
    if method == "layer-wise":
        rates = {layer: lr / 3**depth for depth, layer in enumerate(reversed(LAYERS))}
    if method in ("head", "head, then all"):
        models.freeze(model, but=["fc2"])
    if method == "head, then all":
        first = steps // 3
        run(model, FewShots(steps=first, rng=rng, **examples), rates)
        model.requires_grad_(True)
        rates = dict.fromkeys(LAYERS, lr / 10)
    run(model, FewShots(steps=steps - first, rng=rng, **examples), rates)
    return model


def few(alphabet, shots, seed):
    """The examples of a seed, and the rng that drew them; sets PyTorch's seed too."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    ink, labels = data.load_characters(alphabet, "train", colour=False)
    rows = data.few_shot(labels, shots, rng)
    return {"ink": ink[rows], "labels": labels[rows]}, rng


def accuracy(model, images, labels):
    return float(np.mean(train.predict(model, centred(images)).argmax(axis=1) == labels))


def trained_and_scored(method, num_classes, lr, rng, judges, **examples):
    """Accuracy on each of the judges, pairs (images, labels); 0 where the training diverged."""
    try:
        model = fine_tuned(method, num_classes, lr, rng, **examples)
    except train.TrainingDiverged:
        return [0.0 for _ in judges]
    return [accuracy(model, *judge) for judge in judges]


def choose(alphabet):
    num_classes, rows = len(data.class_names(alphabet)), []
    val = data.load_characters(alphabet, "val")
    for shots, method, lr in product((5, 20), METHODS, RATES):
        for seed in (10, 11) if (alphabet, shots) == ("greek", 5) else (10,):
            examples, rng = few(alphabet, shots, seed)
            (score,) = trained_and_scored(method, num_classes, lr, rng, [val], **examples)
            row = {"alphabet": alphabet, "shots": shots, "method": method, "lr": lr, "seed": seed}
            rows.append(row | {"val": f"{score:.4f}"})
        print(rows[-1], flush=True)
    replace("fine_tuning_settings.csv", rows, "alphabet")


def winner(alphabet, shots, method):
    """The rate with the highest mean on val, at 5 examples a class or at 20; of equals the smallest."""
    at, scores = "5" if shots <= 5 else "20", {}
    for row in read("fine_tuning_settings.csv"):
        if (row["alphabet"], row["shots"], row["method"]) == (alphabet, at, method):
            scores.setdefault(float(row["lr"]), []).append(float(row["val"]))
    return best(scores)


def best(scores):
    means = {lr: round(float(np.mean(of_seeds)), 4) for lr, of_seeds in scores.items()}
    return min(means, key=lambda lr: (-means[lr], lr))


def score(alphabet):
    num_classes, rows = len(data.class_names(alphabet)), []
    test = data.load_characters(alphabet, "test")
    for shots, seed in product(SHOTS[alphabet], SEEDS):
        row = {"alphabet": alphabet, "shots": shots, "seed": seed}
        for method in METHODS:
            start, lr = time.perf_counter(), winner(alphabet, shots, method)
            examples, rng = few(alphabet, shots, seed)
            (share,) = trained_and_scored(method, num_classes, lr, rng, [test], **examples)
            seconds = f"{time.perf_counter() - start:.1f}"
            rows.append(row | {"method": method, "lr": lr, "test": f"{share:.4f}", "seconds": seconds})
        for method, share in neighbours(alphabet, shots, seed, *test).items():
            rows.append(row | {"method": method, "lr": "", "test": f"{share:.4f}", "seconds": ""})
        print(rows[-9:], flush=True)
    replace("fine_tuning.csv", rows, "alphabet")


def neighbours(alphabet, shots, seed, images, labels):
    """Nearest picture, nearest features and nearest class mean of features: name → accuracy."""
    examples, rng = few(alphabet, shots, seed)
    painted = np.concatenate([data.paint(examples["ink"], rng) for _ in range(4)])  # (4·K·shots, 3, 32, 32)
    known = np.tile(examples["labels"], 4)
    a, b = features(painted), features(images)
    means = np.stack([a[known == label].mean(axis=0) for label in range(known.max() + 1)])  # (K, 128)
    pixels = (pictures.reshape(len(pictures), -1) for pictures in (painted, images))
    uncoloured, same_labels = data.load_characters(alphabet, "test", colour=False)
    assert np.array_equal(labels, same_labels)
    ink = (pictures.reshape(len(pictures), -1) for pictures in (examples["ink"], uncoloured))
    return {
        "nearest picture": np.mean(known[nearest(*pixels)] == labels),
        "nearest picture, grey": np.mean(examples["labels"][nearest(*ink)] == labels),
        "nearest features": np.mean(known[nearest(a, b)] == labels),
        "nearest class mean": np.mean(nearest(means, b) == labels),
    }


def features(images):
    """What the last layer of the Latin network sees: images (N, 3, 32, 32) → (N, 128)."""
    model = pretrained(1)
    model.fc2 = torch.nn.Identity()
    return train.predict(model, centred(images))


def nearest(known, asked):
    """The row of `known` (M, D) nearest to each row of `asked` (N, D): → (N,)"""
    return np.argmin((known**2).sum(axis=1) - 2 * asked @ known.T, axis=1)


def steps():
    """Fewer and more steps, with the rates chosen for 150: Greek at 5 examples, Chinese at 20."""
    runs = [("greek", 5, *rest) for rest in product((25, 50, 600), ("scratch", "head", "full"))]
    runs += [("han", 20, 600, "scratch"), ("han", 20, 600, "full")]
    rows = []
    for (alphabet, shots, count, method), seed in product(runs, SEEDS):
        num_classes, test = len(data.class_names(alphabet)), data.load_characters(alphabet, "test")
        examples, rng = few(alphabet, shots, seed)
        lr = winner(alphabet, shots, method)
        (share,) = trained_and_scored(method, num_classes, lr, rng, [test], steps=count, **examples)
        row = {"alphabet": alphabet, "shots": shots, "method": method, "steps": count, "lr": lr}
        rows.append(row | {"seed": seed, "test": f"{share:.4f}"})
        print(rows[-1], flush=True)
    write("fine_tuning_steps.csv", rows)


class TwoHeads(torch.nn.Module):
    """The Latin network with its old head and a new one: images → scores (N, 62 + num_classes)."""

    def __init__(self, num_classes):
        super().__init__()
        weights = data.load_weights("characters_cnn")
        self.body = models.SimpleCNN(len(weights["fc2.bias"]))
        self.body.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
        self.old, self.new = self.body.fc2, torch.nn.Linear(128, num_classes)
        self.body.fc2 = torch.nn.Identity()

    def forward(self, x):
        features = self.body(x)
        return torch.cat([self.old(features), self.new(features)], dim=1)


def of_both(scores, labels):
    """The mean of two cross-entropies: labels below 62 by the old head, the others by the new one."""
    old = labels < 62
    latin = cross_entropy(scores[old, :62], labels[old]) if old.any() else 0
    return (latin + cross_entropy(scores[~old, 62:], labels[~old] - 62)) / (1 + bool(old.any()))


class Mixed:
    """Batches half of new examples, half of old ones."""

    def __init__(self, new, old):
        self.new, self.old = new, old

    def __len__(self):
        return len(self.new)

    def __iter__(self):
        for (a, x), (b, y) in zip(self.new, self.old, strict=True):
            yield np.concatenate([a, b]), np.concatenate([x, y])


FORGETTING = {  # name → the body's share of the chosen rate, layers that stay, old data, the head's own rate
    "chosen rate": (1, (), False, False),
    "a tenth of the rate": (0.1, (), False, False),
    "convolutions frozen": (1, ("conv1", "conv2"), False, False),
    "half of each batch Latin": (1, (), True, False),
    "ten times the rate": (10, (), False, False),
    "a tenth, head at its own": (0.1, (), False, True),
}


def forgetting():
    """Greek, 20 examples a class: what remains of Latin, and how far each layer has moved."""
    rows, lr, of_head = [], winner("greek", 20, "full"), winner("greek", 20, "head")
    for (name, (share, frozen, mixed, own)), seed in product(FORGETTING.items(), SEEDS):
        examples, rng = few("greek", 20, seed)
        model = TwoHeads(30)
        start = deepcopy(model.body).requires_grad_(False)
        kept = [f"body.{layer}" for layer in frozen] + ["old"]
        rates = {f"body.{layer}": lr * share for layer in LAYERS[:3]} | {"old": lr * share}
        rates["new"] = of_head if own else lr
        models.freeze(model, but=[layer for layer in rates if layer not in kept])
        new = {"ink": examples["ink"], "labels": examples["labels"] + 62}
        loader = FewShots(steps=STEPS, rng=rng, batch_size=BATCH // (1 + mixed), **new)
        if mixed:
            ink, labels = data.load_characters("latin", "train", colour=False)
            loader = Mixed(loader, FewShots(ink, labels, STEPS, rng, BATCH // 2))
        run(model, loader, rates, of_both)
        row = {"setting": name, "seed": seed, **of_two_alphabets(model)}
        rows.append(row | {layer: f"{moved(model.body, start, layer):.4f}" for layer in LAYERS[:3]})
        print(rows[-1], flush=True)
    write("fine_tuning_forgetting.csv", rows)


def of_two_alphabets(model):
    """Test accuracy of each head on its own alphabet."""
    shares = {}
    for alphabet, columns in (("greek", slice(62, None)), ("latin", slice(0, 62))):
        images, labels = data.load_characters(alphabet, "test")
        scores = train.predict(model, centred(images))[:, columns]
        shares[alphabet] = f"{np.mean(scores.argmax(axis=1) == labels):.4f}"
    return shares


def moved(model, start, layer):
    """How far the weights of a layer went, in lengths of the weights at the start."""
    before, after = getattr(start, layer).weight, getattr(model, layer).weight.detach()
    return float((after - before).norm() / before.norm())


def enlarged(scans):
    """Scans (N, 8, 8) → ink (N, 1, 32, 32): four times as wide and high, without steps."""
    return interpolate(torch.from_numpy(scans)[:, None], scale_factor=4, mode="bilinear").numpy()


def three_times(ink, rng):
    """Grey as the scans are: the same in red, green and blue."""
    return np.repeat(ink, 3, axis=1)


def scans(split):
    images, labels = data.load_digits(split)
    return enlarged(images), labels


def few_scans(shots, seed):
    torch.manual_seed(seed)
    rng, (ink, labels) = np.random.default_rng(seed), scans("train")
    rows = np.arange(len(labels)) if shots == "all" else data.few_shot(labels, shots, rng)
    return {"ink": ink[rows], "labels": labels[rows], "paint": three_times}, rng


def digits():
    """Handwritten digits, grey: the same comparison where pretraining has less to give."""
    settings, rows, methods = [], [], METHODS[:3]
    (ink_val, labels_val), (ink_test, labels_test) = scans("val"), scans("test")
    val, test = (three_times(ink_val, None), labels_val), (three_times(ink_test, None), labels_test)
    chosen = {}
    for shots, method in product((5, "all"), methods):
        scores = {}
        for lr in DIGIT_RATES:
            examples, rng = few_scans(shots, seed=10)
            (share,) = trained_and_scored(method, 10, lr, rng, [val], **examples)
            scores[lr] = [share]
            row = {"shots": shots, "method": method, "lr": lr, "seed": 10}
            settings.append(row | {"val": f"{share:.4f}"})
        chosen[shots, method] = best(scores)
        print(shots, method, chosen[shots, method], flush=True)
    for shots, method, seed in product((5, 20, "all"), methods, DIGIT_SEEDS):
        lr = chosen["all" if shots == "all" else 5, method]
        examples, rng = few_scans(shots, seed)
        (share,) = trained_and_scored(method, 10, lr, rng, [test], **examples)
        rows.append({"shots": shots, "method": method, "lr": lr, "seed": seed, "test": f"{share:.4f}"})
        print(rows[-1], flush=True)
    for shots, seed in product((5, 20, "all"), DIGIT_SEEDS):
        examples, _ = few_scans(shots, seed)
        flat = (a.reshape(len(a), -1) for a in (examples["ink"], ink_test))
        share = np.mean(examples["labels"][nearest(*flat)] == labels_test)
        row = {"shots": shots, "method": "nearest picture", "lr": "", "seed": seed}
        rows.append(row | {"test": f"{share:.4f}"})
    write("fine_tuning_digits_settings.csv", settings)
    write("fine_tuning_digits.csv", rows)


def replace(name, rows, column):
    """Put the rows into a table in place of those with the same value in `column`."""
    same = rows[0][column]
    kept = [row for row in read(name) if row[column] != same] if (HERE / name).exists() else []
    order = list(data.ALPHABETS)
    write(name, sorted(kept + rows, key=lambda row: order.index(row[column])))


if __name__ == "__main__":
    parts = {"choose": choose, "score": score, "steps": steps, "forgetting": forgetting, "digits": digits}
    if not sys.argv[1:] or sys.argv[1] not in parts:
        sys.exit(__doc__)
    parts[sys.argv[1]](*sys.argv[2:])
