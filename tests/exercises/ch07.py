"""Answers to chapter 07."""

import numpy as np
import torch

from tests.exercises import Case


def _conv(a):
    return a.transpose(3, 2, 0, 1)


def _dense(a, s):
    return a.reshape(s[1], s[2], s[0], -1).transpose(3, 2, 0, 1).reshape(a.shape[1], -1)


def _weights_loops(conv, dense, shape):
    c, h, w = shape
    order = [(i * w + j) * c + channel for channel in range(c) for i in range(h) for j in range(w)]
    return np.moveaxis(conv, (3, 2), (0, 1)), dense[order].T


def _weights_torch(conv, dense, shape):
    c, h, w = shape
    wide = torch.from_numpy(dense).reshape(h, w, c, -1).permute(3, 2, 0, 1).flatten(1)
    return torch.from_numpy(conv).permute(3, 2, 0, 1), wide


def _item(ink, labels, index, paper, front, scale=255, dtype=np.float32):
    a = (ink[index] / scale).astype(dtype)
    return paper[:, None, None].astype(dtype) * (1 - a) + front[:, None, None].astype(dtype) * a, labels[
        index
    ]


def _item_torch(ink, labels, index, paper, front):
    a = torch.from_numpy(ink[index]).float() / 255
    paper, front = torch.from_numpy(paper)[:, None, None], torch.from_numpy(front)[:, None, None]
    return paper + a * (front - paper), int(labels[index])


def _step(order="zlbs", give=lambda value: value.item(), train=True, factor=1):
    """A training step in the order of the letters: zero_grad, loss, backward, step."""

    def step(model, loss, optimizer, images, labels):
        if train:
            model.train()
        value = loss(model(images), labels) * factor
        for letter in order:
            if letter == "z":
                optimizer.zero_grad()
            elif letter == "l":
                value = loss(model(images), labels) * factor
            elif letter == "b":
                value.backward()
            else:
                optimizer.step()
        return give(value)

    return step


def _after(model, loss, optimizer, images, labels):
    _step()(model, loss, optimizer, images, labels)
    return loss(model(images), labels).item()


def _summed(model, loss, optimizer, images, labels):
    return _step()(model, loss, optimizer, images, labels) * len(labels)


def _best(logits, k):
    return np.argsort(-logits, axis=1)[:, :k]


def _top(logits, labels, k):
    return np.mean([t in row for t, row in zip(labels, _best(logits, k), strict=True)])


def _top_torch(logits, labels, k):
    best = torch.from_numpy(logits).topk(k, dim=1).indices
    return (best == torch.from_numpy(labels)[:, None]).any(dim=1).float().mean()


def _words(profile, threshold, space, narrower=lambda gap, space: gap < space, last=1, least=np.greater):
    found, start, end = [], None, None
    for column in np.flatnonzero(least(profile, threshold)):
        if start is None:
            start = column
        elif column > end and not narrower(column - end, space):
            found.append((start, end - 1 + last))
            start = column
        end = column + 1
    if start is not None:
        found.append((start, end - 1 + last))
    return np.array(found).reshape(-1, 2)


def _words_filled(profile, threshold, space):
    inked = profile > threshold
    for start in range(len(inked)):
        for end in range(start + 2, min(start + space + 1, len(inked))):
            if inked[start] and inked[end]:
                inked[start:end] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inked, [0]])))
    return edges.reshape(-1, 2)


def _never_closed(profile, threshold, space):
    found = _words(profile, threshold, space)
    return found[:-1] if len(found) and found[-1, 1] == len(profile) else found


