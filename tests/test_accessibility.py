"""The course is readable to more than one kind of eye: colours, figures, exported pages in both themes."""

import base64
import io
import re
from contextlib import closing

import matplotlib as mpl
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from matplotlib.colors import to_rgb
from nbconvert import HTMLExporter
from PIL import Image

mpl.use("agg")

from helpers import plots  # noqa: E402  the backend comes first
from tests.notebooks import CHAPTERS, code  # noqa: E402

PALETTE = {name: getattr(plots, name) for name in ("BLUE", "ORANGE", "GREEN", "PURPLE", "OCHRE", "GREY")}
INKS = "text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"
# What axe-core finds and the course cannot mend, since nbconvert's template makes it: rule → where, why.
EXCUSED = {
    "color-contrast": {
        ".jp-InputPrompt": "the template's pale grey of “In [1]:”, which repeats the order of the page",
        ".highlight": "the template's colours for code; the words can be told without their colour",
    },
    "link-in-text-block": {".jp-MarkdownOutput a": "the template underlines a link only under the pointer"},
}


def contrast(colour, ground="white"):
    """The contrast ratio of two colours, from 1 to 21, as WCAG 2.2 (2023) defines it."""
    dark, light = sorted((luminance(colour), luminance(ground)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("name", PALETTE)
def test_a_colour_of_the_palette_is_readable_on_the_figure(name):
    assert contrast(PALETTE[name], mpl.rcParams["figure.facecolor"]) >= 4.5


def test_every_line_and_every_text_of_the_style_is_readable_on_the_figure():
    lines = [style["color"] for style in mpl.rcParams["axes.prop_cycle"]]
    inks = [mpl.rcParams[name] for name in INKS]
    for ground in ("figure.facecolor", "axes.facecolor", "savefig.facecolor"):
        for colour in lines + inks:
            assert contrast(colour, mpl.rcParams[ground]) >= 4.5, f"{colour} on {ground}"


def test_contrast_is_that_of_the_standard():
    assert contrast("black", "white") == contrast("white", "black") == pytest.approx(21)
    assert contrast("#777777") == pytest.approx(4.48, abs=0.005)  # the known grey that just fails


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_figures_bring_their_own_white_paper_so_that_no_theme_swallows_them(path):
    stored = str([cell["outputs"] for cell in code(path)])
    figures = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", stored)
    assert figures
    for figure in figures:
        image = Image.open(io.BytesIO(base64.b64decode(figure)))
        assert image.mode in ("P", "RGB", "L") and "transparency" not in image.info
        assert border(image.convert("RGB")) == {(255, 255, 255)}


def border(image):
    """The colours of the outermost pixels."""
    pixels = np.asarray(image)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return {tuple(map(int, pixel)) for pixel in edges}


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_axe_finds_nothing_serious_of_our_making_in_the_exported_page(path, theme, chrome, tmp_path):
    file = tmp_path / f"{path.stem}-{theme}.html"
    file.write_text(HTMLExporter(theme=theme).from_filename(path)[0], encoding="utf-8")
    with closing(chrome.new_page()) as page:
        page.goto(file.as_uri())
        assert findings(page) == []


def findings(page):
    """What axe-core calls serious or critical: all its rules on the whole page, less EXCUSED."""
    runs = [(None, {"rules": {rule: {"enabled": False} for rule in EXCUSED}})]
    runs += [({"exclude": list(places)}, {"runOnly": [rule]}) for rule, places in EXCUSED.items()]
    reports = [Axe().run(page, where, what | {"resultTypes": ["violations"]}) for where, what in runs]
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:200]}: {node['failureSummary']}"
        for report in reports
        for rule in report.response["violations"]
        for node in rule["nodes"]
        if rule["impact"] in ("serious", "critical")
    ]
