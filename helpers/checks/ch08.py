"""Checks of chapter 08, training well."""

import math

import numpy as np

from helpers.checks._report import check, expect


def _unpacked(answer):
    """The answer, with a row of numbers, np.array([x, y]), taken apart: `x, y = …` does so too."""

    def call(*arguments):
        got = answer(*arguments)
        return tuple(got) if isinstance(got, np.ndarray) and got.ndim == 1 else got

    return call


@check(
    "8.1",
    tested="the three seeds on paper, 4 other pairs of lists, a remedy that does harm",
    hints=(
        "Start with d = b - a, one number a seed. Everything else is about d alone.",
        "The spread of one difference is np.std(d, ddof=1); the mean of S of them is √S times steadier.",
    ),
)
def paired_difference(answer):
    """a (S,), b (S,) → mean of b - a, its standard error"""
    rng = np.random.default_rng(81)
    cases = [(np.array([0.70, 0.60, 0.80]), np.array([0.74, 0.65, 0.83]))]
    for count in (2, 5, 7, 6):
        a = rng.normal(0.8, 0.05, count)
        cases.append((a, a + rng.normal(0.02, 0.01, count)))
    cases.append((np.array([0.8, 0.6, 0.9, 0.7]), np.array([0.7, 0.65, 0.8, 0.67])))  # a loss, one gain
    answer = _unpacked(answer)
    for a, b in cases:
        d = [float(y) - float(x) for x, y in zip(a, b, strict=True)]
        mean = math.fsum(d) / len(d)
        squares = math.fsum((x - mean) ** 2 for x in d)
        spread, root = math.sqrt(squares / (len(d) - 1)), math.sqrt(len(d))
        expect(
            answer,
            {"a": a, "b": b},
            {"mean": mean, "error": spread / root},
            mistakes={
                "mean": [
                    ("The sign is turned: b is the remedy, so a gain is b - a > 0.", -mean),
                    (
                        "A loss must stay negative: no abs, the differences keep their signs.",
                        math.fsum(abs(x) for x in d) / len(d),
                    ),
                    ("A sum of differences grows with the number of seeds: take the mean.", mean * len(d)),
                    (
                        "One difference a seed came back. Average them: the mean is one number.",
                        lambda got, d=d: got.shape == (len(d),),
                    ),
                    (
                        "That is the middle one of the differences; the rule is about their mean.",
                        np.median(d),
                    ),
                ],
                "error": [
                    (
                        "This is the spread of one difference. The mean of S differences is steadier: divide "
                        "by √S.",
                        spread,
                    ),
                    (
                        "The mean was estimated from the same numbers, which makes them look too close to "
                        "it: divide the squares by S - 1, ddof=1.",
                        math.sqrt(squares / len(d)) / root,
                    ),
                    ("Divide the spread by √S, not by S.", spread / len(d)),
                    (
                        "Divided by √5, whatever the number of seeds: here S is len(a).",
                        lambda got, s=spread: np.allclose(got, s / math.sqrt(5), rtol=1e-9, atol=0),
                    ),
                    ("One standard error is asked; three of them are the rule's bar.", 3 * spread / root),
                    (
                        "Divide by √S once: √(S - 1) under squares over S - 1 divides too little.",
                        spread / math.sqrt(len(d) - 1),
                    ),
                    (
                        "The differences are squared as they are: take their mean away first.",
                        math.sqrt(math.fsum(x**2 for x in d) / (len(d) - 1)) / root,
                    ),
                    ("This is a variance: take the square root.", spread**2 / len(d)),
                    (
                        "The pairs are torn apart: this is the error for other seeds in a than in b. A seed "
                        "is easy or hard for both, so take the spread of b - a.",
                        lambda got, a=a, b=b: any(
                            np.allclose(got, math.sqrt((a.var(ddof=k) + b.var(ddof=k)) / len(a)))
                            for k in (0, 1)
                        ),
                    ),
                ],
            },
            tol=1e-9,
        )


