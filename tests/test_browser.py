"""A learner's session: every chapter in JupyterLab, in a real browser, run, looked at, and answered."""

import re
from contextlib import closing

import pytest
from PIL import Image

from tests import browser, picture
from tests.browser import photographed
from tests.notebooks import CHAPTERS, ROOT, code, prose, source

pytestmark = pytest.mark.browser
MOVED = """([cell, before]) => ![before, undefined].includes(cell.querySelector('img')?.src)
  || cell.querySelector('[data-mime-type$="jupyter.stderr"]')"""
FIGURES = "all => all.map(figure => [figure.naturalWidth, figure.width, figure.alt])"
TEXT_LEFT = """all => all.map(page => {  // beside equations and code
  const left = page.cloneNode(true);
  left.querySelectorAll('mjx-container, code').forEach(part => part.remove());
  return left.textContent;
})"""
SLIDER = re.compile(r"\b(plots\.slider|interact)\(")


@pytest.fixture(scope="session")
def server():
    with browser.course() as server:
        yield server


@pytest.fixture(scope="module", params=reversed(CHAPTERS), ids=lambda path: path.stem)  # the longest first
def chapter(request, chrome, server, tmp_path_factory):
    """A chapter, open, with all its cells run."""
    photo = tmp_path_factory.getbasetemp() / f"{request.param.stem}.png"
    with closing(browser.Chapter(chrome, server, request.param, photo)) as opened:
        opened.run_all()
        yield opened


@photographed
def test_every_cell_runs_in_order_without_error_or_warning(chapter):
    prompts = [chapter.prompt(cell["id"]) for cell in code(chapter.path)]
    assert prompts == [f"[{number}]:" for number in range(1, len(prompts) + 1)]
    assert (state := chapter.state()) == "done", state


@photographed
def test_the_page_has_no_error_and_asks_nothing_of_the_internet(chapter):
    assert chapter.page_errors == []
    assert chapter.outside == []


@photographed
def test_every_figure_is_to_be_seen_and_has_a_text(chapter):
    drawing = [cell["id"] for cell in code(chapter.path) if "<img" in str(cell["outputs"])]
    sliding = [cell["id"] for cell in code(chapter.path) if SLIDER.search(cell["source"])]
    for cell_id in drawing + sliding:
        figures = chapter.cell(cell_id).locator("img")
        figures.first.wait_for()
        for loaded, shown, text in figures.evaluate_all(FIGURES):
            assert loaded > 0 and shown >= 100, f"{cell_id}: {shown} px wide, {loaded} in the file"
            assert len(text) >= 20, f"{cell_id}: alternative text {text!r}"


@photographed
def test_the_slider_moves_its_figure(chapter):
    (cell,) = [chapter.cell(cell["id"]) for cell in code(chapter.path) if SLIDER.search(cell["source"])]
    figure = cell.locator("img").element_handle()
    before = figure.get_attribute("src")
    cell.locator(".noUi-handle").first.press("ArrowRight")
    chapter.page.wait_for_function(MOVED, arg=[cell.element_handle(), before])
    assert (state := chapter.state()) == "done", state


@photographed
def test_every_equation_is_typeset(chapter):
    written = [cell["id"] for cell in prose(chapter.path) if "$" in without_code(cell["source"])]
    assert written
    for cell_id in written:
        assert chapter.cell(cell_id).locator("mjx-container").count(), f"{cell_id} shows no equation"
    texts = chapter.page.locator(".jp-MarkdownOutput").evaluate_all(TEXT_LEFT)
    assert [text for text in texts if "$" in text or "\\begin" in text] == []
    wrong = chapter.page.locator("mjx-merror, mjx-mtext[style*=red], mjx-mtext[mathcolor=red]")
    assert wrong.evaluate_all("all => all.map(e => e.closest('mjx-container').innerText)") == []


@photographed
def test_typed_answers_take_an_exercise_from_not_attempted_to_failed_to_passed(chapter):
    stub = next(cell for cell in code(chapter.path) if re.fullmatch("ex-.*-stub", cell["id"]))
    check = stub["id"].removesuffix("stub") + "check"
    assert "not attempted yet" in chapter.output(check)
    wrong = re.sub(r"raise NotImplementedError\(.*\)", "return 0", stub["source"])
    chapter.type(stub["id"], wrong)
    assert re.search(r"✗ .*not yet(.|\n)*\n *hint +\S", chapter.output(check))
    answer = source(ROOT / "solutions" / chapter.path.name, stub["id"].removesuffix("stub") + "answer")
    chapter.type(stub["id"], answer)
    assert re.search(r"✓ .*: passed\. Tested: ", chapter.output(check))


@pytest.mark.parametrize("chapter", [picture.CHAPTER], ids=lambda path: path.stem, indirect=True)
@photographed
def test_readme_picture_shows_what_chapter_03_shows(chapter):
    now, stored = picture.take(chapter), Image.open(picture.TARGET)
    assert now.width == stored.width and abs(now.height - stored.height) < 0.05 * stored.height
    assert picture.difference(now, stored) < 0.013, "run: python -m tests.picture"


def without_code(text):
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)
