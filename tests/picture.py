"""Take the README's picture from chapter 03's stored output: python -m tests.picture."""

import base64
import re

from tests.notebooks import ROOT, cells

CHAPTER, CELL = ROOT / "notebooks" / "03_convolution_equation.ipynb", "showpiece"
TARGET = ROOT / ".github" / "picture.png"


def stored_picture():
    """The bytes of the PNG that the cell shows, and its alternative text."""
    (cell,) = [cell for cell in cells(CHAPTER) if cell["id"] == CELL]
    pages = ["".join(output.get("data", {}).get("text/html", "")) for output in cell["outputs"]]
    alt, picture = re.search(r'<img alt="([^"]*)".*base64,([^"]*)"', "".join(pages)).groups()
    return base64.b64decode(picture), alt


if __name__ == "__main__":
    png, alt = stored_picture()
    TARGET.write_bytes(png)
    print(f"{TARGET.relative_to(ROOT)}: {len(png)} bytes. Its text: {alt}")
