"""Make slides of the chapters, one file each, that need no internet: python -m tests.slides [NOTEBOOK ...].

A heading starts a slide; an exercise has one of its own. Figures and printed results stay, the code that only
draws stays away. Formulas become MathML, which browsers draw by themselves. slides.html holds the page.
"""

import html
import re
import sys

from latex2mathml.converter import convert
from nbconvert.filters import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from tests.execute import SLIDER, notebooks
from tests.notebooks import CHAPTERS, ROOT, cells

FOLDER = ROOT / "slides"
PAGE = ROOT / "tests" / "slides.html"
SECTION = '<section class="{}" data-section="{}">\n{}\n</section>'
BET = re.compile(r"before you|predict|guess (the|how)|guesses", re.I)  # a bet: no answer beside it


class Renderer(IPythonRenderer):
    """nbconvert's Markdown, with formulas as MathML instead of text for MathJax."""

    def inline_math(self, body):
        return convert(prepared(body))

    def block_math(self, body):
        return convert(prepared(body), display="block")


def prepared(tex):
    """The formula as the converter needs it: each matrix in a group of its own, as high as itself."""
    tex = re.sub(r"\\(ln|cos|sin) ", r"\\\1\\, ", tex.replace("{aligned}", "{align*}"))
    tex = re.sub(r"\\begin\{pmatrix\}.*?\\end\{pmatrix\}", r"{\g<0>}", tex, flags=re.S)
    return re.sub(r"\\left\(.*?\\right\)", r"{\g<0>}", tex, flags=re.S)


def markdown(source):
    renderer = Renderer(escape=False, anchor_link_text="", exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(source)


def pieces(source):
    """Markdown cut before each heading of level 1 to 3, but not inside a block of code."""
    parts, fenced = [[]], False
    for line in source.splitlines():
        fenced ^= line.startswith("```")
        if re.match(r"#{1,3} ", line) and not fenced:
            parts.append([])
        parts[-1].append(line)
    return [text for part in parts if (text := "\n".join(part).strip())]


def slides(path):
    """The chapter as a list of (kind, section, list of HTML blocks); kind: title, exercise or plain."""
    found, section, bet = [], "", False
    for cell in cells(path):
        if cell["cell_type"] == "markdown":
            for text in pieces(cell["source"]):
                kind, section = kind_of(text, section)
                if kind:
                    found.append((kind, section, []))
                found[-1][2].append(markdown(text))
            bet = BET.search(text)
            continue
        source, shown = code_blocks(cell)
        found[-1][2].extend(source)
        answers = bet and any(SLIDER not in text for text in shown)
        if answers or cell["id"].endswith("-check"):  # the answer waits for the next slide
            found.append(("plain", section, []))
            bet = False
        found[-1][2].extend(shown)
    return [slide for slide in found if slide[2]]


def kind_of(text, section):
    """What a piece of Markdown opens: a kind of slide, or None for more of the same; and its section."""
    heading = re.match(r"(#{1,3}) (.*)", text)
    if not heading:
        return None, section
    kind = "exercise" if heading[2].startswith("Exercise") else "title" if heading[1] == "#" else "plain"
    return kind, heading[2] if heading[1] == "##" else section


def code_blocks(cell):
    """The HTML of a code cell: [its source] unless that only imports or draws, and what it shows."""
    if cell["id"] == "setup" or cell["id"].endswith("-check"):
        return [], []
    shown = [text for output in cell["outputs"] if (text := output_html(output))]
    drawn = any("<img" in text or SLIDER in text for text in shown)
    source = Highlight2HTML()(cell["source"].strip(), language="python")
    return [] if drawn else [source], shown


def output_html(output):
    """A figure as it is stored; printed text as it stands."""
    data = output.get("data", {})
    if "text/html" in data:
        return f"<figure>{''.join(data['text/html'])}</figure>"
    text = "".join(output.get("text", data.get("text/plain", "")))
    return f'<pre class="printed">{html.escape(text.rstrip())}</pre>' if text.strip() else ""


def page(path):
    """The whole HTML file for one chapter."""
    sections = [SECTION.format(k, html.escape(name), "\n".join(blocks)) for k, name, blocks in slides(path)]
    title = cells(path)[0]["source"].splitlines()[0].lstrip("# ")
    filled = PAGE.read_text(encoding="utf-8").replace("TITLE", html.escape(title))
    filled = filled.replace("/* PYGMENTS */", HtmlFormatter(style="default").get_style_defs(".highlight"))
    return filled.replace("<!-- SLIDES -->", "\n".join(sections))


def main(names):
    FOLDER.mkdir(exist_ok=True)
    for path in notebooks(names) if names else CHAPTERS:
        target = FOLDER / f"{path.stem}.slides.html"
        target.write_text(page(path), encoding="utf-8")
        print(f"{target.stat().st_size // 1000:4} kB  {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