CASES = {
    "from_channels_last": Case(
        right=[_weights_loops, _weights_torch, lambda c, d, s: (np.einsum("uvio->oiuv", c), _dense(d, s))],
        wrong=[
            ("all axes reversed", lambda c, d, s: (c.T, _dense(d, s)), "rows and columns are swapped"),
            (
                "reshaped",
                lambda c, d, s: (c.reshape(_conv(c).shape), _dense(d, s)),
                "reshape alone gives the right shape",
            ),
            ("inputs first", lambda c, d, s: (c.transpose(2, 3, 0, 1), _dense(d, s)), "channels are swapped"),
            ("flipped", lambda c, d, s: (_conv(c)[:, :, ::-1, ::-1], _dense(d, s)), "The kernel is flipped"),
            ("dense transposed only", lambda c, d, s: (_conv(c), d.T), "all channels of a pixel together"),
            (
                "the other way",
                lambda c, d, s: (_conv(c), d.reshape(*s, -1).transpose(3, 1, 2, 0).reshape(d.shape[::-1])),
                "PyTorch's order into the other library's",
            ),
            (
                "down the columns",
                lambda c, d, s: (
                    _conv(c),
                    d.reshape(s[1], s[2], s[0], -1).transpose(3, 2, 1, 0).reshape(d.shape[::-1]),
                ),
                "row by row",
            ),
            ("dense not transposed", lambda c, d, s: (_conv(c), _dense(d, s).T), "(out, in)"),
            (
                "dense reshaped",
                lambda c, d, s: (_conv(c), d.reshape(d.shape[::-1])),
                "(in, out) into (out, in)",
            ),
        ],
    ),
    "item": Case(
        right=[_item, _item_torch],
        wrong=[
            ("bytes", lambda *a: _item(*a, scale=1), "not divided by 255"),
            ("by 256", lambda *a: _item(*a, scale=256), "not by 256"),
            ("swapped", lambda i, t, n, p, f: _item(i, t, n, f, p), "swapped"),
            ("colours last", lambda *a: (_item(*a)[0].transpose(1, 2, 0), a[1][a[2]]), "channels first"),
            ("batch axis", lambda *a: (_item(*a)[0][None], a[1][a[2]]), "A batch axis is left"),
            ("grey", lambda i, t, n, p, f: (i[n] / np.float32(255), t[n]), "one channel"),
            ("double", lambda *a: _item(*a, dtype=float), "their type is not"),
            (
                "next item",
                lambda i, t, n, p, f: _item(i, t, (n + 1) % len(t), p, f),
                "another item's picture",
            ),
            ("all labels", lambda *a: (_item(*a)[0], a[1]), "that of this item"),
            ("index", lambda *a: (_item(*a)[0], a[2]), "the index, not the label"),
        ],
    ),
    "train_step": Case(
        right=[_step(), _step("lzbs"), _step("zlbsz"), _step(give=float)],
        wrong=[
            ("no zero_grad", _step("lbs"), "The old gradients are still there"),
            ("step before backward", _step("zlsb"), "Nothing has changed"),
            ("zero_grad in between", _step("lbzs"), "Nothing has changed"),
            ("no step", _step("zlb"), "Nothing has changed"),
            ("two steps", _step("zlbss"), "taken twice"),
            ("uphill", _step(factor=-1), "uphill"),
            ("a tensor", _step(give=lambda value: value), "A tensor came back"),
            ("a detached tensor", _step(give=lambda value: value.detach()), "A tensor came back"),
            ("the loss after", _after, "the loss after the step"),
            ("summed", _summed, "added up"),
            ("evaluation mode", _step(train=False), "evaluation mode"),
        ],
        values_only=True,
    ),
    "top_k": Case(
        right=[_top, _top_torch, lambda a, t, k: np.mean((a > a[np.arange(len(t)), t][:, None]).sum(1) < k)],
        wrong=[
            ("lowest", lambda a, t, k: _top(-a, t, k), "k lowest"),
            ("top one", lambda a, t, k: _top(a, t, 1), "k is not used"),
            ("place k", lambda a, t, k: np.mean(_best(a, k)[:, -1] == t), "Only the class in place k"),
            ("a count", lambda a, t, k: _top(a, t, k) * len(t), "not what share"),
            ("rows", lambda a, t, k: np.any(_best(a, k) == t[:, None], axis=1), "One answer for each row"),
            ("k + 1", lambda a, t, k: _top(a, t, k + 1), "k + 1"),
            ("mean of cells", lambda a, t, k: np.mean(_best(a, k) == t[:, None]), "divides by k"),
            (
                "scores",
                lambda a, t, k: np.mean(np.any(np.sort(a, axis=1)[:, -k:] == t[:, None], axis=1)),
                "argsort, not sort",
            ),
        ],
    ),
    "words": Case(
        right=[
            _words,
            _words_filled,
            lambda *a: [list(map(int, row)) for row in _words(*a)] or np.zeros((0, 2)),
        ],
        wrong=[
            ("end included", lambda *a: _words(*a, last=0), "the first column after it"),
            ("bridges space", lambda *a: _words(*a, narrower=lambda gap, s: gap <= s), "exactly `space`"),
            ("gap too long", lambda *a: _words(*a, narrower=lambda gap, s: gap + 1 < s), "one too long"),
            ("letters", lambda p, t, s: _words(p, t, 1), "These are the letters"),
            ("never closed", _never_closed, "The last word is missing"),
            ("greater or equal", lambda *a: _words(*a, least=np.greater_equal), "not equal"),
            ("two rows", lambda *a: _words(*a).T, "two rows"),
            ("empty", lambda *a: _words(*a) if len(_words(*a)) else np.array([]), "shape (0, 2)"),
        ],
    ),
}
