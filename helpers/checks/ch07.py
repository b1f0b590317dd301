"""Checks of chapter 07, a CNN in PyTorch."""

import re

import numpy as np

from helpers import functional as our_functional
from helpers.checks._report import Failed, call, check, describe, expect
from helpers.tensor import Tensor


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
    answer = _detached(answer)
    for conv, dense, (c, h, w) in cases:
        want_conv = np.empty((*conv.shape[:1:-1], *conv.shape[:2]))
        for u, v, i, o in np.ndindex(conv.shape):
            want_conv[o, i, u, v] = conv[u, v, i, o]
        want, by_column = np.empty((2, dense.shape[1], c * h * w))
        for channel, row, column in np.ndindex(c, h, w):
            there = (row * w + column) * c + channel
            want[:, channel * h * w + row * w + column] = dense[there]
            by_column[:, channel * h * w + column * h + row] = dense[there]
        got_conv, got_dense = expect(
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
                    (
                        "The features are in the right order, but D is still the last axis when you reshape: "
                        "move it to the front first.",
                        lambda got, a=dense, s=(h, w, c): _same(
                            got, a.reshape(*s, -1).transpose(2, 0, 1, 3).reshape(a.shape[::-1])
                        ),
                    ),
                ],
            },
        )
        x = rng.normal(size=(h + len(conv) - 1, w + len(conv) - 1, conv.shape[2]))
        windows = np.lib.stride_tricks.sliding_window_view(x, conv.shape[:2], axis=(0, 1))
        theirs = np.einsum("hwcuv,uvco->hwo", windows, conv).ravel() @ dense
        outputs = our_functional.conv2d(Tensor(x.transpose(2, 0, 1)[None].copy()), Tensor(got_conv))
        ours = got_dense @ outputs.data.ravel()
        if not np.allclose(theirs, ours):
            raise Failed(
                "The network with your weights gives other scores than the old library's.",
                f"an image of shape {x.shape}",
                describe(theirs),
                describe(ours),
            )


def _detached(answer):
    """The answer, with parameters (tensors that remember) as plain tensors."""

    def plain(*arguments):
        result = answer(*arguments)
        if not isinstance(result, (tuple, list)):
            return result
        return tuple(value.detach() if hasattr(value, "detach") else value for value in result)

    return plain if callable(answer) else answer


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
                        "The darkest pixel need not be full ink: divide by 255, the largest byte "
                        "there is, not by "
                        "the largest in this picture.",
                        paper[:, None, None] + (front - paper)[:, None, None] * bytes_ / max(bytes_.max(), 1),
                    ),
                    (
                        "The shares of ink lost their fractions: turn the bytes into float32 before "
                        "you divide.",
                        paper[:, None, None] + (front - paper)[:, None, None] * (bytes_ // 255),
                    ),
                    (
                        "The picture is centred already. Here numbers in [0, 1] are wanted; "
                        "Normalize comes later "
                        "in the chain.",
                        (image - 0.5) / 0.25,
                    ),
                    (
                        "That is the ink three times, in no colour: mix paper and front.",
                        lambda got, a=bytes_: _same(got, np.stack([a / 255] * 3)),
                    ),
                    (
                        "First the image, then the label: the order is the other way round.",
                        lambda got: got.ndim == 0,
                    ),
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
    tested="the loss of 3 steps and the weights after each against softmax regression by hand, training mode "
    "in the forward pass and after, another loss",
    hints=(
        "In this order: model.train(), forget the old gradients, compute the loss, backward, step.",
        "model.train(); optimizer.zero_grad(); value = loss(model(images), labels); value.backward(); "
        "optimizer.step(); return value.item()",
    ),
)
def train_step(answer):
    """model, loss, optimizer, images, labels → the loss as a float; the model has made one step"""
    import torch

    class Watched(torch.nn.Linear):
        """A linear layer that notes whether it was in training mode in each forward pass."""

        def forward(self, x):
            self.modes.append(self.training)
            return super().forward(x)

    def summed(scores, labels):
        return torch.nn.functional.cross_entropy(scores, labels, reduction="sum")

    rng = np.random.default_rng(73)
    for n, d, k, lr, loss in (
        (2, 3, 2, 0.5, torch.nn.functional.cross_entropy),
        (6, 4, 3, 0.3, torch.nn.functional.cross_entropy),
        (1, 5, 7, 0.2, torch.nn.functional.cross_entropy),
        (4, 3, 5, 0.1, summed),
    ):
        x = rng.normal(size=(3, n, d)).astype(np.float32)
        t = rng.integers(0, k, (3, n))
        model, factor = Watched(d, k), n if loss is summed else 1
        torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        model.eval()
        right, added, memory = np.zeros(
            (3, k, d + 1)
        )  # weights, with the bias last; memory: gradients added up
        for step in range(3):
            name = "the sum of cross-entropies" if loss is summed else "cross-entropy"
            given = (
                f"step {step + 1} of 3: linear layer, {n} images of {d} numbers, {k} "
                f"classes, {name}, SGD, lr={lr}"
            )
            start, (expected, gradient) = right, _loss_and_gradient(right, x[step], t[step])
            memory = memory + factor * _loss_and_gradient(added, x[step], t[step])[1]
            right, added = right - lr * factor * gradient, added - lr * memory
            images, labels = torch.from_numpy(x[step]), torch.from_numpy(t[step])
            model.modes = []
            value = _call_step(answer, [model, loss, optimizer, images, labels], given)
            _check_number(value, torch, given)
            wrong = [
                (
                    "The argument loss is not used: any function of scores and labels may come in, "
                    "here the sum "
                    "of the cross-entropies instead of their mean.",
                    start - lr * gradient if factor > 1 else None,
                ),
                (
                    "Softmax is taken twice: loss wants the model's scores as they are, for cross-entropy "
                    "contains the softmax.",
                    start - lr * factor * _softmax_twice(start, x[step], t[step]),
                ),
            ]
            _check_weights(model, right, added, start, given, wrong)
            if not abs(float(value) - factor * expected) < 1e-5:
                after = _loss_and_gradient(right, x[step], t[step])[0]
                hint = _loss_hint(float(value), expected, n, after)
                raise Failed(hint, given, f"loss {factor * expected:.6g}", describe(float(value)))
            if not all(model.modes):
                raise Failed(
                    "The weights are right, but the forward pass ran in evaluation mode: dropout "
                    "would not drop. "
                    "Begin with model.train().",
                    given,
                    "model.training = True in the forward pass",
                    "model.training = False",
                )
            if not model.training:
                raise Failed(
                    "The model is left in evaluation mode. A training step ends in training mode; whoever "
                    "validates calls model.eval().",
                    given,
                    "model.training = True",
                    "model.training = False",
                )


