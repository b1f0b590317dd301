"""Checks of chapter 09, fine-tuning."""

import numpy as np

from helpers.checks._report import Failed, call, check, describe, expect


@check(
    "9.1",
    tested="the example, classes of unequal size, chance, the rng given, too few examples",
    hints=(
        "For one class k: np.flatnonzero(labels == k) are its rows; rng.choice takes some of them, none "
        "twice with replace=False.",
        "Loop over np.unique(labels), raise ValueError where len(rows) < shots, and put the parts together "
        "with np.concatenate.",
    ),
)
def few_shot(answer):
    """labels (N,), shots, rng → indices (K·shots,): `shots` of each class, class after class"""
    mixed = np.random.default_rng(91).permutation(np.repeat([2, 5, 7], [4, 9, 6]))
    for labels, shots in ((np.array([1, 0, 1, 0]), 2), (mixed, 3), (mixed, 1), (mixed, 4)):
        _drawn(answer, labels, shots, 0)
    draws = [_drawn(answer, mixed, 3, seed) for seed in range(30)]
    given = f"{describe(mixed, 'labels')}\nshots = 3, rng = np.random.default_rng(seed)"
    if all(np.array_equal(draw, draws[0]) for draw in draws):
        hint = (
            "The same rows for every seed: draw with the rng given, rng.choice(rows, shots, replace=False)."
        )
        raise Failed(hint, given, "other examples from another seed", describe(draws[0]))
    if not np.array_equal(draws[4], _drawn(answer, mixed, 3, 4)):
        hint = "Draw from the `rng` you are given, not from np.random: a seed must repeat a draw."
        raise Failed(hint, given, "the same rows again from the same seed", "other rows")
    if missed := set(range(len(mixed))) - set(np.concatenate(draws).tolist()):
        hint = "Some examples can never be drawn: choose among all rows of a class, not its first ones."
        raise Failed(hint, given, "each row now and then, in 30 draws", f"never row {min(missed)}")
    if all(_neighbours(draw[3:6], np.flatnonzero(mixed == 5)) for draw in draws):
        hint = (
            "Always neighbouring rows of a class. Neighbours are often alike, as letters of one family are "
            "here: draw each row by itself, rng.choice(rows, shots, replace=False)."
        )
        raise Failed(hint, given, "rows from all over the class", describe(draws[0]))
    _refuses_too_few(answer)


def _neighbours(drawn, rows):
    """Whether the rows drawn follow each other in `rows`, the end joined to the beginning."""
    places = np.searchsorted(rows, drawn)
    return any(set((start + np.arange(len(places))) % len(rows)) == set(places) for start in places)


def _drawn(answer, labels, shots, seed):
    """The rows drawn, after all that one draw can show."""
    given = f"{describe(labels, 'labels')}\nshots = {shots}, rng = np.random.default_rng({seed})"
    copy = labels.copy()
    try:
        got = np.asarray(call(answer, (copy, shots, np.random.default_rng(seed)), given))
    except Failed as error:
        if labels.min() > 0 and error.got.startswith("ValueError"):
            hint = "Class numbers may have gaps, here 2, 5 and 7: loop over np.unique(labels)."
            raise Failed(hint, given, error.expected, error.got) from None
        raise
    if not np.array_equal(copy, labels):
        raise Failed("Your function writes into its input labels.", given, "labels unchanged", describe(copy))
    want = np.repeat(np.unique(labels), shots)
    shown = dict(given=given, expected=f"{len(want)} rows with labels {want.tolist()}", got=describe(got))
    if got.dtype.kind == "b" and got.shape == labels.shape:
        raise Failed("That is a mask. Return the indices of the rows: np.flatnonzero(mask).", **shown)
    if got.ndim == 2 and got.size == len(want):
        raise Failed("One row of indices for each class: put them end to end, with np.concatenate.", **shown)
    if got.dtype.kind not in "iu":
        raise Failed("Indices are whole numbers, one array of them.", **shown)
    if (
        got.shape == want.shape
        and np.array_equal(got, want)
        and not np.array_equal(labels[got % len(labels)], want)
    ):
        raise Failed("These are labels. Return where the examples stand in `labels`.", **shown)
    if got.shape == (shots,) and len(want) > shots:
        raise Failed("`shots` examples in all, not of each class.", **shown)
    if got.shape != want.shape or got.min() < 0 or got.max() >= len(labels):
        raise Failed(f"There should be {len(want)} indices between 0 and {len(labels) - 1}.", **shown)
    counts = np.unique(labels, return_counts=True)[1]
    within = got.reshape(-1, shots)  # (K, shots)
    if (
        (within < counts[:, None]).all()
        and all(len(set(part)) == shots for part in within.tolist())
        and not np.array_equal(labels[got], want)
    ):
        raise Failed(
            "These are places within each class, counted from 0. Draw from np.flatnonzero(labels == k), the "
            "rows where the class stands in `labels`.",
            **shown,
        )
    if len(set(got.tolist())) < len(got):
        raise Failed("An example is drawn twice: rng.choice puts back unless replace=False.", **shown)
    if not np.array_equal(labels[got], want):
        if np.array_equal(np.sort(labels[got]), want):
            raise Failed(
                "The right numbers in the wrong order: draw within each class, and put the draws class after "
                "class, in the order of np.unique(labels).",
                **shown,
            )
        shown["got"] += f" with labels {labels[got].tolist()}"
        raise Failed(
            "Not the same number of each class. Draw within each class: chance alone does not share out "
            "evenly.",
            **shown,
        )
    return got


