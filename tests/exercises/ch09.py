"""Answers to chapter 09."""

import numpy as np
import torch

from tests.exercises import Case


def _few_shot(labels, shots, rng, pick=None, refuse=True):
    """The answer; pick(rows, rng) chooses among the rows of a class."""
    pick = pick or (lambda rows, rng: rng.permutation(rows)[:shots])
    parts = []
    for k in sorted(set(np.asarray(labels).tolist())):
        rows = np.array([n for n, label in enumerate(labels) if label == k])
        if refuse and len(rows) < shots:
            raise ValueError(f"class {k} has only {len(rows)} examples, not {shots}")
        parts.append(pick(rows, rng))
    return np.concatenate(parts)


def _by_sorting(labels, shots, rng):
    """All examples in a random order, sorted by class; the first of each."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    classes, first, counts = np.unique(labels[order], return_index=True, return_counts=True)
    if (counts < shots).any():
        raise ValueError(f"too few examples of class {classes[counts.argmin()]}")
    return [int(n) for start in first for n in order[start : start + shots]]


def _without_refusal(labels, shots, rng):
    return _few_shot(labels, shots, rng, refuse=False)


def _first_ones(labels, shots, rng):
    return _few_shot(labels, shots, rng, pick=lambda rows, rng: rows[:shots])


def _among_first(labels, shots, rng):
    return _few_shot(labels, shots, rng, pick=lambda rows, rng: rng.permutation(rows[: shots + 1])[:shots])


def _with_replacement(labels, shots, rng):
    return _few_shot(labels, shots, rng, pick=lambda rows, rng: rng.choice(rows, shots))


def _by_numpy_error(labels, shots, rng):
    return _few_shot(
        labels, shots, rng, refuse=False, pick=lambda r, rng: rng.choice(r, shots, replace=False)
    )


def _asserts(labels, shots, rng):
    assert np.unique(labels, return_counts=True)[1].min() >= shots
    return _few_shot(labels, shots, rng)


def _any_rows(labels, shots, rng):
    return rng.permutation(len(labels))[: shots * len(np.unique(labels))]


def _block(labels, shots, rng):
    return _few_shot(labels, shots, rng, lambda rows, rng: np.roll(rows, rng.integers(len(rows)))[:shots])


def _within(labels, shots, rng):
    """Places within each class."""
    counts = np.unique(labels, return_counts=True)[1]
    if counts.min() < shots:
        raise ValueError("too few examples")
    return np.concatenate([rng.choice(count, shots, replace=False) for count in counts])


def _total_only(labels, shots, rng):
    if len(labels) < shots * len(np.unique(labels)):
        raise ValueError("too few examples")
    return _few_shot(labels, shots, rng, refuse=False)


def _no_gaps(labels, shots, rng):
    parts = [rng.choice(np.flatnonzero(labels == k), shots, replace=False) for k in range(labels.max() + 1)]
    return np.concatenate(parts)


def _interleaved(labels, shots, rng):
    return _few_shot(labels, shots, rng).reshape(-1, shots).T.ravel()


def _own_rng(labels, shots, rng):
    return _few_shot(labels, shots, np.random.default_rng(0))


def _global_rng(labels, shots, rng):
    return _few_shot(labels, shots, np.random.default_rng())


def _means(known, labels):
    return np.stack([known[labels == k].mean(axis=0) for k in range(labels.max() + 1)])


def _distances(asked, points, power=2):
    return (np.abs(asked[:, None] - points) ** power).sum(axis=2)


def _by_expanding(known, labels, asked):
    one_hot = np.eye(labels.max() + 1)[labels]
    means = (one_hot.T @ known) / one_hot.sum(axis=0)[:, None]
    return np.argmin((means**2).sum(axis=1) - 2 * asked @ means.T, axis=1)


def _loops(known, labels, asked):
    means = {k: known[labels == k].mean(axis=0) for k in range(max(labels) + 1)}
    return [min(means, key=lambda k: np.linalg.norm(f - means[k])) for f in asked]


def _train_only(network, layers, mine=lambda name, layers: name.rsplit(".", 1)[0] in layers):
    for name, parameter in network.named_parameters():
        parameter.requires_grad = mine(name, layers)
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _layer(name):
    return name.rsplit(".", 1)[0]


def _weight_of(name, layers):
    return name in [f"{layer}.weight" for layer in layers]


def _or_bias(name, layers):
    return _layer(name) in layers or name.endswith("bias")


def _counts(network, layers, number):
    _train_only(network, layers)
    return sum(number(p) for p in network.parameters())


def _by_modules(network, layers):
    network.requires_grad_(False)
    for layer in layers:
        network.get_submodule(layer).requires_grad_(True)
    return np.int64(sum(p.numel() for p in network.parameters() if p.requires_grad))


def _freezes_only(network, layers):
    for name, parameter in network.named_parameters():
        if name.split(".")[0] not in layers:
            parameter.requires_grad = False
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _resets(network, layers):
    network.requires_grad_(False)
    for layer in layers:
        _train_only(network, [layer])
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _on_the_layer(network, layers):
    for name, module in network.named_children():
        module.requires_grad = name in layers
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _zeroes(network, layers):
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.split(".")[0] in layers)
        if name.split(".")[0] not in layers:
            parameter.data.zero_()
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _rates_loop(lr, factor, depth):
    rates = []
    for _ in range(depth):
        rates.append(lr)
        lr /= factor
    return rates[::-1]


def _powers(lr, factor, depth):
    return float(factor) ** np.arange(depth)


def _forgetting(scores):
    return (scores[:-1, :-1] - scores[-1, :-1]).max(axis=0)


def _forgetting_loops(scores):
    T = len(scores)
    return [max(scores[t][k] for t in range(T - 1)) - scores[T - 1][k] for k in range(T - 1)]


def _prepare(images, mean, std, scale=255):
    return ((images[:, None] / scale - mean[:, None, None]) / std[:, None, None]).astype(np.float32)


def _prepare_channels(images, mean, std):
    grey = images.astype(np.float32) / 255
    return np.stack([(grey - m) / s for m, s in zip(mean, std, strict=True)], axis=1).astype("float32")


def _prepare_last(images, mean, std):
    return ((images[..., None] / 255 - mean) / std).astype(np.float32)


def _prepare_in_place(images, mean, std):
    x = images[:, None] / 255
    x -= mean[:, None, None]
    return (x / std[:, None, None]).astype(np.float32)


CASES = {
    "few_shot": Case(
        right=[_few_shot, _by_sorting],
        wrong=[
            ("the first ones", _first_ones, "same rows for every seed"),
            ("only among the first", _among_first, "never be drawn"),
            ("with replacement", _with_replacement, "drawn twice"),
            ("too few in silence", _without_refusal, "in silence"),
            ("NumPy's own error", _by_numpy_error, "names no class"),
            ("another error", _asserts, "Say it with a ValueError"),
            ("any rows", _any_rows, "within each class"),
            ("its own rng", _own_rng, "same rows for every seed"),
            ("no seed", _global_rng, "from the `rng` you are given"),
            ("labels", lambda y, s, rng: y[_few_shot(y, s, rng)], "These are labels"),
            ("a mask", lambda y, s, rng: np.isin(np.arange(len(y)), _few_shot(y, s, rng)), "mask"),
            ("(K, shots)", lambda y, s, rng: _few_shot(y, s, rng).reshape(-1, s), "end to end"),
            ("shuffled", lambda y, s, rng: np.sort(_few_shot(y, s, rng))[::-1], "class after class"),
            ("neighbours", _block, "neighbouring rows"),
            ("places within the class", _within, "places within each class"),
            ("the total only", _total_only, "in silence"),
            ("no gaps", _no_gaps, "gaps"),
            ("interleaved", _interleaved, "wrong order"),
            ("in all", lambda y, s, rng: rng.permutation(len(y))[:s], "in all"),
            ("sorts its input", lambda y, s, rng: (_few_shot(y, s, rng), y.sort())[0], "writes into"),
        ],
        values_only=True,
    ),
    "nearest_class_mean": Case(
        right=[lambda f, y, a: _distances(a, _means(f, y)).argmin(axis=1), _by_expanding, _loops],
        wrong=[
            ("nearest example", lambda f, y, a: y[_distances(a, f).argmin(axis=1)], "nearest single example"),
            ("row of the example", lambda f, y, a: _distances(a, f).argmin(axis=1), "rows of `known`"),
            ("farthest", lambda f, y, a: _distances(a, _means(f, y)).argmax(axis=1), "farthest"),
            (
                "sums",
                lambda f, y, a: _distances(a, np.eye(y.max() + 1)[y].T @ f).argmin(axis=1),
                "Sums, not means",
            ),
            ("dot product", lambda f, y, a: (a @ _means(f, y).T).argmax(axis=1), "dot product"),
            (
                "no square",
                lambda f, y, a: (a[:, None] - _means(f, y)).sum(axis=2).argmin(axis=1),
                "without squaring",
            ),
            ("distances", lambda f, y, a: _distances(a, _means(f, y)), "Return the class"),
            (
                "factor 2 forgotten",
                lambda f, y, a: (a @ _means(f, y).T - (_means(f, y) ** 2).sum(axis=1)).argmax(axis=1),
                "factor 2",
            ),
            (
                "cosine",
                lambda f, y, a: (a @ (_means(f, y) / np.linalg.norm(_means(f, y), axis=1)[:, None]).T).argmax(
                    1
                ),
                "cosine",
            ),
            ("absolute", lambda f, y, a: _distances(a, _means(f, y), 1).argmin(axis=1), "Absolute"),
            ("min", lambda f, y, a: _distances(a, _means(f, y)).min(axis=1), "not min"),
            (
                "mean of everything",
                lambda f, y, a: _distances(
                    a, np.array([np.full(f.shape[1], f[y == k].mean()) for k in range(y.max() + 1)])
                ).argmin(axis=1),
                "without an axis",
            ),
            (
                "mean over features",
                lambda f, y, a: np.stack([f[y == k].mean(axis=1) for k in range(y.max() + 1)]),
                "not over the features",
            ),
            ("over the wrong axis", lambda f, y, a: _distances(a, _means(f, y)).argmin(axis=0), "each class"),
        ],
    ),
    "train_only": Case(
        right=[_train_only, _by_modules],
        wrong=[
            ("freezes, never thaws", _freezes_only, "Nothing is left to train"),
            (
                "the other way",
                lambda n, ls: _train_only(n, ls, lambda x, ls: _layer(x) not in ls),
                "wrong way round",
            ),
            ("on the layer", _on_the_layer, "Nothing is frozen"),
            ("eval", lambda n, ls: n.eval() and 3870, "Nothing is frozen"),
            ("weights set to zero", _zeroes, "weights have changed"),
            (
                "begins alike",
                lambda n, ls: _train_only(n, ls, lambda x, ls: x.startswith(tuple(ls))),
                "another layer's",
            ),
            ("weights alone", lambda n, ls: _train_only(n, ls, _weight_of), "Biases are parameters too"),
            ("biases left on", lambda n, ls: _train_only(n, ls, _or_bias), "bias is frozen too"),
            ("whole names", lambda n, ls: _train_only(n, ls, lambda x, ls: x in ls), "before the dot"),
            ("the last layer only", _resets, "Only the last"),
            ("len", lambda n, ls: _counts(n, ls, lambda p: len(p) * p.requires_grad), "rows of a weight"),
            ("counts tensors", lambda n, ls: _counts(n, ls, lambda p: p.requires_grad), "counts tensors"),
            ("counts all", lambda n, ls: _counts(n, ls, lambda p: p.numel()), "all parameters"),
            (
                "counts frozen",
                lambda n, ls: _counts(n, ls, lambda p: p.numel() * (not p.requires_grad)),
                "frozen parameters",
            ),
        ],
        values_only=True,
    ),
    "layer_rates": Case(
        right=[
            lambda lr, f, d: lr / f ** np.arange(d)[::-1].astype(float),
            _rates_loop,
            lambda lr, f, d: (lr / f ** np.arange(d)[::-1]).astype(np.float32),
            lambda lr, f, d: torch.tensor([lr / f**n for n in reversed(range(d))]),
        ],
        wrong=[
            ("reversed", lambda lr, f, d: lr / _powers(lr, f, d), "turned round"),
            ("growing downwards", lambda lr, f, d: lr * _powers(lr, f, d)[::-1], "grow towards the first"),
            ("growing upwards", lambda lr, f, d: lr * _powers(lr, f, d), "first layer gets `lr`"),
            ("multiples", lambda lr, f, d: lr / np.maximum(1, f * np.arange(d)[::-1]), "a power"),
            ("one too many", lambda lr, f, d: lr / f / _powers(lr, f, d)[::-1], "One division too many"),
            ("all alike", lambda lr, f, d: [lr] * d, "same rate"),
            ("negative powers", lambda lr, f, d: lr * f ** -np.arange(d)[::-1], "negative powers"),
            ("linear", lambda lr, f, d: np.linspace(lr / f ** (d - 1), lr, d), "equal ratios"),
        ],
        values_only=True,
    ),
    "forgetting": Case(
        right=[_forgetting, _forgetting_loops, lambda s: s[:-1].max(axis=0)[:-1] - s[-1][:-1]],
        wrong=[
            ("sign", lambda s: -_forgetting(s), "sign"),
            ("from the diagonal", lambda s: (np.diag(s) - s[-1])[:-1], "right after the task"),
            ("last row counts", lambda s: (s.max(axis=0) - s[-1])[:-1], "a gain counts as 0"),
            ("from the first row", lambda s: (s[0] - s[-1])[:-1], "first row"),
            ("from the row before", lambda s: (s[-2] - s[-1])[:-1], "row before the last"),
            ("swapped", lambda s: _forgetting(s.T), "swapped"),
            ("absolute", lambda s: np.abs(_forgetting(s)), "absolute value"),
            ("cut at 0", lambda s: np.maximum(_forgetting(s), 0), "cut off at 0"),
            (
                "since it was learned",
                lambda s: [s[k:-1, k].max() - s[-1, k] for k in range(len(s) - 1)],
                "since a task was learned",
            ),
            ("one best for all", lambda s: s[:-1].max() - s[-1, :-1], "One best score"),
            ("first task dropped", lambda s: (s[:-1] - s[-1]).max(axis=0)[1:], "first task is missing"),
            ("relative", lambda s: _forgetting(s) / s[:-1, :-1].max(axis=0), "Divided by the best"),
            ("the last task too", lambda s: (s[:-1] - s[-1]).max(axis=0), "leave it out"),
            ("mean over tasks", lambda s: _forgetting(s).mean(), "mean over tasks"),
            ("mean of the rows", lambda s: (s[:-1].mean(axis=0) - s[-1])[:-1], "are averaged"),
        ],
    ),
    "prepare": Case(
        right=[_prepare, _prepare_channels],
        wrong=[
            ("bytes", lambda x, m, s: _prepare(x, m, s, scale=1), "bytes are not scaled"),
            (
                "own statistics",
                lambda x, m, s: _prepare(x, 0 * m + (x / 255).mean(), 0 * s + (x / 255).std()),
                "Your own pictures'",
            ),
            ("variance", lambda x, m, s: _prepare(x, m, s**2), "std²"),
            ("mean only", lambda x, m, s: _prepare(x, m, 0 * s + 1), "nothing is divided"),
            ("scaled only", lambda x, m, s: _prepare(x, 0 * m, 0 * s + 1), "not normalised"),
            ("times std", lambda x, m, s: _prepare(x, m, 1 / s), "Multiplied"),
            ("channels last", _prepare_last, "channel stands last"),
            ("one channel", lambda x, m, s: _prepare(x, m[:1], s[:1]), "place of three channels"),
            (
                "no channel",
                lambda x, m, s: ((x / 255 - m[0]) / s[0]).astype(np.float32),
                "axis of three channels",
            ),
            ("plus mean", lambda x, m, s: _prepare(x, -m, s), "mean is added"),
            ("std first", lambda x, m, s: _prepare(x, m * s, s), "before the mean"),
            ("BGR", lambda x, m, s: _prepare(x, m[::-1], s[::-1]), "turned round"),
            ("floor", lambda x, m, s: _prepare(x // 255, m, s, 1), "throws away"),
            ("channels first", lambda x, m, s: _prepare(x, m, s).swapaxes(0, 1), "axis 1"),
            (
                "reshape",
                lambda x, m, s: _prepare_last(x, m, s).reshape(len(x), 3, *x.shape[1:]),
                "does not move an axis",
            ),
            ("one mean", lambda x, m, s: _prepare(x, m * 0 + m[1], s * 0 + s[1]), "same mean and std"),
            ("in place", _prepare_in_place, "write into"),
            ("256", lambda x, m, s: _prepare(x, m, s, scale=256), "largest byte"),
            ("float64", lambda x, m, s: _prepare(x, m, s).astype(float), "type"),
            ("wrong axis", lambda x, m, s: ((x[:, None] / 255 - m) / s).astype(np.float32), ""),
        ],
    ),
}
