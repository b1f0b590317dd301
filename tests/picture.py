"""Take the README's picture in JupyterLab, from chapter 03: python -m tests.picture."""

import io
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from tests import browser
from tests.notebooks import ROOT

CHAPTER = ROOT / "notebooks" / "03_convolution_equation.ipynb"
FIRST, LAST = "im2col-text", "showpiece"  # the cells from whose heading to whose figure the picture reaches
TARGET = ROOT / ".github" / "picture.png"
WINDOW = {"width": 1060, "height": 1800}  # as wide as the figure needs, as high as picture and menus


def take(chapter):
    """Chapter 03, run in JupyterLab → the part of the page from FIRST to LAST, as an image with a palette."""
    page, first, last = chapter.page, chapter.cell(FIRST), chapter.cell(LAST)
    page.set_viewport_size(WINDOW)
    page.locator(".jp-SideBar.jp-mod-left .lm-mod-current").click()  # closes the list of files
    last.locator(".jp-InputCollapser").click()  # hides the code that draws
    chapter.cell("title").click()  # the blue mark of the active cell goes where it is not seen
    page.mouse.move(0, 0)
    first.evaluate("cell => cell.scrollIntoView()")
    page.wait_for_timeout(1000)
    top, frame = first.locator("h3").bounding_box()["y"] - 16, last.bounding_box()
    clip = {**frame, "y": top, "height": frame["y"] + frame["height"] - top}
    image = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")
    return image.quantize(256, dither=Image.Dither.NONE)


def difference(one, other):
    """How far two images are apart, from 0 to 1; on 12 × 12 fields, so that other fonts do not count.

    A line more above the figure makes about 0.009; the prose missing 0.015, the figure missing 0.037.
    """
    fields = [
        np.asarray(image.convert("RGB").resize((12, 12), Image.Resampling.BOX)) / 255
        for image in (one, other)
    ]
    return np.abs(fields[0] - fields[1]).mean()


if __name__ == "__main__":
    with browser.browser() as chrome, browser.course() as server:
        photo = Path(tempfile.gettempdir(), "picture-failed.png")
        with closing(browser.Chapter(chrome, server, CHAPTER, photo)) as chapter:
            chapter.run_all()
            take(chapter).save(TARGET, optimize=True)
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size:,} bytes")
