"""Pictures of arrays, each shown with a text that says what is to be seen."""

import base64
import html
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.ticker import MaxNLocator
from PIL import Image

plt.style.use(Path(__file__).with_name("course.mplstyle"))

BLUE, ORANGE, GREEN, PURPLE, OCHRE, GREY = ("#0b5fa5", "#b5460f", "#007a5a", "#7d3c98", "#7a5c00", "#4d4d4d")


def show(fig, alt):
    """Show a figure with its alternative text, and close it.

    alt: one to three sentences for who cannot see the picture: what it shows and what follows from it.
    The text is stored beside the picture, so a notebook test compares it while the pixels may differ.
    """
    if not isinstance(alt, str) or len(alt) < 20:
        raise ValueError(
            f"alt must be a sentence of at least 20 characters, got {alt!r}: say what is to be seen"
        )
    width = round(fig.get_figwidth() * fig.dpi)
    picture = base64.b64encode(_png(fig)).decode()
    plt.close(fig)
    text = html.escape(alt, quote=True)
    display(
        {
            "text/html": f'<img alt="{text}" width="{width}" style="max-width: 100%; border-radius: 6px" '
            f'src="data:image/png;base64,{picture}">',
            "text/plain": f"Figure: {alt}",
        },
        raw=True,
    )


def slider(draw, **controls):
    """An interactive figure: `draw(**values)` returns (figure, alternative text); controls as for `interact`.

    The figure is drawn anew at each move, in a running notebook only: show a static one beside it.
    """
    from ipywidgets import interact

    interact(lambda **values: show(*draw(**values)), **controls)


def images(arrays, titles=None, columns=10, size=0.8, suptitle=None, marks=None):
    """A grid of N pictures, (N, H, W), (N, 1, H, W) or (N, 3, H, W) in [0, 1] → figure.

    titles: N short texts. marks: N booleans; a picture marked True gets an orange frame.
    size: inches a picture.
    """
    arrays = [_as_picture(a) for a in arrays]
    columns = min(columns, len(arrays))
    rows = -(-len(arrays) // columns)
    height = rows * (size + (0.25 if titles is not None else 0.05)) + (0.4 if suptitle else 0.1)
    fig, axes = plt.subplots(rows, columns, figsize=(columns * size, height), squeeze=False)
    fig.get_layout_engine().set(w_pad=0.03, h_pad=0.03, hspace=0, wspace=0, rect=(0.012, 0.015, 0.976, 0.97))
    for k, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if k < len(arrays):
            ax.imshow(arrays[k], vmin=0, vmax=1)
            if titles is not None:
                ax.set_title(titles[k], fontsize=9, fontweight="normal", loc="center", pad=2)
            if marks is not None and marks[k]:
                ax.add_patch(
                    plt.Rectangle((0, 0), 1, 1, transform=ax.transAxes, fill=False, color=ORANGE, lw=4)
                )
    if suptitle:
        fig.suptitle(suptitle, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return fig


def matrix(
    array, title="", ax=None, numbers=True, fmt="{:g}", limit=None, row_labels=None, column_labels=None
):
    """A matrix (rows, columns) as coloured cells, purple below zero, white at zero, orange above → its axes.

    limit: the value of full colour, max |array| unless told; numbers: write each value in its cell.
    """
    array = np.atleast_2d(array)
    if ax is None:
        _, ax = plt.subplots(figsize=(0.55 * array.shape[1] + 1, 0.45 * array.shape[0] + 0.8))
    limit = limit or max(float(np.abs(array).max()), 1e-12)
    paler = 1.6 if numbers else 1  # black numbers need a pale ground
    ax.imshow(array, cmap="PuOr_r", vmin=-paler * limit, vmax=paler * limit)
    if numbers:
        for (i, j), value in np.ndenumerate(array):
            ax.text(j, i, fmt.format(value), ha="center", va="center", fontsize=10, color="black")
    ax.set_title(title)
    ax.spines[:].set_visible(True)
    for axis, labels, count in (
        (ax.yaxis, row_labels, array.shape[0]),
        (ax.xaxis, column_labels, array.shape[1]),
    ):
        axis.set_ticks(range(count) if labels is not None else [], labels)
        axis.set_tick_params(length=0)
    return ax


def curves(lines, xlabel, ylabel, title, ax=None, **axes_settings):
    """Lines in one plot: dict name → y values, or name → (x, y) → their axes.

    axes_settings go to `Axes.set`: ylim=(0, 1), yscale="log", ….
    """
    if ax is None:
        _, ax = plt.subplots()
    for name, line in lines.items():
        x, y = line if isinstance(line, tuple) else (np.arange(1, len(line) + 1), line)
        ax.plot(x, y, label=name)
    if not any(isinstance(line, tuple) for line in lines.values()):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, **axes_settings)
    if len(lines) > 1:
        ax.legend()
    return ax


def confusion(counts, names, title, ax=None):
    """A confusion matrix (K, K), row: true class, column: decided class → its axes.

    The right decisions on the diagonal are left grey, so that the colour shows the mistakes alone.
    """
    counts = np.asarray(counts)
    if ax is None:
        side = 1.6 + 0.36 * len(names)
        _, ax = plt.subplots(figsize=(side, side))
    mistakes = np.where(np.eye(len(names), dtype=bool), 0, counts)
    ax.imshow(mistakes, cmap="Oranges", vmin=0, vmax=1.6 * max(1, mistakes.max()))
    for (i, j), count in np.ndenumerate(counts):
        if count:
            ax.text(
                j,
                i,
                str(count),
                ha="center",
                va="center",
                fontsize=9,
                color=GREY if i == j else "black",
                fontweight="normal" if i == j else "bold",
            )
    ax.set(
        xlabel="decided",
        ylabel="true",
        title=title,
        xticks=range(len(names)),
        yticks=range(len(names)),
        xticklabels=names,
        yticklabels=names,
    )
    ax.spines[:].set_visible(True)
    ax.tick_params(length=0)
    return ax


def _png(fig):
    """The figure as the bytes of a PNG with a palette of 256 colours: a third of the size of full colour."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    fig.savefig(drawn, format="png")
    image = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(packed, "png", optimize=True)
    return packed.getvalue()


def _as_picture(array):
    """(H, W), (1, H, W) or (3, H, W) → what imshow takes: (H, W) or (H, W, 3)."""
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[0] in (1, 3):
        array = array.transpose(1, 2, 0).squeeze()
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise ValueError(f"a picture has shape (H, W), (1, H, W) or (3, H, W), got {array.shape}")
    return array
