"""Checks of chapter 02: softmax, cross-entropy, their gradients, mini-batches, the confusion matrix."""

import math
from itertools import islice

import numpy as np

from helpers.checks._report import Failed, _refuse_changed_inputs, call, check, describe, expect
from helpers.gradcheck import numeric_gradient

EXAMPLE = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
SHAPES = ((6, 3), (3, 7), (1, 6), (7, 2), (3, 3))
OVERFLOW = "nan or inf: exp of a large logit overflowed. Subtract the largest logit of each row before exp."


def _probabilities(Z):
    """Softmax of each row, number by number, in plain Python."""
    rows = [[math.exp(z - max(row)) for z in row] for row in Z.tolist()]
    return np.array([[e / math.fsum(row) for e in row] for row in rows])


def _prices(Z, t):
    """−ln p of the true class of each row."""
    return np.array([math.log(math.fsum(math.exp(z - row[k]) for z in row)) for row,
                     k in zip(Z.tolist(), t, strict=True)])


def _cases(seed):
    """The example, then random logits of several shapes, each with labels."""
    rng = np.random.default_rng(seed)
    yield EXAMPLE, np.array([1, 0])
    for N, K in SHAPES:
        yield 2 * rng.standard_normal((N, K)), rng.integers(K, size=N)


def _not_finite(got):
    return not np.isfinite(got).all()


KEEPDIMS = (r"^ValueError: operands.*\(\d+,\)",
            "keepdims=True is missing: a maximum or sum over axis=1 has shape (N,), which meets the columns "
            "of Z. With keepdims it has shape (N, 1), one number for each row.")
UNSOLVED = ("^Exercise 2.1", "Your answer calls the softmax of exercise 2.1, which is not written yet: "
                             "np.exp(log_softmax(Z)) does its work.")
IN_STEP = "indexing arrays", "Two index lists walk in step: np.arange(N) and t, both of length N = len(t)."
WHOLE_ROWS = ("log_P[t] takes whole rows, row number t[n]. Name the row and the column of each entry: "
              "log_P[np.arange(N), t].")
UNEQUAL = ("A product A @ B sums over the last axis of A and the first of B: both must be the images' "
           "axis N. Which of the two matrices do you turn?")
OVER_IMAGES = ("argmax ran over the images: the classes of one image lie along axis 1, so there are N "
               "decisions, Z.argmax(axis=1).")
LABEL = 100  # of row 0 in exercise 2.5, so that no label is a row number


@check("2.1", tested="two rows by hand, 5 random shapes, logits of ±1000",
       hints=("On paper, for the row (1000, 1001, 1002): which three exponentials are left after the "
              "shift, and what is their sum?",
              "Z.max(axis=1, keepdims=True) has shape (N, 1), so Z minus it works row by row; so does "
              "the sum."))
def softmax(answer):
    """logits (N, K) → probabilities (N, K)"""
    for Z, _ in _cases(1):
        e = np.exp(Z)
        mistakes = [
            ("Each column sums to 1, each row should: that is the softmax over axis 0.\n"
             "The classes of one image lie along axis 1.", e / e.sum(axis=0)),
            ("Everything together sums to 1: the sum ran over the whole batch. Each row has its own "
             "total: axis=1.",
             e / e.sum()),
            ("exp alone: divide each row by its sum.", e),
            ("exp of the shifted logits alone: divide each row by its sum.",
             np.exp(Z - Z.max(axis=1, keepdims=True))),
            ("These are the logarithms of the probabilities: return the probabilities.",
             np.log(_probabilities(Z)))]
        if Z.shape[0] == Z.shape[1]:  # where a missing keepdims raises no error
            hint = "keepdims=True is missing: without it the rows' totals (N,) line up with the columns."
            shifted = np.exp(Z - Z.max(axis=1))
            stable = np.exp(Z - Z.max(axis=1, keepdims=True))
            mistakes += [(hint, e / e.sum(axis=1)), (hint, stable / stable.sum(axis=1)),
                         (hint, shifted / shifted.sum(axis=1, keepdims=True))]
        expect(answer, {"Z": Z}, errors=[KEEPDIMS], want=_probabilities(Z), mistakes=mistakes, tol=1e-5)
    large = np.array([[1000.0, 1001.0, 1002.0], [-1000.0, -1001.0, -1002.0]])
    expect(answer, {"Z": large}, want=_probabilities(large), tol=1e-5, mistakes=[
        ("The row of small logits came to nothing: the maximum was taken over the whole batch. Each row "
         "has its own.",
         lambda got: np.isfinite(got[0]).all() and not np.isclose(got[1].sum(), 1)),
        (OVERFLOW, _not_finite)])