def _refuses_too_few(answer):
    labels = np.array([0, 0, 0, 0, 0, 1, 1])  # seven in all: more than 2 · 3, and yet too few
    given = f"{describe(labels, 'labels')}\nshots = 3: class 1 has two examples"
    try:
        got = answer(labels, 3, np.random.default_rng(0))
    except ValueError as error:
        if "larger sample" in str(error).lower():
            hint = "That error is NumPy's and names no class. Compare len(rows) with shots, raise your own."
            raise Failed(hint, given, "a ValueError of yours", f"ValueError: {error}") from None
        return
    except Exception as error:
        hint = "Say it with a ValueError: raise ValueError(f'class {k} has only {len(rows)} examples')."
        raise Failed(hint, given, "a ValueError", f"{type(error).__name__}: {error}") from None
    hint = "Too few examples must not pass in silence: raise a ValueError that names the class."
    raise Failed(hint, given, "a ValueError", describe(got))


@check(
    "9.2",
    tested="the example, 4 other sizes, one feature, one class",
    hints=(
        "means = np.stack([known[labels == k].mean(axis=0) for k in range(K)]) has shape (K, D).",
        "asked[:, None] - means has shape (N, K, D): square, sum over the last axis, argmin over classes.",
    ),
)
def nearest_class_mean(answer):
    """known (M, D), labels (M,), asked (N, D) → labels (N,)"""
    rng = np.random.default_rng(92)
    cases = [(np.array([[0.0, 0], [2, 0], [0, 4]]), np.array([0, 0, 1]), np.array([[4.0, 0], [2, 3]]))]
    for M, D, N, K in ((13, 4, 23, 3), (12, 2, 30, 6), (9, 1, 17, 2), (3, 5, 4, 1)):
        labels = rng.permutation(np.concatenate([np.arange(K), rng.integers(0, K, M - K)]))
        known = rng.normal(size=(M, D)) + 1.5 * rng.normal(size=(K, D))[labels] + 2
        cases.append((known, labels, rng.normal(size=(N, D)) * 2 + 2))
    several = [case for case in cases if case[0].shape[1] > 1]  # with one feature, slips tie
    got, wrong = [_try(answer, case) for case in several], [_slips(*case) for case in several]

    def made(slip):
        """Whether all answers so far are those of one slip: an example of two numbers fits too many."""
        return lambda _: all(
            g is not None and np.array_equal(g, w[slip]) for g, w in zip(got, wrong, strict=True)
        )

    for known, labels, asked in cases:
        K = labels.max() + 1
        distance = _distances(asked, _means(known, labels))
        smallest = distance.min(axis=1)
        expect(
            answer,
            {"known": known, "labels": labels, "asked": asked},
            distance.argmin(axis=1),
            mistakes=[(hint, made(hint)) for hint in wrong[0]]
            + [
                (
                    "These are the smallest distances themselves. Which class has it: argmin, not min.",
                    lambda got, d=smallest: (
                        got.shape == d.shape and (np.allclose(got, d) or np.allclose(got**2, d))
                    ),
                ),
                (
                    "These are distances, or scores. Return the class with the smallest one for each row.",
                    lambda got, d=distance: got.shape in (d.shape, d.shape[::-1]) and got.ndim == 2,
                ),
                (
                    "One answer for each class: take argmin over the classes, for each row of `asked`.",
                    lambda got, K=K, asked=asked: got.shape == (K,) != (len(asked),),
                ),
            ],
            errors=[
                (
                    "all input arrays must have the same shape",
                    "A class mean has D numbers: average over the examples, mean(axis=0), not over the "
                    "features.",
                )
            ],
        )


