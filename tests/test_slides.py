"""The slides hold the chapter's figures, formulas and exercises, and need nothing from the internet."""

import re
from contextlib import closing

import pytest

from tests import slides
from tests.notebooks import CHAPTERS, code, prose

every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


@every_chapter
def test_every_figure_and_every_exercise_is_there(path):
    figures = sum("<img" in str(output) for cell in code(path) for output in cell["outputs"])
    stubs = sum(cell["id"].endswith("-stub") for cell in code(path))
    made = slides.slides(path)
    assert sum(block.count("<img") for _, _, blocks in made for block in blocks) == figures
    assert [kind for kind, _, _ in made].count("exercise") == stubs
    assert [kind for kind, _, _ in made].count("title") == 1


@every_chapter
def test_every_formula_is_mathml(path):
    text = "\n".join(cell["source"] for cell in prose(path))
    blocks = len(re.findall(r"\$\$", text)) // 2
    page = slides.page(path)
    assert page.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"') == blocks
    words = re.sub(r"<(pre|style|script|annotation).*?</\1>|<code>.*?</code>", "", page, flags=re.S)
    assert "$" not in words and not re.search(r"<m[ion]>(&(?!#x)|\\)", words)


@every_chapter
def test_nothing_is_fetched(path):
    page = slides.page(path)
    assert not re.search(r"<(script|link|img|iframe)[^>]* (src|href)=\"(?!data:)", page)
    assert not re.search(r"@import|url\(", page)


def test_each_matrix_has_brackets_of_its_own():
    small, large = r"\begin{pmatrix}1\end{pmatrix}", r"\begin{pmatrix}1\\2\\3\end{pmatrix}"
    rows = re.findall(r"<mrow><mo[^>]*>&#x00028;", slides.markdown(f"$${small} = {large}$$"))
    assert len(rows) == 2
    assert "<mspace" in slides.markdown(r"$\ln p$"), "ln p, not lnp"


def test_pieces_are_cut_at_headings_but_not_inside_code():
    text = "before\n## One\n```\n# a comment\n```\n### Two\nafter"
    assert slides.pieces(text) == ["before", "## One\n```\n# a comment\n```", "### Two\nafter"]


def test_an_answer_is_not_on_the_slide_that_asks_for_a_bet(monkeypatch):
    printed = {"output_type": "stream", "name": "stdout", "text": "42"}
    made = [
        {"cell_type": "markdown", "id": "a", "source": "## Bet\nBefore you run it: how many?"},
        {"cell_type": "code", "id": "b", "source": "print(6 * 7)", "outputs": [printed]},
        {"cell_type": "markdown", "id": "c", "source": "No question."},
        {"cell_type": "code", "id": "d", "source": "print(42)", "outputs": [printed]},
    ]
    monkeypatch.setattr(slides, "cells", lambda path: made)
    (_, _, asked), (_, section, answered) = slides.slides("a chapter")
    assert "how many" in asked[0] and "class" in asked[1] and len(asked) == 2
    assert ("42" in answered[0], section, len(answered)) == (True, "Bet", 4)


SIZES = "[...document.querySelectorAll('section')].map(page => [page.scrollWidth, page.scrollHeight])"


@pytest.mark.browser
@every_chapter
def test_every_page_fits_the_screen_and_the_keys_turn_pages(path, chrome, tmp_path):
    file, asked = tmp_path / "slides.html", []
    file.write_text(slides.page(path), encoding="utf-8")
    with closing(chrome.new_page(viewport={"width": 1280, "height": 720})) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        sizes = page.evaluate(SIZES)
        page.keyboard.press("End")
        assert page.inner_text("#count") == f"{len(sizes)} / {len(sizes)}"
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("#count") == f"{len(sizes) - 1} / {len(sizes)}"
    assert len(sizes) >= len(slides.slides(path))
    assert all(width <= 1281 and height <= 721 for width, height in sizes), sizes
    assert [url for url in asked if not url.startswith(("data:", file.as_uri()))] == []