@check("2.2", tested="two rows by hand, 5 random shapes, logits 800 apart",
       hints=("log-softmax first: Z minus its maximum, minus the logarithm of the sum of exponentials, "
              "row by row.",
              "Then pick one entry a row, log_P[np.arange(len(t)), t], and return minus the mean."))
def cross_entropy(answer):
    """logits (N, K), labels (N,) → mean −ln p"""
    hand = np.array([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0]]), np.array([0, 2])
    for Z, t in (hand, *_cases(2)):
        N, K = Z.shape
        prices, log_P, e = _prices(Z, t), np.log(_probabilities(Z)), np.exp(Z)
        highest = Z.max(axis=1)
        want, rows = prices.mean(), np.arange(N)
        mistakes = [
            ("The losses of the batch are summed: take their mean, 1/N of the sum.", prices.sum()),
            ("One loss per image: return their mean, a single number.", prices),
            ("The mean ran over all N·K entries. Only the N entries of the true classes count: divide "
             "by N.", want / K),
            ("Every class's −ln p went into the mean. Only the true class of each image counts.",
             -log_P.mean()),
            ("The sign: ln p is negative, the loss is −ln p.", -want),
            ("The logarithm has base 2 (bits): use np.log, which counts in nats.", want / math.log(2)),
            ("The logarithm has base 10: use np.log, which counts in nats.", want / math.log(10)),
            ("This is 1 − p of the true class; the price is −ln p.", (1 - np.exp(-prices)).mean()),
            ("Softmax over the wrong axis: the classes of one image lie along axis 1.",
             -np.log((e / e.sum(axis=0))[rows, t]).mean()),
            ("log_P[:, t] takes all columns of t for every row, an (N, N) array. Give the rows too: "
             "log_P[np.arange(N), t].", -log_P[:, t].mean()),
            ("The wrong class's entry was read: labels count from 0.", -log_P[rows, t - 1].mean()),
            ("The logits were picked, not the logarithms of probabilities: subtract each row's log-sum-exp.",
             -Z[rows, t].mean()),
            ("The maximum is subtracted inside the log-sum-exp only: subtract it from z too, or add it back.",
             (prices - highest).mean()),
            ("The maximum is subtracted from z only: the log-sum-exp needs the shifted logits too.",
             (prices + highest).mean())]
        if t.max() < N:
            mistakes.append((WHOLE_ROWS, -log_P[t].mean()))
        expect(answer, {"Z": Z, "t": t}, errors=[IN_STEP, ("^IndexError", WHOLE_ROWS), KEEPDIMS, UNSOLVED],
                want=want, mistakes=mistakes, tol=1e-5)
    far, t = np.array([[0.0, 800.0], [1000.0, 0.0]]), np.array([0, 0])
    expect(answer, {"Z": far, "t": t}, want=400.0, tol=1e-5, mistakes=[
        ("p was rounded to 0, or exp overflowed, before the logarithm. Do not take log of a softmax:\n"
         "z − max − log(sum(exp(z − max))) stays finite.", _not_finite),
        ("Something small added to p, or a clip, caps the loss: nothing is learned from the worst mistakes. "
         "Use log-softmax instead.", lambda got: 0 < got < 399)])


@check("2.3", tested="two rows by hand, 5 shapes against the numeric gradient, logits of 1000",
       hints=("Start from the probabilities: P = np.exp(log_softmax(Z)), or your softmax once it passes.",
              "Copy P, subtract 1 at [np.arange(N), t], divide everything by N."))
