"""Answers for chapter 05, right and wrong."""

import numpy as np

from tests.exercises import Case

# --- 5.1 named_parameters ---------------------------------------------------------------------------


def with_a_stack(tree):
    found, held = {}, set()
    waiting = list(reversed([(k, v) for k, v in tree.items()]))
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{name}.{k}", v) for k, v in reversed(list(value.items()))]
        elif id(value) not in held:
            held.add(id(value))
            found[name] = value
    return found


def as_pairs(tree, prefix="", seen=None):
    seen = [] if seen is None else seen
    pairs = []
    for name, value in tree.items():
        if isinstance(value, np.ndarray):
            if not any(value is other for other in seen):
                seen.append(value)
                pairs.append((prefix + name, value))
        else:
            pairs += as_pairs(value, prefix + name + ".", seen)
    return pairs


def flat_only(tree):
    return {k: v for k, v in tree.items() if isinstance(v, np.ndarray)}


def dicts_as_arrays(tree):
    return dict(tree)


def twice(tree, prefix=""):
    found = {}
    for name, value in tree.items():
        found |= twice(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def without_path(tree):
    found = {}
    for name, value in tree.items():
        found |= without_path(value) if isinstance(value, dict) else {name: value}
    return found


def by_value(tree):
    found = {}
    for name, value in twice(tree).items():
        if not any(np.array_equal(value, other) for other in found.values()):
            found[name] = value
    return found


def copies(tree):
    return {name: value.copy() for name, value in as_pairs(tree)}


def underscores(tree):
    return {name.replace(".", "_"): value for name, value in as_pairs(tree)}


# --- 5.2 he_normal ----------------------------------------------------------------------------------


def scaled(factor):
    return lambda out, D, rng: rng.standard_normal((out, D)) * factor(out, D)


def he(out, D):
    return np.sqrt(2 / D)


# --- 5.3 and 5.4 ------------------------------------------------------------------------------------


def momentum_in_old_form(w, g, v, lr, beta):
    step = [beta * a + b for a, b in zip(v, g, strict=True)]
    return np.add(w, -lr * np.array(step)), step


def momentum(velocity, sign=-1):
    def step(w, g, v, lr, beta):
        v = velocity(v, g, lr, beta)
        return w + sign * lr * v, v

    return step


def momentum_lr_inside(w, g, v, lr, beta):
    v = beta * v + lr * g
    return w - v, v


def momentum_along_the_old(w, g, v, lr, beta):
    return w - lr * v, beta * v + g


def momentum_as_a_step(w, g, v, lr, beta):
    v = beta * v - lr * g
    return w + v, v


def momentum_downhill(w, g, v, lr, beta):
    v = beta * v - g
    return w + lr * v, v


def momentum_as_lists(w, g, v, lr, beta):
    w, g, v = (np.asarray(part) for part in (w, g, v))
    v = beta * v + g
    return (w - lr * v).tolist(), v.tolist()


def momentum_old_returned(w, g, v, lr, beta):
    return w - lr * (beta * v + g), v


def adam(
    time=lambda t: t,
    eps_inside=False,
    root=np.sqrt,
    square=lambda g: g * g,
    corrected=True,
    give_hats=False,
    sign=1,
):
    """Adam with one thing wrong, or none."""

    def step(w, g, m, v, t, lr, beta1, beta2, eps):
        m, v, t = m + (1 - beta1) * (g - m), v + (1 - beta2) * (square(g) - v), time(t)
        m_hat, v_hat = (m / (1 - np.power(beta1, t)), v / (1 - np.power(beta2, t))) if corrected else (m, v)
        below = np.sqrt(v_hat + eps) if eps_inside else root(v_hat) + eps
        w = w - sign * lr * m_hat / below
        return (w, m_hat, v_hat) if give_hats else (w, m, v)

    return step


def adam_in_efficient_form(w, g, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    root = (1 - beta2**t) ** 0.5
    rate = lr * root / (1 - beta1**t)
    return [w - rate * m / (np.sqrt(v) + eps * root), m, v]


def adam_beta_times_t(w, g, m, v, t, lr, beta1, beta2, eps):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1 * t), v / (1 - beta2 * t)
    return w - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def adam_without_eps(w, g, m, v, t, lr, beta1, beta2, eps):
    return adam()(w, g, m, v, t, lr, beta1, beta2, 0)


# --- 5.5 dropout ------------------------------------------------------------------------------------


def drop(kept, factor=lambda p: 1 / (1 - p), always=False):
    def dropout(x, p, training, rng):
        return np.where(kept(x, p, rng), x * factor(p), 0.0) if training or always else x

    return dropout


def keep(x, p, rng):
    return rng.random(x.shape) >= p


def drop_in_a_comprehension(x, p, training, rng):
    return [0 if rng.random() < p else a / (1 - p) for a in x] if training else x


def keep_an_exact_share(x, p, rng):
    order = rng.permutation(x.size).reshape(x.shape)
    return order >= int(p * x.size)


def dropout_by_binomial(x, p, training, rng):
    if not training:
        return x.copy()
    return x * rng.binomial(1, 1 - p, x.shape) / (1 - p)


# --- 5.6 load_state ---------------------------------------------------------------------------------


def load_with_copyto(own, state):
    if own.keys() ^ state.keys():
        raise KeyError("names differ")
    if [k for k in own if own[k].shape != state[k].shape]:
        raise ValueError("shapes differ")
    for name in state:
        np.copyto(own[name], state[name])
    return own


def _refuse_names(own, state):
    if set(own) != set(state):
        raise KeyError("names differ")


def _refuse_all(own, state):
    _refuse_names(own, state)
    if any(own[name].shape != state[name].shape for name in own):
        raise ValueError("shapes differ")


def load_without_shapes(own, state):
    _refuse_names(own, state)
    for name in own:
        own[name][...] = state[name]
    return own


def load_broadcasts(own, state):
    _refuse_names(own, state)
    for name in own:
        if own[name].ndim == state[name].ndim and own[name].shape != state[name].shape:
            raise ValueError(f"{name} has another shape")
    for name in own:
        own[name][...] = state[name]
    return own


def load_aliases(own, state):
    _refuse_all(own, state)
    own.update(state)
    return own


def load_new_arrays(own, state):
    _refuse_all(own, state)
    for name in own:
        own[name] = state[name].copy()
    return own


def load_what_is_there(own, state):
    for name in own.keys() & state.keys():
        if own[name].shape != state[name].shape:
            raise ValueError(f"{name} has another shape")
    for name in own.keys() & state.keys():
        own[name][...] = state[name]
    return own


def load_unknown(own, state):
    for name in own:
        if own[name].shape != state[name].shape:  # a missing name is a KeyError by itself
            raise ValueError(f"{name} does not fit")
    for name in own:
        own[name][...] = state[name]
    return own


def load_half(own, state):
    _refuse_names(own, state)
    for name in own:
        if own[name].shape != state[name].shape:
            raise ValueError(f"{name} has another shape")
        own[name][...] = state[name]
    return own


def load_in_order(own, state):
    if list(own) != list(state):
        raise KeyError("names differ")
    return load_with_copyto(own, state)


def load_value_error(own, state):
    if set(own) != set(state):
        raise ValueError("names differ")
    return load_with_copyto(own, state)


def load_leaves(own, state):
    if set(own) != set(state) or any(own[k].shape != state[k].shape for k in own):
        raise SystemExit("does not fit")
    return load_with_copyto(own, state)


def load_empties(own, state):
    kept = dict(own)
    own.clear()
    own.update(load_with_copyto(kept, state))
    return own


def load_lists(own, state):
    return {name: array.tolist() for name, array in load_with_copyto(own, state).items()}


CASES = {
    "named_parameters": Case(
        right=[with_a_stack, as_pairs],
        wrong=[
            ("not recursive", flat_only, "Not recursive"),
            ("dicts as if arrays", dicts_as_arrays, "go into it"),
            ("shared array twice", twice, "listed twice"),
            ("names without path", without_path, "Names without their path"),
            ("compares values", by_value, "still two"),
            ("copies", copies, "are copies"),
            ("underscores", underscores, "outer name, dot"),
        ],
        values_only=True,
    ),
    "he_normal": Case(
        right=[
            lambda out, D, rng: rng.normal(0, (2 / D) ** 0.5, size=(out, D)),
            lambda out, D, rng: (rng.standard_normal((out, D)) / np.sqrt(D / 2)).astype(np.float32),
            lambda out, D, rng: rng.normal(scale=he(out, D), size=out * D).reshape(out, D).tolist(),
        ],
        wrong=[
            ("fan_out", scaled(lambda out, D: (2 / out) ** 0.5), "fan_out"),
            ("variance", scaled(lambda out, D: 2 / D), "is the variance"),
            ("no factor 2", scaled(lambda out, D: D**-0.5), "factor 2 is missing"),
            ("Glorot", scaled(lambda out, D: (2 / (out + D)) ** 0.5), "Glorot"),
            ("no scale", scaled(lambda out, D: 1), "the scale is missing"),
            ("transposed", lambda out, D, rng: rng.standard_normal((D, out)) * he(out, D), "(out, in)"),
            (
                "uniform",
                lambda out, D, rng: rng.uniform(-1, 1, (out, D)) * (6 / D) ** 0.5,
                "normal distribution",
            ),
            (
                "mean not 0",
                lambda out, D, rng: np.abs(rng.standard_normal((out, D))) * he(out, D),
                "mean should be 0",
            ),
            (
                "own generator",
                lambda out, D, rng: scaled(he)(out, D, np.random.default_rng(0)),
                "new generator inside",
            ),
            (
                "other generator",
                lambda out, D, rng: scaled(he)(out, D, np.random.default_rng()),
                "not from np.random",
            ),
        ],
        values_only=True,
    ),
    "momentum_step": Case(
        right=[momentum_in_old_form, momentum_as_lists, momentum(lambda v, g, lr, beta: g + v * beta)],
        wrong=[
            ("velocity forgotten", momentum(lambda v, g, lr, beta: g), "forgotten"),
            ("lr twice", momentum(lambda v, g, lr, beta: beta * v + lr * g), "applied twice"),
            ("lr in the velocity", momentum_lr_inside, "belongs to the step"),
            ("along the old", momentum_along_the_old, "the old one"),
            ("uphill", momentum(lambda v, g, lr, beta: beta * v + g, sign=1), "Minus"),
            ("averaged", momentum(lambda v, g, lr, beta: beta * v + (1 - beta) * g), "another convention"),
            ("the step as velocity", momentum_as_a_step, "the step itself"),
            ("minus in the velocity", momentum_downhill, "the step itself"),
            ("old velocity returned", momentum_old_returned, "Return the new velocity"),
        ],
    ),
    "adam_step": Case(
        right=[adam_in_efficient_form, adam()],
        wrong=[
            ("no correction", adam(corrected=False), "correction is missing"),
            ("t from 0", adam(time=lambda t: t - 1), "counted from 1"),
            ("t + 1", adam(time=lambda t: t + 1), "t + 1"),
            ("eps inside", adam(eps_inside=True), "outside the root"),
            ("no root", adam(root=lambda v: v), "root of v"),
            ("not squared", adam(square=np.abs), "squared gradient"),
            ("corrected averages returned", adam(give_hats=True), "without the correction"),
            ("uphill", adam(sign=-1), "Minus"),
            ("beta times t", adam_beta_times_t, "not beta * t"),
            ("no eps", adam_without_eps, "eps is missing"),
        ],
    ),
    "dropout": Case(
        right=[dropout_by_binomial, lambda x, p, training, rng: drop(keep)(np.asarray(x), p, training, rng)],
        wrong=[
            ("not scaled", drop(keep, factor=lambda p: 1), "not scaled"),
            ("active in evaluation", drop(keep, always=True), "does nothing"),
            ("keeps with p", drop(lambda x, p, rng: rng.random(x.shape) < p), "keep with p"),
            ("scaled by 1 / p", drop(keep, factor=lambda p: 1 / p), "reciprocal of the share"),
            ("one draw a column", drop(lambda x, p, rng: rng.random(x.shape[1]) >= p), "Whole rows"),
            ("a loop over rows", drop_in_a_comprehension, "runs over its rows"),
            ("an exact share", drop(keep_an_exact_share), "a draw of its own"),
            (
                "own generator",
                drop(lambda x, p, rng: keep(x, p, np.random.default_rng(0))),
                "new generator inside",
            ),
            (
                "scaled in evaluation",
                lambda x, p, training, rng: (
                    drop(keep, lambda p: 1)(x, p, training, rng) * (1 if training else 1 - p)
                ),
                "nothing is scaled",
            ),
        ],
    ),
    "load_state": Case(
        right=[load_with_copyto],
        wrong=[
            ("shapes ignored", load_without_shapes, "too late"),
            ("broadcasts", load_broadcasts, "broadcast it in silence"),
            ("aliases", load_aliases, "shares memory"),
            ("new arrays", load_new_arrays, "the optimiser holds the old one"),
            ("missing name ignored", load_what_is_there, "the state lacks"),
            ("unknown name ignored", load_unknown, "another model"),
            ("copies before it checks", load_half, "Half of the state"),
            ("nothing copied", lambda own, state: own, "did not arrive"),
            ("names compared as lists", load_in_order, "sets of names, not lists"),
            ("ValueError for names", load_value_error, "KeyError is for names"),
            ("leaves Python", load_leaves, "another kind of error"),
            ("empties own before the error", load_empties, "Half of the state"),
            ("returns lists", load_lists, "is gone"),
        ],
        values_only=True,
    ),
}
