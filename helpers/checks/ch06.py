"""Checks of chapter 06, a CNN from scratch."""

import numpy as np

from helpers.checks._report import check, expect

X = np.array([[1.0, 2, 0], [0, 1, 3], [2, 1, 1]]).reshape(1, 1, 3, 3)  # the chapter's example
W = np.array([[1.0, 2], [3, 4]]).reshape(1, 1, 2, 2)
G = np.array([[1.0, 0], [2, -1]]).reshape(1, 1, 2, 2)
SHAPES = [(2, 3, 5, 7, 6, 3), (1, 2, 6, 4, 3, 2), (3, 1, 4, 4, 2, 1), (2, 2, 3, 3, 1, 3)]  # N, C, H, W, O, k


def _backward(x, w, g):
    """dx, dw of a convolution without padding, one multiply-and-add of the forward pass at a time."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for n, o, i, j in np.ndindex(g.shape):
        for c, u, v in np.ndindex(w.shape[1:]):
            dw[o, c, u, v] += g[n, o, i, j] * x[n, c, i + u, j + v]
            dx[n, c, i + u, j + v] += g[n, o, i, j] * w[o, c, u, v]
    return dx, dw


def _turned(w):
    return w[:, :, ::-1, ::-1]


def _weight_gradient(x, g, k, stride=1):
    """dw (O, C, k, k), one multiply-and-add at a time."""
    dw = np.zeros((g.shape[1], x.shape[1], k, k))
    for n, o, i, j in np.ndindex(g.shape):
        for c, u, v in np.ndindex(dw.shape[1:]):
            dw[o, c, u, v] += g[n, o, i, j] * x[n, c, stride * i + u, stride * j + v]
    return dw


@check(
    "6.1",
    tested="the example on paper, 6 other shapes, strides 1, 2 and 3, a batch of one, a 1 × 1 kernel",
    hints=(
        "Start with stride 1. dw[o, c, u, v] is a sum over n, i and j: the block x[:, c, u:u + H', v:v + "
        "W'] times g[:, o]. db is the sum of g over the same three axes.",
        "For each u, v the pixels are x[:, :, u:u + s·H':s, v:v + s·W':s] with s = stride, and "
        'np.einsum("nchw,nohw->oc", pixels, g) is dw[:, :, u, v].',
    ),
)
def parameter_gradients(answer):
    """x (N, C, H, W), g (N, O, H', W'), k, stride → dw (O, C, k, k), db (O,)"""
    rng = np.random.default_rng(61)
    cases = [(X, G, 2, 1)]
    for n, c, h, w, o, k, stride in (
        (2, 3, 5, 7, 6, 3, 1),
        (1, 2, 6, 4, 3, 2, 1),
        (2, 3, 7, 9, 4, 3, 2),
        (3, 1, 4, 4, 2, 1, 3),
        (2, 2, 8, 7, 3, 2, 3),
        (2, 2, 3, 3, 1, 3, 1),
    ):
        out = (n, o, (h - k) // stride + 1, (w - k) // stride + 1)
        cases.append((rng.normal(size=(n, c, h, w)), rng.normal(size=out), k, stride))
    for x, g, k, stride in cases:
        dw = _weight_gradient(x, g, k, stride)
        db = np.array([g[:, o].sum() for o in range(g.shape[1])])
        expect(
            answer,
            {"x": x, "g": g, "k": k, "stride": stride},
            {"dw": dw, "db": db},
            mistakes={
                "dw": [
                    (
                        "The stride is not used: output pixel (i, j) saw pixel (stride · i + u, stride · "
                        "j + v).",
                        _weight_gradient(x, g, k),
                    ),
                    (
                        "The kernel came out turned by 180°. Only the input's gradient needs a turn: "
                        "dw[u, v] pairs g[i, j] with x[i + u, j + v], so nothing is flipped.",
                        _turned(dw),
                    ),
                    (
                        "The batch is averaged. If the loss is a mean, g already holds its 1/N: add up "
                        "the images.",
                        dw / len(x),
                    ),
                    (
                        "The pixels are averaged. A weight is used at every pixel, and each use adds its "
                        "share: sum over i, j.",
                        dw / g[0, 0].size,
                    ),
                    (
                        "Averaged over images and pixels: each use of a weight adds its whole share, so "
                        "take sums.",
                        dw / g[:, 0].size,
                    ),
                    (
                        "Only the first image counts here: sum over n as well.",
                        _weight_gradient(x[:1], g[:1], k, stride),
                    ),
                    (
                        "The last image overwrites those before: add with +=.",
                        _weight_gradient(x[-1:], g[-1:], k, stride),
                    ),
                    (
                        "Axes O and C are swapped: dw has the shape of the weights, (O, C, k, k).",
                        dw.swapaxes(0, 1),
                    ),
                    (
                        "Rows and columns are swapped: u goes down with i, v to the right with j.",
                        dw.swapaxes(2, 3),
                    ),
                ],
                "db": [
                    (
                        "The bias gradient is averaged. The bias was added at every pixel of every "
                        "image, and each use adds its share: the sum of g, not its mean.",
                        lambda got, g=g, db=db: np.allclose(got * g[:, 0].size, db),
                    ),
                    (
                        "The bias gradient is averaged over the batch: g already holds the 1/N of a mean "
                        "loss.",
                        db / len(g),
                    ),
                    (
                        "One bias gradient for each image: the images share the bias, so sum over n too.",
                        lambda got, g=g: got.shape == g.shape[:2],
                    ),
                    (
                        "One bias for all channels? There is one per output channel: sum over axes 0, 2 "
                        "and 3.",
                        lambda got, db=db: got.size == 1 and len(db) > 1,
                    ),
                    ("Only the first image counts in db: sum over n as well.", g[0].sum(axis=(1, 2))),
                ],
            },
        )


@check(
    "6.2",
    tested="the example on paper, 4 other shapes, padding 0, 1 and 2",
    hints=(
        "With stamps: start from zeros of the padded size (N, C, H' + k - 1, W' + k - 1); for each u, v "
        "add the sum over o of g[:, o] * w[o, c, u, v] to the block that starts at [u, v]; cut the "
        "border off.",
        'np.einsum("nohw,oc->nchw", g, w[:, :, u, v]) is what one (u, v) adds '
        "to dx[:, :, u:u + H', v:v + W'].",
    ),
)
def input_gradient(answer):
    """g (N, O, H', W'), w (O, C, k, k), padding → dx (N, C, H, W)"""
    rng = np.random.default_rng(62)
    cases = [(G, W, 0)]
    for (n, c, h, w_, o, k), padding in zip(SHAPES, (1, 0, 0, 1), strict=True):
        out = (n, o, h + 2 * padding - k + 1, w_ + 2 * padding - k + 1)
        cases.append((rng.normal(size=out), rng.normal(size=(o, c, k, k)), padding))
    cases.append((rng.normal(size=(2, 3, 6, 7)), rng.normal(size=(3, 2, 3, 3)), 2))
    for g, w, padding in cases:
        n, (_, c, k, _) = len(g), w.shape
        side = (g.shape[2] + k - 1, g.shape[3] + k - 1)
        padded = {
            name: _backward(np.zeros((n, c, *side)), kernel, g)[0]
            for name, kernel in {
                "right": w,
                "unturned": _turned(w),
                "stamped transposed": w.swapaxes(2, 3),
                "slid transposed": _turned(w.swapaxes(2, 3)),
                "rows only": w[:, :, :, ::-1],
                "columns only": w[:, :, ::-1],
            }.items()
        }
        cut = {
            name: a[:, :, padding : side[0] - padding, padding : side[1] - padding]
            for name, a in padded.items()
        }
        expect(
            answer,
            {"g": g, "w": w, "padding": padding},
            cut["right"],
            mistakes=[
                (
                    "The kernel is not turned. Sliding the kernel over g, turn it by 180° first: w[:, :, "
                    "::-1, ::-1]. Backward, a pixel looks up and to the left for the outputs it went "
                    "into.",
                    cut["unturned"],
                ),
                *(
                    (
                        "The kernel is transposed, rows for columns. A turn by 180° reverses both axes: "
                        "[::-1, ::-1].",
                        cut[way],
                    )
                    for way in ("stamped transposed", "slid transposed")
                ),
                (
                    "Only the kernel's rows are reversed, which is a mirror. A turn by 180° reverses the "
                    "columns too: w[:, :, ::-1, ::-1].",
                    cut["rows only"],
                ),
                (
                    "Only the kernel's columns are reversed, which is a mirror. A turn by 180° reverses "
                    "the rows too: w[:, :, ::-1, ::-1].",
                    cut["columns only"],
                ),
                (
                    "Nothing is left: with padding = 0, a[0:-0] is empty. Write the end from the front: "
                    "a[p:len(a) - p].",
                    lambda got: got.size == 0,
                ),
                (
                    "The border is still there. The padding was not part of the image: cut `padding` "
                    "rows and columns off on every side.",
                    lambda got, p=padding, s=padded: p and got.shape == s["right"].shape,
                ),
                (
                    "Without a border of zeros around g, the kernel meets too few outputs and dx comes "
                    "out too small: pad g by k - 1 - padding.",
                    lambda got, g=g, k=k, p=padding: (
                        got.shape[2:] == (g.shape[2] - k + 1, g.shape[3] - k + 1) and k > p + 1
                    ),
                ),
                (
                    "g was padded by `padding`, as in the forward pass. Backward the border is k - 1 - "
                    "padding wide.",
                    lambda got, g=g, k=k, p=padding, want=cut["right"]: (
                        got.shape[2:]
                        == (g.shape[2] + 2 * p - k + 1, g.shape[3] + 2 * p - k + 1)
                        != want.shape[2:]
                    ),
                ),
                (
                    "The axes for channels are mixed up: dx has the C channels of the input; the sum "
                    "runs over the O of g.",
                    lambda got, g=g, want=cut["right"]: (
                        got.ndim == 4 and got.shape[1] == g.shape[1] != want.shape[1]
                    ),
                ),
                (
                    "The last stamp overwrites those before. Where stamps overlap they add: use +=.",
                    lambda got, g=g, w=w, p=padding: np.allclose(got, _overwritten(g, w, p)),
                ),
            ],
        )


def _overwritten(g, w, padding):
    """What input_gradient gives if each stamp replaces what was there."""
    k = w.shape[2]
    dx = np.zeros((len(g), w.shape[1], g.shape[2] + k - 1, g.shape[3] + k - 1))
    for i, j in np.ndindex(g.shape[2:]):
        dx[:, :, i : i + k, j : j + k] = np.einsum("no,ocuv->ncuv", g[:, :, i, j], w)
    return dx[:, :, padding : dx.shape[2] - padding, padding : dx.shape[3] - padding]


@check(
    "6.3",
    tested="the two windows of the example, 6 other shapes, ties, windows that overlap, touch or leave gaps",
    hints=(
        "For one window: u, v = np.unravel_index(window.argmax(), (k, k)). The window starts at row "
        "stride · i, column stride · j, so the winner is pixel (stride · i + u, stride · j + v). argmax "
        "takes the first of several largest.",
        "A pixel that wins two windows gets both gradients: dx[n, c, row, column] += g[n, c, i, j].",
    ),
)
def max_pool2d_backward(answer):
    """x (N, C, H, W), g (N, C, H', W'), k, stride → dx (N, C, H, W)"""
    rng = np.random.default_rng(63)
    cases = [(np.array([[[[1.0, 3, 2, 0], [5, 4, 2, 1]]]]), np.array([[[[10.0, 20]]]]), 2, 2)]
    cases.append((np.array([[[[1.0, 5, 2], [0, 3, 4]]]]), np.array([[[[10.0, 20]]]]), 2, 1))  # 5 wins twice
    for n, c, h, w, k, stride in (
        (2, 3, 4, 6, 2, 2),
        (2, 2, 7, 5, 3, 2),
        (1, 2, 6, 9, 3, 3),
        (3, 1, 2, 3, 1, 1),
        (2, 1, 4, 5, 2, 1),
        (1, 2, 8, 5, 2, 3),
    ):
        x = rng.integers(0, 9, (n, c, h, w)) - 6.0  # few values, many negative: ties, and no help from 0
        g = rng.normal(size=(n, c, (h - k) // stride + 1, (w - k) // stride + 1))
        cases.append((x, g, k, stride))
    for x, g, k, stride in cases:
        ways = _pool_ways(x, g, k, stride)
        expect(
            answer,
            {"x": x, "g": g, "k": k, "stride": stride},
            ways["first"],
            mistakes=[
                (
                    "A later window overwrites an earlier one. Where windows overlap, a pixel can win "
                    "twice, and its gradients add: use +=.",
                    lambda got, a=(x, g, k, stride): (
                        a[3] < a[2] and any(_same(got, way) for way in _pool_ways(*a, add=False).values())
                    ),
                ),
                (
                    "The stride is not used: windows are k apart here. Window (i, j) starts at row "
                    "stride · i, column stride · j.",
                    lambda got, a=(x, g, k, stride): a[3] != a[2] and _same(got, _apart(*a)),
                ),
                (
                    "The pixel's place misses the window's start: (u, v) counts inside the window, which "
                    "begins at (stride · i, stride · j).",
                    lambda got, w=ways: _same(got, w["no start"]) or _same(got, w["no start, last"]),
                ),
                (
                    "The winner gets 1: which pixel won is right. What it receives is the window's "
                    "gradient g[n, c, i, j].",
                    ways["ones"],
                ),
                (
                    "The gradient is multiplied by x. The winner is passed on as it is, times 1, so it "
                    "gets g[n, c, i, j] itself.",
                    ways["times x"],
                ),
                (
                    "The search starts from 0, so a window of negative numbers has no winner, or the "
                    "wrong one. Start from the window's first number, or from -inf.",
                    lambda got, w=ways: any(_same(got, w[f"from 0, {rest}"]) for rest in ("none", "corner")),
                ),
                (
                    "Every cell of the window got the gradient. Raising a loser changes nothing: only "
                    "the winner gets it.",
                    ways["every"],
                ),
                (
                    "The gradient is spread evenly over the window: that is average pooling. Here the "
                    "winner takes all.",
                    ways["even"],
                ),
                (
                    "The gradient lands in the first cell of each window, whatever stands there: find "
                    "the largest, with argmax.",
                    ways["corner"],
                ),
                (
                    "In a tie, all winners got the gradient, and so it was multiplied. Give it to the "
                    "first alone.",
                    ways["all"],
                ),
                (
                    "In a tie, the gradient was shared. That is a sound rule, but here, as in PyTorch, "
                    "the first wins.",
                    ways["shared"],
                ),
                (
                    "In a tie, the last one won: with >= a later equal cell takes over. The first in "
                    "reading order wins.",
                    ways["last"],
                ),
                (
                    "The smallest of each window got the gradient: the largest is what pooling kept.",
                    ways["smallest"],
                ),
                (
                    "That is the pooled output, or of its shape. dx has the shape of x.",
                    lambda got, g=g, x=x: x.shape != g.shape == got.shape,
                ),
            ],
        )


def _same(got, wrong):
    return got.shape == wrong.shape and np.allclose(got, wrong)


def _pool_ways(x, g, k, stride, add=True):
    """dx under the right rule ("first") and under wrong ones: name → array. add=False overwrites."""
    ways = {}
    order = [(u, v) for u in range(k) for v in range(k)]

    def give(name, place, value):
        dx = ways.setdefault(name, np.zeros(x.shape))
        dx[place] = value + add * dx[place]

    for n, c, i, j in np.ndindex(g.shape):
        window = {(u, v): x[n, c, stride * i + u, stride * j + v] for u, v in order}
        best, least, value = max(window.values()), min(window.values()), g[n, c, i, j]
        tops = [place for place in order if window[place] == best]
        rules = {
            "first": (tops[:1], value),
            "last": (tops[-1:], value),
            "all": (tops, value),
            "shared": (tops, value / len(tops)),
            "every": (order, value),
            "even": (order, value / k**2),
            "corner": (order[:1], value),
            "smallest": ([place for place in order if window[place] == least][:1], value),
            "ones": (tops[:1], 1),
            "times x": (tops[:1], value * best),
            "from 0, none": (tops[:1] if best > 0 else [], value),
            "from 0, corner": (tops[:1] if best > 0 else order[:1], value),
        }
        for name, (places, share) in rules.items():
            ways.setdefault(name, np.zeros(x.shape))
            for u, v in places:
                give(name, (n, c, stride * i + u, stride * j + v), share)
        u, v = tops[0]
        give("no start", (n, c, u, v), value)
        ways.setdefault("no start, last", np.zeros(x.shape))[n, c, u, v] = value
    return ways


def _apart(x, g, k, stride):
    """The right rule on windows that start k pixels apart, as far as they lie in x."""
    h, w = ((side - k) // k + 1 for side in x.shape[2:])
    return _pool_ways(x, g[:, :, :h, :w], k, k)["first"]


@check(
    "6.4",
    tested="the example, 4 other shapes, a 1 × 1 kernel, the count of copies of each pixel",
    hints=(
        "columns.reshape(C, k, k, H', W') gives the gradient at [c, u, v, i, j]; it belongs to pixel (c, "
        "i + u, j + v).",
        "For each u, v: dx[:, u:u + H', v:v + W'] += columns.reshape(C, k, k, H', W')[:, u, v].",
    ),
)
def col2im(answer):
    """columns (C·k·k, H'·W'), shape (C, H, W), k → dx (C, H, W)"""
    rng = np.random.default_rng(64)
    cases = [(np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]]), (1, 3, 2), 2), (np.ones((9, 6)), (1, 4, 5), 3)]
    for c, h, w, k in ((3, 5, 7, 2), (2, 6, 4, 3), (3, 2, 6, 1), (1, 3, 3, 3)):
        cases.append((rng.normal(size=(c * k * k, (h - k + 1) * (w - k + 1))), (c, h, w), k))
    for columns, shape, k in cases:
        right = _paste(columns, shape, k)
        copies = _paste(np.ones(columns.shape), shape, k)
        overwritten = [_paste(columns, shape, k, add=False, order=o) for o in ("", "uv first")]
        expect(
            answer,
            {"columns": columns, "shape": shape, "k": k},
            right,
            mistakes=[
                *(
                    (
                        "Later copies overwrite earlier ones. A pixel was copied into several windows, "
                        "and its gradient is the sum over its copies: add with +=, and where an index "
                        "array names a pixel twice, with np.add.at.",
                        wrong,
                    )
                    for wrong in overwritten
                ),
                (
                    "columns is read as P, one window a row. Here a window is a column: window (i, j) is "
                    "columns[:, i · W' + j].",
                    lambda got, a=(columns, shape, k): np.allclose(
                        got, _paste(a[0].reshape(a[0].shape[::-1]).T, *a[1:])
                    ),
                ),
                (
                    "These are the means over the copies of a pixel. Gradients of copies add up.",
                    right / copies,
                ),
                (
                    "A column is read with the channel last, as (u, v, c). Chapter 03 stored (c, u, v): "
                    "reshape to (C, k, k).",
                    lambda got, a=(columns, shape, k): np.allclose(got, _paste(*a, order="uvc")),
                ),
                (
                    "Within a column u and v are swapped: the order is (c, u, v), the kernel's rows "
                    "before its columns.",
                    lambda got, a=(columns, shape, k): np.allclose(got, _paste(*a, order="cvu")),
                ),
                (
                    "Windows are counted down the columns of the picture. Reading order is row by row: "
                    "window i · W' + j.",
                    lambda got, a=(columns, shape, k): np.allclose(got, _paste(*a, order="ji")),
                ),
                (
                    "The kernel is turned here. Nothing turns: the copy from (c, i + u, j + v) goes back "
                    "to where it came from.",
                    lambda got, a=(columns, shape, k): np.allclose(got, _paste(*a, order="turned")),
                ),
            ],
        )


def _paste(columns, shape, k, order="", add=True):
    """Columns put back one number at a time. `order` misreads them on purpose; add=False overwrites."""
    c, h, w = shape
    dx = np.zeros(shape)
    tall, wide = h - k + 1, w - k + 1
    places = [(i, j, *cell) for i, j in np.ndindex(tall, wide) for cell in np.ndindex(c, k, k)]
    if order == "uv first":  # matters only where copies overwrite
        places.sort(key=lambda place: place[3:])
    for i, j, channel, u, v in places:
        at = j * tall + i if order == "ji" else i * wide + j
        row = {
            "uvc": (u * k + v) * c + channel,
            "cvu": (channel * k + v) * k + u,
            "turned": (channel * k + k - 1 - u) * k + k - 1 - v,
        }.get(order, (channel * k + u) * k + v)
        dx[channel, i + u, j + v] = columns[row, at] + add * dx[channel, i + u, j + v]
    return dx


@check(
    "6.5",
    tested="the example, the network of this chapter, 3 others",
    hints=(
        "A convolution has O · C · k · k weights and O biases, whatever the size of the picture. A "
        "linear layer has out · in weights and out biases.",
        "Padding 1 keeps the side; each pooling halves it. fc1 gets 64 · (side / 4)² numbers.",
    ),
)
def count_parameters(answer):
    """side, channels, classes → parameters of conv1, conv2, fc1, fc2"""
    for side, channels, classes in ((8, 1, 2), (32, 3, 10), (28, 1, 62), (64, 4, 7), (4, 2, 3)):

        def count(features, taps=9, bias=1, channels=channels, classes=classes):
            weights = np.array([32 * channels * taps, 64 * 32 * taps, 128 * features, classes * 128])
            return weights + bias * np.array([32, 64, 128, classes])

        want = count(64 * (side // 4) ** 2)
        sums = [want[0], *np.cumsum(want)[1:]]
        expect(
            answer,
            {"side": side, "channels": channels, "classes": classes},
            want,
            mistakes=[
                (
                    "The biases are missing: one for each output channel, and one for each output of a "
                    "linear layer.",
                    count(64 * (side // 4) ** 2, bias=0),
                ),
                (
                    "The linear layers have biases too: 128 in fc1, one for each class in fc2.",
                    want - [0, 0, 128, classes],
                ),
                (
                    "The convolutions have biases too: one for each output channel, 32 and 64.",
                    want - [32, 64, 0, 0],
                ),
                (
                    "fc1 has another width than the chapter's: it has 128 outputs, and fc2 reads these 128.",
                    lambda got, classes=classes: (
                        got.shape == (4,)
                        and got[3] in [(width + 1) * classes for width in (32, 64, 100, 256, 512)]
                    ),
                ),
                (
                    "flatten finds fewer numbers: each pooling halves the side. fc1 has 128 · 64 · (side "
                    "/ 4)² weights.",
                    lambda got, f=64 * side**2: (
                        got.shape == (4,) and any(got[2] == 128 * (n + 1) for n in (f, f // 2, f // 4))
                    ),
                ),
                (
                    "fc1 sees more: padding 1 keeps the side in each convolution, so that only pooling "
                    "shrinks it.",
                    lambda got, f=64 * (((side - 2) // 2 - 2) // 2) ** 2: (
                        got.shape == (4,) and got[2] == 128 * (f + 1)
                    ),
                ),
                (
                    "flatten finds all 64 channels of pool2, each (side / 4)² numbers.",
                    lambda got, f=(side // 4) ** 2: got.shape == (4,) and got[2] == 128 * (f + 1),
                ),
                (
                    "A filter has 3 × 3 weights for each input channel: C is missing.",
                    lambda got, want=want, c=channels: (
                        got.shape == (4,)
                        and got[0] == 320 != want[0]
                        or got.shape == (4,)
                        and got[1] == 64 * 9 + 64
                    ),
                ),
                (
                    "A filter has 3 · 3 = 9 weights for each input channel, not 3.",
                    count(64 * (side // 4) ** 2, taps=3),
                ),
                (
                    "A convolution uses the same weights at every pixel: the side does not enter the "
                    "first two numbers.",
                    lambda got, want=want: got.shape == (4,) and np.any(got[:2] >= 4 * want[:2]),
                ),
                ("These are running totals. Give each layer's own number.", sums),
                ("That is the total. Give four numbers, one for each layer.", want.sum()),
            ],
        )
