"""Answers to chapter 06."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.exercises import Case


def _dw(x, g):
    windows = sliding_window_view(x, g.shape[2:], axis=(2, 3))  # (N, C, k, k, H', W')
    return np.einsum("ncuvij,noij->ocuv", windows, g)


def _parameters_loops(x, g):
    k = x.shape[2] - g.shape[2] + 1
    dw = np.zeros((g.shape[1], x.shape[1], k, k))
    for n, o, i, j in np.ndindex(g.shape):
        dw[o] += g[n, o, i, j] * x[n, :, i : i + k, j : j + k]
    return dw, g.sum(axis=(0, 2, 3))


def _db(g):
    return g.sum(axis=(0, 2, 3))


def _last_image_only(x, g):
    for n in range(len(x)):
        dw = _dw(x[n : n + 1], g[n : n + 1])
    return dw, _db(g)


def _pad(a, p):
    return np.pad(a, ((0, 0), (0, 0), (p, p), (p, p)))


def _correlate(a, w):
    """a (N, C, H, W), w (O, C, k, k) → (N, O, H', W')"""
    return np.einsum("ncijuv,ocuv->noij", sliding_window_view(a, w.shape[2:], axis=(2, 3)), w)


def _input_full(g, w, padding, turn=True, extra=None):
    k = w.shape[2]
    kernel = (w[:, :, ::-1, ::-1] if turn else w).swapaxes(0, 1)
    full = _correlate(_pad(g, k - 1), kernel)
    return full[:, :, padding : full.shape[2] - padding, padding : full.shape[3] - padding]


def _input_stamps(g, w, padding, add=True):
    k = w.shape[2]
    dx = np.zeros((len(g), w.shape[1], g.shape[2] + k - 1, g.shape[3] + k - 1))
    for n, o, i, j in np.ndindex(g.shape):
        dx[n, :, i : i + k, j : j + k] += g[n, o, i, j] * w[o]
    return dx[:, :, padding : dx.shape[2] - padding, padding : dx.shape[3] - padding]


def _input_overwrites(g, w, padding):
    k = w.shape[2]
    dx = np.zeros((len(g), w.shape[1], g.shape[2] + k - 1, g.shape[3] + k - 1))
    for i, j in np.ndindex(g.shape[2:]):
        dx[:, :, i : i + k, j : j + k] = np.einsum("no,ocuv->ncuv", g[:, :, i, j], w)
    return dx[:, :, padding : dx.shape[2] - padding, padding : dx.shape[3] - padding]


def _input_forward_padding(g, w, padding):
    return _correlate(_pad(g, padding), w[:, :, ::-1, ::-1].swapaxes(0, 1))


def _windows(x, k):
    N, C, H, W = x.shape
    return x.reshape(N, C, H // k, k, W // k, k).swapaxes(3, 4).reshape(N, C, H // k, W // k, k * k)


def _unwindows(windows, k):
    N, C, h, w, _ = windows.shape
    return windows.reshape(N, C, h, w, k, k).swapaxes(3, 4).reshape(N, C, h * k, w * k)


def _pool_first(x, g, k):
    windows = _windows(x, k)
    return _unwindows((np.arange(k * k) == windows.argmax(axis=-1)[..., None]) * g[..., None], k)


def _pool_argmax_loops(x, g, k):
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(g.shape):
        best = (k * i, k * j)
        for u, v in np.ndindex(k, k):
            if x[n, c, k * i + u, k * j + v] > x[n, c, best[0], best[1]]:
                best = (k * i + u, k * j + v)
        dx[n, c, best[0], best[1]] = g[n, c, i, j]
    return dx


def _pool_last(x, g, k):
    return _pool_first(x[:, :, ::-1, ::-1], g[:, :, ::-1, ::-1], k)[:, :, ::-1, ::-1]


def _pool_all(x, g, k):
    windows = _windows(x, k)
    return _unwindows((windows == windows.max(axis=-1, keepdims=True)) * g[..., None], k)


def _pool_shared(x, g, k):
    windows = _windows(x, k)
    won = windows == windows.max(axis=-1, keepdims=True)
    return _unwindows(won / won.sum(axis=-1, keepdims=True) * g[..., None], k)


def _pool_every(x, g, k):
    return np.kron(g, np.ones((k, k)))


def _pool_corner(x, g, k):
    dx = np.zeros(x.shape)
    dx[:, :, ::k, ::k] = g
    return dx


def _col2im_slices(columns, shape, k):
    C, H, W = shape
    parts = columns.reshape(C, k, k, H - k + 1, W - k + 1)
    dx = np.zeros(shape)
    for u, v in np.ndindex(k, k):
        dx[:, u : u + H - k + 1, v : v + W - k + 1] += parts[:, u, v]
    return dx


def _col2im(columns, shape, k, add=True, axes=(0, 1, 2), sizes=None):
    C, H, W = shape
    dx = np.zeros(shape)
    for place, (i, j) in enumerate(np.ndindex(H - k + 1, W - k + 1)):
        window = columns[:, place].reshape(sizes or (C, k, k)).transpose(axes)
        dx[:, i : i + k, j : j + k] = window + (dx[:, i : i + k, j : j + k] if add else 0)
    return dx


def _col2im_add_at(columns, shape, k):
    C, H, W = shape
    c, u, v, i, j = np.indices((C, k, k, H - k + 1, W - k + 1)).reshape(5, -1)
    dx = np.zeros(shape)
    np.add.at(dx, (c, i + u, j + v), columns.ravel())
    return dx


def _col2im_down(columns, shape, k):
    C, H, W = shape
    h, w = H - k + 1, W - k + 1
    return _col2im(columns.reshape(-1, w, h).swapaxes(1, 2).reshape(-1, h * w), shape, k)


def _col2im_turned(columns, shape, k):
    C, _, _ = shape
    return _col2im(columns.reshape(C, k, k, -1)[:, ::-1, ::-1].reshape(columns.shape), shape, k)


def _col2im_mean(columns, shape, k):
    return _col2im(columns, shape, k) / _col2im(np.ones(columns.shape), shape, k)


def _count(side, channels, classes, features=None, bias=1, taps=9):
    features = 64 * (side // 4) ** 2 if features is None else features
    return [
        32 * channels * taps + bias * 32,
        64 * 32 * taps + bias * 64,
        128 * features + bias * 128,
        classes * 128 + bias * classes,
    ]


CASES = {
    "parameter_gradients": Case(
        right=[
            lambda x, g: (_dw(x, g), _db(g)),
            _parameters_loops,
            lambda x, g: [_dw(x, g).astype(np.float64), g.swapaxes(0, 1).reshape(g.shape[1], -1).sum(1)],
        ],
        wrong=[
            ("dw flipped", lambda x, g: (_dw(x, g)[:, :, ::-1, ::-1], _db(g)), "turned by 180°"),
            ("dw over N", lambda x, g: (_dw(x, g) / len(x), _db(g)), "batch is averaged"),
            ("dw a mean over pixels", lambda x, g: (_dw(x, g) / g[0, 0].size, _db(g)), "pixels are averaged"),
            ("dw of the last image", _last_image_only, "overwrites"),
            (
                "dw of the first image",
                lambda x, g: (_dw(x[:1], g[:1]), _db(g)),
                "Only the first image counts here",
            ),
            ("dw (C, O, k, k)", lambda x, g: (_dw(x, g).swapaxes(0, 1), _db(g)), "O and C are swapped"),
            (
                "dw transposed",
                lambda x, g: (_dw(x, g).swapaxes(2, 3), _db(g)),
                "Rows and columns are swapped",
            ),
            ("db a mean", lambda x, g: (_dw(x, g), g.mean(axis=(0, 2, 3))), "sum of g, not its mean"),
            ("db over N", lambda x, g: (_dw(x, g), _db(g) / len(g)), "averaged over the batch"),
            ("db per image", lambda x, g: (_dw(x, g), g.sum(axis=(2, 3))), "share the bias"),
            ("db one number", lambda x, g: (_dw(x, g), g.sum()), ""),
        ],
    ),
    "input_gradient": Case(
        right=[_input_stamps, _input_full],
        wrong=[
            ("not turned", lambda g, w, p: _input_full(g, w, p, turn=False), "not turned"),
            ("transposed", lambda g, w, p: _input_stamps(g, w.swapaxes(2, 3), p), "transposed"),
            ("border left", lambda g, w, p: _input_stamps(g, w, 0), "border is still there"),
            (
                "g not padded",
                lambda g, w, p: _correlate(g, w[:, :, ::-1, ::-1].swapaxes(0, 1)),
                "Without a border of zeros",
            ),
            ("g padded as forward", _input_forward_padding, "border"),
            ("overwrites", _input_overwrites, "overwrites"),
            ("channels of g", lambda g, w, p: g[:, :, :1, :1] + np.zeros((len(g), g.shape[1], 9, 9)), ""),
        ],
    ),
    "max_pool2d_backward": Case(
        right=[_pool_first, _pool_argmax_loops],
        wrong=[
            ("every cell", _pool_every, "Every cell"),
            ("average", lambda x, g, k: _pool_every(x, g, k) / k**2, "average pooling"),
            ("first cell", _pool_corner, "first cell"),
            ("all winners", _pool_all, "multiplied"),
            ("winners share", _pool_shared, "shared"),
            ("last winner", _pool_last, "last one won"),
            ("smallest", lambda x, g, k: _pool_first(-x, g, k), "smallest"),
            ("forward", lambda x, g, k: _windows(x, k).max(axis=-1), "pooled output"),
        ],
    ),
    "col2im": Case(
        right=[_col2im_slices, _col2im_add_at, _col2im],
        wrong=[
            ("overwrites", lambda columns, shape, k: _col2im(columns, shape, k, add=False), "overwrite"),
            ("mean", _col2im_mean, "means over the copies"),
            (
                "order uvc",
                lambda columns, shape, k: _col2im(columns, shape, k, True, (2, 0, 1), (k, k, shape[0])),
                "(u, v, c)",
            ),
            (
                "u and v swapped",
                lambda columns, shape, k: _col2im(columns, shape, k, True, (0, 2, 1)),
                "swapped",
            ),
            ("windows down", _col2im_down, "row by row"),
            ("turned", _col2im_turned, "turned"),
        ],
    ),
    "count_parameters": Case(
        values_only=True,
        right=[
            _count,
            lambda side, channels, classes: (
                32 * (9 * channels + 1),
                64 * 289,
                128 * (4 * side**2 + 1),
                129 * classes,
            ),
            lambda side, channels, classes: np.array(_count(side, channels, classes), float),
        ],
        wrong=[
            ("no bias", lambda s, c, k: _count(s, c, k, bias=0), "biases are missing"),
            ("no pooling", lambda s, c, k: _count(s, c, k, features=64 * s**2), "fewer numbers"),
            ("one pooling", lambda s, c, k: _count(s, c, k, features=64 * (s // 2) ** 2), "fewer numbers"),
            (
                "no padding",
                lambda s, c, k: _count(s, c, k, features=64 * (((s - 2) // 2 - 2) // 2) ** 2),
                "sees more",
            ),
            ("k instead of k²", lambda s, c, k: _count(s, c, k, taps=3), "not 3"),
            ("channels forgotten", lambda s, c, k: [320, 64 * 9 + 64, *_count(s, c, k)[2:]], "C is missing"),
            (
                "every pixel",
                lambda s, c, k: [s * s * n for n in _count(s, c, k)[:2]] + _count(s, c, k)[2:],
                "same weights",
            ),
            ("total", lambda s, c, k: sum(_count(s, c, k)), "That is the total"),
        ],
    ),
}
