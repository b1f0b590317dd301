"""The set-up files say the same, and the README's commands exist."""

import re
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.notebooks import CHAPTERS, ROOT, cells

CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def ranges():
    """Package → version range, of pyproject's course and test parts together."""
    listed = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    return {canonicalize_name(r.name): r.specifier for r in map(Requirement, listed)}


def pins():
    """Package → list of the exact versions in requirements.txt (more than one where the Python decides)."""
    found = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        requirement = Requirement(line)
        (exact,) = requirement.specifier
        assert exact.operator == "==", line
        found.setdefault(canonicalize_name(requirement.name), []).append(exact.version)
    return found


def conda():
    """Package, by its registry name → range in environment.yml."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    found = {}
    for entry in environment["dependencies"]:
        if isinstance(entry, str):
            name, _, version = entry.partition(" ")
            found[CONDA_NAMES.get(name, name)] = Requirement(f"x{version}").specifier
    return found | {r.name: r.specifier for r in map(Requirement, by_pip(environment)[:-1])}, environment


def by_pip(environment):
    """What conda leaves to pip: the packages it does not have under that name, and at last the course."""
    (listed,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    return listed


@pytest.mark.parametrize("name", sorted(ranges()))
def test_pin_lies_in_its_range_and_conda_says_the_same(name):
    assert all(version in ranges()[name] for version in pins()[name])
    assert conda()[0][name] == ranges()[name]


def test_conda_has_no_package_that_pyproject_lacks():
    extra = set(conda()[0]) - set(ranges())
    assert extra == {"python", "pip", "make"}
    assert conda()[0]["python"] == Requirement(f"x{PROJECT['requires-python']}").specifier
    assert by_pip(conda()[1])[-1] == "-e ."


@pytest.mark.parametrize("name", sorted(ranges()))
def test_what_is_installed_is_what_is_pinned(name):
    installed = metadata.version(name).split("+")[0]
    assert installed in pins()[name], f"{name} {installed} is installed: run `make test` in a fresh .venv"


def test_cuda_packages_are_left_to_torch():
    assert not [name for name in pins() if name.startswith(("nvidia-", "cuda-", "triton"))]


def test_readme_gives_the_first_command_by_line_20_and_names_every_chapter():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert any("make lab" in line for line in lines[:20])
    for path in CHAPTERS:
        assert any(f"(notebooks/{path.name})" in line for line in lines), (
            f"{path.name} is missing from the map"
        )


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_readme_map_says_what_the_chapter_says(path):
    """Its title, also that of its solutions, and the minutes of its exercises, to the next five."""
    row = re.search(
        rf"\| \[(.*)\]\(notebooks/{path.name}\).*", (ROOT / "README.md").read_text(encoding="utf-8")
    )
    assert cells(path)[0]["source"].splitlines()[0] == f"# {row[1]}"
    assert cells(ROOT / "solutions" / path.name)[0]["source"].splitlines()[0] == f"# Solutions {row[1]}"
    _, minutes, _ = re.findall(r"(\d+) (?:min|s) \|", row[0])
    headings = re.findall(r"### Exercise.*\((\d+) min\)", "\n".join(cell["source"] for cell in cells(path)))
    assert abs(int(minutes) - sum(map(int, headings))) < 5


def test_readme_links_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)|<img[^>]* src=\"([^\"]+)\"", text):
        target = target[0] or target[1]
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_readme_commands_exist_in_the_makefile():
    named = set(
        re.findall(r"`?make (?:PYTHON=\S+ )?([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    )
    there = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert named <= there, named - there
