"""Answers to chapter 04: right ones written otherwise, wrong ones with the hint that fits."""

import numpy as np

from tests.exercises import Case


def expanded(a, b, c):
    """The square multiplied out: a²b² + 2abc + c², differentiated term by term."""
    return [2 * a * b**2 + 2 * b * c, 2 * a**2 * b + 2 * a * c, 2 * a * b + 2 * c]


def send(edges, n, start=1.0, add=True, product=True):
    gradient = [0.0] * n
    gradient[-1] = start
    for output, source, local in edges:
        message = gradient[output] * local if product else local
        gradient[source] = gradient[source] + message if add else message
    return gradient


def by_matrix(edges, n):
    """Gradients solve g = e + Aᵀ g, with A[output, input] the sum of the local derivatives."""
    A, last = np.zeros((n, n)), np.eye(n)[n - 1]
    for output, source, local in edges:
        A[output, source] += local
    return np.linalg.solve(np.eye(n) - A.T, last)


def kahn(graph, result):
    """List what has no unlisted inputs, again and again; then keep what the result needs."""
    needed, order = {result}, []
    for _ in graph:
        needed |= {source for box in needed for source in graph[box]}
    while len(order) < len(needed):
        order += [box for box in needed if box not in order and all(i in order for i in graph[box])]
    return order


def preorder(graph, box, order=None):
    order = [] if order is None else order
    if box not in order:
        order.append(box)
        for source in graph[box]:
            preorder(graph, source, order)
    return order


def lasting(graph, box, order=[]):  # noqa: B006, the mistake itself
    if box not in order:
        for source in graph[box]:
            lasting(graph, source)
        order.append(box)
    return order


def unseen(graph, box):
    return [name for source in graph[box] for name in unseen(graph, source)] + [box]


def to_shape_by_loops(g, shape):
    while g.ndim > len(shape):
        g = np.add.reduce(g, axis=0)
    for axis, size in enumerate(shape):
        if size == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g


def by_einsum(g, shape):
    """Name the axes, keep those that are not of size 1, and put these back."""
    names, front = "abcdef"[: g.ndim], g.ndim - len(shape)
    kept = "".join(name for name, size in zip(names[front:], shape, strict=True) if size > 1)
    return np.einsum(f"{names}->{kept}", g).reshape(shape)


def front_only(g, shape):
    return g.sum(axis=tuple(range(g.ndim - len(shape))))


def layer_loops(g, x, W):
    dx, dW = np.zeros(x.shape), np.zeros(W.shape)
    for n in range(len(x)):
        for o in range(len(W)):
            if sum(x[n] * W[o]) > 0:
                dx[n] += g[n, o] * W[o]
                dW[o] += g[n, o] * x[n]
    return dx, dW


def layer(s):
    """A wrong layer: s(g, x, W) replaces the masked gradient."""
    return lambda g, x, W: (s(g, x, W) @ W, s(g, x, W).T @ x)


def masked(g, x, W):
    return g * (x @ W.T > 0)


def jacobian(g, p):
    """The whole matrix of local derivatives for each row."""
    return [(np.diag(row) - np.outer(row, row)) @ g_row for g_row, row in zip(g, p, strict=True)]