def logits_gradient(answer):
    """logits (N, K), labels (N,) → (P − Y)/N"""
    errors = [UNSOLVED, KEEPDIMS, IN_STEP,
              ("^ValueError: operands", "P and Y have different shapes. Y has as many columns as Z, not "
                                        "always 10, nor as many as t has values: np.eye(Z.shape[1])[t]."),
              ("^IndexError", "An index lies outside: P[t] reads rows, P[np.arange(N), t] one entry of each "
                              "row; np.eye(K)[t] needs K = Z.shape[1].")]
    for Z, t in _cases(3):
        N, K = Z.shape
        P, Y, e = _probabilities(Z), np.eye(K)[t], np.exp(Z)
        want = numeric_gradient(lambda Z, t=t: _prices(Z, t).mean(), Z)
        mistakes = [
            ("1/N is missing: the loss is a mean, so each image counts 1/N.", P - Y),
            ("Divided by N·K: the mean runs over the N images, not over the classes.", (P - Y) / (N * K)),
            ("The sign: the gradient points uphill, P − Y. The minus comes with the step.", (Y - P) / N),
            ("Y weighs too much: the one-hot rows were subtracted twice, or P alone was divided by N.",
             (P - 2 * Y) / N),
            ("The one-hot rows are not subtracted: what was true is missing.", P / N),
            ("Only Y is divided by N: both P and Y are, (P − Y)/N.", P - Y / N),
            ("Softmax over the wrong axis: the classes of one image lie along axis 1.",
             (e / e.sum(axis=0) - Y) / N),
            ("P[:, t] changes the columns of t in every row. Give the rows too: P[np.arange(N), t].",
             (P - (Y.sum(axis=0) > 0)) / N),
            ("P[t] -= 1 changes whole rows, row number t[n]. Name row and column: P[np.arange(N), t].",
             (P - np.isin(np.arange(N), t)[:, None]) / N),
            ("The logits were used where the probabilities belong: softmax first.", (Z - Y) / N)]
        expect(answer, {"Z": Z, "t": t}, errors=errors, want=want, mistakes=mistakes, tol=1e-5)
    large = np.array([[1000.0, 0.0, 1000.0], [-1000.0, -1000.0, -1000.0]])
    want = np.array([[0.25, 0, -0.25], [1 / 6, -1 / 3, 1 / 6]])
    expect(answer, {"Z": large, "t": np.array([2, 1])}, want=want, mistakes=[(OVERFLOW, _not_finite)],
           tol=1e-5)


@check("2.4", tested="the worked example, 5 random shapes, a batch of 1",
       hints=("One image first: np.outer(G[n], X[n]) is its share of dW, (K, D). The product adds "
              "the shares up.",
              "G.T @ X is (K, N) times (N, D). The bias gradient sums G over the images, axis 0."))
def layer_gradients(answer):
    """G (N, K), X (N, D) → dW (K, D), db (K,)"""
    rng = np.random.default_rng(4)
    cases = [(np.array([[1.0, -1.0], [2.0, 0.0]]), np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]))]
    cases += [(rng.standard_normal((N, K)), rng.standard_normal((N, D)))
              for N, K, D in ((6, 3, 7), (7, 2, 3), (3, 3, 3), (1, 6, 2), (2, 7, 6))]
    for G, X in cases:
        dW = np.array([[sum(G[n, k] * X[n, d] for n in range(len(G))) for d in range(X.shape[1])]
                       for k in range(G.shape[1])])
        db = np.array([sum(column) for column in G.T.tolist()])
        averaged = "Divided by N once more: the 1/N of the mean is already inside G."
        no_transpose = G @ X if G.shape[1] == len(X) else np.nan
        mistakes = {"dW": [
            ("This is dW transposed: it must have W's shape (K, D). Turn the product round: G.T @ X.", dW.T),
            (averaged, dW / len(G)), ("The sign: a gradient carries no minus; the step does.", -dW),
            ("G @ X without the transpose: the axis summed over must be the images' axis N, so G.T @ X.",
             no_transpose)],
            "db": [("The bias gradient has one number per class: sum over the images (axis 0), not over "
                    "the classes.", G.sum(axis=1)),
                   ("One number for all classes: sum over the images only, axis=0.", G.sum()),
                   (averaged, db / len(G)),
                   ("db must have the bias's shape (K,): drop keepdims.", db[None])]}
        expect(answer, {"G": G, "X": X}, errors=[("^ValueError: (matmul|shapes|operands)", UNEQUAL)],
                want={"dW": dW, "db": db}, mistakes=mistakes, tol=1e-5)


