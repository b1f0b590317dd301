"""Checks of chapter 01, a linear equation."""

import numpy as np

from helpers.checks._report import Failed, check, describe, expect

W = np.array([[1.0, -2, 3], [0, 4, -1]])  # the chapter's example: (O, D) = (2, 3)
B = np.array([1.0, -5])
X = np.array([[3.0, 1, 2], [1, 0, -1]])  # (N, D) = (2, 3)
Y = np.array([[6.0, -3], [0, -2]])  # (N, O) = (2, 2)


def _scores(X, W, b):
    """The layer as three loops, in float64: the oracle of this chapter."""
    scores = np.zeros((len(X), len(W)))
    for n, o in np.ndindex(scores.shape):
        scores[n, o] = b[o] + sum(W[o, d] * X[n, d] for d in range(W.shape[1]))
    return scores


def _loss(X, Y, W, b):
    error = _scores(X, W, b) - Y
    return sum(e * e for e in error.flat) / error.size


@check(
    "1.1",
    tested="the example on paper, 5 other shapes, one input and one output",
    hints=(
        "Start from the biases, one for each output, and add W[o, d] * x[d] for every o and d.",
        "One line does it: the matrix W @ the vector x, plus b. To loop, begin with y = b.copy().",
    ),
)
def linear(answer):
    """y = W x + b: W (O, D), x (D,), b (O,) → (O,)"""
    rng = np.random.default_rng(11)
    cases = [(W, X[0], B)]
    for o, d in ((6, 2), (2, 7), (3, 3), (1, 6), (7, 1)):
        cases.append((rng.normal(size=(o, d)), rng.normal(size=d), rng.normal(size=o)))
    for w, x, b in cases:
        want = _scores(x[None], w, b)[0]
        expect(
            answer,
            {"W": w, "x": x, "b": b},
            want,
            mistakes=[
                ("The bias is missing: add b[o] to each score.", want - b),
                (
                    "The bias is subtracted: it is what a score is worth before any ink, so add it.",
                    want - 2 * b,
                ),
                (
                    "The bias is added once for each input: add it once a score, after the sum.",
                    want + (len(x) - 1) * b,
                ),
                (
                    "W is transposed: row o of W belongs to output o, so the sum runs along a row.",
                    lambda got, w=w, x=x, b=b: np.allclose(got, w.T @ x + b),
                ),
                (
                    "These are the products, not yet their sum: add up along each row of W.",
                    lambda got, w=w: got.shape == w.shape,
                ),
                (
                    "That is one number. There is one score for each row of W: keep them apart.",
                    lambda got, want=want: got.size == 1 and want.size > 1,
                ),
            ],
        )


