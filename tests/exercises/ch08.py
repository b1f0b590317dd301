"""Answers to the exercises of chapter 08 whose verdicts are known."""

import math

import numpy as np

from tests.exercises import Case


def _paired(a, b, ddof=1, root=np.sqrt):
    d = b - a
    return d.mean(), d.std(ddof=ddof) / root(len(d))


def _paired_loops(a, b):
    d = [y - x for x, y in zip(a, b, strict=True)]
    mean = sum(d) / len(d)
    return mean, math.sqrt(sum((x - mean) ** 2 for x in d) / (len(d) - 1) / len(d))


def _unpaired(a, b):
    return (b - a).mean(), math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a))


def _adamw(w, g, lr, wd, decoupled, direction=lambda g: g / (np.abs(g) + 1e-8)):
    if decoupled:
        return w - lr * (direction(g) + wd * w)
    return w - lr * direction(g + wd * w)


def _adamw_as_torch(w, g, lr, wd, decoupled):
    if decoupled:
        w = w * (1 - lr * wd)
    else:
        g = g + wd * w
    m, v = 0.1 * g, 0.001 * g * g
    return w - lr * (m / 0.1) / (np.sqrt(v / 0.001) + 1e-8)


def _decay_late(w, g, lr, wd, decoupled):
    if not decoupled:
        return _adamw(w, g, lr, wd, False)
    return _adamw(w, g, lr, 0, True) * (1 - lr * wd)


def _old_divisor(w, g, lr, wd, decoupled):
    if decoupled:
        return _adamw(w, g, lr, wd, True)
    return w - lr * (g + wd * w) / (np.abs(g) + 1e-8)


def _batch_norm(x, gamma, beta, mean, var, training, axes=(0, 2, 3), ddof=0, memory=1, keep=0.9, eps=1e-5):
    of = {"axis": axes, "keepdims": True}
    centre, width = mean[None, :, None, None], var[None, :, None, None]
    if training:
        centre, width = x.mean(**of), x.var(**of, ddof=ddof)
        mean = keep * mean + (1 - keep) * x.mean(axis=(0, 2, 3))
        var = keep * var + (1 - keep) * x.var(axis=(0, 2, 3), ddof=memory)
    y = (x - centre) / np.sqrt(width + eps)
    return y * gamma[:, None, None] + beta[:, None, None], mean, var


def _batch_norm_flat(x, gamma, beta, mean, var, training):
    n, c, h, w = x.shape
    rows = x.transpose(0, 2, 3, 1).reshape(-1, c)  # (N·H·W, C)
    if training:
        centre, width = rows.mean(axis=0), rows.var(axis=0)
        mean = mean + 0.1 * (centre - mean)
        var = var + 0.1 * (width * len(rows) / (len(rows) - 1) - var)
    else:
        centre, width = mean, var
    y = gamma * (rows - centre) / (width + 1e-5) ** 0.5 + beta
    return [y.reshape(n, h, w, c).transpose(0, 3, 1, 2), mean, var]


def _always_batch(x, gamma, beta, mean, var, training):
    y = _batch_norm(x, gamma, beta, mean, var, True)[0]
    return y, *_batch_norm(x, gamma, beta, mean, var, training)[1:]


def _always_memory(x, gamma, beta, mean, var, training):
    y = _batch_norm(x, gamma, beta, mean, var, False)[0]
    return y, *_batch_norm(x, gamma, beta, mean, var, training)[1:]


def _moves_in_evaluation(x, gamma, beta, mean, var, training):
    y = _batch_norm(x, gamma, beta, mean, var, training)[0]
    return y, *_batch_norm(x, gamma, beta, mean, var, True, memory=int(x.size > x.shape[1]))[1:]


def _eps_outside(x, gamma, beta, mean, var, training):
    y, *memory = _batch_norm(x, gamma, beta, mean, var, training)
    if training:
        of = {"axis": (0, 2, 3), "keepdims": True}
        y = gamma[:, None, None] * (x - x.mean(**of)) / (x.std(**of) + 1e-5) + beta[:, None, None]
    return y, *memory


def _new_memory(x, gamma, beta, mean, var, training):
    _, mean, var = _batch_norm(x, gamma, beta, mean, var, training, memory=int(x.size > x.shape[1]))
    return _batch_norm(x, gamma, beta, mean, var, False)


def _in_float32(x, gamma, beta, mean, var, training):
    y = _batch_norm(*(a.astype(np.float32) for a in (x, gamma, beta, mean, var)), training)[0]
    return y, *_batch_norm(x, gamma, beta, mean, var, training)[1:]


def _spread_remembered(x, gamma, beta, mean, var, training):
    y, new, _ = _batch_norm(x, gamma, beta, mean, var, training)
    return y, new, 0.9 * var + 0.1 * x.std(axis=(0, 2, 3), ddof=1) if training else var


def _stopping_without_reset(losses, patience):
    best, keep, waited = np.inf, 0, 0
    for epoch, loss in enumerate(losses, start=1):
        if loss < best:
            best, keep = loss, epoch
        else:
            waited += 1
            if waited == patience:
                return keep, epoch
    return keep, len(losses)