def _call_step(answer, arguments, given):
    """`call`, with a hint for the errors that PyTorch raises in a training step."""
    errors = [
        ("not implemented for '(Long|Int)'", "Scores and labels are swapped: loss(model(images), labels)."),
        (
            "does not require grad",
            "Nothing was remembered, so there is no way back: no torch.no_grad() and no .detach() around the "
            "forward pass of a training step.",
        ),
        (
            "'(float|int)' object has no attribute 'backward'",
            "A plain number cannot go backward: keep the tensor, and take .item() at the very end.",
        ),
        ("backward through the graph a second time", "backward() is called twice: once a batch."),
    ]
    try:
        return call(answer, arguments, given)
    except Failed as fact:
        for pattern, hint in errors:
            if re.search(pattern, str(fact.got)):
                raise Failed(hint, given, fact.expected, fact.got) from None
        raise


def _softmax_twice(weights, x, t):
    """The gradient where the scores pass through softmax once more than they should."""
    ones = np.column_stack([x.astype(float), np.ones(len(x))])
    p = np.exp(ones @ weights.T)
    p /= p.sum(axis=1, keepdims=True)
    slope = np.exp(p) / np.exp(p).sum(axis=1, keepdims=True)
    slope[np.arange(len(t)), t] -= 1
    return (p * (slope - (p * slope).sum(axis=1, keepdims=True))).T @ ones / len(t)


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