@check(
    "1.2",
    tested="the two pictures on paper, one picture, square and oblong pictures",
    hints=(
        "Flatten each picture: images.reshape(len(images), -1), (N, H·W). Then score the batch.",
        "scores = flat @ W.T + b is (N, O); the winner of each row is np.argmax(scores, axis=1).",
    ),
)
def decide(answer):
    """The best-scoring output: images (N, H, W), W (O, H·W), b (O,) → (N,)"""
    rng = np.random.default_rng(12)
    cases = [(X.reshape(2, 1, 3), W, b) for b in (np.zeros(2), B)]  # b = 0 tells more slips apart
    for n, h, w, o in ((7, 2, 3, 6), (9, 3, 2, 4), (1, 4, 4, 10), (12, 3, 3, 3)):
        cases.append((rng.normal(size=(n, h, w)), rng.normal(size=(o, h * w)), 3 * rng.normal(size=o)))
    for images, w, b in cases:
        scores = _scores(images.reshape(len(images), -1), w, b)
        want = np.array([max(range(len(w)), key=row.__getitem__) for row in scores])
        columns = images.transpose(0, 2, 1).reshape(len(images), -1)
        mixed = images.reshape(-1, len(images)).T
        inputs = {"images": images, "W": w, "b": b}
        got = expect(
            answer,
            inputs,
            want,
            mistakes=[
                ("These are the scores. Return the place of the largest in each row: np.argmax.", scores),
                (
                    "These are the largest scores themselves: argmax gives their places, max their values.",
                    scores.max(axis=1),
                ),
                ("The bias is missing: without it, another output wins here.", np.argmax(scores - b, axis=1)),
                ("That is the smallest score of each picture: the largest wins.", np.argmin(scores, axis=1)),
                (
                    "argmax over the wrong axis: for each picture, a row of scores, compare outputs: axis 1.",
                    np.argmax(scores, axis=0),
                ),
                (
                    "argmax without an axis looks at the whole table: say axis=1, one winner a picture.",
                    lambda got, want=want: got.size == 1 and want.size > 1,
                ),
                (
                    "The pixels are laid out column by column: W expects row by row, as reshape does.",
                    np.argmax(_scores(columns, w, b), axis=1),
                ),
                (
                    "A row mixes the pixels of several pictures: reshape(len(images), -1), without .T.",
                    np.argmax(_scores(mixed, w, b), axis=1),
                ),
            ],
        )
        if got.dtype.kind not in "iu":
            raise Failed(
                "These are the right places, as decimal numbers. An index is an integer: np.argmax gives "
                "them, np.zeros needs dtype=int.",
                ", ".join(describe(value, name) for name, value in inputs.items()),
                "integers",
                f"numbers of type {got.dtype}",
            )


@check(
    "1.3",
    tested="the example on paper, 4 other shapes, a single number, no error at all",
    hints=(
        "Subtract, square each difference, then take the mean of all of them.",
        "np.mean without an axis runs over all N·O numbers: np.mean((Y_hat - Y) ** 2).",
    ),
)
def mse(answer):
    """Mean of the squared errors over all N·O numbers: (N, O), (N, O) → one number"""
    rng = np.random.default_rng(13)
    cases = [(_scores(X, W, B), Y)]
    cases += [(rng.normal(size=shape), rng.normal(size=shape)) for shape in ((6, 2), (2, 7), (1, 3), (1, 1))]
    cases.append((Y, Y))
    for y_hat, y in cases:
        error = y_hat - y
        total = sum(e * e for e in error.flat)
        expect(
            answer,
            {"Y_hat": y_hat, "Y": y},
            total / error.size,
            mistakes=[
                ("This is the sum of the squares: divide by how many numbers there are, N·O.", total),
                (
                    "Divided by N or by O alone: the mean runs over all N·O numbers.",
                    lambda got, t=total, shape=error.shape: any(np.isclose(got, t / k) for k in shape),
                ),
                (
                    "This has an extra factor 1/2: some books put it there, this course and PyTorch do not.",
                    total / error.size / 2,
                ),
                ("The differences are not squared yet: errors of +1 and −1 would cancel.", error.mean()),
                ("These are absolute differences: square them instead.", np.abs(error).mean()),
                (
                    "The mean is squared here. Square each error alone first, then take the mean.",
                    error.mean() ** 2,
                ),
                ("This is the root of the loss: leave the square root out.", np.sqrt(total / error.size)),
                (
                    "One number is wanted for the whole batch: take the mean without an axis.",
                    lambda got, y=y: got.ndim > 0 and got.size > 1,
                ),
            ],
        )


