"""Checks of chapter 04: the chain rule, the walk through the graph, and the rules of its operations."""

import numpy as np

from helpers.checks._report import Failed, call, check, describe, expect
from helpers.gradcheck import numeric_gradient


@check(
    "4.1",
    tested="the example by hand, 5 random formulas against nudges",
    hints=(
        "Name the steps: s = a·b + c, then L = s². Which gradient does s get from L?",
        "dL/ds = 2s. The sum hands it to c and the product; the product multiplies it by the other factor.",
    ),
)
def chain_rule(answer):
    """L = (a b + c)²: three numbers → dL/da, dL/db, dL/dc"""
    rng = np.random.default_rng(41)

    def listed(*numbers):  # an array of three gradients is as good as a tuple
        result = answer(*numbers)
        return list(result) if isinstance(result, np.ndarray) and result.ndim == 1 else result

    for a, b, c in [(2.0, 3.0, -1.0), *rng.uniform(1, 3, (5, 3)).tolist()]:
        s = a * b + c
        nudged = numeric_gradient(lambda v: (v[0] * v[1] + v[2]) ** 2, np.array([a, b, c]))
        mistakes = {
            "dL/da": [
                ("That is the local derivative of the product alone: multiply it by what arrives, dL/ds.", b),
                ("The factor 2 of the square is missing: dL/ds is 2s.", s * b),
                ("The product gives each factor the other one: dL/da has b in it, not a.", 2 * s * a),
                ("L itself went into the chain: the local derivative of the square is 2s.", s * s * b),
                (
                    "The sum's value s is no local derivative: the product gives a the other factor, b.",
                    2 * s * s,
                ),
                ("What arrives is multiplied by the local derivative, not added to it: 2s · b.", 2 * s + b),
                ("That is dL/ds: one step is left, from s through the product to a.", 2 * s),
            ],
            "dL/db": [
                ("The product gives each factor the other one: dL/db has a in it, not b.", 2 * s * b),
                ("That is the local derivative of the product alone: multiply it by what arrives, dL/ds.", a),
            ],
            "dL/dc": [
                ("c enters the sum with local derivative 1; multiply it by what arrives, dL/ds.", 1.0),
                ("Only the product multiplies by a and b; c goes around it.", 2 * s * a),
                ("Only the product multiplies by a and b; c goes around it.", 2 * s * b),
            ],
        }
        want = dict(zip(mistakes, nudged, strict=True))
        expect(listed, {"a": a, "b": b, "c": c}, want, mistakes, tol=1e-5)


@check(
    "4.2",
    tested="5·x² and a diamond by hand, 5 random graphs against the sum over all paths",
    hints=(
        "Begin with n zeros and a 1 for the last box. Each edge sends one message: from output to input.",
        "for output, input, local in reversed(edges): gradient[input] += gradient[output] * local",
    ),
)
def accumulate(answer):
    """edges (output, input, local), n → gradients (n,)"""
    square = [(1, 0, 3.0), (1, 0, 3.0), (2, 1, 5.0)]
    diamond = [(1, 0, 6.0), (2, 1, 2.0), (3, 1, 3.0), (4, 2, 1.0), (4, 3, 1.0)]
    unused = [(1, 0, 2.0), (2, 0, 7.0), (3, 1, -4.0)]
    for edges, n in [(square, 3), (diamond, 5), (unused, 4), *map(_random_graph, range(5))]:
        want = np.array([_over_paths(edges, n - 1, box) for box in range(n)])
        zeros = np.zeros(n)
        local = np.array([sum(e[2] for e in edges if e[1] == k) for k in range(n)])
        mistakes = [
            ("A later message replaces an earlier one: add with +=, a box may be used twice.",
             _send(edges[::-1], n, add=False)),
            ("The edges are walked forward, so a box speaks before it has heard: go through them in reverse.",
             _send(edges, n)),
            ("All zeros: the walk needs a beginning, the gradient 1 of the last box.", zeros),
            ("Only the last box has a gradient: each edge hands its message on, from output to "
             "input. Are the two swapped? gradient[input] += gradient[output] * local",
             zeros + (np.arange(n) == n - 1)),
            ("Each message is the local derivative alone: multiply it by the gradient of the edge's output.",
             lambda got, local=local: np.allclose(got[:-1], local[:-1])),
            ("The last box is the result itself, its gradient is 1.",
             lambda got, want=want: np.allclose(got[:-1], want[:-1])),
        ]  # fmt: skip
        given = {"edges": list(edges), "n": n}
        expect(answer, given, want, mistakes)
        if given["edges"] != edges:
            raise Failed("Your function writes into its input edges: walk `reversed(edges)`.", str(edges))


