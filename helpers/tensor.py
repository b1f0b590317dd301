"""An array that remembers how it was made, and can therefore be differentiated.

Reverse-mode automatic differentiation (Linnainmaa 1970; Rumelhart, Hinton & Williams 1986). An operation
hands `operation` its value and, side by side, one gradient rule per input: a function from the gradient of
the output to the gradient of that input. `Tensor.backward` walks the operations in reverse and applies the
rules.
"""

import math
from contextlib import contextmanager

import numpy as np

_recording = True  # False inside no_grad


@contextmanager
def no_grad():
    """Inside `with no_grad():` operations record nothing: for evaluation, and for changing weights."""
    global _recording
    before, _recording = _recording, False
    try:
        yield
    finally:
        _recording = before


class Tensor:
    """An array with a gradient: data (any shape) → .data, and after backward .grad of the same shape.

    Arrays keep their dtype. Python numbers and lists become float32, or int64 if whole, as in PyTorch.
    Raises TypeError for what is no array of numbers, and for a gradient of whole numbers.
    """

    __array_ufunc__ = None  # array * tensor must call Tensor.__rmul__, not multiply element by element

    def __init__(self, data, requires_grad=False):
        self.data = _as_array(data)
        if requires_grad and self.data.dtype.kind != "f":
            raise TypeError(
                f"requires_grad=True with data of dtype {self.data.dtype}: only floating-point numbers have "
                "gradients; write 2.0 for 2, or data.astype(np.float32)"
            )
        self.requires_grad = requires_grad
        self.grad = None
        self.op = None  # the name of the operation that made this Tensor; None for a leaf
        self._edges = ()  # pairs (input, gradient rule); None once backward has used and freed them

    # --- the engine ---------------------------------------------------------------------------------

    def backward(self, gradient=None):
        """Add d(self)/d(leaf) to .grad of every leaf with requires_grad that self was made from.

        `gradient` is that of the final result with respect to self, of its shape; a single number needs none
        (it is 1). The graph is freed on the way: rules and values go as soon as they are used. Raises
        RuntimeError without a graph (or a second time), ValueError for a missing or misshapen gradient.
        """
        gradients = {id(self): self._first_gradient(gradient)}
        order = _topological_order(self)
        while order:
            tensor = order.pop()
            gradient = gradients.pop(id(tensor))
            if tensor.op is None:
                tensor.grad = np.array(gradient) if tensor.grad is None else tensor.grad + gradient
                continue
            for source, rule in tensor._edges:
                part = _fit(rule(gradient), source, tensor.op)
                key = id(source)
                gradients[key] = gradients[key] + part if key in gradients else part
            tensor._edges = None

    def _first_gradient(self, gradient):
        if not self.requires_grad:
            raise RuntimeError(
                "backward() on a Tensor made from nothing with requires_grad=True (or inside no_grad): "
                "create the parameters with requires_grad=True and compute it again"
            )
        if gradient is None and self.size != 1:
            raise ValueError(
                f"backward() on a Tensor of shape {self.shape}: only a single number has an obvious first "
                "gradient, 1; reduce it with .sum() or .mean(), or pass backward(gradient) of this shape"
            )
        gradient = np.ones_like(self.data) if gradient is None else _as_array(gradient).astype(self.dtype)
        if gradient.shape != self.shape:
            raise ValueError(
                f"gradient has shape {gradient.shape}, the Tensor has shape {self.shape}: they must be "
                "equal; pass one number an element"
            )
        return gradient

    def detach(self):
        """The same values as a Tensor without a history (sharing memory)."""
        return Tensor(self.data)

    # --- looking at it ------------------------------------------------------------------------------

    shape = property(lambda self: self.data.shape)
    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)
    dtype = property(lambda self: self.data.dtype)

    def item(self):
        """The one element as a Python number."""
        return self.data.item()

    def numpy(self):
        """The values as an array (sharing memory)."""
        return self.data

    def __len__(self):
        return len(self.data)

    def __repr__(self):
        values = np.array2string(self.data, separator=", ", prefix="Tensor(")
        history = f", op={self.op}" if self.op else ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({values}{history})"

    # --- arithmetic: each operation and its rules ---------------------------------------------------

    def __add__(self, other):
        a, b = _pair("add", self, other)
        return operation("add", a.data + b.data, (a, lambda g: g), (b, lambda g: g))

    def __sub__(self, other):
        a, b = _pair("sub", self, other)
        return operation("sub", a.data - b.data, (a, lambda g: g), (b, lambda g: -g))

    def __mul__(self, other):
        a, b = _pair("mul", self, other)
        return operation("mul", a.data * b.data, (a, lambda g: g * b.data), (b, lambda g: g * a.data))

    def __truediv__(self, other):
        a, b = _pair("div", self, other)
        value = a.data / b.data
        return operation("div", value, (a, lambda g: g / b.data), (b, lambda g: -g * value / b.data))

    def __pow__(self, exponent):
        if not isinstance(exponent, int | float):
            raise TypeError(f"exponent is a {type(exponent).__name__}: a Tensor takes a number as its power")
        x, p = self, exponent
        return operation("pow", x.data**p, (x, lambda g: g * p * x.data ** (p - 1)))

    def __neg__(self):
        return operation("neg", -self.data, (self, lambda g: -g))

    def __matmul__(self, other):
        """(…, n, m) @ (…, m, k) → (…, n, k), leading axes broadcast; a vector is one row or one column."""
        a, b = _as_tensor(self, other), _as_tensor(other, self)
        _check_matmul(a, b)
        if a.ndim == 1:
            return (a.reshape(1, -1) @ b).reshape(*b.shape[:-2], *b.shape[-1:] * (b.ndim > 1))
        if b.ndim == 1:
            return (a @ b.reshape(-1, 1)).reshape(*a.shape[:-1])
        return operation(
            "matmul",
            a.data @ b.data,
            (a, lambda g: g @ b.data.swapaxes(-1, -2)),
            (b, lambda g: a.data.swapaxes(-1, -2) @ g),
        )

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other):
        return _as_tensor(other, self) - self

    def __rtruediv__(self, other):
        return _as_tensor(other, self) / self

    def __rmatmul__(self, other):
        return _as_tensor(other, self) @ self

    # --- functions of each element ------------------------------------------------------------------

    def exp(self):
        value = np.exp(self.data)
        return operation("exp", value, (self, lambda g: g * value))

    def log(self):
        x = self
        return operation("log", np.log(x.data), (x, lambda g: g / x.data))

    def sqrt(self):
        value = np.sqrt(self.data)
        return operation("sqrt", value, (self, lambda g: g / (2 * value)))

    def tanh(self):
        value = np.tanh(self.data)
        return operation("tanh", value, (self, lambda g: g * (1 - value * value)))

    # --- reductions ---------------------------------------------------------------------------------

    def sum(self, axis=None, keepdims=False):
        """Sum over `axis` (a number, a tuple, or None for all)."""
        x, axis = self, _axes(self, axis)
        kept = [1 if a in axis else n for a, n in enumerate(x.shape)]
        value = x.data.sum(axis=axis, keepdims=keepdims)
        return operation("sum", value, (x, lambda g: np.broadcast_to(g.reshape(kept), x.shape)))

    def mean(self, axis=None, keepdims=False):
        count = math.prod(self.shape[a] for a in _axes(self, axis))
        return self.sum(axis, keepdims) * (1 / count)

    def max(self, axis=None, keepdims=False):
        """Largest element over `axis`; elements that share it share the gradient equally."""
        x, axis = self, _axes(self, axis)
        top = x.data.max(axis=axis, keepdims=True)

        def to_winners(g):
            won = x.data == top
            return g.reshape(top.shape) * won / won.sum(axis=axis, keepdims=True, dtype=x.dtype)

        return operation("max", top if keepdims else top.squeeze(axis), (x, to_winners))

    # --- moving elements ----------------------------------------------------------------------------

    def reshape(self, *shape):
        """The same elements in a new shape, -1 for the size that is left: (2, 6).reshape(3, -1) → (3, 4)."""
        x, shape = self, shape[0] if shape and isinstance(shape[0], tuple) else shape
        return operation("reshape", x.data.reshape(shape), (x, lambda g: g.reshape(x.shape)))

    def flatten(self, start_dim=0):
        """All axes from `start_dim` on become one: (N, C, H, W).flatten(1) → (N, C·H·W)."""
        return self.reshape(*self.shape[:start_dim], -1)

    def permute(self, *axes):
        """The axes in a new order: (2, 3, 5).permute(2, 0, 1) → (5, 2, 3)."""
        back = np.argsort(axes)
        return operation("permute", self.data.transpose(axes), (self, lambda g: g.transpose(back)))

    def transpose(self, axis0, axis1):
        """Two axes swapped, as in PyTorch: (2, 3, 5).transpose(0, 2) → (5, 3, 2)."""
        value = self.data.swapaxes(axis0, axis1)
        return operation("transpose", value, (self, lambda g: g.swapaxes(axis0, axis1)))

    @property
    def T(self):
        return self.permute(*reversed(range(self.ndim)))

    def __getitem__(self, index):
        """self.data[index], also with arrays of integers: table[tokens] (V, D)[(N, T)] → (N, T, D)."""
        x, index = self, _plain_index(index)

        def scatter(g):  # an element taken twice gets both gradients, which dx[index] += g would lose
            dx = np.zeros_like(x.data)
            np.add.at(dx, index, g)
            return dx

        return operation("index", x.data[index], (x, scatter))