@check(
    "1.4",
    tested="the example on paper, and measured slopes for other numbers and 5 other shapes",
    hints=(
        "First g = 2 / (N·O) * (Y_hat - Y), shape (N, O). Y.size is N·O.",
        "dW = g.T @ X has shape (O, D); db is the sum of g over the examples, g.sum(axis=0).",
    ),
)
def gradients(answer):
    """Gradient of the mean squared error: X (N, D), Y (N, O), W (O, D), b (O,) → dW (O, D), db (O,)"""
    rng = np.random.default_rng(14)
    cases = [(X, Y, W, B), (2 * X, Y, W, B)]
    for n, d, o in ((6, 3, 2), (2, 3, 7), (1, 6, 2), (7, 2, 1), (3, 3, 3)):
        cases.append(tuple(rng.normal(size=s) for s in ((n, d), (n, o), (o, d), (o,))))
    for x, y, w, b in cases:
        dw, db = _slopes_of_w(x, y, w, b), _slopes_of_b(x, y, w, b)
        n, o = y.shape
        too_large = "Too large: g has the factor 2/(N·O). Did you leave it out, or divide by N or by O alone?"
        both = [
            ("The factor 2 is missing: it comes from the square.", 0.5),
            ("The sign is turned: the gradient points uphill, it begins with Y_hat - Y.", -1),
            ("Summed, not averaged: the 1/(N·O) of the mean is missing.", n * o),
            *((too_large, factor) for factor in (o, n, n * o / 2)),
        ]
        g = 2 / y.size * (_scores(x, w, b) - y)
        no_bias = 2 / y.size * (_scores(x, w, 0 * b) - y)
        of_the_page = 2 / y.size * (_scores(X, W, B) - y) if (n, len(w[0])) == X.shape and o == 2 else no_bias
        expect(
            answer,
            {"X": x, "Y": y, "W": w, "b": b},
            {"dW": dw, "db": db},
            tol=1e-5,
            mistakes={
                "dW": [(hint, factor * dw) for hint, factor in both]
                + [
                    ("dW is transposed: it has the shape of W, (O, D). Use g.T @ X, not X.T @ g.", dw.T),
                    (
                        "g is not transposed: in g.T @ X the examples meet the examples, and are summed.",
                        lambda got, g=g, x=x: np.allclose(got, g @ x),
                    ),
                    ("The bias is missing from the scores: Y_hat = X @ W.T + b.", no_bias.T @ x),
                    (
                        "Y_hat is still the one of the page: compute it inside, from these X, W and b.",
                        of_the_page.T @ x,
                    ),
                ],
                "db": [
                    (
                        "db is averaged over the examples once more: sum g, its 1/(N·O) is already in it.",
                        db / n,
                    ),
                    (
                        "db is summed over the wrong axis: add over the examples, which is axis 0.",
                        g.sum(axis=1),
                    ),
                    (
                        "db is one number for all outputs: sum over the examples only, with axis=0.",
                        lambda got, o=o: got.size == 1 and o > 1,
                    ),
                    (
                        "db is still one row an example: the effects on all examples add up.",
                        lambda got, shape=y.shape: got.shape == shape and shape[0] > 1,
                    ),
                    *((hint, factor * db) for hint, factor in both),
                ],
            },
        )


def _slopes(f, at, eps=1e-4):
    """Central differences: exact for this loss, a quadratic, up to rounding."""
    slopes = np.zeros(at.shape)
    for i in np.ndindex(at.shape):
        move = np.zeros(at.shape)
        move[i] = eps
        slopes[i] = (f(at + move) - f(at - move)) / (2 * eps)
    return slopes