def _check_weights(model, right, added, start, given, more):
    weights = np.column_stack([model.weight.detach().numpy(), model.bias.detach().numpy()]).astype(float)
    if np.allclose(weights, right, atol=1e-5):
        return
    hints = [
        *more,
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
        (
            "The step is twice as long as it should be: one backward() and one optimizer.step() a batch.",
            2 * right - start,
        ),
        ("The weights went uphill: an optimiser takes the minus by itself.", 2 * start - right),
    ]
    hint = next(
        (text for text, wrong in hints if wrong is not None and np.allclose(weights, wrong, atol=1e-5)), None
    )
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
    wrong = [
        ("That is how many, not what share: divide by the number of rows.", lambda p, K, k: np.sum(p < k)),
        ("That is the share of the others: 1 minus it is wanted.", lambda p, K, k: np.mean(p >= k)),
        (
            "Only the class in place k counts here. The truth may be in any of the first k places.",
            lambda p, K, k: np.mean(p == k - 1),
        ),
        (
            "These are the k lowest: argsort begins with the smallest score. Sort -logits, or take "
            "the last k "
            "columns.",
            lambda p, K, k: np.mean(p >= K - k),
        ),
        ("k is not used: that is whether the best one alone is right.", lambda p, K, k: np.mean(p == 0)),
        ("One answer for each row: take the mean over the rows.", lambda p, K, k: (p < k).astype(float)),
        ("Among the best k + 1: a slice [:k] has k entries already.", lambda p, K, k: np.mean(p <= k)),
        (
            "Among the best k - 1. A score is not higher than itself: count those greater (>), not "
            "those at least "
            "as great; and a slice [:k] has k entries.",
            lambda p, K, k: np.mean(p < k - 1),
        ),
        (
            "The best one is missing: a slice [-k:-1] stops before the last column. Write [-k:].",
            lambda p, K, k: np.mean((p >= 1) & (p < k)),
        ),
        (
            "Each row counts once, whether the truth is first or third: any over the k columns, "
            "then the mean "
            "over the rows. A mean over all cells divides by k.",
            lambda p, K, k: np.mean(p < k) / k,
        ),
    ]
    from_logits = [
        (
            "argsort gives the class in each place, not the place of each class: [n, label] of it "
            "is no rank. "
            "Compare its first k columns with the label.",
            lambda a, t, k: np.mean(np.argsort(-a, axis=1)[np.arange(len(t)), t] < k),
        ),
        (
            "np.isin looks for a label in the best classes of all rows. Compare each row with its own label: "
            "best == labels[:, None].",
            lambda a, t, k: np.mean(np.isin(t, np.argsort(-a, axis=1)[:, :k])),
        ),
        (
            "The scores themselves were compared with the labels. You need their places: argsort, not sort.",
            lambda a, t, k: np.mean(np.any(np.sort(a, axis=1)[:, -k:] == t[:, None], axis=1)),
        ),
    ]

    def places(logits, labels):
        return np.array([sum(score > row[t] for score in row) for row, t in zip(logits, labels, strict=True)])

    def as_in_all_cases(mistake):
        """Whether the answer gives in every case what the misconception gives: one example can hide two."""
        return all(
            _same(np.asarray(answer(a.copy(), t.copy(), k)), np.asarray(mistake(a, t, k)))
            for a, t, k in cases
        )

    named = [(hint, lambda a, t, k, f=f: f(places(a, t), a.shape[1], k)) for hint, f in wrong] + from_logits
    for logits, labels, k in cases:
        expect(
            answer,
            {"logits": logits, "labels": labels, "k": k},
            np.mean(places(logits, labels) < k),
            mistakes=[(hint, lambda got, f=f: as_in_all_cases(f)) for hint, f in named],
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

    def runs(profile, threshold, space):
        return np.array(_runs([value > threshold for value in profile], space), int).reshape(-1, 2)

    def pairwise(profile, threshold, space):
        """Each run joined with the next one only, and then both are done with."""
        letters, found = runs(profile, threshold, 1).tolist(), []
        while letters:
            start, end = letters.pop(0)
            if letters and letters[0][0] - end < space:
                end = letters.pop(0)[1]
            found.append([start, end])
        return np.array(found, int).reshape(-1, 2)

    def unclosed(profile, threshold, space):
        rows = runs(profile, threshold, space)
        return rows[:-1] if len(rows) and rows[-1, 1] == profile.size else rows

    def with_gap(profile, threshold, space):
        rows = runs(profile, threshold, space)
        return rows + np.column_stack([np.zeros(len(rows), int), [end < profile.size for _, end in rows]])

    wrong = [
        (
            "The end is the last inked column. As in Python's slices, give the first column after it.",
            lambda *a: runs(*a) - [0, 1],
        ),
        (
            "The second number is a length. Give the end: the first column after the word.",
            lambda *a: np.column_stack([runs(*a)[:, 0], runs(*a)[:, 1] - runs(*a)[:, 0]]),
        ),
        (
            "A gap of exactly `space` columns separates: only a narrower one is bridged (<, not <=).",
            lambda p, t, space: runs(p, t, space + 1),
        ),
        (
            "The gap is counted one too long, and words fall apart: from the end (not included) to "
            "the next start "
            "it is start - end columns.",
            lambda p, t, space: runs(p, t, space - 1),
        ),
        (
            "These are the letters: join runs whose gap is narrower than `space`.",
            lambda p, t, space: runs(p, t, 1),
        ),
        (
            "Only pairs of runs are joined. A word may have many letters: compare each run with the "
            "word so far.",
            pairwise,
        ),
        (
            "The last word is missing: it reaches the end of the profile, where no empty column closes it.",
            unclosed,
        ),
        (
            "The words run one column into the gap: the end is the first column without ink, not "
            "the one after "
            "that.",
            with_gap,
        ),
        (
            "The threshold is not used: a column has ink if its profile is greater than the threshold.",
            lambda p, t, space: runs(p, 0, space),
        ),
        (
            "A column as dark as the threshold is not inked: greater than, not equal.",
            lambda p, t, space: runs(p, np.nextafter(t, -1), space),
        ),
    ]

    def as_in_all_cases(mistake):
        """Whether the answer gives in every case what the misconception gives: one example can hide two."""
        return all(
            _same(np.asarray(answer(p.copy(), *rest)).reshape(-1, 2), np.asarray(mistake(p, *rest)))
            for p, *rest in cases
        )

    for profile, threshold, space in cases:
        rows = runs(profile, threshold, space)
        expect(
            answer,
            {"profile": profile, "threshold": threshold, "space": space},
            rows,
            mistakes=[
                *((hint, lambda got, f=f: as_in_all_cases(f)) for hint, f in wrong),
                (
                    "Starts and ends lie in two rows here. Give one word a row, (n, 2).",
                    lambda got, a=rows: len(a) != 2 and _same(got, a.T),
                ),
                (
                    "An empty line has no words: return an array of shape (0, 2).",
                    lambda got, a=rows: not len(a) and got.size == 0,
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
