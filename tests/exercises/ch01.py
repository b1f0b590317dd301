"""Answers to chapter 01."""

import numpy as np

from tests.exercises import Case


def _linear_loops(W, x, b):
    return [b[o] + sum(W[o, d] * x[d] for d in range(len(x))) for o in range(len(b))]


def _bias_each_input(W, x, b):
    return np.array([sum(W[o, d] * x[d] + b[o] for d in range(len(x))) for o in range(len(b))])


def _decide_loops(images, W, b):
    winners = []
    for image in images:
        scores = [np.sum(row.reshape(image.shape) * image) + bias for row, bias in zip(W, b, strict=True)]
        winners.append(scores.index(max(scores)))
    return winners


def _flat(images):
    return images.reshape(len(images), -1)


def _decide_floats(images, W, b):
    winners = np.zeros(len(images))
    for n, image in enumerate(images):
        winners[n] = np.argmax(W @ image.ravel() + b)
    return winners


def _mse_loops(Y_hat, Y):
    return sum((p - t) ** 2 for p, t in zip(Y_hat.flat, Y.flat, strict=True)) / Y_hat.size


def _gradients_loops(X, Y, W, b):
    dW, db = np.zeros(W.shape), np.zeros(b.shape)
    for x, y in zip(X, Y, strict=True):
        g = 2 * (W @ x + b - y) / Y.size
        dW, db = dW + g[:, None] * x[None, :], db + g
    return dW, db


def _gradients_einsum(X, Y, W, b):
    error = np.einsum("ij,kj->ik", X, W) + b - Y
    return np.einsum("ik,ij->kj", error, X) * 2 / Y.size, 2 * error.mean(axis=0) / Y.shape[1]


def _g(X, Y, W, b):
    return 2 / Y.size * (X @ W.T + b - Y)


def _g_of_the_page(X, Y, W, b):
    g = 2 / Y.size * (np.array([[8.0, -3], [-1, -4]]) - Y)  # the page's Y_hat, whatever X is
    return g.T @ X, g.sum(axis=0)


def _scaled(factor):
    return lambda X, Y, W, b: tuple(factor(Y) * d for d in _gradients_loops(X, Y, W, b))


def _measured(f, w, eps=1e-5):
    slopes = []
    for i in range(len(w)):
        step = np.zeros(len(w))
        step[i] = eps
        slopes.append((f(w + step) - f(w - step)) / (2 * eps))
    return slopes


def _one_sided(f, w, eps=1e-5):
    return np.array([(f(w + eps * e) - f(w)) / eps for e in np.eye(len(w))])


def _one_sided_own_eps(f, w, eps=1e-5):
    return _one_sided(f, w, 1e-5)


def _no_copy(f, w, eps=1e-5):
    slopes = np.zeros(len(w))
    for i in range(len(w)):
        u = w
        d = w
        u[i] += eps
        d[i] -= eps
        slopes[i] = (f(u) - f(d)) / (2 * eps)
    return slopes


def _no_brackets(f, w, eps=1e-5):
    return np.array([(f(w + d) - f(w - d)) / 2 * eps for d in eps * np.eye(len(w))])


def _stays_moved(f, w, eps=1e-5):
    slopes, moved = np.zeros(len(w)), w.copy()
    for i in range(len(w)):
        below = moved.copy()
        below[i] -= eps
        moved[i] += eps
        slopes[i] = (f(moved) - f(below)) / (2 * eps)
    return slopes


def _descend(X, Y, W, b, lr, steps):
    for _ in range(steps):
        dW, db = _gradients_loops(X, Y, W, b)
        W, b = W - lr * dW, b - lr * db
    return W, b


def _with_ones(X, Y, W, b, lr, steps):
    """The bias as a weight on an input of 1; the numbers written into copies."""
    X = np.column_stack([X, np.ones(len(X))])
    V = np.column_stack([W, b])
    for _ in range(steps):
        V -= lr * 2 * np.mean((X @ V.T - Y)[:, :, None] * X[:, None, :], axis=0) / Y.shape[1]
    return [V[:, :-1], V[:, -1]]


def _w_first(X, Y, W, b, lr, steps):
    for _ in range(steps):
        W = W - lr * _gradients_loops(X, Y, W, b)[0]
        b = b - lr * _gradients_loops(X, Y, W, b)[1]
    return W, b


def _b_first(X, Y, W, b, lr, steps):
    for _ in range(steps):
        b = b - lr * _gradients_loops(X, Y, W, b)[1]
        W = W - lr * _gradients_loops(X, Y, W, b)[0]
    return W, b


