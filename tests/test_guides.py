"""TEACHING.md and CONTRIBUTING.md say what is so: minutes, sections, links, commands."""

import re

import pytest

from tests.notebooks import CHAPTERS, ROOT, prose

TEACHING, CONTRIBUTING, README = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("TEACHING.md", "CONTRIBUTING.md", "README.md")
)
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def section(path):
    """What TEACHING.md says about one chapter."""
    parts = re.split(r"^## ", TEACHING, flags=re.M)
    (found,) = [part for part in parts if part.startswith(f"{path.stem[:2]} · ")]
    return found


def text_of(path):
    return "\n".join(cell["source"] for cell in prose(path))


def exercise_minutes():
    """Number of an exercise, "1.2" → its minutes."""
    headings = re.findall(r"### Exercise (\S+) .*\((\d+) min\)", "\n".join(map(text_of, CHAPTERS)))
    return {number: int(minutes) for number, minutes in headings}


@every_chapter
def test_title_and_minutes_are_those_of_the_map(path):
    row = re.search(rf"\| \[(.*)\]\(notebooks/{path.name}\).*\| (.*) \| (.*) \| (.*) \|\n", README)
    title, read, exercises, run = row.groups()
    assert section(path).startswith(title + "\n")
    line = f"[Notebook](notebooks/{path.name}) · read {read} · exercises {exercises} · run {run}\n"
    assert line in section(path)


@every_chapter
def test_goals_misconceptions_projection_quiz_and_the_stall_are_there(path):
    text = section(path)
    for part in ("**Goals.**", "**What they believe", "**Project", "**Quiz**", "**Where they stall.**"):
        assert part in text, part
    quiz, answers = text.split("**Quiz**")[1].split("<details>")
    assert len(re.findall(r"^\d\. ", quiz, re.M)) == len(re.findall(r"^\d\. ", answers, re.M)) == 3


def test_sections_to_project_exist():
    chapters = {f"notebooks/{path.name}": text_of(path) for path in CHAPTERS}
    for title, target, anchor in re.findall(r"\[§ ([^\]]+)\]\((notebooks/[^)#]+)#([^)]+)\)", TEACHING):
        heading = rf"^#+ {re.escape(title)}$"
        assert re.search(heading, chapters[target], re.M), f"{target} has no section {title!r}"
        assert anchor == title.replace(" ", "-"), "JupyterLab's name for that section"
    assert TEACHING.count("[§ ") == len(re.findall(r"\[§ [^\]]+\]\(notebooks/[^)#]+#", TEACHING))


@pytest.mark.parametrize("page", [TEACHING, CONTRIBUTING], ids=["teaching", "contributing"])
def test_links_lead_somewhere(page):
    words = re.sub(r"```.*?```|`[^`]*`", "", page, flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", words):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_anchors_inside_a_page_exist():
    for page in (TEACHING, CONTRIBUTING):
        titles = re.findall(r"^##+ (.*)$", page, re.M)
        slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= slugs


def test_minutes_in_the_timetable_are_sums_of_its_exercises():
    minutes, seen = exercise_minutes(), 0
    for numbers, total in re.findall(r"\| ((?:\d+\.\d+(?:, )?)+) \((\d+) min\)", TEACHING):
        assert sum(minutes[number] for number in numbers.split(", ")) == int(total), numbers
        seen += 1
    assert seen >= 10


def test_commands_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    for page in (TEACHING, CONTRIBUTING):
        assert set(re.findall(r"(?:`|^)make ([a-z]+)", page, re.M)) <= targets
        for module in re.findall(r"python -m ((?:tests|helpers)[.\w]*)", page):
            file = ROOT / module.replace(".", "/")
            assert file.with_suffix(".py").exists() or (file / "__main__.py").exists(), module
        for script in re.findall(r"benchmarks/\w+\.py", page):
            assert (ROOT / script).exists(), script