@check("2.5", tested="7 rows in batches of 3, 6 in batches of 3, one large batch, 20 seeds",
       hints=("Draw one permutation first; then a loop over range(0, N, batch_size).",
              "rows = order[start:start + batch_size]; yield X[rows], t[rows]. A slice past the end is "
              "cut off by itself."))
def minibatches(answer):
    """X (N, D), t (N,), batch_size, rng → pairs of batches"""
    for N, size, want in ((7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 6, [2])):
        _check_cover(answer, N, size, want)
    orders = [_order(answer, seed) for seed in range(20)]
    if all(sum(order, []) == list(range(7)) for order in orders):
        raise Failed("The order never changes: nothing is shuffled.", "20 seeds",
                     "another order for each", "0, 1, 2, …")
    if all(set(order[0]) == {0, 1, 2} for order in orders):
        raise Failed("Rows are shuffled inside a batch only: each batch always holds the same ones. Shuffle "
                     "all rows first, then cut.", "20 seeds", "other rows each time", "always rows 0, 1, 2")
    if all(max(batch) - min(batch) == len(batch) - 1 for order in orders for batch in order):
        raise Failed("The batches come in random order, but each holds neighbours: shuffle the rows, not "
                     "the batches.", "20 seeds", "batches of mixed rows", f"rows {orders[0]}")
    if orders[0] == orders[1] == orders[2]:
        raise Failed("Three generators with different seeds gave one order: use the rng that is handed in, "
                     "do not make one with a fixed seed inside.", "seeds 0, 1, 2", "three orders",
                     f"{orders[0]} each time")
    again = _order(answer, 0)
    if again != orders[0]:
        raise Failed("The same seed gave another order: draw from the rng that is handed in, not from "
                     "np.random.", "seed 0, twice", f"{orders[0]}", f"{again}")


def _order(answer, seed):
    """The row numbers of each batch when 7 rows are cut into batches of 3."""
    return [(t - LABEL).tolist() for _, t in _batches(answer, 7, 3, np.random.default_rng(seed))]


def _batches(answer, N, size, rng):
    """The pairs yielded for rows (n, 10 n), labels LABEL + n, as arrays; Failed where they are no pairs."""
    X, t = np.outer(np.arange(N), [1.0, 10.0]), np.arange(N) + LABEL
    given = f"X = rows [n 10n], t = {LABEL} + n for n = 0 … {N - 1}, batch_size = {size}"
    arguments = [X.copy(), t.copy(), size, rng]
    try:
        pairs = call(lambda *a: list(islice(call(answer, a, given), 10 * N)), arguments, given)
    except Failed as fact:
        if not fact.got.startswith("IndexError"):
            raise
        raise Failed("An index is no row number: rng.permutation(len(X)) draws the numbers 0 … N−1, "
                     "rng.permutation(X) or (t) the rows or labels themselves.", given, fact.expected,
                     fact.got) from None
    _refuse_changed_inputs({"X": X, "t": t}, arguments[:2], given)
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise Failed("Yield pairs: yield X_batch, t_batch.", given, "(X_batch, t_batch)", describe(pair))
    pairs = [tuple(call(np.asarray, [part], given) for part in pair) for pair in pairs]
    for X_batch, t_batch in pairs:
        if X_batch.shape != (*t_batch.shape, 2):
            raise Failed("A batch of B rows is X_batch of shape (B, D) and t_batch of shape (B,).", given,
                         "as many labels as rows", f"shapes {X_batch.shape} and {t_batch.shape}")
    return pairs