def _try(answer, case):
    try:
        with np.errstate(all="ignore"):
            return np.asarray(answer(*(array.copy() for array in case)))
    except (Exception, SystemExit):
        return None


def _means(known, labels):
    return np.array([[np.mean([row[d] for row, label in zip(known, labels, strict=True) if label == k])
                      for d in range(known.shape[1])] for k in range(labels.max() + 1)])  # fmt: skip


def _slips(known, labels, asked):
    """Hint → what its slip answers."""
    means, examples = _means(known, labels), _distances(asked, known)
    dots, squares = asked @ means.T, (means**2).sum(axis=1)
    single = np.array([known[labels == k].mean() for k in range(len(means))])
    differences = asked[:, None] - means  # (N, K, D)
    return {
        "That is the label of the nearest single example. Average the features of each class first, and "
        "compare with the means.": labels[examples.argmin(axis=1)],
        "These are rows of `known`, not classes.": examples.argmin(axis=1),
        "The farthest mean wins here: take the smallest distance, argmin.": (
            _distances(asked, means).argmax(axis=1)
        ),
        "Sums, not means: a class with more examples would lie further away.": (
            _distances(asked, means * np.bincount(labels)[:, None]).argmin(axis=1)
        ),
        "The largest dot product wins here, which favours long means. The squared distance is "
        "|f|² - 2 f·μ + |μ|².": dots.argmax(axis=1),
        "The factor 2 is missing: |f - μ|² is |f|² - 2 f·μ + |μ|².": (squares - dots).argmin(axis=1),
        "The largest cosine wins here: it looks at directions alone, and forgets the lengths.": (
            (dots / np.sqrt(squares)).argmax(axis=1)
        ),
        "One number for each class: .mean() without an axis averages over the features too. A mean has D "
        "numbers: mean(axis=0).": (
            ((asked[:, None] - single[None, :, None]) ** 2).sum(axis=2).argmin(axis=1)
        ),
        "The differences are added up without squaring, so that they cancel.": (
            differences.sum(axis=2).argmin(axis=1)
        ),
        "Absolute differences are added up. The squared distance squares each one first.": (
            np.abs(differences).sum(axis=2).argmin(axis=1)
        ),
    }


def _distances(asked, points):
    return np.array([[sum((a - p) ** 2) for p in points] for a in asked])


@check(
    "9.3",
    tested="one layer of SimpleCNN, two, none, all, what was frozen before, names that begin alike",
    hints=(
        "network.named_parameters() gives pairs: 'fc2.weight' and the parameter. Its layer is the part "
        "before the last dot.",
        "parameter.requires_grad = any(name.startswith(layer + '.') for layer in layers); and the count is "
        "the sum of parameter.numel() where it is True.",
    ),
)
def train_only(answer):
    """network, layers → the number of parameters to train; requires_grad is set on each"""
    import torch

    from helpers import models

    def alike():
        names = {"fc1": (3, 2), "fc10": (2, 5), "fc": (5, 4)}
        return torch.nn.ModuleDict({name: torch.nn.Linear(*shape) for name, shape in names.items()})

    every = ["conv1", "conv2", "fc1", "fc2"]
    cnn = lambda: models.SimpleCNN(30)  # noqa: E731
    half = lambda: cnn().requires_grad_(False)  # noqa: E731
    cases = [(cnn, ["fc2"], "SimpleCNN(30)"), (cnn, ["conv2", "fc2"], "SimpleCNN(30)"),
             (cnn, [], "SimpleCNN(30)"), (half, ["fc1"], "SimpleCNN(30), all frozen before"),
             (half, every, "SimpleCNN(30), all frozen before"),
             (alike, ["fc1"], "layers fc1, fc10 and fc")]  # fmt: skip
    for make, layers, name in cases:
        network, given = make(), f"network = {name}, layers = {layers}"
        before = {key: value.clone() for key, value in network.state_dict().items()}
        got = call(answer, (network, list(layers)), given)
        _right_layers(network, layers, given)
        if any(not torch.equal(value, before[key]) for key, value in network.state_dict().items()):
            hint = "The weights have changed. Freezing leaves them as they are; it only stops the gradient."
            raise Failed(hint, given, "the same weights", "other weights")
        _right_count(got, network, given)


