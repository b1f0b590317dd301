"""Analytic against numeric gradient: measure the slope with two evaluations, and compare."""

import numpy as np


def numeric_gradient(f, x, eps=1e-6):
    """Gradient of the scalar f(x) at the array x, measured: x (any shape) → gradient (same shape).

    Element i is the central difference (f(x + eps·eᵢ) - f(x - eps·eᵢ)) / 2eps, whose error shrinks with eps².
    The array x is not changed. Two evaluations of f an element: good for checking, too slow for training.
    Raises ValueError where x is not float64 or where f does not return one finite number.
    """
    x = np.asarray(x)
    if x.dtype != np.float64:
        raise ValueError(
            f"x has dtype {x.dtype}: a difference of nearby values needs float64; pass x.astype(np.float64)"
        )
    moved = x.copy()
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        moved[index] = x[index] + eps
        above = _scalar(f(moved), index)
        moved[index] = x[index] - eps
        below = _scalar(f(moved), index)
        moved[index] = x[index]
        gradient[index] = (above - below) / (2 * eps)
    return gradient


def _scalar(value, index):
    """The one finite number that f returned at a moved element, as a float."""
    number = np.asarray(value)
    if number.size != 1 or number.dtype.kind not in "fiu":
        raise ValueError(
            f"f returned {value!r} with element {index} of x moved: it must return one real number; "
            "end f with .sum() or with a loss"
        )
    if not np.isfinite(number).all():
        raise ValueError(
            f"f returned {number.item()} with element {index} of x moved: it must be finite near x; "
            "choose x away from where f overflows or divides by zero"
        )
    return number.item()


def relative_error(a, b):
    """Largest difference of two arrays of one shape → float: max |a - b| / max(1, |a|, |b|) over elements.

    Absolute for values below 1, relative above: a tiny gradient does not fail for its rounding error.
    Raises ValueError where the shapes differ, since broadcasting would hide a wrong one.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"a has shape {a.shape} and b has shape {b.shape}: compare arrays of one shape")
    scale = np.maximum(1, np.maximum(np.abs(a), np.abs(b)))
    return float(np.max(np.abs(a - b) / scale, initial=0.0))


def check_gradients(f, *tensors, rng, tol=1e-6):
    """Compare every element of every input's gradient with the numeric one → largest relative error.

    f takes the Tensors (float64, requires_grad=True) and returns one of any shape. The check differentiates
    L = sum(f(...) * weights) with random weights: a plain sum would miss every error in a softmax, say, whose
    sum is always 1. Raises AssertionError that names the input and the element where they differ most.
    """
    for tensor in tensors:
        tensor.grad = None
    out = f(*tensors)
    weights = rng.standard_normal(out.shape)
    out.backward(weights)
    worst = 0.0
    for position, tensor in enumerate(tensors):
        numeric = numeric_gradient(lambda x, p=position: _weighted(f, tensors, p, x, weights), tensor.data)
        analytic = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad
        error = relative_error(analytic, numeric)
        if not error <= tol:
            _report(position, analytic, numeric, error, tol)
        worst = max(worst, error)
    return worst


def _weighted(f, tensors, position, x, weights):
    """sum(f(...) * weights) as a number, with tensor number `position` replaced by the array x."""
    inputs = [type(t)(x if i == position else t.data) for i, t in enumerate(tensors)]
    return np.sum(f(*inputs).data * weights)


def _report(position, analytic, numeric, error, tol):
    """Raise the AssertionError of check_gradients."""
    difference = np.abs(analytic - numeric)
    at = np.unravel_index(np.argmax(np.nan_to_num(difference, nan=np.inf)), difference.shape)
    at = tuple(int(i) for i in at)
    raise AssertionError(
        f"input {position}, element {at}: analytic gradient {analytic[at]:.6g}, numeric {numeric[at]:.6g} "
        f"(relative error {error:.2g}, allowed {tol:g}); look at the gradient rule of this input"
    )