@check(
    "1.5",
    tested="slopes known by calculus, of squares, products and sines, flat and steep; tiny and large eps",
    hints=(
        "For each i: copy w, add eps to element i of the copy, call f; the same with eps subtracted.",
        "slopes[i] = (f(above) - f(below)) / (2 * eps), with above = w.copy(); above[i] += eps.",
    ),
)
def measured_gradient(answer):
    """Central differences of f at w: f (D,) → number, w (D,), eps → (D,)"""
    rng = np.random.default_rng(15)
    a = rng.normal(size=6)
    f, product = _Formula("w[0]**2 + 3*w[1]"), _Formula("w[0] * w[1] * w[2]")
    waves = _Formula("sum(a * sin(w))", a=a)
    cases = [
        (f, np.array([2.0, 5]), 1e-5, np.array([4.0, 3])),
        (f, np.array([2.0, 5]), 0.1, np.array([4.0, 3])),
        (product, np.array([2.0, 3, 5]), 1e-4, np.array([15.0, 10, 6])),
        (waves, np.arange(6.0), 1e-4, a * np.cos(np.arange(6.0))),
        (_Formula("7*w[0]"), np.array([0.0]), 0.1, np.array([7.0])),
        (_Formula("1e6*(w[0] - 1)**2 - w[1]"), np.array([1.0, 2]), 1e-5, np.array([0.0, -1])),
        (_Formula("w[0]**3 + w[1]"), np.array([2.0, 5]), 0.5, np.array([12.25, 1])),  # 3·w² + eps²
    ]
    for f, w, eps, want in cases:
        step = eps * np.eye(len(w))
        above, below = (np.array([f(w + s * e) for e in step]) for s in (1, -1))
        together = (f(w + eps) - f(w - eps)) / (2 * eps)
        piled = np.array(
            [f(w + up) - f(w + up - 2 * e) for up, e in zip(step.cumsum(axis=0), step, strict=True)]
        )
        expect(
            answer,
            {"f": f, "w": w, "eps": eps},
            want,
            tol=1e-5,
            mistakes=[
                (
                    "All slopes are 0. `u = w` and `u = w[:]` are one array with w: take u = w.copy().",
                    lambda got, w=w: got.shape == w.shape and not got.any(),
                ),
                (
                    "`/ 2 * eps` divides by 2, then multiplies by eps: put brackets, `/ (2 * eps)`.",
                    lambda got, tiny=(above - below) / 2 * eps: np.allclose(got, tiny, rtol=1e-4, atol=0),
                ),
                ("Divided by eps: from w − eps to w + eps the distance is 2·eps.", 2 * want),
                ("The difference is not divided by the distance 2·eps yet.", above - below),
                (
                    "All elements are moved at once: move one, and leave the others where they are.",
                    lambda got, t=together, w=w: len(w) > 1 and np.allclose(got, t),
                ),
                ("Earlier elements stay moved: start each time from a fresh copy of w.", piled / (2 * eps)),
                ("The sign is turned: above minus below.", -want),
                (
                    "The eps passed in is not used: move w by it, also where it is large.",
                    lambda got, f=f, eps=eps: eps == 0.5 and np.allclose(got, [12, 1], atol=0.02),
                ),
                (
                    "Only one side is measured: f(w + eps) - f(w) is off by about eps; take w - eps too.",
                    lambda got, f=f, w=w, eps=eps: _is_one_sided(got, f, w, eps),
                ),
            ],
        )


def _is_one_sided(got, f, w, eps):
    """Whether `got` is (f(w + e) - f(w)) / e, or the same downwards, with the given eps or one of its own."""
    for e in (eps, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8):
        for step in (e, -e):
            slopes = [(f(w + move) - f(w)) / step for move in step * np.eye(len(w))]
            if np.allclose(got, slopes, rtol=1e-6, atol=1e-6):
                return True
    return False


class _Formula:
    """A function of w that shows its formula in a report."""

    def __init__(self, text, **constants):
        self.text, self.names = text, {"sin": np.sin, "sum": np.sum, **constants}

    def __call__(self, w):
        return float(eval(self.text, {**self.names, "w": w}))

    def __repr__(self):
        return self.text