def _layer(name):
    return name.rsplit(".", 1)[0]


def _right_layers(network, layers, given):
    for name, parameter in network.named_parameters():
        want = _layer(name) in layers
        if parameter.requires_grad == want:
            continue
        if all(p.requires_grad != (_layer(n) in layers) for n, p in network.named_parameters()) and layers:
            hint = "The wrong way round: the layers named are the ones to train, all others are frozen."
        elif want and all(not p.requires_grad for p in network.parameters()):
            hint = (
                "Nothing is left to train: set requires_grad = True for the layers named. Their parameters "
                f"are called '{layers[0]}.weight' and '{layers[0]}.bias', never '{layers[0]}': compare what "
                "stands before the dot."
            )
        elif want and all(
            p.requires_grad == (_layer(n) == layers[-1]) for n, p in network.named_parameters()
        ):
            hint = (
                "Only the last of the layers named is left to train: each round of the loop over `layers` "
                "freezes the layer of the round before. Freeze all of them once, before the loop."
            )
        elif want and name.endswith("bias"):
            hint = "Biases are parameters too: a layer's name begins both its weight and its bias."
        elif not want and all(p.requires_grad for p in network.parameters()):
            hint = (
                "Nothing is frozen. requires_grad belongs to the parameters: set it on each. A layer has "
                "no such switch, and eval() does not freeze."
            )
        elif not want and name.startswith("fc10"):
            hint = "'fc10.weight' begins with 'fc1', but is another layer's: compare with the dot, 'fc1.'."
        elif not want and name.endswith("bias"):
            hint = "A frozen layer's bias is frozen too, not its weight alone."
        else:
            hint = "Set requires_grad on every parameter: True in the layers named, False in all others."
        raise Failed(hint, given, f"{name}: requires_grad {want}", f"requires_grad {parameter.requires_grad}")


def _right_count(got, network, given):
    wanted = [p for p in network.parameters() if p.requires_grad]
    want = sum(p.numel() for p in wanted)
    total = sum(p.numel() for p in network.parameters())
    expect(
        lambda given: got,
        {"given": given},
        want,
        mistakes=[
            ("That counts tensors. Count the numbers in them: parameter.numel().", len(wanted)),
            ("len counts the rows of a weight. Count its numbers: parameter.numel().", sum(map(len, wanted))),
            ("That is the number of all parameters. Count those that are left to train.", total),
            ("That is the number of frozen parameters.", total - want),
            ("The weights alone: biases are parameters too.", sum(p.numel() for p in wanted if p.ndim > 1)),
        ],
    )


@check(
    "9.4",
    tested="the example, factors 2.6, 10, 2 and 1, depths from 1 to 6",
    hints=(
        "The last layer is 0 divisions away from lr, the one before it 1, the first depth - 1.",
        "lr / factor ** np.arange(depth)[::-1]",
    ),
)
def layer_rates(answer):
    """lr, factor, depth → (depth,), the first layer's rate first"""
    for lr, factor, depth in (
        (0.9, 3, 3),
        (0.01, 2.6, 4),
        (0.3, 10, 4),
        (0.4, 2, 6),
        (0.5, 4, 1),
        (0.2, 1, 4),
    ):
        rates = [lr]
        while len(rates) < depth:
            rates.insert(0, rates[0] / factor)
        want, steps = np.array(rates), np.arange(depth)[::-1]
        expect(
            answer,
            {"lr": lr, "factor": factor, "depth": depth},
            want,
            mistakes=[
                (
                    "The order is turned round: the first layer comes first, with the smallest rate.",
                    want[::-1],
                ),
                (
                    "The rates grow towards the first layer. It is the most general and moves least: divide.",
                    lr * float(factor) ** steps,
                ),
                (
                    "The first layer gets `lr` here: that is the rate of the last.",
                    lr * float(factor) ** steps[::-1],
                ),
                (
                    "Divided by 1, factor, 2·factor …: each layer divides the rate of the next one, so it is "
                    "a power of the factor.",
                    lr / np.maximum(1, factor * steps),
                ),
                ("One division too many: the last layer gets lr itself.", want / factor),
                ("All layers have the same rate.", np.full(depth, lr)),
                (
                    "Equal steps, not equal ratios: divide each time.",
                    np.linspace(want[0], lr, depth) if depth > 2 else np.nan,
                ),
            ],
            errors=[
                (
                    "negative integer powers",
                    "NumPy does not raise whole numbers to negative powers: divide by factor ** n, or begin "
                    "with float(factor).",
                )
            ],
        )


