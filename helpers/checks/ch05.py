"""Chapter 05: names of parameters, He's scale, momentum, Adam, dropout, loading a state."""

import numpy as np

from helpers.checks._report import Failed, call, check, describe, expect


@check(
    "5.1",
    tested="two levels by hand, four levels, a shared weight, equal arrays that are two",
    hints=(
        "For each (name, value) of the dict: is the value an array, or another dict with a tree of its own?",
        "For a dict, call named_parameters(value) and put name + '.' before each name that comes back. "
        "Keep an array only if no array kept before `is` the same object.",
    ),
)
def named_parameters(answer):
    """Nested dict of arrays → flat dict: dotted name → the array itself, each array once."""
    W, b, U = (np.arange(n, dtype=float).reshape(s) for n, s in ((6, (2, 3)), (2, (2,)), (6, (3, 2))))
    _same_arrays(answer, {"scale": b, "0": {"weight": W}}, {"scale": b, "0.weight": W})
    deep = {"a": {"b": {"c": {"weight": W}, "weight": U}, "bias": b}}
    _same_arrays(answer, deep, {"a.b.c.weight": W, "a.b.weight": U, "a.bias": b})
    twins = {"0": {"bias": np.zeros(2)}, "1": {"bias": np.zeros(2)}}
    _same_arrays(answer, twins, {f"{k}.bias": twins[k]["bias"] for k in twins})
    shared = {"in": {"weight": W}, "out": {"weight": W, "bias": b}}
    _same_arrays(answer, shared, {"in.weight": W, "out.bias": b})
    _same_arrays(answer, {"0": {}, "1": {"weight": U}}, {"1.weight": U})


@check(
    "5.2",
    tested="(500, 200) and (150, 800): shape, mean, standard deviation, bell shape, use of rng",
    hints=(
        "fan_in is the number of products in one sum: the second number of the weight's shape (O, D).",
        "He's variance is 2 / in_features. rng.standard_normal(shape) has standard deviation 1; multiply.",
    ),
)
def he_normal(answer):
    """Normal weights (O, D) of mean 0 and standard deviation √(2 / D), drawn from rng."""
    for out, D in ((500, 200), (150, 800)):
        given = f"out_features = {out}, in_features = {D}, rng = np.random.default_rng(0)"
        W = _numbers(call(answer, (out, D, np.random.default_rng(0)), given), given)
        if W.shape != (out, D):
            hint = "Weights are (out, in): one row per output."
            raise Failed(hint, given, f"shape {(out, D)}", f"shape {W.shape}")
        _he_scale(W, out, D, given)
        shape = "Draw from the normal distribution: rng.standard_normal, or rng.normal(0, scale, shape)."
        share = float(np.mean(np.abs(W) < W.std()))  # 0.683 for a bell, 0.577 for a uniform
        if abs(share - 0.683) > 0.03:
            raise Failed(shape, given, "0.68 of all weights within one standard deviation", f"{share:.2f}")
        if not np.array_equal(W, call(answer, (out, D, np.random.default_rng(0)), given)):
            hint = "Draw from the `rng` you are given, not from np.random: a seed must repeat a run."
            raise Failed(hint, given, "the same weights again from the same seed", "other weights")
    rng = np.random.default_rng(0)
    if np.array_equal(call(answer, (3, 4, rng), "one rng"), call(answer, (3, 4, rng), "one rng")):
        hint = "Two layers would start with equal weights: do not make a new generator inside; use `rng`."
        raise Failed(hint, "one rng, two calls", "two different matrices", "the same matrix twice")


@check(
    "5.3",
    tested="two numbers by hand, 5 random states, momentum 0, three steps in a row",
    hints=(
        "Two lines: the new velocity from the old one and the gradient, then the step along the new one.",
        "The learning rate stands in the second line only: v = beta * v + g, then w = w - lr * v.",
    ),
)
def momentum_step(answer):
    """w, g, v (any shape), lr, beta → new w, new v."""
    w, g, v = np.array([1.0, 2.0]), np.array([0.5, -1.0]), np.array([1.0, 0.0])
    _momentum_fact(answer, w, g, v, 0.1, 0.8)
    rng = np.random.default_rng(3)
    for shape, beta in (((3,), 0.9), ((2, 7), 0.5), ((6, 3), 0.0), ((1,), 0.99), ((2, 3, 4), 0.8)):
        _momentum_fact(answer, *rng.standard_normal((3, *shape)), 0.3, beta)
    w, v = np.array([1.0]), np.array([0.0])
    for _ in range(3):  # what came out goes in again
        _momentum_fact(answer, w, 2 * w, v, 0.1, 0.9)
        w, v = (np.asarray(part) for part in call(answer, (w, 2 * w, v, 0.1, 0.9)))


