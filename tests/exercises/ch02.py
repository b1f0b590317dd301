"""Answers to the exercises of chapter 02 on which its checks are tested."""

import numpy as np

from tests.exercises import Case


def _P(Z, axis=1):
    e = np.exp(Z - Z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _log_P(Z):
    Z = Z - Z.max(axis=1, keepdims=True)
    return Z - np.log(np.exp(Z).sum(axis=1, keepdims=True))


def _Y(Z, t):
    return np.eye(Z.shape[1])[t]


def _picked(array, t):
    return array[np.arange(len(t)), t]


def _softmax_by_rows(Z):
    rows = []
    for z in Z:
        e = np.exp(z - max(z))
        rows.append((e / sum(e)).tolist())
    return rows


def _no_keepdims(Z):
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    return (e.T / e.sum(axis=1)).T if len(Z) != Z.shape[1] else e / e.sum(axis=1)


def _naive(Z):
    return np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)


def _global_max(Z):
    e = np.exp(Z - Z.max())
    return e / e.sum(axis=1, keepdims=True)


def _cross_entropy_by_rows(Z, t):
    total = 0.0
    for z, k in zip(Z, t, strict=True):
        total += np.logaddexp.reduce(z) - z[k]
    return total / len(t)


def _gradient_in_place(Z, t):
    G = _P(Z.astype(np.float64))
    G[np.arange(len(t)), t] -= 1
    G /= len(t)
    return G


def _all_rows(Z, t):
    G = _P(Z)
    G[:, t] -= 1
    return G / len(t)


def _batches_by_list(X, t, batch_size, rng):
    order = list(range(len(X)))
    rng.shuffle(order)
    return [(X[order[i:i + batch_size]], t[order[i:i + batch_size]]) for i in range(0, len(X), batch_size)]


def _batches_by_split(X, t, batch_size, rng):
    for rows in np.split(rng.permutation(len(X)), range(batch_size, len(X), batch_size)):
        yield [X[rows], list(t[rows])]


def _cut(order, size):
    return [order[i:i + size] for i in range(0, len(order), size)]


def _batches(rows_of):
    """A generator of batches whose rows come from rows_of(N, batch_size, rng)."""
    def answer(X, t, batch_size, rng):
        for rows in rows_of(len(X), batch_size, rng):
            yield X[rows], t[rows]
    return answer


def _apart(X, t, batch_size, rng):
    of_images, of_labels = (_cut(rng.permutation(len(X)), batch_size) for _ in range(2))
    for a, b in zip(of_images, of_labels, strict=True):
        yield X[a], t[b]


def _in_place(X, t, batch_size, rng):
    order = rng.permutation(len(X))
    X[:], t[:] = X[order], t[order]
    for i in range(0, len(X), batch_size):
        yield X[i:i + batch_size], t[i:i + batch_size]


def _shuffled_batches(N, size, rng):
    pieces = _cut(np.arange(N), size)
    return sorted(pieces, key=lambda piece: (len(piece) < size, rng.random()))  # the short one stays last


def _one_too_many(N, size, rng):
    order = rng.permutation(N)
    return [order[i:i + size] for i in range(0, N + 1, size)]


def _drawn_anew(N, size, rng):
    return [rng.integers(N, size=len(rows)) for rows in _cut(range(N), size)]


def _full_ones(N, size, rng):
    return [rows for rows in _cut(rng.permutation(N), size) if len(rows) == size]


def _shuffled_inside(N, size, rng):
    return [rng.permutation(rows) for rows in _cut(np.arange(N), size)]


def _counts(Z, t, K=None):
    K = K or Z.shape[1]
    counts = np.zeros((K, K), dtype=int)
    np.add.at(counts, (t, Z.argmax(axis=1)), 1)
    return counts


def _forgets_repeats(Z, t):
    counts = np.zeros((Z.shape[1], Z.shape[1]), dtype=int)
    counts[t, Z.argmax(axis=1)] += 1
    return counts


def _unsolved(Z):
    raise NotImplementedError("Exercise 2.1 is yours to write")


def _lists_disagree(Z, t):
    G = _P(Z)
    G[np.arange(10), t] -= 1
    return G / len(t)


def _whole_rows(Z, t):
    G = _P(Z)
    G[t] -= 1
    return G / len(t)


def _by_permuted(of):
    def answer(X, t, batch_size, rng):
        for rows in _cut(rng.permutation(of(X, t)), batch_size):
            yield X[rows], t[rows]
    return answer