def _first_step(w, g, lr, decay, decoupled):
    """One weight at a time, from Adam's own formulas at t = 1."""
    out = []
    for weight, slope in zip(w.tolist(), g.tolist(), strict=True):
        slope = slope if decoupled else slope + decay * weight
        m, v = 0.1 * slope / (1 - 0.9), 0.001 * slope**2 / (1 - 0.999)  # both unbiased
        step = m / (math.sqrt(v) + 1e-8)
        out.append(weight - lr * step - (lr * decay * weight if decoupled else 0))
    return np.array(out)


@check(
    "8.2",
    tested="the two weights on paper both ways, gradients of both signs, 4 random cases both ways, no decay",
    hints=(
        "For L2: g = g + weight_decay * w, then u = g / (abs(g) + 1e-8), then one step. Decoupled: u comes "
        "from the plain g, and the decay joins afterwards.",
        "Decoupled: w - lr * (u + weight_decay * w), with w as it was before the step in both places.",
    ),
)
def first_step(answer):
    """w (D,), g (D,), lr, weight_decay, decoupled → w after the first step (D,)"""
    rng = np.random.default_rng(82)
    hand = np.array([2.0, -1.0]), np.array([0.5, 0.1])
    cases = [(*hand, 0.1, 0.5, True), (np.array([1.0, 3.0]), np.array([0.5, -0.1]), 0.1, 0.5, True)]
    for size, decay in ((3, 0.5), (1, 2.0), (6, 1.0), (7, 0.0)):
        w, g = rng.normal(size=(2, size))
        cases += [(w, g, 0.02, decay, decoupled) for decoupled in (True, False)]
    cases.insert(2, (*hand, 0.1, 0.5, False))  # after a gradient of both signs
    for w, g, lr, decay, decoupled in cases:
        u = g / (np.abs(g) + 1e-8)
        mixed = g + decay * w
        slope = g if decoupled else mixed
        no_abs = w - lr * (g / (g + 1e-8) + decay * w)
        joined = w - lr * decay * w if decoupled else w
        mistakes = [
            (
                "The absolute value is missing below the line: u = g / (|g| + 1e-8) keeps g's sign.",
                no_abs if decoupled and (g < 0).any() and (g > 0).any() else None,
            ),
            (
                "The running means still lean to their start at 0: in the first step take g and g² "
                "themselves.",
                joined - lr * 0.1 * slope / (np.sqrt(0.001) * np.abs(slope) + 1e-8),
            ),
            (
                "This is the step of the other kind, or the two ways are swapped: decoupled, the decay stays "
                "out of Adam's fraction; else it goes in.",
                _first_step(w, g, lr, decay, not decoupled),
            ),
            (
                "No decay at all arrives here, or so little that no sign turns: with L2 it is g + "
                "weight_decay · w, unscaled."
                if not decoupled
                else "No decay at all arrives here: that is Adam without weight decay.",
                _first_step(w, g, lr, 0, 1),
            ),
            (
                "Decay with the wrong sign: it should pull the weights towards 0, not away.",
                _first_step(w, g, lr, -decay, decoupled),
            ),
            (
                "The step goes uphill: subtract lr · u.",
                w + lr * (u - decay * w if decoupled else mixed / np.abs(mixed)),
            ),
        ]
        if decoupled:
            mistakes += [
                (
                    "The decay goes in twice, into the gradient and beside it. Decoupled, u comes from the "
                    "plain g.",
                    w - lr * mixed / (np.abs(mixed) + 1e-8) - lr * decay * w,
                ),
                (
                    "The decay is not multiplied by the learning rate. In AdamW it is lr · weight_decay · w.",
                    w - lr * u - decay * w,
                ),
                (
                    "The decay took the weight after Adam's step; it should see w as it was before.",
                    (w - lr * u) * (1 - lr * decay),
                ),
                (
                    "The gradient went in as it is: that is SGD. Adam's first step is u = g / (|g| + 1e-8).",
                    w - lr * (g + decay * w),
                ),
            ]
        else:
            mistakes += [
                (
                    "The gradient went in as it is: that is SGD. Adam divides it by |g| in its first step.",
                    w - lr * mixed,
                ),
                (
                    "The fraction divides by the old |g|: with L2, Adam sees g + weight_decay · w above and "
                    "below.",
                    w - lr * mixed / (np.abs(g) + 1e-8),
                ),
            ]
        inputs = {"w": w, "g": g, "lr": lr, "weight_decay": decay, "decoupled": decoupled}
        expect(answer, inputs, _first_step(w, g, lr, decay, decoupled), mistakes)


