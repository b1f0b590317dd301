"""Answers to chapter 06."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.exercises import Case


def _dw(x, g, k, s):
    windows = sliding_window_view(x, (k, k), axis=(2, 3))[:, :, ::s, ::s]  # (N, C, H', W', k, k)
    return np.einsum("ncijuv,noij->ocuv", windows, g)


def _parameters_loops(x, g, k, s):
    dw = np.zeros((g.shape[1], x.shape[1], k, k))
    for n, o, i, j in np.ndindex(g.shape):
        dw[o] += g[n, o, i, j] * x[n, :, s * i : s * i + k, s * j : s * j + k]
    return dw, g.sum(axis=(0, 2, 3))


def _chapters_loops(x, g, k, s):
    return _dw(x, g, k, 1) if s == 1 else _parameters_loops(x, g, k, 1)[0], _db(g)


def _db(g):
    return g.sum(axis=(0, 2, 3))


def _last_image_only(x, g, k, s):
    for n in range(len(x)):
        dw = _dw(x[n : n + 1], g[n : n + 1], k, s)
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


def _pool(x, g, k, s, choose=np.argmax, value=lambda g, best: g, add=1, start=1):
    """Pooling backward; choose(cells) names the winner of a window, or nobody with None."""
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(g.shape):
        cells = x[n, c, s * i : s * i + k, s * j : s * j + k].ravel()
        winner = choose(cells)
        if winner is not None:
            u, v = divmod(int(winner), k)
            place = n, c, start * s * i + u, start * s * j + v
            dx[place] = add * dx[place] + value(g[n, c, i, j], cells[winner])
    return dx


def _pool_weights(x, g, k, s, weigh):
    """Pooling backward where each cell of a window gets a share: weigh(cells) → shares."""
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(g.shape):
        at = n, c, slice(s * i, s * i + k), slice(s * j, s * j + k)
        dx[at] += (weigh(x[at].ravel()) * g[n, c, i, j]).reshape(k, k)
    return dx


def _pool_views(x, g, k, s):
    """Without loops over windows: the k² shifted views, compared in turn."""
    h, w = g.shape[2:]

    def views(a):
        return [
            a[:, :, u : u + s * (h - 1) + 1 : s, v : v + s * (w - 1) + 1 : s]
            for u in range(k)
            for v in range(k)
        ]

    dx, winner = np.zeros(x.shape), np.argmax(views(x), axis=0)
    for place, target in enumerate(views(dx)):
        target += g * (winner == place)
    return dx


def _pool_apart(x, g, k, s):
    """The chapter's loops: windows that touch."""
    if s == k:
        return _pool(x, g, k, k)
    h, w = ((side - k) // k + 1 for side in x.shape[2:])
    return _pool(x, g[:, :, :h, :w], k, k)


def _from_zero(cells):
    return cells.argmax() if cells.max() > 0 else None


def _from_zero_corner(cells):
    return cells.argmax() if cells.max() > 0 else 0


def _last(cells):
    return len(cells) - 1 - cells[::-1].argmax()


def _col2im_slices(columns, shape, k, add=1):
    C, H, W = shape
    parts = columns.reshape(C, k, k, H - k + 1, W - k + 1)
    dx = np.zeros(shape)
    for u, v in np.ndindex(k, k):
        block = dx[:, u : u + H - k + 1, v : v + W - k + 1]
        block[...] = add * block + parts[:, u, v]
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


def _col2im_index(columns, shape, k):
    C, H, W = shape
    c, u, v, i, j = np.indices((C, k, k, H - k + 1, W - k + 1)).reshape(5, -1)
    dx = np.zeros(shape)
    dx[c, i + u, j + v] += columns.ravel()
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


def _count(side, channels, classes, features=None, bias=1, taps=9, width=128):
    features = 64 * (side // 4) ** 2 if features is None else features
    return [
        32 * channels * taps + bias * 32,
        64 * 32 * taps + bias * 64,
        width * features + bias * width,
        classes * width + bias * classes,
    ]


CASES = {
    "parameter_gradients": Case(
        right=[
            lambda x, g, k, s: (_dw(x, g, k, s), _db(g)),
            _parameters_loops,
            lambda x, g, k, s: [_dw(x, g, k, s), g.swapaxes(0, 1).reshape(g.shape[1], -1).sum(1)],
        ],
        wrong=[
            ("the chapter's loops, stride 1", _chapters_loops, "stride is not used"),
            ("dw flipped", lambda x, g, k, s: (_dw(x, g, k, s)[:, :, ::-1, ::-1], _db(g)), "turned by 180°"),
            ("dw over N", lambda x, g, k, s: (_dw(x, g, k, s) / len(x), _db(g)), "batch is averaged"),
            (
                "dw a mean over pixels",
                lambda x, g, k, s: (_dw(x, g, k, s) / g[0, 0].size, _db(g)),
                "pixels are averaged",
            ),
            ("dw of the last image", _last_image_only, "overwrites"),
            (
                "dw of the first image",
                lambda x, g, k, s: (_dw(x[:1], g[:1], k, s), _db(g)),
                "Only the first image counts here",
            ),
            (
                "dw (C, O, k, k)",
                lambda x, g, k, s: (_dw(x, g, k, s).swapaxes(0, 1), _db(g)),
                "O and C are swapped",
            ),
            (
                "dw transposed",
                lambda x, g, k, s: (_dw(x, g, k, s).swapaxes(2, 3), _db(g)),
                "Rows and columns are swapped",
            ),
            (
                "db a mean",
                lambda x, g, k, s: (_dw(x, g, k, s), g.mean(axis=(0, 2, 3))),
                "sum of g, not its mean",
            ),
            ("db over N", lambda x, g, k, s: (_dw(x, g, k, s), _db(g) / len(g)), "averaged over the batch"),
            ("db per image", lambda x, g, k, s: (_dw(x, g, k, s), g.sum(axis=(2, 3))), "share the bias"),
            ("db one number", lambda x, g, k, s: (_dw(x, g, k, s), g.sum()), ""),
        ],
    ),
    "input_gradient": Case(
        right=[_input_stamps, _input_full],
        wrong=[
            ("not turned", lambda g, w, p: _input_full(g, w, p, turn=False), "not turned"),
            ("transposed", lambda g, w, p: _input_stamps(g, w.swapaxes(2, 3), p), "transposed"),
            (
                "slid transposed",
                lambda g, w, p: _input_stamps(g, w.swapaxes(2, 3)[:, :, ::-1, ::-1], p),
                "transposed",
            ),
            (
                "rows mirrored",
                lambda g, w, p: _input_stamps(g, w[:, :, :, ::-1], p),
                "Only the kernel's rows",
            ),
            (
                "columns mirrored",
                lambda g, w, p: _input_stamps(g, w[:, :, ::-1], p),
                "Only the kernel's columns",
            ),
            ("cut with -0", lambda g, w, p: _input_stamps(g, w, 0)[:, :, p:-p, p:-p], "a[0:-0] is empty"),
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
        right=[_pool_views, _pool],
        wrong=[
            ("overwrites", lambda *a: _pool(*a, add=0), "overwrites"),
            ("overwrites, last winner", lambda *a: _pool(*a, choose=_last, add=0), "last one won"),
            ("the chapter's loops, stride k", _pool_apart, "stride is not used"),
            ("stride missing", lambda *a: _pool(*a, start=0), "misses the window's start"),
            ("stride missing, =", lambda *a: _pool(*a, start=0, add=0), "misses the window's start"),
            ("best = 0", lambda *a: _pool(*a, choose=_from_zero), "starts from 0"),
            ("best = 0, else the corner", lambda *a: _pool(*a, choose=_from_zero_corner), "starts from 0"),
            ("g forgotten", lambda *a: _pool(*a, value=lambda g, best: 1), "winner gets 1"),
            ("x times g", lambda *a: _pool(*a, value=lambda g, best: g * best), "multiplied by x"),
            ("every cell", lambda *a: _pool_weights(*a, np.ones_like), "Every cell"),
            (
                "average",
                lambda *a: _pool_weights(*a, lambda cells: np.ones(len(cells)) / len(cells)),
                "average pooling",
            ),
            ("first cell", lambda *a: _pool(*a, choose=lambda cells: 0), "first cell"),
            ("all winners", lambda *a: _pool_weights(*a, lambda cells: cells == cells.max()), "multiplied"),
            (
                "winners share",
                lambda *a: _pool_weights(
                    *a, lambda cells: (cells == cells.max()) / (cells == cells.max()).sum()
                ),
                "shared",
            ),
            ("last winner", lambda *a: _pool(*a, choose=_last), "last one won"),
            ("smallest", lambda *a: _pool(*a, choose=np.argmin), "smallest"),
            ("forward", lambda x, g, k, s: g * 2, "pooled output"),
        ],
    ),
    "col2im": Case(
        right=[_col2im_slices, _col2im_add_at, _col2im],
        wrong=[
            ("overwrites", lambda columns, shape, k: _col2im(columns, shape, k, add=False), "overwrite"),
            ("slices with =", lambda *a: _col2im_slices(*a, add=0), "overwrite"),
            ("index +=", _col2im_index, "np.add.at"),
            (
                "read as P",
                lambda columns, shape, k: _col2im(columns.reshape(columns.shape[::-1]).T, shape, k),
                "read as P",
            ),
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
            (
                "no bias in fc1, fc2",
                lambda s, c, k: _count(s, c, k)[:2] + _count(s, c, k, bias=0)[2:],
                "linear layers have biases",
            ),
            (
                "no bias in conv1, conv2",
                lambda s, c, k: _count(s, c, k, bias=0)[:2] + _count(s, c, k)[2:],
                "convolutions have biases",
            ),
            ("width 64", lambda s, c, k: _count(s, c, k, width=64), "another width"),
            ("width 256", lambda s, c, k: _count(s, c, k, width=256), "another width"),
            (
                "one channel flattened",
                lambda s, c, k: _count(s, c, k, features=(s // 4) ** 2),
                "all 64 channels",
            ),
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
