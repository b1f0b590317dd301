"""Checks of chapter 07, a CNN in PyTorch."""

import numpy as np

from helpers.checks._report import Failed, call, check, describe, expect


@check(
    "7.1",
    tested="the example, 4 other shapes, a network's output with the new weights against the old library's",
    hints=(
        "conv: np.transpose(conv, axes) with the axes in the order (O, C', k, k), counted in (k, k, C', "
        "O). "
        "dense: first give each number its address, dense.reshape(H, W, C, D).",
        "conv.transpose(3, 2, 0, 1); and dense.reshape(H, W, C, D).transpose(3, 2, 0, 1).reshape(D, -1).",
    ),
)
def from_channels_last(answer):
    """conv (k, k, C', O), dense (H·W·C, D), shape (C, H, W) → conv (O, C', k, k), dense (D, C·H·W)"""
    rng = np.random.default_rng(71)
    cases = [
        (np.arange(8.0).reshape(2, 2, 1, 2), np.array([[1.0, -1], [2, -2], [3, -3], [4, -4]]), (2, 1, 2))
    ]
    for k, channels, out, shape, d in (
        (3, 2, 5, (5, 2, 3), 4),
        (2, 3, 4, (4, 3, 2), 6),
        (1, 2, 3, (3, 1, 1), 2),
        (3, 4, 2, (2, 6, 7), 3),
    ):
        dense = rng.normal(size=(int(np.prod(shape)), d))
        cases.append((rng.normal(size=(k, k, channels, out)), dense, shape))
    for conv, dense, (c, h, w) in cases:
        want_conv = np.empty((*conv.shape[:1:-1], *conv.shape[:2]))
        for u, v, i, o in np.ndindex(conv.shape):
            want_conv[o, i, u, v] = conv[u, v, i, o]
        want, by_column = np.empty((2, dense.shape[1], c * h * w))
        for channel, row, column in np.ndindex(c, h, w):
            there = (row * w + column) * c + channel
            want[:, channel * h * w + row * w + column] = dense[there]
            by_column[:, channel * h * w + column * h + row] = dense[there]
        expect(
            answer,
            {"conv": conv, "dense": dense, "shape": (c, h, w)},
            {"conv": want_conv, "dense": want},
            mistakes={
                "conv": [
                    (
                        "The kernel's rows and columns are swapped: .T reverses all four axes, and u and v "
                        "too. Name the new order of the axes.",
                        conv.T,
                    ),
                    (
                        "reshape alone gives the right shape and mixes the numbers: it reads on in memory. "
                        "Axes are moved by transpose (in PyTorch: permute).",
                        lambda got, a=conv, want=want_conv: _same(got, a.reshape(want.shape)),
                    ),
                    (
                        "Input and output channels are swapped: PyTorch wants (O, C', k, k), the "
                        "outputs first.",
                        conv.transpose(2, 3, 0, 1),
                    ),
                    (
                        "The kernel is flipped. Both libraries slide the kernel as it is: only move the "
                        "axes.",
                        want_conv[:, :, ::-1, ::-1],
                    ),
                ],
                "dense": [
                    (
                        "Transposed, yes, but the columns still come in the other library's order: all "
                        "channels "
                        "of a pixel together. PyTorch's flatten gives all pixels of a channel together.",
                        dense.T,
                    ),
                    (
                        "The pixels are counted down the columns. Reading order is row by row, in both "
                        "libraries.",
                        by_column,
                    ),
                    (
                        "The columns went the way of PyTorch's order into the other library's. Take "
                        "dense.reshape(H, W, C, D): the channels are the fastest before, not after.",
                        lambda got, a=dense, s=(c, h, w): _same(
                            got, a.reshape(*s, -1).transpose(3, 1, 2, 0).reshape(a.shape[::-1])
                        ),
                    ),
                    (
                        "The order of the features is right, the axes are not: PyTorch's linear layer "
                        "holds "
                        "(out, in).",
                        want.T,
                    ),
                    (
                        "reshape alone does not turn (in, out) into (out, in): it reads on in memory.",
                        lambda got, a=dense: _same(got, a.reshape(a.shape[::-1])),
                    ),
                ],
            },
        )


def _same(got, wrong):
    return got.shape == wrong.shape and np.allclose(got, wrong)