def operation(name, value, *edges):
    """The Tensor `value`, which remembers its edges: pairs (input, rule from output to input gradient).

    A rule may return a gradient of the broadcast shape: the engine sums it to the shape of the input.
    Raises TypeError where the inputs mix dtypes.
    """
    dtypes = {source.dtype for source, _ in edges}
    if len(dtypes) > 1:
        raise TypeError(
            f"{name} of dtypes {' and '.join(sorted(map(str, dtypes)))}: all inputs need the same dtype, or "
            "float64 would spread unseen; convert one before, e.g. Tensor(array.astype(np.float32))"
        )
    out = Tensor(value)
    if _recording and any(source.requires_grad for source, _ in edges):
        out.requires_grad, out.op = True, name
        out._edges = tuple((source, rule) for source, rule in edges if source.requires_grad)
    return out


def concatenate(tensors, axis=0):
    """Join Tensors along an axis: [(2, 3), (4, 3)] → (6, 3)."""
    edges, start = [], 0
    for t in tensors:
        place = range(start, start + t.shape[axis])
        edges.append((t, lambda g, place=place: g.take(place, axis)))
        start = place.stop
    return operation("concatenate", np.concatenate([t.data for t in tensors], axis), *edges)


def stack(tensors, axis=0):
    """Join Tensors of one shape along a new axis: [(2, 3), (2, 3)] → (2, 2, 3)."""
    axis = axis % (tensors[0].ndim + 1)
    return concatenate([t.reshape(*t.shape[:axis], 1, *t.shape[axis:]) for t in tensors], axis)


