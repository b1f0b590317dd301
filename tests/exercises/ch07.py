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


def _weights_parameters(conv, dense, shape):
    return tuple(torch.nn.Parameter(weight) for weight in _weights_torch(conv, dense, shape))


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


def _with_loss(compute):
    def step(model, loss, optimizer, images, labels):
        return _step()(model, lambda scores, t: compute(loss, scores, t), optimizer, images, labels)

    return step


def _hard_coded(model, loss, optimizer, images, labels):
    return _step()(model, torch.nn.functional.cross_entropy, optimizer, images, labels)


def _late(model, loss, optimizer, images, labels):
    optimizer.zero_grad()
    value = loss(model(images), labels)
    model.train()
    value.backward()
    optimizer.step()
    return value.item()


def _train_at_the_end(*arguments):
    value = _step(train=False)(*arguments)
    arguments[0].train()
    return value


def _eval_at_the_end(*arguments):
    value = _step()(*arguments)
    arguments[0].eval()
    return value


def _backward_twice(model, loss, optimizer, images, labels):
    model.train()
    optimizer.zero_grad()
    value = loss(model(images), labels)
    value.backward(retain_graph=True)
    value.backward()
    optimizer.step()
    return value.item()


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


def _joined_pairs(profile, threshold, space):
    rows, found, n = _words(profile, threshold, 1), [], 0
    while n < len(rows):
        joined = n + 1 < len(rows) and rows[n + 1, 0] - rows[n, 1] < space
        found.append([rows[n, 0], rows[n + joined, 1]])
        n += 1 + joined
    return np.array(found).reshape(-1, 2)


CASES = {
    "from_channels_last": Case(
        right=[
            _weights_loops,
            _weights_torch,
            _weights_parameters,
            lambda c, d, s: (np.einsum("uvio->oiuv", c), _dense(d, s)),
        ],
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
            (
                "D last",
                lambda c, d, s: (
                    _conv(c),
                    d.reshape(s[1], s[2], s[0], -1).transpose(2, 0, 1, 3).reshape(d.shape[::-1]),
                ),
                "D is still the last axis",
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
            (
                "by the largest",
                lambda i, t, n, p, f: (_item(i, t, n, p, f, scale=max(i[n].max(), 1))[0], t[n]),
                "the largest byte there is",
            ),
            (
                "uint8 shares",
                lambda i, t, n, p, f: (_item(i // 255 * 255, t, n, p, f)[0], t[n]),
                "lost their fractions",
            ),
            ("centred", lambda *a: ((_item(*a)[0] - 0.5) / 0.25, a[1][a[2]]), "centred already"),
            (
                "grey three times",
                lambda i, t, n, p, f: (np.stack([i[n] / np.float32(255)] * 3), t[n]),
                "ink three times",
            ),
            ("label first", lambda *a: _item(*a)[::-1], "the other way round"),
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
            ("two steps", _step("zlbss"), "twice as long"),
            ("uphill", _step(factor=-1), "uphill"),
            ("a tensor", _step(give=lambda value: value), "A tensor came back"),
            ("a detached tensor", _step(give=lambda value: value.detach()), "A tensor came back"),
            ("the loss after", _after, "the loss after the step"),
            ("summed", _summed, "added up"),
            ("evaluation mode", _step(train=False), "forward pass ran in evaluation mode"),
            ("train() after the forward pass", _late, "forward pass ran in evaluation mode"),
            ("train() at the end", _train_at_the_end, "forward pass ran in evaluation mode"),
            ("eval() at the end", _eval_at_the_end, "left in evaluation mode"),
            ("hard-coded loss", _hard_coded, "argument loss is not used"),
            ("swapped", _with_loss(lambda loss, scores, t: loss(t, scores)), "Scores and labels are swapped"),
            (
                "softmax twice",
                _with_loss(lambda loss, scores, t: loss(scores.softmax(dim=1), t)),
                "Softmax is taken twice",
            ),
            ("backward twice", _backward_twice, "twice as long"),
            (
                "detached",
                _with_loss(lambda loss, scores, t: loss(scores.detach(), t)),
                "Nothing was remembered",
            ),
            ("item too early", _with_loss(lambda *a: a[0](*a[1:]).item()), "cannot go backward"),
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
            ("the others", lambda a, t, k: 1 - _top(a, t, k), "the share of the others"),
            ("k - 1", lambda a, t, k: _top(a, t, k - 1) if k > 1 else 0.0, "not higher than itself"),
            (
                "argsort as ranks",
                lambda a, t, k: np.mean(np.argsort(-a, axis=1)[np.arange(len(t)), t] < k),
                "is no rank",
            ),
            ("isin", lambda a, t, k: np.mean(np.isin(t, _best(a, k))), "np.isin"),
            (
                "without the best",
                lambda a, t, k: np.mean(np.any(np.argsort(a, axis=1)[:, -k:-1] == t[:, None], axis=1)),
                "The best one is missing",
            ),
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
            (
                "start and length",
                lambda *a: np.column_stack([_words(*a)[:, 0], np.diff(_words(*a), axis=1)[:, 0]]),
                "is a length",
            ),
            ("threshold ignored", lambda p, t, s: _words(p, 0, s), "The threshold is not used"),
            ("pairs", _joined_pairs, "Only pairs"),
            (
                "into the gap",
                lambda p, t, s: np.minimum(_words(p, t, s) + [0, 1], len(p)),
                "one column into the gap",
            ),
            ("two rows", lambda *a: _words(*a).T, "two rows"),
            ("empty", lambda *a: _words(*a) if len(_words(*a)) else np.array([]), "shape (0, 2)"),
        ],
    ),
}
