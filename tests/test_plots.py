"""Figures carry their text, and their colours can be read on paper."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("agg")

from helpers import plots  # noqa: E402  the backend comes first


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr(plots, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def test_show_stores_the_text_beside_the_picture_and_closes_the_figure(shown):
    fig = plots.matrix(np.eye(2), "I").figure
    plots.show(fig, alt='The "identity", two by two, < 3.')
    assert shown[0]["text/plain"] == 'Figure: The "identity", two by two, < 3.'
    assert 'alt="The &quot;identity&quot;, two by two, &lt; 3."' in shown[0]["text/html"]
    assert fig.number not in plots.plt.get_fignums()


def test_show_refuses_a_figure_without_a_text():
    with pytest.raises(ValueError, match="alt must be a sentence"):
        plots.show(plots.plt.figure(), alt="plot")
    plots.plt.close("all")


def test_the_same_figure_gives_the_same_bytes(shown):
    for _ in range(2):
        plots.show(
            plots.curves({"a": [3, 2], "b": [2, 1]}, "step", "loss", "Falls").figure,
            alt="Two falling lines here.",
        )
    assert shown[0] == shown[1]


def test_every_line_differs_in_colour_and_dashes():
    styles = list(mpl.rcParams["axes.prop_cycle"])
    for part in ("color", "linestyle"):
        assert len({str(style[part]) for style in styles}) == len(styles)


def test_images_take_grey_one_channel_and_colour():
    fig = plots.images(
        [np.zeros((4, 4)), np.zeros((1, 4, 4)), np.zeros((3, 4, 4))], titles="abc", marks=[0, 1, 0]
    )
    assert [ax.images[0].get_array().shape[:2] for ax in fig.axes[:3]] == [(4, 4)] * 3
    plots.plt.close(fig)


def test_a_wrong_picture_shape_is_named():
    with pytest.raises(ValueError, match=r"got \(5, 4, 4\)"):
        plots.images([np.zeros((5, 4, 4))])


def test_confusion_writes_every_count_that_is_not_zero():
    ax = plots.confusion([[5, 2], [0, 7]], "ab", "b is taken for a")
    assert sorted(text.get_text() for text in ax.texts) == ["2", "5", "7"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("decided", "true")
    plots.plt.close(ax.figure)