@check(
    "7.2",
    tested="the example, 5 items of random ink, all 256 greys, float32, the label of the same item",
    hints=(
        "Take ink[index], (H, W), as float32 divided by 255, give the colours the shape (3, 1, 1), and mix "
        "them: where the ink is 1, front; where it is 0, paper.",
        "a = ink[index].astype(np.float32) / 255; image = paper[:, None, None] * (1 - a) + front[:, None, "
        "None] * a; the label is labels[index].",
    ),
)
def item(answer):
    """ink (N, H, W) uint8, labels (N,), index, paper (3,), front (3,) → image (3, H, W) float32, label"""
    rng = np.random.default_rng(72)
    one, half = np.ones(3, np.float32), np.full(3, 0.5, np.float32)
    cases = [(np.array([[[0, 255]]], np.uint8), np.array([7]), 0, one, half)]
    for n, h, w, index in ((2, 6, 7, 1), (3, 2, 5, 0), (7, 3, 3, 5), (4, 16, 16, 2), (3, 5, 2, 2)):
        ink = rng.integers(0, 256, (n, h, w), dtype=np.uint8)
        if h == 16:
            ink[index] = np.arange(256).reshape(16, 16)
        colours = rng.random((2, 3), dtype=np.float32)
        cases.append((ink, rng.permutation(10)[:n], index, *colours))
    for ink, labels, index, paper, front in cases:
        image = np.empty((3, *ink.shape[1:]))
        for c, i, j in np.ndindex(image.shape):
            share = float(ink[index, i, j]) / 255
            image[c, i, j] = (1 - share) * paper[c] + share * front[c]
        bytes_ = ink[index].astype(float)
        mixed = paper[:, None, None] + (front - paper)[:, None, None] * bytes_
        by_256 = paper[:, None, None] + (front - paper)[:, None, None] * bytes_ / 256
        given = {"ink": ink, "labels": labels, "index": index, "paper": paper, "front": front}
        got, label = expect(
            answer,
            given,
            {"image": image, "label": labels[index]},
            tol=2e-6,
            mistakes={
                "image": [
                    (
                        "Paper and ink are swapped: ink 0 is bare paper, ink 255 has the colour front.",
                        paper[:, None, None] + front[:, None, None] - image,
                    ),
                    (
                        "The ink was not divided by 255: its bytes count from 0 to 255, shares of "
                        "colour go from "
                        "0 to 1.",
                        mixed,
                    ),
                    ("Divide by 255, the largest byte, not by 256: full ink must be exactly 1.", by_256),
                    (
                        "The colours came last, (H, W, 3). PyTorch wants channels first: (3, H, W).",
                        lambda got, s=ink.shape: got.shape == (*s[1:], 3),
                    ),
                    (
                        "A batch axis is left: an item is one image, (3, H, W). The DataLoader makes "
                        "the batch.",
                        lambda got: got.ndim == 4,
                    ),
                    (
                        "That is grey ink, one channel. Mix the two colours in each of three channels.",
                        lambda got, s=ink.shape: got.shape in (s[1:], (1, *s[1:])),
                    ),
                    (
                        "That is another item's picture: take ink[index].",
                        lambda got, a=ink, i=index, p=paper, f=front: any(
                            np.allclose(
                                got, p[:, None, None] + (f - p)[:, None, None] * (other / 255.0), atol=1e-5
                            )
                            for n, other in enumerate(a)
                            if n != i
                        ),
                    ),
                ],
                "label": [
                    (
                        "All labels came back: return that of this item, labels[index].",
                        lambda got, a=labels: got.ndim and got.size == len(a),
                    ),
                    (
                        "That is the index, not the label of that item: labels[index].",
                        lambda got, i=index: got.ndim == 0 and got == i,
                    ),
                ],
            },
        )
        if got.dtype != np.float32:
            raise Failed(
                "The numbers are right, their type is not: PyTorch's weights are float32, and a picture in "
                "float64 (double) meets them with an error. Dividing bytes by 255 makes float64: "
                "convert first.",
                "\n".join(describe(value, name) for name, value in given.items()),
                "image of dtype float32",
                f"image of dtype {got.dtype}",
            )


@check(
    "7.3",
    tested="the loss of 3 steps and the weights after each against softmax regression by hand, training mode",
    hints=(
        "The four: forget the old gradients, compute the loss, backward, step. Before them model.train().",
        "model.train(); optimizer.zero_grad(); value = loss(model(images), labels); value.backward(); "
        "optimizer.step(); return value.item()",
    ),
)
def train_step(answer):
    """model, loss, optimizer, images, labels → the loss as a float; the model has made one step"""
    import torch

    rng = np.random.default_rng(73)
    for n, d, k, lr in ((2, 3, 2, 0.5), (6, 4, 3, 0.3), (1, 5, 7, 0.2)):
        x = rng.normal(size=(3, n, d)).astype(np.float32)
        t = rng.integers(0, k, (3, n))
        model = torch.nn.Linear(d, k)
        torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        model.eval()
        right, added, memory = np.zeros(
            (3, k, d + 1)
        )  # weights, with the bias last; memory: gradients added up
        for step in range(3):
            given = (
                f"step {step + 1} of 3: linear layer, {n} images of {d} numbers, {k} classes, SGD, lr={lr}"
            )
            start, (expected, gradient) = right, _loss_and_gradient(right, x[step], t[step])
            memory = memory + _loss_and_gradient(added, x[step], t[step])[1]
            right, added = right - lr * gradient, added - lr * memory
            images, labels = torch.from_numpy(x[step]), torch.from_numpy(t[step])
            value = call(answer, [model, torch.nn.functional.cross_entropy, optimizer, images, labels], given)
            _check_number(value, torch, given)
            _check_weights(model, right, added, start, given)
            if not abs(float(value) - expected) < 1e-5:
                after = _loss_and_gradient(right, x[step], t[step])[0]
                hint = _loss_hint(float(value), expected, n, after)
                raise Failed(hint, given, f"loss {expected:.6g}", describe(float(value)))
            if not model.training:
                raise Failed(
                    "The weights are right, but the model was in evaluation mode and still is: dropout "
                    "would "
                    "not drop. Begin with model.train().",
                    given,
                    "model.training = True",
                    "model.training = False",
                )


