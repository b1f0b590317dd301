"""`make lab` serves the course: JupyterLab with the course's settings, chapter 00 first."""

import json

import pytest

from tests import browser
from tests.browser import ask
from tests.notebooks import ROOT


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with browser.lab(ROOT, tmp_path_factory.mktemp("home")) as server:
        yield server


def test_it_opens_at_chapter_00(server):
    assert server[1] == "/lab/tree/notebooks/00_start_here.ipynb"
    status, page = ask(server, server[1])
    assert status == 200
    assert "jupyter-config-data" in page
    status, chapter = ask(server, "/api/contents/notebooks/00_start_here.ipynb")
    assert status == 200
    assert json.loads(chapter)["content"]["cells"]


def test_chapters_and_solutions_are_both_within_reach(server):
    names = {entry["name"] for entry in json.loads(ask(server, "/api/contents/")[1])["content"]}
    assert {"notebooks", "solutions", "helpers", "README.md"} <= names


def test_the_course_settings_are_in_force(server):
    _, answer = ask(server, "/lab/api/settings/@jupyterlab/notebook-extension:tracker")
    assert json.loads(answer)["schema"]["properties"]["windowingMode"]["default"] == "none"
    _, answer = ask(server, "/lab/api/settings/@jupyterlab/apputils-extension:notification")
    assert json.loads(answer)["schema"]["properties"]["fetchNews"]["default"] == "false"
