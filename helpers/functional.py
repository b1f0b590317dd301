"""Network operations as functions of Tensors.

Images are (N, C, H, W) to the reader. In memory the channel axis lies last (N, H, W, C), as in PyTorch's
channels_last: cutting out a patch then copies whole rows of channels, and pooling compares whole rows.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from helpers.tensor import Tensor, operation

PART = 2**19  # numbers that convolution copies at once, so that they stay in the cache

# Linux hands large freed blocks back to the system, and every step fetches its 8,000 pages anew, at a quarter
# of its time. Once a block of just under 32 MB was freed, it keeps them. This one is never touched: no cost.
np.empty(2**25 - 2**16, np.uint8)


# --- elementwise and linear -------------------------------------------------------------------------


def relu(x):
    """max(x, 0), element by element: (any shape) → same. Gradient 0 at x = 0. Nair & Hinton 2010."""
    value = np.maximum(x.data, 0)
    return operation("relu", value, (x, lambda g: g * (value > 0)))


def sigmoid(x):
    """1 / (1 + exp(-x)), element by element, written with tanh so that exp cannot overflow."""
    return (x * 0.5).tanh() * 0.5 + 0.5


def linear(x, weight, bias=None):
    """y = x Wᵀ + b: x (…, D), weight (O, D), bias (O,) → (…, O)."""
    _check_linear(x, weight, bias)
    rows = x.data.reshape(-1, x.shape[-1])  # (N, D)
    value = (rows @ weight.data.T).reshape(*x.shape[:-1], len(weight))  # (…, O)
    edges = [
        (x, lambda g: g @ weight.data),
        (weight, lambda g: g.reshape(-1, len(weight)).T @ rows),
    ]
    if bias is not None:
        value += bias.data
        edges.append((bias, lambda g: g))
    return operation("linear", value, *edges)


def dropout(x, p, rng):
    """Set each element to 0 with probability p and divide the others by 1 - p. Srivastava et al. 2014."""
    _check_probability(p)
    kept = (rng.random(x.shape, dtype=np.float32) >= p) / (1 - p)
    return x * kept.astype(x.dtype)


# --- scores and losses ------------------------------------------------------------------------------


def softmax(x, axis=-1):
    """pᵢ = exp(xᵢ) / Σⱼ exp(xⱼ) over `axis`: (any shape) → same. Subtracting the maximum keeps exp finite."""
    p = np.exp(x.data - x.data.max(axis=axis, keepdims=True))
    p /= p.sum(axis=axis, keepdims=True)
    return operation("softmax", p, (x, lambda g: p * (g - (g * p).sum(axis=axis, keepdims=True))))


def log_softmax(x, axis=-1):
    """log pᵢ = xᵢ - log Σⱼ exp(xⱼ) over `axis`: (any shape) → same. Finite where softmax is rounded to 0."""
    shifted = x.data - x.data.max(axis=axis, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    rule = (x, lambda g: g - np.exp(log_p) * g.sum(axis=axis, keepdims=True))
    return operation("log_softmax", log_p, rule)


def cross_entropy(logits, labels):
    """Mean of -log p(right class), in nats: logits (N, K), labels (N,) of integers 0 to K - 1 → one number.

    Raises ValueError for wrong shapes or a label outside the classes, TypeError for labels that are no
    integers.
    """
    labels = _check_labels(logits, labels)
    return -log_softmax(logits)[np.arange(len(labels)), labels].mean()


def mse_loss(prediction, target):
    """Mean of (prediction - target)²: two of one shape → one number."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction has shape {prediction.shape}, target has shape {target.shape}: they must be equal, "
            "or broadcasting compares every row with every other; reshape one of them"
        )
    return ((prediction - target) ** 2).mean()


# --- images -----------------------------------------------------------------------------------------


def conv2d(x, weight, bias=None, stride=1, padding=0):
    """Slide O small filters over the images: x (N, C, H, W), weight (O, C, k, k), bias (O,) → (N, O, H', W').

    y[n, o, i, j] = b[o] + Σ x[n, c, i·stride + u - padding, j·stride + v - padding] · w[o, c, u, v] over c,
    u, v, with H' = (H + 2·padding - k) // stride + 1. One matrix product does the sums (Chellapilla et al.
    2006). Raises ValueError for wrong shapes, channels, stride or padding, or for an output without pixels.
    """
    _check_conv2d(x, weight, bias, stride, padding)
    rim = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    images = np.pad(_channels_last(x.data), rim)  # (N, H + 2·padding, W + 2·padding, C)
    patches = _patches(images, weight.shape[2:], stride)  # (N, H', W', k, k, C)
    value = _correlate(patches, weight.data, None if bias is None else bias.data)  # (N, H', W', O)
    edges = [
        (x, lambda g: _to_image(g, weight.data, stride, padding, x.shape)),
        (weight, lambda g: _to_weight(g, patches, weight.shape)),
    ]
    if bias is not None:
        edges.append((bias, _to_bias))
    return operation("conv2d", value.transpose(0, 3, 1, 2), *edges)  # (N, O, H', W')