@check(
    "5.4",
    tested="the first step by hand with two eps, step 2, a late step, a large eps, three shapes",
    hints=(
        "Five lines: m, v, the two corrected averages with beta ** t, and the step.",
        "m_hat = m / (1 - beta1**t), v_hat = v / (1 - beta2**t), then w - lr * m_hat / (np.sqrt(v_hat) "
        "+ eps). Return m and v as they were before the correction.",
    ),
)
def adam_step(answer):
    """w, g, m, v (any shape), t from 1, lr, beta1, beta2, eps → new w, m, v."""
    zero = np.zeros(2)
    _adam_fact(answer, np.array([1.0, 1.0]), np.array([0.5, -2.0]), zero, zero, 1, 1e-8)
    _adam_fact(answer, np.array([1.0, 1.0]), np.array([0.5, -2.0]), zero, zero, 1, 0.5)
    rng = np.random.default_rng(4)
    for shape, t, eps in (((3,), 2, 1e-8), ((2, 7), 1000, 1e-8), ((6, 3), 3, 0.1)):
        w, g, m, v = rng.standard_normal((4, *shape))
        _adam_fact(answer, w, g, m, v**2, t, eps)


@check(
    "5.5",
    tested="evaluation, 60,000 elements at p = 0.2 and 0.5: values, share of zeros, places, use of rng; "
    "that the number of zeros varies",
    hints=(
        "Not training: give x back as it is. Training: one random number an element decides its fate.",
        "kept = rng.random(x.shape) >= p is True with probability 1 - p; divide what is kept by 1 - p.",
    ),
)
def dropout(answer):
    """x, p, training, rng → x in evaluation; in training zeros with probability p, the rest x / (1 - p)."""
    x = np.arange(1.0, 7).reshape(2, 3)
    active = "In evaluation (training=False) dropout does nothing: return x itself, for a repeatable answer."
    raw = dict(x=x, p=0.5, training=False, rng=np.random.default_rng(0))
    shrunk = "In evaluation nothing is scaled: the factor 1 / (1 - p) in training already made up for it."
    changed = [(shrunk, x * 0.5), (active, lambda got: got.shape == x.shape and (got == 0).any())]
    expect(answer, raw, want=x, mistakes=changed)
    for p in (0.2, 0.5):
        x = np.random.default_rng(5).uniform(1, 2, (200, 300))
        given = f"x = 200 × 300 numbers from 1 to 2, p = {p}, training = True"
        before = x.copy()
        got = _numbers(call(answer, (x, p, True, np.random.default_rng(0)), given), given)
        if not np.array_equal(x, before):
            hint = "Your function writes into its input x: make a new array, x * kept."
            raise Failed(hint, given, "x unchanged", "x changed")
        _dropout_facts(got, x, p, given)
        if not np.array_equal(got, call(answer, (x, p, True, np.random.default_rng(0)), given)):
            hint = "Draw from the `rng` you are given: a run must be repeatable."
            raise Failed(hint, given, "the same choice from the same seed", "another choice")
    rng = np.random.default_rng(0)
    if np.array_equal(call(answer, (x, 0.5, True, rng)), call(answer, (x, 0.5, True, rng))):
        hint = "The same elements drop each time: do not make a new generator inside, use `rng`."
        raise Failed(hint, "one rng, two calls", "two different choices", "the same choice twice")
    few, given = x[:10, :10].copy(), "100 numbers, p = 0.5, twenty calls with one rng"
    zeros = [int((_numbers(call(answer, (few, 0.5, True, rng), given), given) == 0).sum()) for _ in range(20)]
    if len(set(zeros)) == 1:
        hint = "The same number drops each time. Each element should have a draw of its own, like a coin."
        raise Failed(hint, given, "about 50 zeros, now more, now fewer", f"{zeros[0]} zeros each time")