@check(
    "1.6",
    tested="a step on paper; up to 3 steps with measured slopes, 4 other shapes",
    hints=(
        "Each step: g = 2 / Y.size * (X @ W.T + b - Y), then both gradients, then both updates.",
        "for _ in range(steps): compute dW and db first, then W, b = W - lr * dW, b - lr * db.",
    ),
)
def gradient_descent(answer):
    """W and b after so many steps: X (N, D), Y (N, O), W (O, D), b (O,), lr, steps → W (O, D), b (O,)"""
    rng = np.random.default_rng(16)
    x, y = np.array([[0.0], [1], [2], [3]]), np.array([[1.0], [3], [2], [5]])
    cases = [(x, y, np.zeros((1, 1)), np.zeros(1), 0.1, steps) for steps in (1, 2)]
    for n, d, o, steps in ((6, 3, 2, 1), (2, 3, 7, 3), (1, 6, 2, 2), (3, 3, 3, 2)):
        cases.append((*(rng.normal(size=size) for size in ((n, d), (n, o), (o, d), (o,))), 0.25, steps))
    for x, y, w, b, lr, steps in cases:
        new_w, new_b = _walk(x, y, w, b, lr, steps)
        n, o = y.shape
        one_step = _walk(x, y, w, b, lr, 1) if steps > 1 else (new_w + 1, new_b + 1)
        hints = [
            ("Uphill: the gradient was added. Subtract it.", _walk(x, y, w, b, -lr, steps)),
            ("The learning rate is missing: a step is lr times the gradient.", _walk(x, y, w, b, 1, steps)),
            ("The factor 2 is missing from g: it comes from the square.", _walk(x, y, w, b, lr / 2, steps)),
            ("g is summed, not averaged: it has 2/(N·O).", _walk(x, y, w, b, lr * n * o, steps)),
            ("g has the factor 2/(N·O). Is it left out?", _walk(x, y, w, b, lr * n * o / 2, steps)),
            ("g is divided by N alone: its factor is 2/(N·O).", _walk(x, y, w, b, lr * o, steps)),
            ("g is divided by O alone: its factor is 2/(N·O).", _walk(x, y, w, b, lr * n, steps)),
            (
                "This is where one step ends. Is `return` inside the loop, or does each step start again "
                "from the first W and b?",
                one_step,
            ),
            (
                "All steps use the gradients of the first point: compute g anew inside the loop.",
                _walk(x, y, w, b, lr * steps, 1),
            ),
            ("One step too many: range(steps) counts from 0 to steps - 1.", _walk(x, y, w, b, lr, steps + 1)),
            ("{} has not moved: both W and b take a step.", (w, b)),
            ("One step too few.", _walk(x, y, w, b, lr, steps - 1)),
        ]
        w_first, b_first = (_walk(x, y, w, b, lr, steps, first=name) for name in "Wb")
        late_b = "W moved before the gradient of b was computed: both gradients belong to the same point."
        late_w = "b moved before the gradient of W was computed: both gradients belong to the same point."
        again = "db is averaged over the examples once more: sum g, its 1/(N·O) is already in it."
        expect(
            answer,
            {"X": x, "Y": y, "W": w, "b": b, "lr": lr, "steps": steps},
            {"W": new_w, "b": new_b},
            tol=1e-5,
            mistakes={
                "W": [(hint.format("W"), at[0]) for hint, at in hints] + [(late_w, b_first[0])],
                "b": [(late_b, w_first[1]), (again, _walk(x, y, w, b, lr, steps, db_factor=1 / n)[1])]
                + [(hint.format("b"), at[1]) for hint, at in hints],
            },
        )


def _walk(x, y, w, b, lr, steps, first=None, db_factor=1):
    """Gradient descent with measured slopes; `first`, "W" or "b", moves before the other's slope is taken."""
    for _ in range(steps):
        new_w = w - lr * _slopes_of_w(x, y, w, b)
        new_b = b - lr * db_factor * _slopes_of_b(x, y, new_w if first == "W" else w, b)
        if first == "b":
            new_w = w - lr * _slopes_of_w(x, y, w, new_b)
        w, b = new_w, new_b
    return w, b


def _slopes_of_w(x, y, w, b):
    return _slopes(lambda v: _loss(x, y, v, b), w)


def _slopes_of_b(x, y, w, b):
    return _slopes(lambda v: _loss(x, y, w, v), b)