def _loss_and_gradient(weights, x, t):
    """Softmax regression: weights (K, D + 1) with the bias last, x (N, D), t (N,) → mean loss, gradient."""
    ones = np.column_stack([x.astype(float), np.ones(len(x))])
    scores = ones @ weights.T
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(t)), t]).mean()
    p[np.arange(len(t)), t] -= 1
    return loss, p.T @ ones / len(t)


def _check_number(value, torch, given):
    if torch.is_tensor(value):
        raise Failed(
            "A tensor came back, and with it the whole graph that made it: return value.item(), a plain "
            "number.",
            given,
            "a float",
            f"a tensor of shape {tuple(value.shape)}",
        )
    if not isinstance(value, (int, float, np.number, np.ndarray)) or np.size(value) != 1:
        raise Failed("Return one number, the loss of this batch.", given, "a float", describe(value))


def _check_weights(model, right, added, start, given):
    weights = np.column_stack([model.weight.detach().numpy(), model.bias.detach().numpy()]).astype(float)
    if np.allclose(weights, right, atol=1e-5):
        return
    hints = [
        (
            "The old gradients are still there: backward adds to what it finds. Call optimizer.zero_grad() "
            "before backward.",
            added,
        ),
        (
            "Nothing has changed. Is optimizer.step() there, after backward, with zero_grad() before "
            "backward? "
            "A zero_grad() between the two wipes out what backward found, and a step before it has none.",
            start,
        ),
        ("The step was taken twice: one optimizer.step() a batch.", 2 * right - start),
        ("The weights went uphill: an optimiser takes the minus by itself.", 2 * start - right),
    ]
    hint = next((text for text, wrong in hints if np.allclose(weights, wrong, atol=1e-5)), None)
    raise Failed(
        hint or "One each, in this order: zero_grad, loss, backward, step. The weights are elsewhere.",
        given,
        f"weights, the bias last: {describe(right)}",
        describe(weights),
    )


def _loss_hint(got, want, count, after):
    if abs(got - after) < 1e-5:
        return "That is the loss after the step. Return the one that you took the gradient of."
    if abs(got - want * count) < 1e-5 and count > 1:
        return "The losses were added up: cross_entropy is a mean over the batch already."
    return "The weights are right, the number returned is not: return the batch's loss, value.item()."


@check(
    "7.4",
    tested="the example for k = 1, 2 and 4, 5 other shapes, negative scores, k = K, a batch of one",
    hints=(
        "np.argsort sorts from the lowest score to the highest and gives places, that is classes. Which "
        "columns are the best k?",
        "best = np.argsort(-logits, axis=1)[:, :k]; then np.mean(np.any(best == labels[:, None], axis=1)).",
    ),
)
def top_k(answer):
    """logits (N, K), labels (N,), k → the share of rows whose label is among the k highest scores"""
    rng = np.random.default_rng(74)
    example = np.array([[4.0, 1, 2, 3]] * 2 + [[1.0, 4, 3, 2]] * 2), np.array([0, 3, 1, 0])
    cases = [(*example, k) for k in (1, 2, 4)]
    for n, classes, k in ((7, 6, 3), (6, 7, 2), (1, 5, 4), (30, 62, 3), (5, 4, 4)):
        logits = rng.permuted(np.tile(np.arange(classes), (n, 1)), axis=1) - classes + rng.random((n, 1))
        cases.append((logits, rng.integers(0, classes, n), k))
    for logits, labels, k in cases:
        places = [sum(score > row[t] for score in row) for row, t in zip(logits, labels, strict=True)]
        hits = np.array([place < k for place in places])
        lowest = np.mean([place >= logits.shape[1] - k for place in places])
        expect(
            answer,
            {"logits": logits, "labels": labels, "k": k},
            hits.mean(),
            mistakes=[
                ("That is how many, not what share: divide by the number of rows.", hits.sum()),
                (
                    "Only the class in place k counts here. The truth may be in any of the first k places.",
                    np.mean([place == k - 1 for place in places]),
                ),
                (
                    "These are the k lowest: argsort begins with the smallest score. Sort -logits, or "
                    "take the "
                    "last k columns.",
                    lowest,
                ),
                (
                    "k is not used: that is whether the best one alone is right.",
                    np.mean([place == 0 for place in places]),
                ),
                ("One answer for each row: take the mean over the rows.", hits.astype(float)),
                (
                    "Among the best k + 1: a slice [:k] has k entries already.",
                    np.mean([place <= k for place in places]),
                ),
                (
                    "Each row counts once, whether the truth is first or third: any over the k columns, "
                    "then the "
                    "mean over the rows. A mean over all cells divides by k.",
                    hits.mean() / k,
                ),
                (
                    "The scores themselves were compared with the labels. You need their places: "
                    "argsort, not sort.",
                    lambda got, a=logits, t=labels, k=k: bool(
                        np.isclose(got, np.mean(np.any(np.sort(a, axis=1)[:, -k:] == t[:, None], axis=1)))
                    ),
                ),
            ],
        )