@check(
    "4.3",
    tested="a diamond, a shortcut, boxes without a way to the result, 5 random graphs",
    hints=(
        "Recursion fits: to list a box, first list its inputs, then the box; skip what is listed already.",
        "def visit(box): if box not in order: visit each of graph[box], and only then order.append(box)",
    ),
)
def inputs_first(answer):
    """dict box → inputs, name of the result → list of names"""
    graphs = [
        {"L": ["b", "c"], "b": ["a"], "c": ["a"], "a": []},
        {"L": ["x", "a"], "a": ["x"], "x": []},
        {"x": [], "L": ["a", "b"], "b": ["a", "x"], "a": ["x"]},
        {"L": ["a", "a"], "unused": ["a"], "a": ["x"], "x": [], "after": ["L"]},
    ]
    for seed in range(5):
        edges, n = _random_graph(seed)
        graphs.append({f"n{k}": [f"n{i}" for o, i, _ in edges if o == k] for k in range(n)})
    before = None
    for graph in graphs:
        before = _check_order(answer, graph, "L" if "L" in graph else list(graph)[-1], before)


@check(
    "4.4",
    tested="bias and column by hand, 8 pairs of shapes, float32 stays float32",
    hints=(
        "Two kinds of axes: those in front that `shape` does not have, and those where `shape` has a 1.",
        "Sum over the first kind; then sum over the second with keepdims=True.",
    ),
)
def unbroadcast(answer):
    """g, shape → the gradient summed to that shape"""
    example = np.array([[1.0, 2, 3], [4, 5, 6]])
    rng = np.random.default_rng(44)
    cases = [(example, (3,)), (example, (2, 1))]
    shapes = [((6, 3), (1, 3)), ((2, 6, 3), (6, 1)), ((2, 3, 3), (3,)), ((7, 2), ())]
    shapes += [((6, 3), (6, 3)), ((1, 3), (3,))]
    cases += [(rng.standard_normal(large), small) for large, small in shapes]
    cases.append((rng.standard_normal((6, 3)).astype(np.float32), (3,)))
    for g, shape in cases:
        want = _read_backwards(g, shape)
        mistakes = [
            ("That is the mean. The value was used several times, and messages are added: take the sum.",
             want * (want.size / g.size)),
            ("That is one of the messages: the value was used in all rows, so all of them count.",
             g[(0,) * (g.ndim - len(shape))] if g.ndim > len(shape) else g[:1]),
            ("g came back with its own shape, so the broadcasting is not undone.", g),
            ("The numbers are right but the shape is not: remove the axes that broadcasting put in front, "
             "keep those of size 1.", lambda got, want=want: np.allclose(got.ravel(), want.ravel())),
            ("Everything is summed into one number: only the axes that were repeated should go.", g.sum()),
            ("Summed over the wrong axis: align the shapes from the right, and see which axis was repeated.",
             lambda got, g=g: any(np.array_equal(got, g.sum(axis=k)) for k in range(g.ndim))),
        ]  # fmt: skip
        tol = 1e-4 if g.dtype == np.float32 else 1e-9
        expect(answer, {"g": g, "shape": shape}, want, mistakes, tol, dtype=g.dtype)