CASES = {
    "softmax": Case(
        right=[_softmax_by_rows, lambda Z: np.exp(_log_P(Z)),
               lambda Z: _P(Z.astype(np.float32)), lambda Z: _P(Z.T, axis=0).T],
        wrong=[("softmax over axis 0", lambda Z: _P(Z, axis=0), "over axis 0"),
               ("sum over the whole batch", lambda Z: np.exp(Z) / np.exp(Z).sum(), "whole batch"),
               ("not divided", np.exp, "divide each row"),
               ("shifted, not divided", lambda Z: np.exp(Z - Z.max(axis=1, keepdims=True)),
                "divide each row"),
               ("logarithms", _log_P, "logarithms"),
               ("keepdims missing", _no_keepdims, "keepdims"),
               ("keepdims missing twice", lambda Z: np.exp(Z - Z.max(axis=1)), "keepdims"),
               ("keepdims missing in the sum", lambda Z: np.exp(Z) / np.exp(Z).sum(axis=1), "keepdims"),
               ("forgotten maximum", _naive, "largest logit"),
               ("maximum of the whole batch", _global_max, "whole batch")]),
    "cross_entropy": Case(
        right=[_cross_entropy_by_rows, lambda Z, t: -(_Y(Z, t) * _log_P(Z)).sum() / len(Z),
               lambda Z, t: [float(-_picked(_log_P(Z), t).mean())][0]],
        wrong=[("summed", lambda Z, t: -_picked(_log_P(Z), t).sum(), "take their mean"),
               ("one loss per image", lambda Z, t: -_picked(_log_P(Z), t), "One loss per image"),
               ("mean over N·K", lambda Z, t: -(_Y(Z, t) * _log_P(Z)).mean(), "divide by N"),
               ("all classes", lambda Z, t: -_log_P(Z).mean(), "Only the true class"),
               ("sign", lambda Z, t: _picked(_log_P(Z), t).mean(), "sign"),
               ("bits", lambda Z, t: -_picked(_log_P(Z), t).mean() / np.log(2), "base 2"),
               ("axis 0", lambda Z, t: -_picked(np.log(_P(Z, axis=0)), t).mean(), "wrong axis"),
               ("all columns", lambda Z, t: -_log_P(Z)[:, t].mean(), "Give the rows too"),
               ("log of the wrong class", lambda Z, t: -_picked(_log_P(Z), t - 1).mean(), "wrong class"),
               ("logits picked", lambda Z, t: -_picked(Z, t).mean(), "log-sum-exp"),
               ("half a shift, inside", lambda Z, t: (-_picked(Z, t) + np.log(
                   np.exp(Z - Z.max(axis=1, keepdims=True)).sum(axis=1))).mean(), "log-sum-exp only"),
               ("half a shift, outside", lambda Z, t: (Z.max(axis=1) - _picked(Z, t) + np.log(
                   np.exp(Z).sum(axis=1))).mean(), "from z only"),
               ("whole rows", lambda Z, t: -_log_P(Z)[t].mean(), "whole rows"),
               ("keepdims missing", lambda Z, t: -_picked(Z - np.log(np.exp(Z).sum(axis=1)), t).mean(),
                "keepdims"),
               ("calls the unsolved 2.1", lambda Z, t: -np.log(_picked(_unsolved(Z), t)).mean(),
                "np.exp(log_softmax(Z))"),
               ("log of a softmax", lambda Z, t: -np.log(_picked(_P(Z), t)).mean(), "rounded to 0"),
               ("clipped", lambda Z, t: -np.log(_picked(_P(Z), t) + 1e-12).mean(), "caps the loss")]),
    "logits_gradient": Case(
        right=[_gradient_in_place, lambda Z,
               t: (np.exp(_log_P(Z)) - (t[:, None] == np.arange(Z.shape[1]))) / len(t),
               lambda Z, t: ((_P(Z) - _Y(Z, t)) / len(t)).tolist()],
        wrong=[("1/N missing", lambda Z, t: _P(Z) - _Y(Z, t), "1/N is missing"),
               ("mean over N·K", lambda Z, t: (_P(Z) - _Y(Z, t)) / Z.size, "N·K"),
               ("sign", lambda Z, t: (_Y(Z, t) - _P(Z)) / len(t), "sign"),
               ("one-hot twice", lambda Z, t: (_P(Z) - 2 * _Y(Z, t)) / len(t), "twice"),
               ("one-hot missing", lambda Z, t: _P(Z) / len(t), "not subtracted"),
               ("only P divided", lambda Z, t: _P(Z) / len(t) - _Y(Z, t), "P alone"),
               ("axis 0", lambda Z, t: (_P(Z, axis=0) - _Y(Z, t)) / len(t), "wrong axis"),
               ("columns of every row", _all_rows, "every row"),
               ("calls the unsolved 2.1", lambda Z, t: _unsolved(Z) - _Y(Z, t), "np.exp(log_softmax(Z))"),
               ("ten classes", lambda Z, t: (_P(Z) - np.eye(10)[t]) / len(t), "not always 10"),
               ("K from the labels", lambda Z, t: (_P(Z) - np.eye(len(set(t)))[t]) / len(t), "Z.shape[1]"),
               ("whole rows", _whole_rows, "whole rows"),
               ("keepdims missing", lambda Z, t: (np.exp(Z) / np.exp(Z).sum(axis=1) - _Y(Z, t)) / len(t),
                "keepdims"),
               ("ten rows", _lists_disagree, "walk in step"),
               ("logits for probabilities", lambda Z, t: (Z - _Y(Z, t)) / len(t), "softmax first"),
               ("forgotten maximum", lambda Z, t: (_naive(Z) - _Y(Z, t)) / len(t), "largest logit")]),
    "layer_gradients": Case(
        right=[lambda G, X: (np.einsum("nk,nd->kd", G, X), np.einsum("nk->k", G)),
               lambda G, X: [sum(np.outer(g, x) for g, x in zip(G, X, strict=True)), sum(G)],
               lambda G, X: ((X.T @ G).T, np.ones(len(G)) @ G)],
        wrong=[("dW transposed", lambda G, X: (X.T @ G, G.sum(axis=0)), "transposed"),
               ("averaged again", lambda G, X: (G.T @ X / len(G), G.sum(axis=0)), "already inside G"),
               ("no transpose", lambda G, X: (G @ X, G.sum(axis=0)), "without the transpose"),
               ("db over the classes", lambda G, X: (G.T @ X, G.sum(axis=1)), "over the images"),
               ("db summed entirely", lambda G, X: (G.T @ X, G.sum()), "One number for all"),
               ("db averaged", lambda G, X: (G.T @ X, G.mean(axis=0)), "already inside G"),
               ("db with keepdims", lambda G, X: (G.T @ X, G.sum(axis=0, keepdims=True)), "drop keepdims"),
               ("turned the wrong one", lambda G, X: (G @ X.T, G.sum(axis=0)), "images' axis"),
               ("db missing", lambda G, X: G.T @ X, "2 values")]),
    "minibatches": Case(
        right=[_batches_by_list, _batches_by_split,
               _batches(lambda N, B, rng: _cut(np.argsort(rng.random(N)), B))],
        wrong=[("shuffled apart", _apart, "shuffled apart"),
               ("last batch forgotten", _batches(_full_ones), "smaller batch is missing"),
               ("with replacement", _batches(_drawn_anew), "each row once"),
               ("empty at the end", _batches(_one_too_many), "empty"),
               ("not shuffled", _batches(lambda N, B, rng: _cut(np.arange(N), B)), "nothing is shuffled"),
               ("shuffled inside batches", _batches(_shuffled_inside), "inside a batch only"),
               ("batches shuffled", _batches(_shuffled_batches), "not the batches"),
               ("a seed of its own",
                _batches(lambda N, B, rng: _cut(np.random.default_rng(0).permutation(N), B)), "fixed seed"),
               ("another source",
                _batches(lambda N, B, rng: _cut(np.random.default_rng().permutation(N), B)), "same seed"),
               ("rows drawn as indices", _by_permuted(lambda X, t: X), "no row number"),
               ("labels drawn as indices", _by_permuted(lambda X, t: t), "no row number"),
               ("in place", _in_place, "writes into its input"),
               ("indices only", lambda X, t, B, rng: _cut(rng.permutation(len(X)), B), "Yield pairs")]),
    "confusion_matrix": Case(
        right=[_counts, lambda Z, t: np.eye(Z.shape[1])[t].T @ np.eye(Z.shape[1])[Z.argmax(axis=1)],
               lambda Z, t: np.bincount(t * Z.shape[1] + Z.argmax(axis=1), minlength=Z.shape[1]**2).reshape(
                   Z.shape[1], -1)],
        wrong=[("transposed", lambda Z, t: _counts(Z, t).T, "exchanged"),
               ("repeats forgotten", _forgets_repeats, "forgets repeats"),
               ("right ones only", lambda Z, t: np.diag(np.diag(_counts(Z, t))), "right decisions alone"),
               ("shares", lambda Z, t: _counts(Z, t) / len(t), "shares"),
               ("shares of rows", lambda Z,
                t: _counts(Z, t) / np.maximum(_counts(Z, t).sum(1, keepdims=True), 1), "shares"),
               ("argmax over the images", lambda Z, t: _counts(Z.T, t, Z.shape[1]), "over the images"),
               ("ten classes", lambda Z, t: _counts(Z, t, 10), "not always 10"),
               ("as many classes as labels", lambda Z, t: _counts(Z, t, len(set(t.tolist()))),
                "never occurs"),
               ("argmin", lambda Z, t: _counts(-Z, t), "argmax"),
               ("K from the labels", lambda Z, t: _counts(Z, t, max(t.max(), Z.argmax(axis=1).max()) + 1),
                "never occurs")]),
}