def max_pool2d(x, kernel_size, stride=None):
    """Largest of each k × k window: (N, C, H, W) → (N, C, H', W'), stride k unless given.

    H' = (H - k) // stride + 1. The gradient goes to the first largest element of its window, as in PyTorch.
    Raises ValueError for a wrong kernel_size or stride, or for an output without pixels.
    """
    stride = kernel_size if stride is None else stride
    _check_pool(x, kernel_size, stride)
    first, *others = _shifted(x.data, kernel_size, stride)
    value = first.copy(order="K")
    winner = np.zeros_like(value, dtype=np.uint8)  # which place of the window holds the largest
    for place, candidate in enumerate(others, start=1):
        larger = candidate > value
        np.maximum(value, candidate, out=value)
        np.maximum(winner, larger * np.uint8(place), out=winner)

    def to_winners(g):
        g = _channels_last(g).transpose(0, 3, 1, 2)  # (N, C, H', W') again, now in the order of winner
        n, c, h, w = x.shape
        dx = np.zeros((n, h, w, c), g.dtype).transpose(0, 3, 1, 2)  # (N, C, H, W)
        for place, target in enumerate(_shifted(dx, kernel_size, stride)):
            if stride >= kernel_size:  # windows do not overlap: write, which is twice as fast as adding
                np.multiply(g, winner == place, out=target)
            else:
                target += g * (winner == place)
        return dx

    return operation("max_pool2d", value, (x, to_winners))


def batch_norm(x, mean, var, weight, bias, eps=1e-5):
    """weight · (x - mean) / √(var + eps) + bias for each channel: (N, C, H, W), four of (C,) → (N, C, H, W).

    mean and var are Tensors: those of the batch while training, running ones after. Ioffe & Szegedy 2015.
    """
    scale = weight / (var + eps).sqrt()
    shift = bias - mean * scale
    return x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)


def _correlate(patches, weight, bias=None):
    """The sums of conv2d: (N, H', W', k, k, C) * (O, C, k, k) + (O,) → (N, H', W', O)."""
    kernel = weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))  # (k·k·C, O)
    out = np.empty((*patches.shape[:3], len(weight)), patches.dtype)  # (N, H', W', O)
    for part in _parts(patches):
        rows = patches[part].reshape(-1, len(kernel))  # (n·H'·W', k·k·C), copied
        np.matmul(rows, kernel, out=out[part].reshape(-1, len(weight)))
        if bias is not None:
            out[part] += bias  # here, while this part is still in the cache
    return out


def _to_bias(g):
    """Gradient of the bias: g (N, O, H', W') summed over images and pixels → (O,)."""
    rows = _channels_last(g).reshape(-1, g.shape[1])  # (N·H'·W', O)
    return np.ones(len(rows), g.dtype) @ rows  # a sum as a product: ten times as fast as rows.sum(axis=0)


def _to_weight(g, patches, shape):
    """Gradient of the filters: every patch times the output gradient at its place → (O, C, k, k)."""
    g = _channels_last(g)  # (N, H', W', O)
    o, c, kh, kw = shape
    total = np.zeros((kh * kw * c, o), g.dtype)  # (k·k·C, O)
    for part in _parts(patches):
        total += patches[part].reshape(-1, len(total)).T @ g[part].reshape(-1, o)
    return total.reshape(kh, kw, c, o).transpose(3, 2, 0, 1)  # (O, C, k, k)


def _to_image(g, weight, stride, padding, shape):
    """Gradient of the images: the output gradient, spread by the stride, times the filters turned by 180°."""
    (n, _, h, w), (o, _, kh, kw) = shape, weight.shape
    spread = np.zeros((n, h + 2 * padding + kh - 1, w + 2 * padding + kw - 1, o), g.dtype)
    rows = slice(kh - 1, kh - 1 + g.shape[2] * stride, stride)
    columns = slice(kw - 1, kw - 1 + g.shape[3] * stride, stride)
    spread[:, rows, columns] = g.transpose(0, 2, 3, 1)
    spread = spread[:, padding : padding + h + kh - 1, padding : padding + w + kw - 1]
    turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)  # (C, O, k, k)
    return _correlate(_patches(spread, (kh, kw), 1), turned).transpose(0, 3, 1, 2)  # (N, C, H, W)