@check(
    "9.5",
    tested="the example, 2, 4 and 6 tasks, a task that improved later",
    hints=(
        "Column k belongs to task k. scores[:-1, k] are its scores before the last row, scores[-1, k] is the "
        "last one.",
        "(scores[:-1] - scores[-1]).max(axis=0) has one number for each task; drop the last task.",
    ),
)
def forgetting(answer):
    """scores (T, T) → (T - 1,): best score before the last row minus the score in the last row"""
    rng = np.random.default_rng(95)
    cases = [
        np.array([[0.9, 0.1, 0.1], [0.6, 0.8, 0.1], [0.7, 0.5, 0.9]]),
        np.array([[0.7, 0.2], [0.8, 0.9]]),
    ]
    cases += [np.round(rng.uniform(0.1, 1, (T, T)), 2) for T in (4, 6)]
    for scores in cases:
        T = len(scores)
        want = np.array([max(scores[t, k] for t in range(T - 1)) - scores[-1, k] for k in range(T - 1)])
        whole = scores.max(axis=0) - scores[-1]
        diagonal = np.diag(scores) - scores[-1]
        rows = scores[:, :-1].max(axis=1) - scores[:, -1]
        expect(
            answer,
            {"scores": scores},
            want,
            mistakes=[
                (
                    "An absolute value hides what a task gained: keep the sign, a gain is negative.",
                    np.abs(want) if (want < 0).any() else np.nan,
                ),
                ("The sign is turned round: what is lost counts as positive.", -want),
                (
                    "Measured from the score right after the task was learned. It may have risen since: take "
                    "the best.",
                    diagonal[:-1],
                ),
                (
                    "The last row is among the best scores, or the result is cut off at 0, so that a gain "
                    "counts as 0. Take the rows before the last, and keep the sign.",
                    whole[:-1],
                ),
                (
                    "Measured from the first row: take the best of all rows before the last.",
                    scores[0, :-1] - scores[-1, :-1],
                ),
                (
                    "Measured from the row before the last: take the best of all rows before.",
                    scores[-2, :-1] - scores[-1, :-1],
                ),
                ("Rows and columns are swapped: a column is a task.", rows[:-1]),
                (
                    "The last task is in it. It has just been learned: leave it out.",
                    lambda got, T=T: got.shape == (T,),
                ),
                ("That is the mean over tasks. Give one number for each.", want.mean()),
                (
                    "Only the rows since a task was learned. All rows before the last count.",
                    [scores[k:-1, k].max() - scores[-1, k] for k in range(T - 1)],
                ),
                (
                    "One best score for all tasks: each column has its own, max(axis=0).",
                    scores[:-1, :-1].max() - scores[-1, :-1],
                ),
                (
                    "One best score for all tasks: each column has its own, max(axis=0).",
                    scores[:-1].max() - scores[-1, :-1],
                ),
                (
                    "The first task is missing. The last one is to be left out.",
                    (scores[:-1] - scores[-1]).max(axis=0)[1:],
                ),
                (
                    "Divided by the best score: give the plain difference.",
                    want / scores[:-1, :-1].max(axis=0),
                ),
                (
                    "The scores before the last row are averaged: take their largest.",
                    scores[:-1, :-1].mean(axis=0) - scores[-1, :-1],
                ),
            ],
            tol=1e-9,
        )