def _topological_order(root):
    """Every Tensor that root was made from, each after its inputs. No recursion, which would limit depth."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        tensor, inputs_done = stack.pop()
        if inputs_done:
            order.append(tensor)
        elif id(tensor) not in seen:
            if tensor._edges is None:
                raise RuntimeError(
                    f"backward() through '{tensor.op}' a second time: its graph was freed by the first; "
                    "compute the result again before each backward(), or add the losses and call it once"
                )
            seen.add(id(tensor))
            stack.append((tensor, True))
            stack.extend((source, False) for source, _ in tensor._edges)
    return order


def _fit(gradient, source, op):
    """The gradient summed over the axes along which the input was broadcast: the one place that undoes it."""
    new = gradient.ndim - source.ndim
    repeated = [new + a for a, n in enumerate(source.shape) if n == 1 and gradient.shape[new + a] != 1]
    if new > 0 or repeated:
        gradient = gradient.sum(axis=(*range(new), *repeated)).reshape(source.shape)
    if gradient.shape != source.shape or gradient.dtype != source.dtype:
        raise RuntimeError(
            f"a gradient rule of '{op}' returned shape {gradient.shape}, {gradient.dtype} for an input of "
            f"shape {source.shape}, {source.dtype}: both must agree; correct the rule"
        )
    return gradient


def _as_array(data):
    if isinstance(data, Tensor):
        data = data.data
    array = np.asarray(data)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"data is {data!r:.60}: a Tensor holds numbers; pass an array, a list or a number")
    if array.dtype == np.float64 and not isinstance(data, np.ndarray | np.generic):
        array = array.astype(np.float32)
    return array


def _as_tensor(value, like):
    """A Tensor as it is; a number in the dtype of `like`; an array as a constant Tensor."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, int | float | np.generic):
        return Tensor(np.asarray(value, dtype=like.dtype))
    return Tensor(value)


def _pair(name, a, b):
    a, b = _as_tensor(a, b), _as_tensor(b, a)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"{name} of shapes {a.shape} and {b.shape}: from the right, two sizes must be equal or one of "
            "them 1; reshape one of the two"
        ) from None
    return a, b


def _check_matmul(a, b):
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
        raise ValueError(
            f"matmul of shapes {a.shape} and {b.shape}: the last size of the first must equal the last but "
            "one of the second; transpose one of them?"
        )


def _axes(x, axis):
    """The reduced axes as a tuple of numbers from 0 on."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if any(not -x.ndim <= a < x.ndim for a in axes):
        raise ValueError(f"axis={axis} for a Tensor of shape {x.shape}: it has axes 0 to {x.ndim - 1}")
    return tuple(a % x.ndim for a in axes)


def _plain_index(index):
    if isinstance(index, tuple):
        return tuple(_plain_index(i) for i in index)
    return index.data if isinstance(index, Tensor) else index