def _patches(images, kernel, stride):
    """Every patch under the filter, as a view: (N, H, W, C) → (N, H', W', k, k, C)."""
    windows = sliding_window_view(images, kernel, axis=(1, 2))[:, ::stride, ::stride]  # (N, H', W', C, k, k)
    return windows.transpose(0, 1, 2, 4, 5, 3)


def _channels_last(x):
    """(N, C, H, W) → (N, H, W, C), in that order in memory: a copy only where it is not yet."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def _parts(patches):
    """Slices of images whose patches together hold about PART numbers."""
    size = max(1, PART * len(patches) // max(1, patches.size))
    return [slice(n, n + size) for n in range(0, len(patches), size)]


def _shifted(x, kernel_size, stride):
    """The k·k views of x with the first, second, … element of every pooling window: each (N, C, H', W')."""
    h, w = (stride * ((n - kernel_size) // stride) + 1 for n in x.shape[2:])
    places = [(i, j) for i in range(kernel_size) for j in range(kernel_size)]
    return [x[:, :, i : i + h : stride, j : j + w : stride] for i, j in places]


# --- what can go wrong ------------------------------------------------------------------------------


def _check_linear(x, weight, bias):
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: x has shape {x.shape}, weight {weight.shape}: weight is (outputs, inputs), and the "
            "last size of x must be its inputs; flatten the images first, or give the layer this many inputs"
        )
    _check_bias("linear", weight, bias)


def _check_bias(name, weight, bias):
    if bias is not None and bias.shape != (len(weight),):
        raise ValueError(
            f"{name}: bias has shape {bias.shape}, weight {weight.shape}: one bias an output is needed, "
            f"shape ({len(weight)},)"
        )


def _check_conv2d(x, weight, bias, stride, padding):
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            f"conv2d: x has shape {x.shape}, weight {weight.shape}: they must be (N, C, H, W) and "
            "(O, C, k, k); one image alone is x.reshape(1, C, H, W)"
        )
    if x.shape[1] != weight.shape[1]:
        raise ValueError(
            f"conv2d: x {x.shape} has {x.shape[1]} channels, weight {weight.shape} expects "
            f"{weight.shape[1]}: they must agree; if x is (N, H, W, C), permute(0, 3, 1, 2), else give the "
            "layer this many channels"
        )
    _check_bias("conv2d", weight, bias)
    _check_whole("conv2d", "stride", stride, 1)
    _check_whole("conv2d", "padding", padding, 0)
    _check_output("conv2d", x, weight.shape[2:], padding)


def _check_pool(x, kernel_size, stride):
    if x.ndim != 4:
        raise ValueError(
            f"max_pool2d: x has shape {x.shape}: it must be (N, C, H, W); one image alone is "
            "x.reshape(1, C, H, W)"
        )
    _check_whole("max_pool2d", "kernel_size", kernel_size, 1)
    _check_whole("max_pool2d", "stride", stride, 1)
    _check_output("max_pool2d", x, (kernel_size, kernel_size), 0)


def _check_whole(name, argument, value, least):
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name}: {argument}={value!r}: it must be one whole number, at least {least}")


def _check_output(name, x, kernel, padding):
    (h, w), (kh, kw) = x.shape[2:], kernel
    if h + 2 * padding < kh or w + 2 * padding < kw:
        raise ValueError(
            f"{name}: a {kh} × {kw} kernel does not fit into an image of {h} × {w} with padding {padding}: "
            "the output would be empty; use a smaller kernel, more padding, or one pooling layer less"
        )


def _check_labels(logits, labels):
    labels = np.asarray(labels.data if isinstance(labels, Tensor) else labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"cross_entropy: logits have shape {logits.shape}, labels {labels.shape}: they must be (N, K) "
            "and (N,), one class number an example; turn one-hot rows into numbers with .argmax(axis=1)"
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"cross_entropy: labels have dtype {labels.dtype}: they must be whole class numbers; "
            "use labels.astype(np.int64)"
        )
    classes = logits.shape[1]
    if labels.size == 0 or labels.min() < 0 or labels.max() >= classes:
        wrong = labels[(labels < 0) | (labels >= classes)][:1]
        raise ValueError(
            f"cross_entropy: labels hold {wrong[0] if labels.size else 'nothing'}, logits have {classes} "
            f"classes: every label must be 0 to {classes - 1}; give the last layer one output a class, or "
            "number the classes from 0"
        )
    return labels


def _check_probability(p):
    if not 0 <= p < 1:
        raise ValueError(f"dropout: p={p!r}: it is the share set to 0, at least 0 and below 1; 0.5 is usual")
