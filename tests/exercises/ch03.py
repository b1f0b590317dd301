"""Answers to the exercises of chapter 03, right and wrong."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import convolve2d, correlate2d

from tests.exercises import Case


def valid(x, w):
    return correlate2d(x, w, mode="valid")


def strided(x, w, stride, padding):
    return valid(np.pad(x, padding), w)[::stride, ::stride]


def strided_list(x, w, s, p):
    padded, k = np.pad(x.astype(np.float32), ((p, p), (p, p))), len(w)
    return [[float((padded[i:i + k, j:j + k] * w).sum()) for j in range(0, padded.shape[1] - k + 1, s)]
            for i in range(0, padded.shape[0] - k + 1, s)]


def late_window(x, w, stride, padding):
    """The stride counts outputs, but the window starts at (i, j)."""
    rows, columns = strided(x, w, stride, padding).shape
    return valid(np.pad(x, padding), w)[:rows, :columns]


def gaps(x, w, stride, padding):
    full = valid(np.pad(x, padding), w)
    y = np.zeros_like(full)
    y[::stride, ::stride] = full[::stride, ::stride]
    return y


def layer(x, weight, bias):
    return np.array([sum(map(valid, x, kernel)) + b for kernel, b in zip(weight, bias, strict=True)])


def layer_einsum(x, weight, bias):
    windows = sliding_window_view(x, weight.shape[2:], axis=(1, 2))
    return np.einsum("ocuv,cijuv->oij", weight, windows) + bias[:, None, None]


def layer_overwrites(x, weight, bias):
    return np.array([valid(x[-1], w[-1]) + b for w, b in zip(weight, bias, strict=True)])


def matrix_by_units(weight, H, W):
    C = weight.shape[1]
    units = np.eye(C * H * W).reshape(-1, C, H, W)
    return np.stack([layer(unit, weight, np.zeros(len(weight))).ravel() for unit in units], axis=1)


def matrix_axes(*axes):
    """The matrix whose rows and columns count in another order of (o, i, j, c, r, s)."""
    def answer(weight, H, W):
        n_out, C, k, _ = weight.shape
        right = matrix_by_units(weight, H, W)
        blocks = right.reshape(n_out, H - k + 1, W - k + 1, C, H, W)
        return blocks.transpose(axes).reshape(right.shape)
    return answer


def matrix_without_jump(weight, H, W):
    n_out, C, k, _ = weight.shape
    wide = W - k + 1
    matrix = np.zeros((n_out * (H - k + 1) * wide, C * H * W))
    for o, i, j, c, u, v in np.ndindex(n_out, H - k + 1, wide, C, k, k):
        row = (o * (H - k + 1) + i) * wide + j
        matrix[row, (c * H * W + i * wide + j + u * W + v) % matrix.shape[1]] = weight[o, c, u, v]
    return matrix


def columns(x, k, stride):
    starts = [range(0, size - k + 1, stride) for size in x.shape[1:]]
    return np.stack([x[:, i:i + k, j:j + k].ravel() for i in starts[0] for j in starts[1]], axis=1)


def columns_fast(x, k, stride, axes=(0, 3, 4, 1, 2)):
    windows = sliding_window_view(x, (k, k), axis=(1, 2))[:, ::stride, ::stride]  # (C, H_out, W_out, k, k)
    return windows.transpose(axes).reshape(len(x) * k * k, -1)


def turned_indices(place):
    """Convolution whose pixel under w[u, v] is x[place(i, k, u), place(j, k, v)]."""
    def answer(x, w):
        k, (H, W) = len(w), x.shape
        return [[sum(w[u, v] * x[place(i, k, u), place(j, k, v)] for u in range(k) for v in range(k))
                 for j in range(W - k + 1)] for i in range(H - k + 1)]
    return answer


def strided_places(x, w, s, p):
    """The loops step by the stride, and so do the places of the output."""
    padded, k, y = np.pad(x, p), len(w), np.zeros(strided(x, w, s, p).shape)
    for i in range(0, padded.shape[0] - k + 1, s):
        for j in range(0, padded.shape[1] - k + 1, s):
            y[i, j] = np.sum(w * padded[i:i + k, j:j + k])
    return y


def strided_slices(image, corner=lambda i, s: s * i, product=lambda w, window: np.sum(w * window)):
    """Windows cut out of image(x, p), an output of the right size."""
    def answer(x, w, s, p):
        source, k, (rows, columns) = image(x, p), len(w), strided(x, w, s, p).shape
        return [[product(w, source[corner(i, s):corner(i, s) + k, corner(j, s):corner(j, s) + k])
                 for j in range(columns)] for i in range(rows)]
    return answer


def too_far(x, w, s, p):
    """The loops count pixels, the windows start at stride times that."""
    padded, k = np.pad(x, p), len(w)
    return [[np.sum(w * padded[s * i:s * i + k, s * j:s * j + k]) for j in range(padded.shape[1])]
            for i in range(padded.shape[0])]


def part_of_kernel(w, window):
    return np.sum(w[:window.shape[0], :window.shape[1]] * window)


def dilated(x, w, s, p):
    padded, k, (rows, columns) = np.pad(x, p), len(w), strided(x, w, s, p).shape
    return [[sum(w[u, v] * padded[i + s * u, j + s * v] for u in range(k) for v in range(k))
             for j in range(columns)] for i in range(rows)]


def hanging(x, w, s, p):
    padded, k = np.pad(x, p), len(w)
    return [[part_of_kernel(w, padded[i:i + k, j:j + k]) for j in range(0, padded.shape[1], s)]
            for i in range(0, padded.shape[0], s)]


def size_unpadded(x, w, s, p):
    return strided(x, w, s, p)[:(x.shape[0] - len(w)) // s + 1, :(x.shape[1] - len(w)) // s + 1]


def layer_own_channel(x, weight, bias):
    return np.array([valid(x[o], weight[o, 0]) + bias[o] for o in range(len(bias))])


def layer_no_sum(x, weight, bias):
    return np.array([[valid(a, w) for a, w in zip(x, kernel, strict=True)] for kernel in weight])


def matrix_by_places(row, column, wanted=lambda r, q: r >= 0 and q >= 0):
    """The matrix built entry by entry, with these formulas for the row and the column."""
    def answer(weight, H, W):
        n_out, C, k, _ = weight.shape
        high, wide = H - k + 1, W - k + 1
        matrix = np.zeros((n_out * high * wide, C * H * W))
        for o, i, j, c, r, q in np.ndindex(n_out, high, wide, C, H, W):
            if r - i < k and q - j < k and max(i - r, j - q) <= k and wanted(r - i, q - j):
                matrix[row(o, i, j, high, wide, W), column(c, r, q, H, W)] = weight[o, c, r - i, q - j]
        return matrix
    return answer


def right_row(o, i, j, high, wide, W):
    return (o * high + i) * wide + j


def right_column(c, r, q, H, W):
    return (c * H + r) * W + q


def matrix_six_axes(weight, H, W):
    n_out, C, k, _ = weight.shape
    return matrix_by_units(weight, H, W).reshape(n_out, H - k + 1, W - k + 1, C, H, W)


def columns_from(end):
    """im2col with loops that end at end(size, k)."""
    def answer(x, k, s):
        starts = [range(0, end(size, k), s) for size in x.shape[1:]]
        return np.stack([x[:, i:i + k, j:j + k].ravel() for i in starts[0] for j in starts[1]], axis=1)
    return answer


CASES = {
    "convolve": Case(
        right=[lambda x, w: convolve2d(x, w, mode="valid"), lambda x, w: valid(x, np.rot90(w, 2)).tolist()],
        wrong=[
            ("not flipped", valid, "cross-correlation"),
            ("rows only", lambda x, w: valid(x, w[::-1]), "top to bottom only"),
            ("columns only", lambda x, w: valid(x, w[:, ::-1]), "left to right only"),
            ("transposed", lambda x, w: valid(x, w.T), "transposed"),
            ("quarter turn", lambda x, w: valid(x, np.rot90(w)), "quarter turn"),
            ("result turned", lambda x, w: valid(x, w)[::-1, ::-1], "instead of the kernel"),
            ("image turned", lambda x, w: valid(x[::-1, ::-1], w), "image is turned"),
            ("x[i - u, j - v]", turned_indices(lambda i, k, u: i - u), "below 0"),
            ("x[i + k - u, j + k - v]", turned_indices(lambda i, k, u: i + k - u), "i + k - 1 - u"),
            ("padded", lambda x, w: convolve2d(x, w), "no padding"),
        ],
    ),
    "output_size": Case(
        right=[lambda size, k, stride=1, padding=0: len(range(0, size + 2 * padding - k + 1, stride)),
               lambda size, k, stride=1, padding=0: int(math.floor((size + 2 * padding - k) / stride)) + 1,
               lambda size, k, stride=1, padding=0: np.int64((size + 2 * padding - k + stride) // stride)],
        wrong=[
            ("no + 1", lambda size, k, s, p: (size + 2 * p - k) // s, "+ 1 is missing"),
            ("float division", lambda size, k, s, p: (size + 2 * p - k) / s + 1, "fractions"),
            ("rounded up", lambda size, k, s, p: math.ceil((size + 2 * p - k) / s) + 1, "Round down"),
            ("one-sided padding", lambda size, k, s, p: (size + p - k) // s + 1, "2p"),
            ("no stride", lambda size, k, s, p: size + 2 * p - k + 1, "stride is not used"),
            ("no padding", lambda size, k, s, p: (size - k) // s + 1, "padding is not used"),
            ("k after the division", lambda size, k, s, p: (size + 2 * p) // s - k + 1, "subtracted after"),
            ("no brackets", lambda size, k, s, p: size + 2 * p - k // s + 1, "brackets"),
            ("rounded to the nearest", lambda size, k, s, p: round((size + 2 * p - k) / s) + 1, "nearest"),
            ("np.floor", lambda size, k, s, p: np.floor((size + 2 * p - k) / s) + 1, "floats"),
            ("+ 1 too early", lambda size, k, s, p: (size + 2 * p - k + 1) // s, "+ 1"),
            ("a float", lambda size, k, s, p: float((size + 2 * p - k) // s + 1), "float"),
        ],
        values_only=True,
    ),
    "correlate_strided": Case(
        right=[strided, strided_list],
        wrong=[
            ("window at (i, j)", late_window, "must move the window"),
            ("places strided", strided_places, "places count 0, 1, 2"),
            ("unpadded slices", strided_slices(lambda x, p: x), "image without padding"),
            ("loops too far", too_far, "hangs over the edge"),
            ("unpadded, part of a kernel", strided_slices(lambda x, p: x, product=part_of_kernel),
             "one side"),
            ("stride·u", dilated, "wrong place"),
            ("hanging over", hanging, "hang over the edge"),
            ("size of the unpadded image", size_unpadded, "without the padding"),
            ("gaps", gaps, "has no gaps"),
            ("no stride", lambda x, w, s, p: valid(np.pad(x, p), w), "stride is not used"),
            ("stride on rows", lambda x, w, s, p: valid(np.pad(x, p), w)[::s], "rows only"),
            ("no padding", lambda x, w, s, p: strided(x, w, s, 0), "padding is not used"),
            ("padding above", lambda x, w, s, p: strided(np.pad(x, (p, 0)), w, s, 0), "one side only"),
            ("padding below", lambda x, w, s, p: strided(np.pad(x, (0, 2 * p)), w, s, 0), "one side"),
            ("ones", lambda x, w, s, p: strided(np.pad(x, p, constant_values=1), w, s, 0), "ones"),
            ("border", lambda x, w, s, p: strided(np.pad(x, p, mode="edge"), w, s, 0), "repeats"),
            ("flipped", lambda x, w, s, p: strided(x, w[::-1, ::-1], s, p), "turned"),
        ],
    ),
    "conv_channels": Case(
        right=[layer, layer_einsum],
        wrong=[
            ("no bias", lambda x, weight, bias: layer(x, weight, 0 * bias), "forgotten"),
            ("bias per weight", lambda x, weight, bias: layer(x, weight, bias * weight[0].size), "more than"),
            ("bias per channel", lambda x, weight, bias: layer(x, weight, bias * len(x)), "more than once"),
            ("mean of channels", lambda x, weight, bias: layer(x, weight / len(x), bias), "averaged"),
            ("overwritten", layer_overwrites, "overwrite"),
            ("channel 0", lambda x, weight, bias: layer(x[:1], weight, bias), "Only channel 0"),
            ("one slice", lambda x, weight, bias: layer(x, weight[:, [0] * len(x)], bias), "same slice"),
            ("bias unshaped", lambda x, weight, bias: layer(x, weight, 0 * bias) + bias, "[:, None, None]"),
            ("channel o", layer_own_channel, "channel o alone"),
            ("channels apart", layer_no_sum, "kept apart"),
            ("flipped", lambda x, weight, bias: layer(x, weight[:, :, ::-1, ::-1], bias), "turned"),
            ("maps added", lambda x, weight, bias: layer(x, weight, bias).sum(axis=0), "into one"),
        ],
    ),
    "unrolled": Case(
        right=[matrix_by_units, matrix_by_places(right_row, right_column)],
        wrong=[
            ("column without c", matrix_by_places(right_row, lambda c, r, q, H, W: r * W + q),
             "channel is missing from the column"),
            ("row without o", matrix_by_places(lambda o, i, j, high, wide, W: i * wide + j, right_column),
             "output channel is missing"),
            ("0 <= forgotten", matrix_by_places(right_row, right_column, lambda r, q: True), "Negative"),
            ("row i·W + j", matrix_by_places(
                lambda o, i, j, h, wide, W: o * h * wide + i * W + j, right_column), "past the matrix"),
            ("row i·H_out + j", matrix_by_places(
                lambda o, i, j, h, wide, W: o * h * wide + i * h + j, right_column), "past the matrix"),
            ("six axes", matrix_six_axes, "Reshape them"),
            ("transposed", lambda weight, H, W: matrix_by_units(weight, H, W).T, "transposed"),
            ("no jump", matrix_without_jump, "jump"),
            ("flipped", lambda weight, H, W: matrix_by_units(weight[:, :, ::-1, ::-1], H, W), "turned"),
            ("o last", matrix_axes(1, 2, 0, 3, 4, 5), "output channel last"),
            ("c last", matrix_axes(0, 1, 2, 4, 5, 3), "channel last"),
            ("j slowest", matrix_axes(0, 2, 1, 3, 4, 5), "j fastest"),
        ],
    ),
    "im2col": Case(
        right=[columns_fast, columns],
        wrong=[
            ("rows", lambda x, k, s: columns(x, k, s).T, "windows are rows"),
            ("order (k, k, C)", lambda x, k, s: columns_fast(x, k, s, (3, 4, 0, 1, 2)), "(c, u, v)"),
            ("window downwards", lambda x, k, s: columns_fast(x, k, s, (0, 4, 3, 1, 2)), "the fastest"),
            ("image read downwards", lambda x, k, s: columns_fast(x, k, s, (0, 3, 4, 2, 1)), "reading order"),
            ("channels side by side", lambda x, k, s: np.concatenate(
                [columns(x[[c]], k, s) for c in range(len(x))], axis=1), "side by side"),
            ("channels an axis", lambda x, k, s: columns(x, k, s).reshape(len(x), k * k, -1), "an axis of"),
            ("range without + 1", columns_from(lambda size, k: size - k), "No window is left"),
            ("over the edge", columns_from(lambda size, k: size), "hang over"),
            ("stride k", lambda x, k, s: columns(x, k, k), "stride apart, not k"),
            ("no stride", lambda x, k, s: columns(x, k, 1), "stride is not used"),
            ("reshape", lambda x, k, s: columns(x, k, s).T.reshape(len(x) * k * k, -1), "cuts"),
        ],
    ),
}