@check(
    "7.5",
    tested="both examples, ink at either end, an empty line, gaps of exactly `space`, 30 random profiles",
    hints=(
        "First find the runs of inked columns, as `pieces` does. Then go through them from left to "
        "right: does "
        "this one start fewer than `space` columns after the end of the last? If so, it prolongs that "
        "word.",
        "words = []; for start, end in runs: if words and start - words[-1][1] < space: words[-1][1] = "
        "end; "
        "else: words.append([start, end]). Return np.array(words).reshape(-1, 2).",
    ),
)
def words(answer):
    """profile (W,), threshold, space → starts and ends of the words (n, 2)"""
    rng = np.random.default_rng(75)
    example = np.array([0.0, 2, 1, 0, 3, 0, 0, 4])
    cases = [(example, 0, 3), (example, 0, 2), (example, 0, 1), (example, 1, 2), (np.zeros(6), 0.1, 2)]
    cases += [(np.array([5.0, 0, 5, 0, 0, 5, 0]), 0.5, 2), (np.array([1.0, 1, 1]), 0.5, 3)]
    for _ in range(30):
        size, space = int(rng.integers(8, 30)), int(rng.integers(1, 5))
        cases.append((rng.integers(0, 4, size) * rng.integers(0, 2, size) * 0.25, 0.25, space))
    for profile, threshold, space in cases:
        inked = [value > threshold for value in profile]
        want = _runs(inked, space)
        rows = np.array(want, int).reshape(-1, 2)
        expect(
            answer,
            {"profile": profile, "threshold": threshold, "space": space},
            rows,
            mistakes=[
                (
                    "The end is the last inked column. As in Python's slices, give the first column "
                    "after it.",
                    rows - [0, 1],
                ),
                (
                    "A gap of exactly `space` columns separates: only a narrower one is bridged (<, not <=).",
                    np.array(_runs(inked, space + 1)).reshape(-1, 2),
                ),
                (
                    "The gap is counted one too long, and words fall apart: from the end (not included) "
                    "to the next "
                    "start it is start - end columns.",
                    np.array(_runs(inked, space - 1)).reshape(-1, 2),
                ),
                (
                    "These are the letters: join runs whose gap is narrower than `space`.",
                    np.array(_runs(inked, 1)).reshape(-1, 2),
                ),
                (
                    "The last word is missing: it reaches the end of the profile, where no empty column "
                    "closes it.",
                    lambda got, a=want, n=profile.size: (
                        bool(a) and a[-1][1] == n and _same(got, np.array(a[:-1], int).reshape(-1, 2))
                    ),
                ),
                (
                    "A column as dark as the threshold is not inked: greater than, not equal.",
                    np.array(_runs([value >= threshold for value in profile], space)).reshape(-1, 2),
                ),
                (
                    "Starts and ends lie in two rows here. Give one word a row, (n, 2).",
                    lambda got, a=rows: len(a) != 2 and _same(got, a.T),
                ),
                (
                    "An empty line has no words: return an array of shape (0, 2).",
                    lambda got, a=want: not a and got.size == 0,
                ),
            ],
        )


def _runs(inked, space):
    """Runs of True, those with fewer than `space` columns between them joined: → list of [start, end]."""
    found, gap = [], None
    for column, ink in enumerate(inked):
        if not ink:
            gap = None if gap is None else gap + 1
        elif gap is None or (gap and gap >= space):
            found.append([column, column + 1])
            gap = 0
        else:
            found[-1][1] = column + 1
            gap = 0
    return found