@check(
    "4.5",
    tested="the 1×2 example by hand, 3 sizes against nudges",
    hints=(
        "First relu: its input x @ W.T gets g where it is positive, else 0. Then the product.",
        "s = g * (x @ W.T > 0), shape (N, O). For x, (N, D), use s and W; for W, (O, D), use s.T and x.",
    ),
)
def layer_rules(answer):
    """g (N, O), x (N, D), W (O, D) → gradients of x and W of relu(x @ W.T)"""
    rng = np.random.default_rng(45)
    cases = [tuple(np.array(v, float) for v in ([[-2, 10]], [[1, -2]], [[3, -2], [1, 1]]))]
    for n, d, o in ((6, 3, 3), (7, 2, 6), (1, 3, 2)):
        cases.append(tuple(rng.standard_normal(shape) for shape in ((n, o), (n, d), (o, d))))
    for g, x, W in cases:
        dx = numeric_gradient(lambda v, g=g, W=W: (g * np.maximum(v @ W.T, 0)).sum(), x)
        dW = numeric_gradient(lambda v, g=g, x=x: (g * np.maximum(x @ v.T, 0)).sum(), W)
        s, on = g * (x @ W.T > 0), (x @ W.T > 0).astype(float)
        slips = [
            ("relu is missing: where x @ W.T is negative, nothing passes back.", g),
            ("The mask looks at g. What counts is relu's input: pass g where it was positive.", g * (g > 0)),
            ("g is missing: that is the local derivative alone. Multiply the mask by g first.", on),
            (
                "relu's value went into the chain. Its local derivative is 1 or 0: g passes or does not.",
                g * np.maximum(x @ W.T, 0),
            ),
        ]
        mask = "The mask looks at x or W. What counts is the sign of relu's input, x @ W.T: mask g by it."
        swapped = "The two results are swapped: return the gradient of x first, then that of W."
        mistakes = {
            "dx": [(hint, wrong @ W) for hint, wrong in slips] + [
                (mask, (g @ W) * (x > 0)), (mask, (g * (x @ W.T > 0)) @ np.maximum(W, 0)),
                (mask, g @ np.maximum(W, 0)), (swapped, s.T @ x),
                ("W is transposed: x meets W.T forward, so g meets W backward: (N, O) @ (O, D).",
                 lambda got, s=s, W=W: np.allclose(got, s @ W.T))],
            "dW": [(hint, wrong.T @ x) for hint, wrong in slips] + [
                (mask, (g.T @ x) * (W > 0)), (mask, g.T @ np.maximum(x, 0)), (swapped, s @ W),
                ("dW came out transposed: the gradient has the shape of W, (O, D).", (s.T @ x).T),
                ("Divided by N: the mean belongs to the loss. The rule adds the messages of all examples.",
                 s.T @ x / max(len(x), 1.5))],
        }  # fmt: skip
        expect(answer, {"g": g, "x": x, "W": W}, {"dx": dx, "dW": dW}, mistakes, tol=1e-5)


@check(
    "4.6",
    tested="the example by hand, 4 sizes against nudges of the logits",
    hints=(
        "Split pᵢ(δᵢⱼ − pⱼ) into two sums over i: one keeps i = j alone, one has pⱼ in every term.",
        "The gradient of logit j is pⱼ · (gⱼ − Σᵢ gᵢpᵢ); the sum runs along the row, keepdims=True.",
    ),
)
def softmax_rule(answer):
    """g (N, K), p (N, K) → gradient of the logits (N, K)"""
    rng = np.random.default_rng(46)
    cases = [(np.array([[3.0, 1.0], [5.0, 0.0]]), np.zeros((2, 2)))]
    cases += [tuple(rng.standard_normal((2, *shape))) for shape in ((2, 3), (6, 2), (3, 3), (1, 7))]
    for g, z in cases:
        p = _softmax(z)
        want = numeric_gradient(lambda v, g=g: (g * _softmax(v)).sum(), z)
        mistakes = [
            ("Only i = j is counted: a logit moves the other probabilities too.", g * p * (1 - p)),
            ("g is missing: that is the diagonal of the local derivatives alone.", p * (1 - p)),
            ("The sum Σ gᵢpᵢ, which each logit of the row shares, is missing.", g * p),
            ("Σ gᵢpᵢ runs over the whole batch: each row has its own, axis=1 with keepdims=True.",
             p * (g - (g * p).sum())),
            ("Σ gᵢpᵢ runs down the columns: examples do not mix, use axis=1.", p * (g - (g * p).sum(axis=0))),
            ("The mean of gᵢpᵢ, not the sum: messages are added.", p * (g - (g * p).mean(1, keepdims=True))),
            ("Each pⱼ is subtracted where the sum Σ gᵢpᵢ belongs: the other logits' messages are missing.",
             p * (g - p)),
            ("Every sign is turned: it is pⱼ times (gⱼ − the sum), not (the sum − gⱼ).", -want),
            ("Both terms carry pⱼ: subtract pⱼ Σ gᵢpᵢ, not the bare sum.",
             g * p - (g * p).sum(axis=1, keepdims=True)),
            ("The sums lie on the wrong axis: sum(axis=1) has shape (N,), and NumPy lays it along the row: "
             "write keepdims=True.", lambda got, g=g, p=p: np.allclose(got, p * (g - (g * p).sum(axis=1)))),
            ("p − y is the rule of softmax and cross-entropy together; here any g may arrive.", p - g),
            ("The factor pⱼ in front is missing.", g - (g * p).sum(axis=1, keepdims=True)),
        ]  # fmt: skip
        expect(answer, {"g": g, "p": p}, want, mistakes, tol=1e-5)