def _stopping(losses, patience, first=1, spare=0, ties=False):
    best, keep = np.inf, 0
    for epoch, loss in enumerate(losses, start=1):
        if loss < best or (ties and loss == best):
            best, keep = loss, epoch
        elif epoch - keep >= patience + spare:
            return keep - 1 + first, epoch - 1 + first
    return keep - 1 + first, len(losses) - 1 + first


def _stopping_numpy(losses, patience):
    for last in range(1, len(losses) + 1):
        keep = int(np.argmin(losses[:last])) + 1
        if last - keep == patience:
            break
    return [keep, last]


def _stopping_at_rises(losses, patience):
    rises = 0
    for epoch in range(1, len(losses)):
        rises = rises + 1 if losses[epoch] >= losses[epoch - 1] else 0
        if rises == patience:
            return int(np.argmin(losses[: epoch + 1])) + 1, epoch + 1
    return int(np.argmin(losses)) + 1, len(losses)


def _shares(right, groups):
    return [right[groups == name].mean() for name in np.unique(groups)]


def _balanced_of(right, groups, names):
    shares = [right[groups == name].mean() for name in names]
    return np.mean(shares), min(shares)


def _balanced_dict(right, groups):
    hits = {}
    for r, group in zip(right, groups, strict=True):
        hits.setdefault(str(group), []).append(float(r))
    means = [sum(h) / len(h) for h in hits.values()]
    return [sum(means) / len(means), min(means)]