def _batch_norm(x, gamma, beta, mean, var, training):
    """Channel by channel, in plain sums."""
    y, mean, var = np.zeros(x.shape), mean.copy(), var.copy()
    for c in range(x.shape[1]):
        values = x[:, c].ravel().tolist()
        centre, width = mean[c], var[c]
        if training:
            centre = math.fsum(values) / len(values)
            squares = math.fsum((value - centre) ** 2 for value in values)
            width = squares / len(values)
            mean[c] = 0.9 * mean[c] + 0.1 * centre
            var[c] = 0.9 * var[c] + 0.1 * squares / (len(values) - 1)
        y[:, c] = gamma[c] * (x[:, c] - centre) / math.sqrt(width + 1e-5) + beta[c]
    return y, mean, var


@check(
    "8.3",
    tested="the two numbers on paper, 4 other shapes in both modes, a batch of one in evaluation mode",
    hints=(
        "x.mean(axis=(0, 2, 3), keepdims=True) has shape (1, C, 1, 1), and gamma[:, None, None] meets "
        "(N, C, H, W) rightly. In evaluation the given mean and var take the place of the batch's.",
        "Two variances: normalise with x.var(axis=(0, 2, 3)); remember x.var(axis=(0, 2, 3), ddof=1), as "
        "0.9 · old + 0.1 · new. In evaluation return mean and var as they came.",
    ),
)
def batch_norm(answer):
    """x (N, C, H, W), gamma, beta, mean, var (C,), training → y, mean, var"""
    rng = np.random.default_rng(83)
    one = np.ones(1)
    cases = [(np.array([1.0, 3.0]).reshape(2, 1, 1, 1), one, 0 * one, 0 * one, one, True)]
    for n, c, h, w in ((3, 2, 2, 6), (7, 3, 3, 2), (2, 6, 2, 3), (1, 3, 2, 7)):
        x = rng.normal(2, 3, (n, c, h, w))
        gamma, beta, mean = rng.normal(size=(3, c))
        cases += [
            (x, gamma, beta, mean, rng.uniform(0.5, 2, c), training)
            for training in ([False] if n == 1 else [True, False])
        ]
    cases.append(
        (np.full((2, 1, 2, 3), 5.0) + 1e-3 * rng.normal(size=(2, 1, 2, 3)), one, one, one, one, True)
    )
    for x, gamma, beta, mean, var, training in cases:
        right = _batch_norm(x, gamma, beta, mean, var, training)
        other = _batch_norm(x, gamma, beta, mean, var, not training) if x.size > x.shape[1] else right
        axes, g, b = (0, 2, 3), gamma[:, None, None], beta[:, None, None]
        of = {"axis": axes, "keepdims": True}

        def norm(centre, width, x=x, g=g, b=b):
            return g * (x - centre) / np.sqrt(width + 1e-5) + b

        used = (x.mean(**of), x.var(**of)) if training else (mean[:, None, None], var[:, None, None])
        with np.errstate(all="ignore"):
            y = norm(x.mean(**of), x.var(**of))
            ways = {
                "unbiased": norm(x.mean(**of), x.var(**of, ddof=1)),
                "images": norm(x.mean(axis=0), x.var(axis=0)),
                "each": norm(x.mean(axis=(2, 3), keepdims=True), x.var(axis=(2, 3), keepdims=True)),
                "all": norm(x.mean(), x.var()),
                "no root": g * (x - x.mean(**of)) / (x.var(**of) + 1e-5) + b,
                "no eps": g * (x - used[0]) / np.sqrt(used[1]) + b,
                "eps out": g * (x - used[0]) / (np.sqrt(used[1]) + 1e-5) + b,
                "plain": (y - b) / g,
            }
        centre, biased = x.mean(axis=axes), x.var(axis=axes)
        new = biased * (m := x.size // x.shape[1]) / max(m - 1, 1)
        mode = (
            "In training mode, normalise with the mean and variance of this batch, not the remembered ones."
            if training
            else "In evaluation mode, normalise with the remembered mean and var: the answer for an image "
            "must not depend on its neighbours in the batch."
        )
        mistakes = {
            "y": [
                (mode, other[0]),
                (
                    "Here the batch was normalised with the variance over n - 1. That one is for the memory; "
                    "to normalise, divide by n.",
                    ways["unbiased"],
                ),
                (
                    "Each pixel got statistics of its own. A channel shares them: average over axes 0, 2, 3.",
                    ways["images"],
                ),
                (
                    "Each image got statistics of its own; that is another layer. Average over the batch.",
                    ways["each"],
                ),
                ("All channels share one mean: keep axis 1.", ways["all"]),
                ("Divided by the variance: take its square root.", ways["no root"]),
                (
                    "The 1e-5 belongs under the root, added to the variance: look at a channel that hardly "
                    "varies.",
                    lambda got, w=ways: any(np.allclose(got, w[k], rtol=1e-9) for k in ("no eps", "eps out")),
                ),
                ("gamma and beta are missing: scale and shift after normalising.", ways["plain"]),
                ("beta is missing: add it after scaling by gamma.", right[0] - b),
                ("gamma scales beta too here: shift after scaling, gamma · x̂ + beta.", right[0] - b + g * b),
                (
                    "Normalised with the memory after its update. In training mode only this batch counts.",
                    norm(right[1][:, None, None], right[2][:, None, None]) if training else None,
                ),
                (
                    "These are float32, too coarse for a channel that hardly varies: stay in the inputs' "
                    "float64.",
                    lambda got: got.dtype == np.float32,
                ),
            ],
            "mean": [
                (
                    "0.9 and 0.1 are swapped: the memory moves a tenth of the way to the new batch.",
                    0.1 * mean + 0.9 * centre,
                ),
                ("The memory is replaced by this batch: move a tenth of the way only.", centre),
                ("In training mode the memory moves: 0.9 · mean + 0.1 · the batch's mean.", mean),
                ("mean and var come in the wrong order: return y, mean, var.", right[2]),
                ("Evaluation must leave the memory alone.", 0.9 * mean + 0.1 * centre),
            ],
            "var": [
                (
                    "The memory takes the variance over n - 1 (unbiased), this is the one over n. They part "
                    "most in small batches.",
                    0.9 * var + 0.1 * biased,
                ),
                (
                    "0.9 and 0.1 are swapped: the memory moves a tenth of the way to the new batch.",
                    0.1 * var + 0.9 * new,
                ),
                (
                    "The memory keeps a variance, this is made of the spread: no root here.",
                    0.9 * var + 0.1 * np.sqrt(new),
                ),
                ("In training mode the variance is remembered too: 0.9 · var + 0.1 · the new one.", var),
                ("Evaluation must leave the memory alone.", 0.9 * var + 0.1 * new),
            ],
        }
        names = ("x", "gamma", "beta", "mean", "var", "training")
        inputs = dict(zip(names, (x, gamma, beta, mean, var, training), strict=True))
        expect(answer, inputs, dict(zip(("y", "mean", "var"), right, strict=True)), mistakes, tol=1e-5)


def _stop(losses, patience, better=lambda new, best: new < best, spare=0):
    """Walk through the epochs, remembering the best so far; stop when it is too long ago."""
    best, keep = math.inf, 0
    for epoch, loss in enumerate(losses, 1):
        if better(loss, best):
            best, keep = loss, epoch
        if epoch - keep >= patience + spare:
            return keep, epoch
    return keep, len(losses)


def _stop_at_rises(losses, patience):
    """Stop after `patience` rises in a row; what was the lowest until then."""
    rises, last = 0, len(losses)
    for epoch in range(2, len(losses) + 1):
        rises = rises + 1 if losses[epoch - 1] >= losses[epoch - 2] else 0
        if rises == patience:
            last = epoch
            break
    return int(np.argmin(losses[:last])) + 1, last


def _stop_without_reset(losses, patience):
    """Count every epoch without a new lowest, even if a new lowest came in between."""
    best, keep, waited = math.inf, 0, 0
    for epoch, loss in enumerate(losses, 1):
        if loss < best:
            best, keep = loss, epoch
        else:
            waited += 1
        if waited == patience:
            return keep, epoch
    return keep, len(losses)


@check(
    "8.4",
    tested="the seven epochs on paper, losses that only fall, ties, patience 1 to 4, 20 random curves",
    hints=(
        "Walk through the losses in order, with two variables: the lowest so far, and its epoch.",
        "After each epoch: if epoch - keep == patience, return keep, epoch. If the loop ends, the last epoch "
        "is len(val_losses).",
    ),
)
def early_stopping(answer):
    """val_losses (E,), patience → epoch to keep, last epoch trained, both counted from 1"""
    rng = np.random.default_rng(86)
    cases = [(np.array([0.9, 0.7, 0.8, 0.75, 0.76, 0.77, 0.6]), 2), (np.array([0.9, 0.8, 0.7]), 1)]
    cases += [(np.array([0.5, 0.4, 0.4, 0.4, 0.3]), 2), (np.array([0.5, 0.6, 0.7]), 4)]
    cases += [(rng.random(k % 6 + 5).round(1), k % 4 + 1) for k in range(20)]
    for losses, patience in cases:
        keep, last = _stop(losses, patience)
        late = _stop(losses, patience, spare=1)
        ties = _stop(losses, patience, better=lambda new, best: new <= best)
        rises = _stop_at_rises(losses, patience)
        unset = _stop_without_reset(losses, patience)
        slips = (
            "A tie is not an improvement: only a lower loss counts, with <.",
            "Patience was not reset: a new lowest loss starts the waiting afresh, at 0.",
        )
        expect(
            _unpacked(answer),
            {"val_losses": losses, "patience": patience},
            {"keep": keep, "last": last},
            mistakes={
                "keep": [
                    (slips[0], lambda got, t=ties, k=keep: got == t[0] != k),
                    (slips[1], lambda got, u=unset, k=keep: got == u[0] != k),
                    ("Epochs count from 1 here: the first loss is epoch 1.", keep - 1),
                    (
                        "That epoch comes after training should have ended. Whoever trains cannot see the "
                        "future: stop when patience runs out.",
                        lambda got, x=losses, last=last: got == np.argmin(x) + 1 and got > last,
                    ),
                    ("The epoch where training stopped is worse than the best: keep the lowest loss.", last),
                    (
                        "Compare with the lowest loss so far, not with the epoch before: losses jitter.",
                        lambda got, r=rises, k=keep: got == r[0] != k,
                    ),
                    ("One epoch too patient: stop after `patience` epochs without a new lowest.", late[0]),
                ],
                "last": [
                    (
                        "There is no such epoch: if patience never runs out, the last is len(val_losses).",
                        lambda got, x=losses: got > len(x),
                    ),
                    (slips[0], lambda got, t=ties, x=last: got == t[1] != x),
                    (slips[1], lambda got, u=unset, x=last: got == u[1] != x),
                    ("Epochs count from 1 here: the first loss is epoch 1.", last - 1),
                    (
                        "Compare with the lowest loss so far, not with the epoch before: 0.75 after 0.8 is "
                        "no record if 0.7 came earlier.",
                        lambda got, r=rises, s=late[1]: got == r[1] and r[1] != s,
                    ),
                    ("One epoch too patient: stop after `patience` epochs without a new lowest.", late[1]),
                    ("Training goes on to the end here: stop when patience runs out.", len(losses)),
                    ("Training stops `patience` epochs after the best one; this is the best itself.", keep),
                ],
            },
        )


@check(
    "8.5",
    tested="the six images on paper, 4 other sets of 2 to 6 groups, groups of very unequal size",
    hints=(
        "For one group: right[groups == name].mean().",
        "np.unique(groups) gives the names that occur. Make a list with one accuracy each; its mean and its "
        "smallest are the answer.",
    ),
)
def balanced_accuracy(answer):
    """right (N,) of booleans, groups (N,) of str → mean of the groups' accuracies, the lowest of them"""
    rng = np.random.default_rng(87)
    cases = [(np.array([1, 1, 1, 0, 0, 1], bool), np.array(["sans"] * 4 + ["mono"] * 2))]
    for count, size in ((2, 30), (3, 60), (6, 100), (3, 7)):
        names = np.array(["sans", "mono", "serif", "display", "handwriting", "stencil"])[:count]
        groups = rng.permutation(np.concatenate([names, rng.choice(names, size, p=_uneven(count))]))
        cases.append((rng.random(len(groups)) < np.where(groups == "sans", 0.9, 0.5), groups))
    for right, groups in cases:
        shares = []
        for name in sorted(set(groups.tolist())):
            hits = [bool(r) for r, group in zip(right, groups, strict=True) if group == name]
            shares.append(sum(hits) / len(hits))
        sizes = [int(np.sum(groups == name)) for name in sorted(set(groups.tolist()))]
        empty = (
            "nan, the mean of no images: is it a group that does not occur? np.unique(groups) has those "
            "that do.",
            lambda got: got.shape == () and np.isnan(got),
        )
        expect(
            _unpacked(answer),
            {"right": right, "groups": groups},
            {"balanced": sum(shares) / len(shares), "worst": min(shares)},
            mistakes={
                "balanced": [
                    empty,
                    (
                        "That is the plain accuracy: the largest group has the most votes. Take one accuracy "
                        "a group, then their mean.",
                        right.mean(),
                    ),
                    (
                        "Each group is divided by the number of all images: divide by its own size.",
                        right.sum() / len(right) / len(shares),
                    ),
                    ("A sum of accuracies: divide by the number of groups.", sum(shares)),
                    ("Divided by 5. Count the groups that occur: len(np.unique(groups)).", sum(shares) / 5),
                    ("That is the median of the groups: take their mean.", np.median(shares)),
                    ("The worst comes second: return the mean of the groups first.", min(shares)),
                    (
                        "One number a group came back: return their mean, and the lowest.",
                        lambda got, s=shares: got.shape == (len(s),),
                    ),
                ],
                "worst": [
                    empty,
                    ("That is the gap between best and worst: return the worst.", max(shares) - min(shares)),
                    ("That is the best group; who is left out?", max(shares)),
                    (
                        "That is a name or a place: return the accuracy of the worst group.",
                        lambda got, s=shares: got == int(np.argmin(s)),
                    ),
                    (
                        "That is the smallest group. The worst is the one with the lowest accuracy.",
                        shares[int(np.argmin(sizes))],
                    ),
                    ("A share of mistakes: return the accuracy.", 1 - min(shares)),
                ],
            },
        )


def _uneven(count):
    weights = 0.5 ** np.arange(count)
    return weights / weights.sum()