def _softmax(z):
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def _read_backwards(g, shape):
    """Each element of g, one by one, goes to the element that broadcasting had put in its place."""
    want = np.zeros(int(np.prod(shape)), g.dtype)
    source = np.broadcast_to(np.arange(want.size).reshape(shape), g.shape)
    for index in np.ndindex(g.shape):
        want[source[index]] += g[index]
    return want.reshape(shape)


def _random_graph(seed):
    """A graph of 6 boxes, each made from one to three earlier ones (perhaps twice the same)."""
    rng = np.random.default_rng(seed)
    pairs = [(k, int(i)) for k in range(1, 6) for i in rng.integers(0, k, rng.integers(1, 4))]
    return [(k, i, float(rng.integers(1, 6))) for k, i in pairs], 6


def _over_paths(edges, result, box):
    """The gradient by definition: the sum over all paths of the product of local derivatives."""
    if result == box:
        return 1.0
    return sum(local * _over_paths(edges, i, box) for output, i, local in edges if output == result)


def _send(edges, n, add=True):
    """Messages in the given order, added or replaced: what the misconceptions give."""
    gradient = np.zeros(n)
    gradient[-1] = 1.0
    for output, i, local in edges:
        gradient[i] = gradient[i] * add + gradient[output] * local
    return gradient


def _check_order(answer, graph, result, before):
    """Raise Failed unless the answer lists each box that result needs, once, after all its inputs.

    before: what the answer returned for another graph; a list that lives on from call to call is named.
    """
    given = f"graph = {graph}, result = {result!r}"
    mine = {box: list(inputs) for box, inputs in graph.items()}
    order = call(answer, [mine, result], given)
    needed, waiting = set(), [result]
    while waiting:
        box = waiting.pop()
        needed.add(box)
        waiting += [source for source in graph[box] if source not in needed]

    def fail(hint, expected):
        return Failed(hint, given, expected, describe(order))

    if mine != graph:
        raise Failed("Your function writes into its input graph: collect the names in a new list.", given)
    if not isinstance(order, list | tuple) or not all(isinstance(box, str) for box in order):
        raise fail("Return a list of the names.", "a list of names")
    if order is before:
        raise fail(
            "The list still holds the boxes of the call before: a default like order=[] is made once, when "
            "the function is defined. Make the new list inside the function.",
            "a new list in each call",
        )
    if len(set(order)) < len(order):
        raise fail("A box stands in the list twice: skip a box that is already listed.", "each name once")
    if missing := sorted(needed - set(order)):
        raise fail("Something is missing: leaves belong to the list, and the result too.", f"also {missing}")
    if extra := sorted(set(order) - needed):
        raise fail("The result was not made from all boxes: start from it and go back.", f"no {extra}")
    place = {box: k for k, box in enumerate(order)}
    early = [(box, i) for box in order for i in graph[box] if place[i] > place[box]]
    if early and order[0] == result:
        hint = "The result comes first: that is the way back. Let a box join the list after its inputs."
        raise fail(hint, f"{early[0][1]!r} before {early[0][0]!r}")
    if early:
        hint = (
            "A box stands before one of its inputs. To turn a walk back around is not enough where a box has "
            "a near and a far user: let it join the list only after all its inputs have."
        )
        raise fail(hint, f"{early[0][1]!r} before {early[0][0]!r}")
    return order