CASES = {
    "paired_difference": Case(
        right=[
            _paired,
            _paired_loops,
            lambda a, b: list(_paired(a, b)),
            lambda a, b: np.array(_paired(a, b)),
        ],
        wrong=[
            ("a - b", lambda a, b: _paired(b, a), "sign is turned"),
            ("sum", lambda a, b: ((b - a).sum(), _paired(a, b)[1]), "take the mean"),
            ("differences", lambda a, b: (b - a, _paired(a, b)[1]), "One difference a seed"),
            ("spread", lambda a, b: _paired(a, b, root=lambda n: 1), "spread of one difference"),
            ("ddof 0", lambda a, b: _paired(a, b, ddof=0), "S - 1"),
            ("over S", lambda a, b: _paired(a, b, root=lambda n: n), "not by S"),
            ("variance", lambda a, b: ((b - a).mean(), (b - a).var(ddof=1) / len(a)), "variance"),
            ("unpaired", _unpaired, "torn apart"),
            ("abs", lambda a, b: (np.abs(b - a).mean(), _paired(a, b)[1]), "stay negative"),
            ("√5", lambda a, b: _paired(a, b, root=lambda n: np.sqrt(5)), "whatever the number of seeds"),
            ("three errors", lambda a, b: (_paired(a, b)[0], 3 * _paired(a, b)[1]), "three of them"),
            ("√(S - 1)", lambda a, b: _paired(a, b, root=lambda n: np.sqrt(n - 1)), "√S once"),
            (
                "not centred",
                lambda a, b: ((b - a).mean(), np.sqrt(((b - a) ** 2).sum() / (len(a) - 1) / len(a))),
                "mean away first",
            ),
        ],
    ),
    "first_step": Case(
        right=[_adamw, _adamw_as_torch, lambda *a: _adamw(*a).tolist()],
        wrong=[
            ("swapped", lambda w, g, lr, wd, d: _adamw(w, g, lr, wd, not d), "swapped"),
            ("no decay", lambda w, g, lr, wd, d: _adamw(w, g, lr, 0, d), "No decay"),
            ("grows", lambda w, g, lr, wd, d: _adamw(w, g, lr, -wd, d), "wrong sign"),
            ("uphill", lambda w, g, lr, wd, d: 2 * w - _adamw(w, g, lr, wd, d), ""),
            (
                "lr missing",
                lambda w, g, lr, wd, d: _adamw(w, g, lr, 0, d) - wd * w if d else _adamw(w, g, lr, wd, d),
                "not multiplied by the learning rate",
            ),
            ("after the step", _decay_late, "as it was before"),
            ("plain SGD", lambda *a: _adamw(*a, direction=lambda g: g), "SGD"),
            ("old |g|", _old_divisor, "divides by the old"),
            ("no abs", lambda *a: _adamw(*a, direction=lambda g: g / (g + 1e-8)), "absolute value"),
            ("always decoupled", lambda w, g, lr, wd, d: _adamw(w, g, lr, wd, True), "the other kind"),
            (
                "decay twice",
                lambda w, g, lr, wd, d: _adamw(w, g, lr, wd, False) - (lr * wd * w if d else 0),
                "goes in twice",
            ),
            (
                "no correction of the start",
                lambda *a: _adamw(*a, direction=lambda g: 0.1 * g / (np.sqrt(0.001 * g * g) + 1e-8)),
                "lean to their start",
            ),
            (
                "decay scaled in the gradient",
                lambda w, g, lr, wd, d: _adamw(w, g, lr, wd if d else lr * wd, d),
                "no sign turns",
            ),
        ],
    ),
    "batch_norm": Case(
        right=[_batch_norm, _batch_norm_flat],
        wrong=[
            ("always the batch", _always_batch, "remembered mean and var"),
            ("always the memory", _always_memory, "of this batch"),
            ("unbiased inside", lambda *a: _batch_norm(*a, ddof=1), "divide by n"),
            ("a pixel alone", lambda *a: _batch_norm(*a, axes=0), ""),
            ("an image alone", lambda *a: _batch_norm(*a, axes=(2, 3)), ""),
            ("all channels", lambda *a: _batch_norm(*a, axes=(0, 1, 2, 3)), "keep axis 1"),
            ("eps outside", _eps_outside, "under the root"),
            ("no eps", lambda *a: _batch_norm(*a, eps=0), "under the root"),
            ("no gamma", lambda x, g, b, *rest: _batch_norm(x, np.ones_like(g), np.zeros_like(b), *rest), ""),
            ("biased memory", lambda *a: _batch_norm(*a, memory=0), "over n - 1"),
            ("momentum swapped", lambda *a: _batch_norm(*a, keep=0.1), "swapped"),
            ("replaced", lambda *a: _batch_norm(*a, keep=0), "replaced by this batch"),
            (
                "memory forgotten",
                lambda x, g, b, m, v, t: (_batch_norm(x, g, b, m, v, t)[0], m, v),
                "the memory moves",
            ),
            ("no beta", lambda x, g, b, *rest: _batch_norm(x, g, np.zeros_like(b), *rest), "beta is missing"),
            ("beta scaled", lambda x, g, b, *rest: _batch_norm(x, g, g * b, *rest), "gamma scales beta"),
            ("the new memory", _new_memory, "after its update"),
            ("float32", _in_float32, "float64"),
            ("mean and var swapped", lambda *a: tuple(_batch_norm(*a)[k] for k in (0, 2, 1)), "wrong order"),
            ("spread remembered", _spread_remembered, "no root here"),
            ("memory moves in evaluation", _moves_in_evaluation, "leave the memory alone"),
        ],
    ),
    "early_stopping": Case(
        right=[_stopping, _stopping_numpy, lambda *a: np.array(_stopping(*a))],
        wrong=[
            ("from 0", lambda *a: _stopping(*a, first=0), "count from 1"),
            ("argmin", lambda x, p: (int(np.argmin(x)) + 1, len(x)), "see the future"),
            ("keeps the last", lambda x, p: (_stopping(x, p)[1],) * 2, "worse than the best"),
            ("too patient", lambda *a: _stopping(*a, spare=1), "One epoch too patient"),
            ("ties", lambda *a: _stopping(*a, ties=True), "tie"),
            ("patience not reset", _stopping_without_reset, "not reset"),
            ("past the end", lambda x, p: (_stopping(x, p)[0], _stopping(x, p)[0] + p), "no such epoch"),
            ("rises in a row", _stopping_at_rises, "not with the epoch before"),
            ("never stops", lambda x, p: (_stopping(x, p)[0], len(x)), "goes on to the end"),
            ("best twice", lambda x, p: (_stopping(x, p)[0],) * 2, "best itself"),
        ],
    ),
    "balanced_accuracy": Case(
        values_only=True,  # booleans and names: nothing that += 1 could spoil
        right=[
            lambda r, g: (np.mean(_shares(r, g)), np.min(_shares(r, g))),
            _balanced_dict,
            lambda r, g: np.array([np.mean(_shares(r, g)), np.min(_shares(r, g))]),
        ],
        wrong=[
            ("plain", lambda r, g: (r.mean(), min(_shares(r, g))), "plain accuracy"),
            ("sum", lambda r, g: (sum(_shares(r, g)), min(_shares(r, g))), "number of groups"),
            ("over 5", lambda r, g: (sum(_shares(r, g)) / 5, min(_shares(r, g))), "Divided by 5"),
            ("turned", lambda r, g: (min(_shares(r, g)), np.mean(_shares(r, g))), "worst comes second"),
            ("list", lambda r, g: (_shares(r, g), min(_shares(r, g))), "One number a group"),
            ("fixed names", lambda r, g: _balanced_of(r, g, ("sans", "serif", "mono")), "does not occur"),
            ("median", lambda r, g: (np.median(_shares(r, g)), min(_shares(r, g))), "median"),
            ("gap", lambda r, g: (np.mean(_shares(r, g)), np.ptp(_shares(r, g))), "gap"),
            ("best", lambda r, g: (np.mean(_shares(r, g)), max(_shares(r, g))), "best group"),
            (
                "place",
                lambda r, g: (np.mean(_shares(r, g)), int(np.argmin(_shares(r, g)))),
                "name or a place",
            ),
            ("mistakes", lambda r, g: (np.mean(_shares(r, g)), 1 - min(_shares(r, g))), ""),
        ],
    ),
}