@check(
    "5.6",
    tested="values arrive in the model's own arrays, in any order of names; wrong shape, missing and unknown "
    "name refused, own untouched",
    hints=(
        "First a loop that only looks: the same names, else KeyError; the same shapes, else ValueError. "
        "Then one that copies.",
        "own[name][...] = state[name] writes into the array that the optimiser holds too; "
        "own[name] = state[name] would put another array in its place.",
    ),
)
def load_state(answer):
    """own, state: dict name → array; writes state's values into own's arrays or raises; returns own."""
    own = {"0.weight": np.zeros((2, 3)), "0.bias": np.zeros(3)}
    held = dict(own)
    state = {"0.weight": np.arange(6.0).reshape(2, 3), "0.bias": np.array([7.0, 8.0, 9.0])}
    given = "own: zeros of (2, 3) and (3,); state: other numbers of the same shapes"
    result = call(answer, (own, state), given)
    if not isinstance(result, dict) or set(result) != set(held):
        raise Failed("Return own, the dict of the model's arrays.", given, "a dict", describe(result))
    _loaded(result, held, state, given)
    turned = dict(reversed(state.items()))
    for array in held.values():
        array[...] = 0
    given += ", its names in the other order"
    try:
        result = call(answer, (dict(held), turned), given)
    except Failed as failed:
        hint = "A dict finds its arrays by name, whatever their order: compare sets of names, not lists."
        raise Failed(hint, given, "the state loaded", failed.got) from None
    if not isinstance(result, dict) or set(result) != set(held):
        raise Failed("Return own, the dict of the model's arrays.", given, "a dict", describe(result))
    _loaded(result, held, turned, given)
    bias = np.zeros(3)
    _refused(answer, {"b": bias, "w": np.zeros((2, 3))}, {"b": bias + 1, "w": np.ones((3, 2))}, "shape")
    _refused(answer, {"b": bias, "w": np.zeros((2, 3))}, {"b": bias + 1, "w": np.ones(3)}, "broadcast")
    _refused(answer, {"b": bias, "w": np.zeros((2, 3))}, {"b": bias + 1}, "missing")
    _refused(answer, {"b": bias}, {"b": bias + 1, "extra": bias}, "unknown")


# --- facts ------------------------------------------------------------------------------------------


def _same_arrays(answer, tree, want):
    """answer(tree) must be the dict `want`, holding the very same array objects."""
    given = f"tree = {_outline(tree)}"
    result = call(answer, (tree,), given)
    try:
        got = dict(result)
    except Exception:
        raise Failed("Return a dict: dotted name → array.", given, _outline(want), describe(result)) from None
    facts = dict(given=given, expected=", ".join(want), got=", ".join(map(str, got)) or "an empty dict")
    if set(got) == set(want):
        if not all(got[name] is want[name] for name in want):
            hint = "The names are right, the arrays are copies. The optimiser needs the originals."
            raise Failed(hint, given, "the same array objects", "copies")
        return
    raise Failed(_name_hint(tree, got, want), **facts)


def _name_hint(tree, got, want):
    ends = {name.rsplit(".", 1)[-1] for name in want}
    twice = len(want) < len(got) and set(want) < set(got)
    if any(isinstance(value, dict) for value in got.values()):
        return "A dict came back as if it were an array: go into it (recursion), until only arrays are left."
    if twice:
        return "An array that stands in two places is listed twice, and would be stepped twice."
    if set(got) < set(want) and not {n for n in want if "." in n} & set(got):
        return "Not recursive: only the top level was found. Call the function on the inner dicts too."
    if set(got) <= ends:
        return "Names without their path collide: put the outer name and a dot before each inner name."
    if set(got) < set(want):
        return "An array is missing. Arrays with equal numbers are still two: compare with `is`, or by id."
    return f"The names should be {', '.join(want)}: outer name, dot, inner name, at every level."


def _outline(tree):
    inner = (f"{k!r}: {_outline(v) if isinstance(v, dict) else f'array {v.shape}'}" for k, v in tree.items())
    return "{" + ", ".join(inner) + "}"


def _numbers(result, given):
    try:
        got = np.asarray(result) if not isinstance(result, (str, dict)) else None
    except ValueError:  # rows of unequal length, or rows beside single zeros
        hint = (
            "The parts of your result differ in shape. A loop over x runs over its rows, not its numbers. "
            "Draw for each element with rng.random(x.shape)."
        )
        raise Failed(hint, given, "an array", describe(result)) from None
    except Exception:
        got = None
    if got is None or got.dtype.kind not in "fi":
        raise Failed("Return an array of numbers.", given, "an array", describe(result))
    if not np.isfinite(got).all():
        raise Failed(
            "nan or inf among the numbers: was something divided by zero?", given, "finite numbers", "nan"
        )
    return got


