"""Checks of chapter 03: convolution, from one window to one matrix product."""

import itertools

import numpy as np

from helpers.checks._report import Failed, check, expect


def _loops(x, weight, bias, stride=1, padding=0):
    """The plain-loop oracle: x (C, H, W), weight (O, C, k, k), bias (O,) → (O, H_out, W_out)."""
    (C, H, W), k = x.shape, weight.shape[-1]
    high, wide = H + 2 * padding, W + 2 * padding
    padded = np.zeros((C, high, wide))
    padded[:, padding:padding + H, padding:padding + W] = x
    rows, columns = range(0, high - k + 1, stride), range(0, wide - k + 1, stride)
    return np.array([[[sum(weight[o, c, u, v] * padded[c, i + u, j + v]
                           for c in range(C) for u in range(k) for v in range(k)) + bias[o]
                       for j in columns] for i in rows] for o in range(len(weight))], dtype=float)


def _single(x, w, stride=1, padding=0):
    """The same for one channel, without bias: x (H, W), w (k, k) → (H_out, W_out)."""
    return _loops(x[None], w[None, None], [0.0], stride, padding)[0]


def _whole(rng, *shape):
    """Small whole numbers as floats: they can be worked out on paper."""
    return rng.integers(-4, 6, shape).astype(float)


@check("3.1", tested="the 2×3 example by hand, non-square images, kernels 1×1 to 3×3",
       hints=("Write the numbers 1 to 9 on a square of paper and turn it upside down: where does the 1 land, "
              "and in which order does the first row come now?",
              "It is cross-correlation with the turned kernel: in loops over i and j, add up "
              "w[::-1, ::-1] * x[i:i + k, j:j + k]."))
def convolve(answer):
    """y[i, j] = Σ w[u, v] x[i+k-1-u, j+k-1-v]: x (H, W), w (k, k) → (H-k+1, W-k+1)"""
    rng = np.random.default_rng(31)
    cases = [(np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([[1.0, 2], [0, 10]]))]
    for H, W, k in ((5, 7, 3), (6, 3, 2), (2, 3, 1), (3, 3, 3)):
        cases.append((_whole(rng, H, W), _whole(rng, k, k)))
    for x, w in cases:
        full = _single(x, w[::-1, ::-1], padding=len(w) - 1)
        k, (high, wide) = len(w), _single(x, w).shape
        wrapped = np.array([[sum(w[u, v] * x[i - u, j - v] for u in range(k) for v in range(k))
                             for j in range(wide)] for i in range(high)])
        errors = [("IndexError", "The kernel's last row is w[k - 1], and it meets x[i]: the turned index is "
                                 "i + k - 1 - u, not i + k - u.")]
        expect(answer, {"x": x, "w": w}, errors=errors, want=_single(x, w[::-1, ::-1]), mistakes=[
            ("That is cross-correlation: a convolution turns the kernel first.", _single(x, w)),
            ("The kernel is turned top to bottom only: reverse its columns too.", _single(x, w[::-1])),
            ("The kernel is turned left to right only: reverse its rows too.", _single(x, w[:, ::-1])),
            ("The kernel is transposed. A half turn is w[::-1, ::-1], not w.T.", _single(x, w.T)),
            ("A quarter turn is not enough: np.rot90(w) turns by 90°, you need 180°.",
             lambda got, x=x, w=w: any(np.allclose(got, _single(x, np.rot90(w, n))) for n in (1, 3))),
            ("The result is turned instead of the kernel: the image must stay as it is.",
             _single(x, w)[::-1, ::-1]),
            ("The image is turned, and the outputs come in reverse order. The image must stay as it is: "
             "turn the kernel.", _single(x[::-1, ::-1], w)),
            ("x[i - u, j - v] reaches below 0, and Python then counts from the other end. With whole "
             "windows only, the index is x[i + k - 1 - u, j + k - 1 - v].", wrapped),
            ("Only windows that lie wholly inside the image count here: no padding.", full)])


@check("3.2", tested="six sizes by hand, all sizes 3 to 12 with kernels, strides and paddings",
       hints=("Where can the last window start? Count the starting points from 0 up to there.",
              "(size + 2 * padding - k) // stride counts the steps; there is one window more than steps."))