def _returns_inside(X, Y, W, b, lr, steps):
    for _ in range(steps):
        dW, db = _gradients_loops(X, Y, W, b)
        W, b = W - lr * dW, b - lr * db
        return W, b


def _g_before_the_loop(X, Y, W, b, lr, steps):
    dW, db = _gradients_loops(X, Y, W, b)
    for _ in range(steps):
        W, b = W - lr * dW, b - lr * db
    return W, b


def _db_averaged(X, Y, W, b, lr, steps):
    for _ in range(steps):
        g = _g(X, Y, W, b)
        W, b = W - lr * g.T @ X, b - lr * g.mean(axis=0)
    return W, b


def _from_the_start(X, Y, W, b, lr, steps):
    dW, db = _gradients_loops(X, Y, W, b)
    for _ in range(steps):
        new = W - lr * dW, b - lr * db
    return new


CASES = {
    "linear": Case(
        right=[
            lambda W, x, b: np.einsum("ij,j->i", W, x) + b,
            _linear_loops,
            lambda W, x, b: (W * x).sum(axis=1) + b,
        ],
        wrong=[
            ("no bias", lambda W, x, b: W @ x, "bias is missing"),
            ("bias subtracted", lambda W, x, b: W @ x - b, "subtracted"),
            ("bias for each input", _bias_each_input, "once for each input"),
            ("W transposed", lambda W, x, b: W.T @ x + b, "Two shapes do not fit"),
            ("products unsummed", lambda W, x, b: W * x + b[:, None], "add up along each row"),
            ("summed to one number", lambda W, x, b: np.sum(W * x) + b.sum(), "one score for each row"),
        ],
    ),
    "decide": Case(
        right=[
            lambda images, W, b: np.argmax(_flat(images) @ W.T + b, axis=1),
            _decide_loops,
            lambda images, W, b: np.argsort(W @ _flat(images).T + b[:, None], axis=0)[-1],
        ],
        wrong=[
            ("scores", lambda images, W, b: _flat(images) @ W.T + b, "These are the scores"),
            ("largest", lambda images, W, b: np.max(_flat(images) @ W.T + b, axis=1), "max their values"),
            ("no bias", lambda images, W, b: np.argmax(_flat(images) @ W.T, axis=1), "bias is missing"),
            ("smallest", lambda images, W, b: np.argmin(_flat(images) @ W.T + b, axis=1), "the largest wins"),
            ("wrong axis", lambda images, W, b: np.argmax(_flat(images) @ W.T + b, axis=0), "wrong axis"),
            ("no axis", lambda images, W, b: np.argmax(_flat(images) @ W.T + b), "without an axis"),
            (
                "columns first",
                lambda images, W, b: np.argmax(_flat(images.transpose(0, 2, 1)) @ W.T + b, axis=1),
                "column by column",
            ),
            ("floats", _decide_floats, "An index is an integer"),
            (
                "pictures mixed",
                lambda images, W, b: np.argmax(images.reshape(-1, len(images)).T @ W.T + b, axis=1),
                "pixels of several pictures",
            ),
        ],
    ),
    "mse": Case(
        right=[
            lambda Y_hat, Y: np.mean((Y - Y_hat) ** 2),
            _mse_loops,
            lambda Y_hat, Y: np.linalg.norm(Y_hat - Y) ** 2 / Y.size,
        ],
        wrong=[
            ("sum", lambda Y_hat, Y: np.sum((Y_hat - Y) ** 2), "sum of the squares"),
            ("divided by N", lambda Y_hat, Y: np.sum((Y_hat - Y) ** 2) / len(Y), "N or by O alone"),
            ("one half", lambda Y_hat, Y: np.mean((Y_hat - Y) ** 2) / 2, "factor 1/2"),
            ("not squared", lambda Y_hat, Y: np.mean(Y_hat - Y), "not squared"),
            ("absolute", lambda Y_hat, Y: np.mean(np.abs(Y_hat - Y)), "absolute"),
            ("mean squared", lambda Y_hat, Y: np.mean(Y_hat - Y) ** 2, "mean is squared"),
            ("root", lambda Y_hat, Y: np.sqrt(np.mean((Y_hat - Y) ** 2)), "root"),
            ("one an example", lambda Y_hat, Y: np.mean((Y_hat - Y) ** 2, axis=1), "without an axis"),
        ],
    ),
    "gradients": Case(
        right=[_gradients_einsum, _gradients_loops],
        wrong=[
            ("no factor 2", _scaled(lambda Y: 0.5), "factor 2"),
            ("sign", _scaled(lambda Y: -1), "sign"),
            ("summed", _scaled(lambda Y: Y.size), "Summed, not averaged"),
            ("by N alone", _scaled(lambda Y: Y.shape[1]), "N or by O alone"),
            ("no factor at all", _scaled(lambda Y: Y.size / 2), "leave it out"),
            ("dW transposed", lambda X, Y, W, b: (X.T @ _g(X, Y, W, b), _g(X, Y, W, b).sum(0)), "transposed"),
            (
                "g untransposed",
                lambda X, Y, W, b: (_g(X, Y, W, b) @ X, _g(X, Y, W, b).sum(0)),
                "g is not transposed",
            ),
            ("Y_hat of the page", _g_of_the_page, "compute it inside"),
            ("no bias", lambda X, Y, W, b: _gradients_loops(X, Y, W, 0 * b), "bias is missing"),
            ("db mean", lambda X, Y, W, b: (_g(X, Y, W, b).T @ X, _g(X, Y, W, b).mean(0)), "once more"),
            ("db wrong axis", lambda X, Y, W, b: (_g(X, Y, W, b).T @ X, _g(X, Y, W, b).sum(1)), "wrong axis"),
            ("db one number", lambda X, Y, W, b: (_g(X, Y, W, b).T @ X, _g(X, Y, W, b).sum()), "one number"),
            ("db unsummed", lambda X, Y, W, b: (_g(X, Y, W, b).T @ X, _g(X, Y, W, b)), "one row an example"),
        ],
    ),
    "measured_gradient": Case(
        right=[
            _measured,
            lambda f, w, eps=1e-5: [(f(w + d) - f(w - d)) / eps / 2 for d in eps * np.eye(len(w))],
        ],
        wrong=[
            ("by eps", lambda f, w, eps=1e-5: 2 * np.array(_measured(f, w, eps)), "distance is 2·eps"),
            ("undivided", lambda f, w, eps=1e-5: 2 * eps * np.array(_measured(f, w, eps)), "not divided"),
            ("sign", lambda f, w, eps=1e-5: -np.array(_measured(f, w, eps)), "above minus below"),
            ("one side", _one_sided, "one side"),
            ("one side, its own eps", _one_sided_own_eps, "one side"),
            ("no brackets", _no_brackets, "put brackets"),
            ("no copy", _no_copy, "one array with w"),
            (
                "all at once",
                lambda f, w, eps=1e-5: (f(w + eps) - f(w - eps)) / (2 * eps) * np.ones(len(w)),
                "at once",
            ),
            ("stays moved", _stays_moved, "stay moved"),
            ("eps of its own", lambda f, w, eps=1e-5: _measured(f, w, 1e-5), "eps passed in is not used"),
        ],
    ),
    "gradient_descent": Case(
        right=[_descend, _with_ones],
        wrong=[
            ("uphill", lambda X, Y, W, b, lr, steps: _descend(X, Y, W, b, -lr, steps), "Uphill"),
            (
                "no lr",
                lambda X, Y, W, b, lr, steps: _descend(X, Y, W, b, 1, steps),
                "learning rate is missing",
            ),
            ("no 2", lambda X, Y, W, b, lr, steps: _descend(X, Y, W, b, lr / 2, steps), "factor 2"),
            (
                "summed",
                lambda X, Y, W, b, lr, steps: _descend(X, Y, W, b, lr * Y.size, steps),
                "not averaged",
            ),
            (
                "b stays",
                lambda X, Y, W, b, lr, steps: (_descend(X, Y, W, b, lr, steps)[0], b),
                "b has not moved",
            ),
            ("one too many", lambda X, Y, W, b, lr, steps: _descend(X, Y, W, b, lr, steps + 1), "too many"),
            (
                "one too few",
                lambda X, Y, W, b, lr, steps: _descend(X, Y, W, b, lr, steps - 1),
                "has not moved",
            ),
            ("W first", _w_first, "W moved before"),
            ("b first", _b_first, "b moved before"),
            ("return inside the loop", _returns_inside, "`return` inside the loop"),
            ("always from the start", _from_the_start, "start again from the first"),
            ("g before the loop", _g_before_the_loop, "g anew inside the loop"),
            ("by N alone", lambda *a: _descend(*a[:4], a[4] * a[1].shape[1], a[5]), "divided by N alone"),
            ("db averaged", _db_averaged, "db is averaged"),
        ],
    ),
}