@check(
    "9.6",
    tested="the example, 3 other sizes, mean and std of ImageNet, float32",
    hints=(
        "images / 255 is in [0, 1], of shape (N, H, W); [:, None] gives the axis of channels, (N, 1, H, W).",
        "mean[:, None, None] has shape (3, 1, 1) and meets the channels: (grey - mean) / std has shape "
        "(N, 3, H, W). End with .astype(np.float32).",
    ),
)
def prepare(answer):
    """images (N, H, W) uint8, mean (3,), std (3,) → (N, 3, H, W) float32"""
    rng = np.random.default_rng(96)
    imagenet = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    cases = [(np.array([[[0, 255]]], np.uint8), np.array([0.5, 0.4, 0.0]), np.array([0.5, 0.2, 1.0]))]
    for shape in ((2, 4, 5), (1, 3, 3), (3, 3, 2)):
        cases.append((rng.integers(0, 256, shape).astype(np.uint8), *imagenet))
    for images, mean, std in cases:
        want, bytes_, own, squared, unscaled = (
            np.zeros((len(images), 3, *images.shape[1:])) for _ in range(5)
        )
        a, b = (images / 255).mean(), (images / 255).std()
        for c in range(3):
            x = images / 255
            want[:, c], bytes_[:, c] = (x - mean[c]) / std[c], (images - mean[c]) / std[c]
            own[:, c], squared[:, c], unscaled[:, c] = (x - a) / b, (x - mean[c]) / std[c] ** 2, x - mean[c]
        x = want * std[None, :, None, None] + mean[None, :, None, None]
        m, d, grey = mean[:, None, None], std[:, None, None], images[:, None] / 255
        got = expect(
            answer,
            {"images": images, "mean": mean, "std": std},
            want,
            mistakes=[
                (
                    "The bytes are not scaled: mean and std are meant for numbers in [0, 1]. Divide by 255.",
                    bytes_,
                ),
                (
                    "Your own pictures' mean and std. The network's layers expect those that it was trained "
                    "with.",
                    own,
                ),
                ("Divided by std²: std is the standard deviation, not the variance.", squared),
                ("The mean is gone, but nothing is divided by std.", unscaled),
                ("In [0, 1], but not normalised: subtract mean, divide by std, channel by channel.", x),
                ("Multiplied by std: divide.", unscaled * std[None, :, None, None]),
                ("The mean is added: subtract it.", (grey + m) / d),
                ("Divided by std before the mean is subtracted: the mean first.", grey / d - m),
                ("The channels are turned round: red is the first.", (grey - m[::-1]) / d[::-1]),
                (
                    "`//` throws away what stands behind the point, so that all but 255 becomes 0: take `/`.",
                    (images[:, None] // 255 - m) / d,
                ),
                (
                    "The channels come first, the pictures second: stack along axis 1, for (N, 3, H, W).",
                    lambda got, want=want: (
                        got.shape == want.swapaxes(0, 1).shape and np.allclose(got.swapaxes(0, 1), want)
                    ),
                ),
                (
                    "The numbers are right, their order is not: reshape does not move an axis, transpose "
                    "does.",
                    lambda got, want=want: (
                        got.shape == want.shape
                        and np.allclose(np.sort(got, axis=None), np.sort(want, axis=None))
                    ),
                ),
                (
                    "The same mean and std for all channels: each channel has its own.",
                    lambda got, want=want: got.shape == want.shape and np.allclose(got, got[:, :1]),
                ),
                (
                    "The channel stands last. PyTorch's networks take (N, 3, H, W).",
                    lambda got, want=want: (
                        got.ndim == 4 and got.shape[-1] == 3 and np.allclose(np.moveaxis(got, -1, 1), want)
                    ),
                ),
                (
                    "There is no axis of three channels: repeat the grey picture, images[:, None].",
                    lambda got: got.ndim == 3,
                ),
                (
                    "One channel is left in place of three channels: each needs a mean and std of its own, "
                    "mean[:, None, None] of shape (3, 1, 1).",
                    lambda got: got.ndim == 4 and got.shape[1] == 1,
                ),
                (
                    "256 is not the largest byte: 255 becomes 1.",
                    (images[:, None] / 256 - mean[:, None, None]) / std[:, None, None],
                ),
            ],
            tol=1e-5,
            errors=[
                (
                    "non-broadcastable output|output with casting|ufunc output",
                    "`-=` and `/=` write into the array on the left, which has one channel, or bytes. Make a "
                    "new one: x = (x - mean[:, None, None]) / std[:, None, None].",
                ),
                (
                    "broadcast|shapes",
                    "mean (3,) meets the last axis of the pictures, their columns. Give it the shape "
                    "(3, 1, 1): mean[:, None, None].",
                ),
            ],
        )
        if got.dtype != np.float32:
            hint = "The numbers are right, the type is not: networks take float32. Add .astype(np.float32)"
            raise Failed(hint, describe(images, "images"), "dtype float32", f"dtype {got.dtype}")