CASES = {
    "chain_rule": Case(
        right=[expanded, lambda a, b, c: 2 * (a * b + c) * np.array([b, a, 1.0])],
        wrong=[
            ("g forgotten", lambda a, b, c: (b, a, 1.0), "local derivative of the product alone"),
            ("2 missing", lambda a, b, c: ((a * b + c) * b, (a * b + c) * a, a * b + c), "factor 2"),
            ("factors swapped", lambda a, b, c: expanded(b, a, c), "the other one"),
            ("value in the chain", lambda a, b, c: ((a * b + c) ** 2 * b, 1.0, 1.0), "L itself"),
            ("stopped at s", lambda a, b, c: (2 * (a * b + c),) * 3, "one step is left"),
            ("2s times s", lambda a, b, c: (2 * (a * b + c) ** 2, 1.0, 1.0), "no local derivative"),
            ("added", lambda a, b, c: (2 * (a * b + c) + b, 2 * (a * b + c) + a, 1.0), "not added"),
            ("c gets 1", lambda a, b, c: (*expanded(a, b, c)[:2], 1.0), "c enters the sum"),
        ],
        values_only=True,
    ),
    "accumulate": Case(
        right=[lambda edges, n: send(edges[::-1], n), by_matrix],
        wrong=[
            ("replaced", lambda edges, n: send(edges[::-1], n, add=False), "replaces an earlier one"),
            ("forward", lambda edges, n: send(edges, n), "go through them in reverse"),
            ("no beginning", lambda edges, n: send(edges[::-1], n, start=0.0), "needs a beginning"),
            ("g forgotten", lambda edges, n: send(edges[::-1], n, product=False), "local derivative alone"),
            ("result left out", lambda edges, n: [*send(edges[::-1], n)[:-1], 0.0], "the result itself"),
            ("nothing sent", lambda edges, n: [0.0] * (n - 1) + [1.0], "hands its message on"),
            (
                "output and input swapped",
                lambda edges, n: send([(i, o, local) for o, i, local in edges[::-1]], n),
                "swapped",
            ),
            ("turned in place", lambda edges, n: (edges.reverse(), send(edges, n))[1], "writes into"),
        ],
        values_only=True,
    ),
    "inputs_first": Case(
        right=[kahn, lambda graph, result: list(dict.fromkeys(unseen(graph, result)))],
        wrong=[
            ("as reached", preorder, "The result comes first"),
            ("as reached, turned around", lambda g, r: preorder(g, r)[::-1], "not enough"),
            ("boxes twice", unseen, "twice"),
            ("a default list", lasting, "made once"),
            ("no leaves", lambda g, r: [box for box in kahn(g, r) if g[box]], "leaves belong"),
            ("all of the dict", lambda g, r: kahn(g | {"end": list(g)}, "end")[:-1], "not made from all"),
            ("a set", lambda g, r: set(kahn(g, r)), "list of the names"),
            ("empties the dict", lambda g, r: (kahn(g, r), g.clear())[0], "writes into its input"),
        ],
        values_only=True,
    ),
    "unbroadcast": Case(
        right=[to_shape_by_loops, by_einsum],
        wrong=[
            ("mean", lambda g, s: to_shape_by_loops(g, s) * (np.prod(s) / g.size), "That is the mean"),
            ("first row", lambda g, s: g[(0,) * (g.ndim - len(s))], "one of the messages"),
            ("nothing undone", lambda g, s: g, "not undone"),
            ("front axis kept", lambda g, s: to_shape_by_loops(g, (1, *s)[-g.ndim :]), "shape is not"),
            ("size 1 forgotten", front_only, "not undone"),
            ("everything summed", lambda g, s: g.sum(), "into one number"),
            ("wrong axis", lambda g, s: g.sum(axis=-1), "wrong axis"),
            ("float64", lambda g, s: to_shape_by_loops(g.astype(float), s), "type is not"),
        ],
    ),
    "layer_rules": Case(
        right=[layer_loops, lambda g, x, W: ((W.T @ masked(g, x, W).T).T, (x.T @ masked(g, x, W)).T)],
        wrong=[
            ("no mask", layer(lambda g, x, W: g), "relu is missing"),
            ("mask from g", layer(lambda g, x, W: g * (g > 0)), "The mask looks at g"),
            ("g forgotten", layer(lambda g, x, W: (x @ W.T > 0) * 1.0), "g is missing"),
            ("W transposed", lambda g, x, W: (masked(g, x, W) @ W.T, W), "W is transposed"),
            ("dW transposed", lambda g, x, W: (masked(g, x, W) @ W, x.T @ masked(g, x, W)), "out transposed"),
            ("mean", lambda g, x, W: (masked(g, x, W) @ W, masked(g, x, W).T @ x / len(x)), "Divided by N"),
            ("one result", lambda g, x, W: masked(g, x, W) @ W, "Return 2 values"),
            ("mask from x", lambda g, x, W: ((g @ W) * (x > 0), (g.T @ x) * (W > 0)), "looks at x or W"),
            ("mask from W", lambda g, x, W: (masked(g, x, W) @ W, (g.T @ x) * (W > 0)), "looks at x or W"),
            ("relu's value", layer(lambda g, x, W: g * np.maximum(x @ W.T, 0)), "relu's value"),
            ("results swapped", lambda g, x, W: layer_loops(g, x, W)[::-1], "swapped"),
        ],
    ),
    "softmax_rule": Case(
        right=[jacobian, lambda g, p: p * g - p * np.einsum("nk,nk->n", g, p)[:, None]],
        wrong=[
            ("diagonal only", lambda g, p: g * p * (1 - p), "Only i = j"),
            ("g forgotten", lambda g, p: p * (1 - p), "g is missing"),
            ("sum forgotten", lambda g, p: g * p, "is missing"),
            ("whole batch", lambda g, p: p * (g - (g * p).sum()), "whole batch"),
            ("columns", lambda g, p: p * (g - (g * p).sum(axis=0)), "down the columns"),
            ("mean", lambda g, p: p * (g - (g * p).mean(axis=1, keepdims=True)), "mean of"),
            ("cross-entropy's", lambda g, p: p - g, "softmax and cross-entropy together"),
            ("p instead of the sum", lambda g, p: p * (g - p), "where the sum"),
            ("sign", lambda g, p: p * ((g * p).sum(axis=1, keepdims=True) - g), "sign is turned"),
            ("p in one term", lambda g, p: g * p - (g * p).sum(axis=1, keepdims=True), "Both terms"),
            ("keepdims forgotten", lambda g, p: p * (g - (g * p).sum(axis=1)), "keepdims=True"),
            ("p forgotten", lambda g, p: g - (g * p).sum(axis=1, keepdims=True), "factor p"),
        ],
    ),
}