def output_size(answer):
    """⌊(size + 2 padding - k) / stride⌋ + 1"""
    by_hand = [(6, 3, 1, 2), (6, 3, 2, 0), (6, 2, 3, 0), (6, 3, 2, 1), (7, 7, 1, 0), (32, 3, 1, 1)]
    ranges = range(3, 13), (1, 2, 3), (1, 2, 3, 4), (0, 1, 2)
    for size, k, s, p in [*by_hand, *itertools.product(*ranges)]:
        room = size + 2 * p - k
        given = {"size": size, "k": k, "stride": s, "padding": p}
        got = expect(answer, given, want=len(range(0, room + 1, s)), mistakes=[
            ("The + 1 comes last, after the division.", (room + 1) // s),
            ("The kernel is subtracted after the division. The stride divides the whole of "
             "size + 2·padding − k.", (size + 2 * p) // s - k + 1),
            ("The stride divides k only: // comes before + and −. Put brackets round size + 2·padding − k.",
             size + 2 * p - k // s + 1),
            ("Steps and windows differ by one: n steps pass n + 1 windows. The + 1 is missing.",
             len(range(0, room + 1, s)) - 1),
            *[("A window more than fits: a last one that does not fit whole is not read. Round down, "
               "with //; round() goes to the nearest, ceil up.", more)
              for more in (-(-room // s) + 1, round(room / s) + 1)],
            ("There are no fractions of a window: round down, with // instead of /.", room / s + 1),
            ("Padding adds p on both sides of the image: 2p, not p.", (size + p - k) // s + 1),
            ("The stride is not used: windows start every s pixels.", room + 1),
            ("The padding is not used.", (size - k) // s + 1)])
    if got.dtype.kind not in "iu":
        raise Failed("The numbers are right, but they are floats, which np.zeros refuses: use // on whole "
                     "numbers, or int(…).", ", ".join(f"{name} = {value}" for name, value in given.items()),
                     f"{int(got)}", f"{float(got)}")


def _wrong_strides(x, w, s, p):
    """Values that misread stride and padding, each with its hint."""
    right = _single(x, w, s, p)
    rows, columns = right.shape
    H, W = x.shape
    k = len(w)

    def padded(top, bottom, left, right, value=0.0):
        return np.pad(x, ((top, bottom), (left, right)), constant_values=value)

    yield ("The kernel is turned: that is a convolution, and cross-correlation was asked.",
           _single(x, w[::-1, ::-1], s, p))
    if s > 1:
        yield ("Output (i, j) belongs to the window that starts at (stride·i, stride·j); yours starts at "
               "(i, j). The stride must move the window too.", _single(x, w, 1, p)[:rows, :columns])
        yield "The stride is not used: every window is computed.", _single(x, w, 1, p)
        spread = np.zeros((H + 2 * p - k + 1, W + 2 * p - k + 1))
        spread[::s, ::s] = right
        yield ("The stride moves the window, not the place of the result: write to y[i, j], not to "
               "y[stride·i, stride·j]. The output has no gaps.", spread)
        yield "The stride acts on the rows only.", _single(x, w, 1, p)[::s]
        yield "The stride acts on the columns only.", _single(x, w, 1, p)[:, ::s]
        far = np.pad(x, ((p, p + s * k), (p, p + s * k)))
        yield ("The stride is in the wrong place: it moves the window, stride·i + u. Inside the window the "
               "pixels are neighbours: not i + stride·u.",
               np.array([[sum(w[u, v] * far[i + s * u, j + s * v] for u in range(k) for v in range(k))
                          for j in range(columns)] for i in range(rows)]))
        hanging = np.pad(x, ((p, p + k), (p, p + k)))
        corners = [range(0, side + 2 * p, s) for side in (H, W)]
        yield ("Windows hang over the edge: the last one must lie wholly inside the padded image.",
               np.array([[np.sum(w * hanging[i:i + k, j:j + k]) for j in corners[1]] for i in corners[0]]))
    if p:
        yield "The padding is not used.", _single(x, w, s)
        hint = ("The output has the size for a padded image, but the windows read the image without padding: "
                "take them out of np.pad(x, padding).")
        windows = [x[s * i:s * i + k, s * j:s * j + k] for i in range(rows) for j in range(columns)]
        if k == 2 and all(min(window.shape) for window in windows):  # a lone row or column is stretched
            yield hint, np.array([np.sum(w * window) for window in windows]).reshape(rows, columns)
        yield ("The output's size is counted without the padding: use the padded image's height and width.",
               right[:(H - k) // s + 1, :(W - k) // s + 1])
        for top, bottom in ((2 * p, 0), (0, 2 * p), (p, 0), (0, p)):
            side = padded(top, bottom, top, bottom)
            yield ("The padding stands on one side only. It belongs on all four sides: take the windows "
                   "out of np.pad(x, padding).",
                   _single(side, w, s) if min(side.shape) >= k else np.nan)
        yield "Padding is made of zeros, not of ones.", _single(padded(p, p, p, p, 1.0), w, s)
        yield ("Padding is made of zeros; yours repeats the border of the image.",
               _single(np.pad(x, p, mode="edge"), w, s))


PLACE = ("The output is smaller than the image: its places count 0, 1, 2, …. Let i and j count outputs, and "
         "start window (i, j) at (stride·i, stride·j); or write to y[i // stride, j // stride].")
SLICES = ("A window does not have the kernel's shape: it hangs over the edge. Cut the windows out of the "
          "padded image, np.pad(x, padding), and end the loops at the last whole window.")
STRIDED = [("IndexError", PLACE), ("ValueError: operands could not be broadcast", SLICES)]
UNSHAPED = ("bias (O,) lines up with the last axis of the output, its columns. It belongs to the maps, the "
            "first axis: bias[:, None, None], or + bias[o] inside the loop.")
ROWS = ("A row or column number runs past the matrix. Output (o, i, j) is row (o·H_out + i)·W_out + j, with "
        "the output's height and width; pixel (c, r, q) is column (c·H + r)·W + q.")


@check("3.3", tested="the 3×3 example by hand, strides 1 to 3, paddings 0 to 2, non-square images",
       hints=("First np.pad(x, padding): zeros on all four sides. Then count the windows with the formula.",
              "y[i, j] = np.sum(w * padded[stride * i:stride * i + k, stride * j:stride * j + k])"))
def correlate_strided(answer):
    """y[i, j] = Σ w[u, v] padded[s·i+u, s·j+v]: x (H, W), w (k, k) → (H_out, W_out)"""
    rng = np.random.default_rng(33)
    cases = [(np.arange(1.0, 10).reshape(3, 3), np.array([[1.0, 0], [0, 10]]), 2, 1)]
    for H, W, k, s, p in ((5, 7, 3, 1, 0), (6, 7, 3, 1, 1), (6, 7, 3, 2, 0), (7, 6, 2, 3, 0), (6, 3, 3, 2, 2),
                          (2, 3, 2, 3, 2), (7, 4, 1, 2, 1)):
        cases.append((_whole(rng, H, W), _whole(rng, k, k), s, p))
    for x, w, s, p in cases:
        inputs = {"x": x, "w": w, "stride": s, "padding": p}
        expect(answer, inputs, errors=STRIDED, want=_single(x, w, s, p),
                mistakes=list(_wrong_strides(x, w, s, p)))


@check("3.4", tested="the example by hand, one and many channels in and out, non-square images",
       hints=("For each output channel o: start a map at bias[o], add one cross-correlation a channel c.",
              "y[o, i, j] = np.sum(weight[o] * x[:, i:i + k, j:j + k]) + bias[o]: both are (C, k, k)."))
def conv_channels(answer):
    """y[o, i, j] = Σ weight[o, c, u, v] x[c, i+u, j+v] + bias[o] → (O, H-k+1, W-k+1)"""
    rng = np.random.default_rng(34)
    by_hand = np.array([[[[1.0]], [[2]]], [[[4]], [[-1]]]])
    cases = [(np.array([[[3.0]], [[5]]]), by_hand, np.array([10.0, 20]))]
    for out, C, H, W, k in ((2, 2, 3, 4, 2), (3, 2, 6, 7, 3), (1, 3, 4, 5, 2), (3, 1, 5, 3, 3)):
        cases.append((_whole(rng, C, H, W), _whole(rng, out, C, k, k), rng.integers(1, 9, out).astype(float)))
    for x, weight, bias in cases:
        out, C, k, _ = weight.shape
        B = bias[:, None, None]
        no_bias = _loops(x, weight, np.zeros(out))
        mistakes = [
            ("The bias is forgotten: add bias[o] to map o.", no_bias),
            *[("The bias is added more than once: it belongs outside the sums over c, u and v.",
               no_bias + n * B) for n in (C, k * k, C * k * k)],
            ("The channels are averaged. A convolution adds them up.", no_bias / C + B),
            ("The channels are averaged. A convolution adds them up.", (no_bias + B) / C),
            ("Only the last channel is left: add to the map with y[o] += …, do not overwrite it.",
             _loops(x[-1:], weight[:, -1:], bias)),
            ("Only channel 0 is read: the sum runs over all channels.", _loops(x[:1], weight[:, :1], bias)),
            ("Every channel meets the same slice weight[o, 0]: channel c has its own, weight[o, c].",
             _loops(x.sum(axis=0)[None], weight[:, :1], bias)),
            ("The kernel is turned: deep learning's convolution does not turn it.",
             _loops(x, weight[:, :, ::-1, ::-1], bias)),
            ("The maps are added into one: each output channel keeps its own.",
             no_bias.sum(axis=0) + bias.sum() if out > 1 else np.nan)]
        if out == C > 1:
            mistakes.append(("weight[c, o] is read where weight[o, c] is meant: output channel first.",
                             _loops(x, weight.transpose(1, 0, 2, 3), bias)))
        mistakes.append((UNSHAPED, no_bias + bias if no_bias.shape[-1] in (1, out) else np.nan))
        if out <= C:
            mistakes.append(("Map o meets channel o alone: every map adds up over all channels.",
                             _loops(x[:out], weight[:, :1] * np.eye(out)[:, :, None, None], bias)))
        mistakes.append(("The channels are kept apart: add them up, so that map o has shape (H_out, W_out).",
                         lambda got, shape=(out, C, *no_bias.shape[1:]): got.shape == shape))
        inputs = {"x": x, "weight": weight, "bias": bias}
        errors = [("ValueError: operands.*broadcast", UNSHAPED)]
        expect(answer, inputs, errors=errors, want=_loops(x, weight, bias), mistakes=mistakes)


@check("3.5", tested="the 1×1×2×3 example by hand, several channels in and out, non-square images",
       hints=("Output (o, i, j) is row (o·H_out + i)·W_out + j, pixel (c, r, q) is column (c·H + r)·W + q.",
              "Weight (o, c, u, v) of output (o, i, j) lies on pixel r = i + u, q = j + v of channel c."))
def unrolled(answer):
    """The matrix of the convolution: weight (O, C, k, k), H, W → (O·H_out·W_out, C·H·W)"""
    rng = np.random.default_rng(35)
    cases = [(np.array([[[[5.0, 6], [7, 8]]]]), 2, 3), (np.array([[[[1.0]], [[2]]], [[[3]], [[4]]]]), 1, 2)]
    cases += [(rng.integers(1, 9, (out, C, k, k)).astype(float), H, W) for out, C, k, H, W in (
        (1, 1, 2, 4, 3), (1, 1, 3, 4, 5), (2, 3, 2, 3, 4), (3, 2, 3, 5, 4), (2, 2, 1, 2, 3))]
    for weight, H, W in cases:
        out, C, k, _ = weight.shape
        sizes = (out, H - k + 1, W - k + 1, C, H, W)
        blocks = np.zeros(sizes)
        for o, i, j, c, u, v in np.ndindex(out, sizes[1], sizes[2], C, k, k):
            blocks[o, i, j, c, i + u, j + v] = weight[o, c, u, v]
        rows, columns = out * sizes[1] * sizes[2], C * H * W

        def flat(array, shape=(rows, columns)):
            return array.reshape(shape)

        slipped, packed, one_channel, one_map, wide, wrapped = np.zeros((6, rows, columns))
        for o, i, j, c, u, v in np.ndindex(out, sizes[1], sizes[2], C, k, k):
            row, start = (o * sizes[1] + i) * sizes[2] + j, c * H * W
            slipped[row, (start + i * sizes[2] + j + u * W + v) % columns] = weight[o, c, u, v]
            packed[row, (start + i * W + j + u * k + v) % columns] = weight[o, c, u, v]
            one_channel[row, (i + u) * W + j + v] = weight[o, c, u, v]
            one_map[i * sizes[2] + j, start + (i + u) * W + j + v] = weight[o, c, u, v]
            wide[row, (start + (i + u) * H + j + v) % columns] = weight[o, c, u, v]
        for o, i, j, c, r, q in np.ndindex(sizes):
            if r - i < k and q - j < k and max(i - r, j - q) <= k:
                wrapped[(o * sizes[1] + i) * sizes[2] + j, (c * H + r) * W + q] = weight[o, c, r - i, q - j]
        turned = np.zeros(sizes)
        for o, i, j, c, u, v in np.ndindex(out, sizes[1], sizes[2], C, k, k):
            turned[o, i, j, c, i + u, j + v] = weight[o, c, k - 1 - u, k - 1 - v]
        inputs = {"weight": weight, "H": H, "W": W}
        expect(answer, inputs, errors=[("IndexError", ROWS)], want=flat(blocks), mistakes=[
            ("The six axes (o, i, j, c, r, q) are right. Reshape them into rows (o, i, j) and columns "
             "(c, r, q).", blocks),
            ("The channel is missing from the column: channel c begins at column c·H·W.", one_channel),
            ("The output channel is missing from the row: map o begins at row o·H_out·W_out.", one_map),
            ("Negative indices count from the other end: take w[r − i, q − j] only where 0 <= r − i and "
             "0 <= q − j.", wrapped),
            ("The matrix is transposed: one row per output, one column per pixel.", flat(blocks).T),
            ("When the window jumps to the next line of the image, the weights jump too: those of output "
             "(i, j) start at column i·W + j.", slipped),
            ("The next row of the kernel lies on the next row of the image: W columns further, not k "
             "or H.", packed),
            ("A row of the image has W pixels: pixel (r, q) is column r·W + q. Yours has H for W.", wide),
            ("The kernel is turned: weight (u, v) lies on pixel (i + u, j + v).", flat(turned)),
            ("Rows count (o, i, j) with o slowest: yours has the output channel last.",
             flat(blocks.transpose(1, 2, 0, 3, 4, 5))),
            ("Columns count (c, r, q) with c slowest, as x.ravel() does: yours has the channel last.",
             flat(blocks.transpose(0, 1, 2, 4, 5, 3))),
            ("Rows count i slowest and j fastest: yours walks down the columns of the output.",
             flat(blocks.transpose(0, 2, 1, 3, 4, 5)))])


@check("3.6", tested="the 1×2×4 example by hand, several channels, strides 1 to 3, non-square images",
       hints=("x[:, i:i + k, j:j + k] is one window (C, k, k); .ravel() reads it in the right order.",
              "Collect the windows in a list, i slowest, with starting points range(0, H - k + 1, stride); "
              "np.stack(list, axis=1) makes them columns."))
def im2col(answer):
    """x (C, H, W) → (C·k·k, H_out·W_out), one column a window"""
    rng = np.random.default_rng(36)
    cases = [(np.arange(1.0, 9).reshape(1, 2, 4), 2, 2), (np.arange(1.0, 13).reshape(2, 2, 3), 2, 1)]
    cases += [(rng.permutation(C * H * W).reshape(C, H, W).astype(float), k, s) for C, H, W, k, s in (
        (1, 4, 5, 3, 1), (2, 4, 3, 2, 1), (3, 6, 7, 3, 2), (2, 7, 5, 2, 3), (3, 2, 3, 1, 1))]
    for x, k, s in cases:
        C, H, W = x.shape
        windows = np.array([[x[:, i:i + k, j:j + k] for j in range(0, W - k + 1, s)]
                            for i in range(0, H - k + 1, s)])  # (H_out, W_out, C, k, k)
        dense = np.array([[x[:, i:i + k, j:j + k] for j in range(W - k + 1)] for i in range(H - k + 1)])
        high, wide = windows.shape[:2]

        def flat(array, *axes, rows=C * k * k):
            return array.transpose(*axes, 0, 1).reshape(rows, -1)

        channels = windows.transpose(2, 3, 4, 0, 1).reshape(C, k * k, -1)  # one im2col a channel
        errors = [("ValueError: need at least one array", "No window is left: the starting points end at "
                   "H - k, so range needs H - k + 1."),
                  ("ValueError: all input arrays must have the same shape", "The last windows hang over the "
                   "edge and are smaller: the starting points end at H - k.")]
        inputs = {"x": x, "k": k, "stride": s}
        expect(answer, inputs, errors=errors, want=flat(windows, 2, 3, 4), mistakes=[
            ("The channels stand side by side. They belong below each other: one column holds the window "
             "through all channels.", np.concatenate(list(channels), axis=1)),
            ("The channels of a window are still an axis of their own: ravel the whole block (C, k, k).",
             channels),
            ("The windows are rows: im2col makes them columns. Transpose, or stack along axis 1.",
             flat(windows, 2, 3, 4).T),
            ("A reshape is no transpose: it cuts the windows up. Make each a row, then use .T.",
             windows.reshape(C * k * k, -1)),
            ("Within a column the order is (u, v, c): the channel must come first, (c, u, v).",
             flat(windows, 3, 4, 2)),
            ("Within a column v must be the fastest: yours reads the window column by column.",
             flat(windows, 2, 4, 3)),
            ("The windows must come in reading order, j fastest: yours go down the image first.",
             flat(windows.swapaxes(0, 1), 2, 3, 4)),
            ("The stride is not used: every window is there.", flat(dense, 2, 3, 4)),
            ("The stride must move the windows: yours start at every pixel, and stop early.",
             flat(dense[:high, :wide], 2, 3, 4)),
            ("The windows lie side by side: their starting points are stride apart, not k.",
             flat(dense[::k, ::k], 2, 3, 4))])