def _he_scale(W, out, D, given):
    std, want = float(W.std()), (2 / D) ** 0.5
    said = dict(given=given, expected=f"standard deviation {want:.4f}", got=f"standard deviation {std:.4f}")
    near = lambda value: abs(std / value - 1) < 0.03  # noqa: E731
    if abs(W.mean()) > 0.05 * want:
        raise Failed(
            "The mean should be 0: as many weights below zero as above.", given, "mean 0", f"{W.mean():.4f}"
        )
    if near(want):
        return
    for hint, value in (
        ("That is fan_out. A sum has one term per input: divide by in_features.", (2 / out) ** 0.5),
        ("2 / in_features is the variance. The factor on a standard normal is its root.", 2 / D),
        ("The factor 2 is missing: relu throws away half of E[x²], and 2 makes up for it.", (1 / D) ** 0.5),
        (
            "That is Glorot's scale, made for tanh, from fan_in and fan_out. He's is from fan_in.",
            (2 / (out + D)) ** 0.5,
        ),
        ("Standard deviation 1: the scale is missing.", 1.0),
    ):
        if near(value):
            raise Failed(hint, **said)
    raise Failed("Another standard deviation: √(2 / in_features) is wanted.", **said)


def _momentum_fact(answer, w, g, v, lr, beta):
    new = beta * v + g
    wrong_w = [
        ("The old velocity is forgotten: that is plain gradient descent.", w - lr * g),
        ("The learning rate is applied twice: leave it out of the velocity.", w - lr * (beta * v + lr * g)),
        ("Step along the new velocity; yours goes along the old one.", w - lr * v),
        ("Minus: descent goes against the velocity.", w + lr * new),
        (
            "Here the gradient enters whole, without 1 - beta: that is another convention.",
            w - lr * (beta * v + (1 - beta) * g),
        ),
        (
            "The learning rate belongs to the step, not into the velocity: v = beta * v + g.",
            w - (beta * v + lr * g),
        ),
    ]
    inputs = {"w": w, "g": g, "v": v, "lr": lr, "beta": beta}
    downhill = (
        "In your velocity the step itself is kept, with its minus. Here v adds up gradients, "
        "v = beta * v + g; the minus and lr stand in the second line."
    )
    wrong_w += [(downhill, w + beta * v - lr * g), (downhill, w + lr * (beta * v - g))]
    back = [
        (downhill, beta * v - lr * g),
        (downhill, beta * v - g),
        ("Return the new velocity: the next step starts from it.", v),
        ("The velocity, not lr times it.", lr * new),
    ]
    expect(answer, inputs, want={"w": w - lr * new, "v": new}, mistakes={"w": wrong_w, "v": back})