def _check_cover(answer, N, size, want):
    """Each row once, with its own label, in batches of `want` rows."""
    pairs = _batches(answer, N, size, np.random.default_rng(5))
    sizes, given = [len(t) for _, t in pairs], f"{N} rows, batch_size = {size}"
    shown = given, f"batches of {want} rows", f"batches of {sizes} rows"
    for X_batch, t_batch in pairs:
        if not np.array_equal(X_batch[:, 0] + LABEL, t_batch):
            raise Failed("Images and labels were shuffled apart: draw one permutation and index both with "
                         "it.", given, f"row n with label {LABEL} + n",
                         f"rows {X_batch[:, 0]} with labels {t_batch}")
    if 0 in sizes:
        raise Failed("The last batch is empty: stop when no rows are left.", *shown)
    if sum(sizes) < N and sizes == want[:len(sizes)]:
        raise Failed("The last, smaller batch is missing: its rows would never be learned from.", *shown)
    drawn = sorted(label - LABEL for _, t in pairs for label in t.tolist())
    if drawn != list(range(N)):
        raise Failed("Some rows come twice, or not at all. An epoch sees each row once: cut one permutation "
                     "into pieces, do not draw each batch anew.", given, f"each of 0 … {N - 1} once",
                     f"rows {drawn}")
    if sizes != want:
        raise Failed("Every batch has batch_size rows, except the last, which holds the rest.", *shown)


@check("2.6", tested="the worked example, 5 random shapes with repeated pairs, a class that never occurs",
       hints=("The decision of row n is Z[n].argmax(). Start from np.zeros((K, K), dtype=int).",
              "For each n add 1 to counts[t[n], decision]. np.add.at(counts, (t, decisions), 1) does it "
              "without a loop."))
def confusion_matrix(answer):
    """logits (N, K), labels (N,) → counts (K, K)"""
    hand = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [5.0, 9.0, 7.0]]), np.array([0, 1, 2])
    rng = np.random.default_rng(6)
    absent = np.array([[1.0, 2.0, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]]), np.array([0, 0])
    many = [(rng.standard_normal((20 * N, K)), rng.integers(K, size=20 * N)) for N, K in SHAPES]
    for Z, t in (hand, *many, absent):
        K = Z.shape[1]
        counts = np.zeros((K, K), dtype=int)
        for row, true in zip(Z.tolist(), t.tolist(), strict=True):
            counts[true, row.index(max(row))] += 1
        mistakes = [
            ("Rows and columns are exchanged: the row is the true class, the column the decided one.",
             counts.T),
            ("Every pair is counted once at most: counts[t, d] += 1 with arrays forgets repeats. Use a "
             "loop or np.add.at.",
             np.minimum(counts, 1)),
            ("The right decisions alone are counted: the mistakes belong off the diagonal.",
             np.diag(np.diag(counts))),
            ("The mistakes alone are counted: the right decisions belong on the diagonal.",
             counts - np.diag(np.diag(counts))),
            ("These are shares of all images: return counts.", counts / len(t)),
            ("These are shares of each row: return counts.",
             counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)),
            ("A class that never occurs still has its row and column: K is the number of columns of Z.",
             lambda got, K=K: got.ndim == 2 and got.shape[0] < K),
            ("K is not always 10: it is the number of columns of Z.",
             lambda got, K=K: got.ndim == 2 and got.shape[0] > K)]
        if len(Z) == K:  # where argmax over the wrong axis raises no error
            over_images = np.zeros((K, K), dtype=int)
            np.add.at(over_images, (t, Z.argmax(axis=0)), 1)
            mistakes.append((OVER_IMAGES, over_images))
        if K > 2:
            lowest = np.zeros((K, K), dtype=int)
            np.add.at(lowest, (t, Z.argmin(axis=1)), 1)
            mistakes.append(("The smallest logit decided: take argmax.", lowest))
        errors = [("^IndexError", "An index lies outside of counts. A class that never occurs still has its "
                                  "row and column: K is the number of columns of Z."), UNSOLVED]
        expect(answer, {"Z": Z, "t": t}, errors=errors, want=counts, mistakes=mistakes)