def _adam_fact(answer, w, g, m, v, t, eps, lr=0.1, beta1=0.9, beta2=0.999):
    """The oracle goes through the elements one by one."""
    new_w, new_m, new_v = w.copy(), m.copy(), v.copy()
    for i in np.ndindex(w.shape):
        new_m[i] = beta1 * m[i] + (1 - beta1) * g[i]
        new_v[i] = beta2 * v[i] + (1 - beta2) * g[i] ** 2
        root = (new_v[i] / (1 - beta2**t)) ** 0.5
        new_w[i] = w[i] - lr * new_m[i] / (1 - beta1**t) / (root + eps)
    m_hat, v_hat = new_m / (1 - beta1**t), new_v / (1 - beta2**t)
    plain_v, size_v = (beta2 * v + (1 - beta2) * x for x in (g, np.abs(g)))  # not squared
    squared = "v averages the squared gradient, g ** 2."
    early = (
        "t is counted from 1 and used as it is: with t - 1 (or from 0) the first correction divides by zero."
    )
    with np.errstate(all="ignore"):
        late = w - lr * new_m / (1 - beta1 ** (t - 1)) / (np.sqrt(new_v / (1 - beta2 ** (t - 1))) + eps)
        wrong_w = [
            ("beta ** t, not beta * t: t steps multiply the factor t times.",
             w - lr * new_m / (1 - beta1 * t) / (np.sqrt(new_v / (1 - beta2 * t)) + eps)),
            ("The bias correction is missing: m and v start at 0, so the first averages are too small. "
             "Divide them by 1 - beta ** t.", w - lr * new_m / (np.sqrt(new_v) + eps)),
            (early, lambda got: not np.isfinite(got).all()),
            (early, late),
            ("The correction has t + 1; t already starts at 1.",
             w - lr * new_m / (1 - beta1 ** (t + 1)) / (np.sqrt(new_v / (1 - beta2 ** (t + 1))) + eps)),
            ("eps stands outside the root: √v̂ + eps.", w - lr * m_hat / np.sqrt(v_hat + eps)),
            ("Divide by the root of v̂, not by v̂.", w - lr * m_hat / (v_hat + eps)),
            (squared, w - lr * m_hat / (np.sqrt(plain_v / (1 - beta2**t)) + eps)),
            (squared, w - lr * m_hat / (np.sqrt(size_v / (1 - beta2**t)) + eps)),
            ("eps is missing: without it, a weight whose gradient is always 0 divides 0 by 0.",
             w - lr * m_hat / np.sqrt(v_hat)),
            ("Minus: descent goes against the gradient.", 2 * w - new_w),
        ]  # fmt: skip
    plain = "Return m and v without the correction: the next step averages them on."
    mistakes = {
        "w": wrong_w,
        "m": [(plain, m_hat)],
        "v": [(plain, v_hat), (squared, plain_v), (squared, size_v)],
    }
    inputs = dict(w=w, g=g, m=m, v=v, t=t, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    expect(answer, inputs, want={"w": new_w, "m": new_m, "v": new_v}, mistakes=mistakes, tol=1e-7)


def _dropout_facts(got, x, p, given):
    if got.shape != x.shape:
        raise Failed("One result per element.", given, f"shape {x.shape}", f"shape {got.shape}")
    zero = got == 0
    ratios = np.unique((got / x)[~zero].round(6))
    said = dict(given=given, expected=f"0, or x times {1 / (1 - p):g}", got=f"0, or x times {ratios[:3]}")
    if abs(zero.mean() - p) > 0.02 and abs(zero.mean() - (1 - p)) <= 0.02:
        hint = "p is the probability to drop, you keep with p: compare rng.random(...) >= p."
        raise Failed(hint, given, f"a share of {p} zeros", f"{zero.mean():.3f}")
    if len(ratios) == 1 and np.isclose(ratios[0], 1):
        hint = "What is kept is not scaled: divide by 1 - p, so that the mean is the same in both modes."
        raise Failed(hint, **said)
    if len(ratios) != 1 or not np.isclose(ratios[0], 1 / (1 - p)):
        raise Failed(
            "The factor on what is kept is 1 / (1 - p): the reciprocal of the share that stays.", **said
        )
    if zero.all(axis=0).any() or zero.all(axis=1).any():
        hint = "Whole rows or columns drop together: draw one random number per element, rng.random(x.shape)."
        raise Failed(hint, given, "independent elements", "whole rows or columns of zeros")
    if abs(zero.mean() - p) > 0.02:
        raise Failed("The share of zeros should be p.", given, f"{p}", f"{zero.mean():.3f}")


def _loaded(result, held, state, given):
    for name, array in held.items():
        if not isinstance(result[name], np.ndarray):
            hint = "An array of the model is gone. Write into it: a[...] = b."
            raise Failed(hint, given, f"{name}: the array that was there", describe(result[name]))
        if np.shares_memory(result[name], state[name]):
            hint = "The model now shares memory with the saved state: a step would change both. Copy."
            raise Failed(hint, given, "own arrays with copied values", f"{name} is state's array")
        if not np.array_equal(result[name], state[name]):
            raise Failed("The values did not arrive.", given, describe(state[name]), describe(result[name]))
        if result[name] is not array:
            hint = "A new array, while the optimiser holds the old one. Write into that: a[...] = b."
            raise Failed(hint, given, "the same array object as before", "another one")


def _refused(answer, own, state, what):
    shapes = lambda d: ", ".join(f"{k} {a.shape}" for k, a in d.items())  # noqa: E731
    given, before = f"own: {shapes(own)}; state: {shapes(state)}", {k: a.copy() for k, a in own.items()}
    hint = {
        "shape": "A wrong shape must be refused: compare shapes before anything is copied.",
        "broadcast": "Shape (3,) went into (2, 3): NumPy broadcast it in silence. Compare shapes first.",
        "missing": "A name of the model that the state lacks must be refused, or a layer stays untrained.",
        "unknown": "A name that the model does not have must be refused: the file belongs to another model.",
    }[what]
    held, kind = dict(own), KeyError if what in ("missing", "unknown") else ValueError
    error = None
    try:
        answer(own, state)
    except (Exception, SystemExit) as raised:
        error = raised
    if error is None:
        raise Failed(hint, given, kind.__name__, "no error")
    if "broadcast" in str(error) and "input array" in str(error):
        late = "That error is NumPy's, and it comes too late: compare the shapes yourself before copying."
        raise Failed(late, given, "your own ValueError, nothing copied", str(error))
    if any(own.get(k) is not held[k] or not np.array_equal(held[k], before[k]) for k in before):
        half = "Half of the state was copied before the error: check every name and shape first, then copy."
        raise Failed(half, given, "own unchanged", "own changed")
    if not isinstance(error, kind):
        other = (
            "Refused, but as another kind of error: KeyError is for names, ValueError for shapes, so that "
            "who catches it knows which."
        )
        raise Failed(other, given, kind.__name__, f"{type(error).__name__}: {error}")
