"""`make lab` serves the course: JupyterLab with the course's settings, chapter 00 first."""

import json
import os
import re
import subprocess
import sys
import urllib.request

import pytest

from tests.notebooks import ROOT


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a JupyterLab started as the Makefile starts it, as (address, token)."""
    home = tmp_path_factory.mktemp("home")
    log = home / "log"
    command = [sys.executable, "-m", "jupyterlab", "--config=labconfig/jupyter_lab_config.py"]
    command += ["--ServerApp.port=0", "--no-browser"]
    folders = {"HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / "run")}
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env={**os.environ, **folders})
    try:
        yield wait_for_address(process, log)
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_for_address(process, log):
    for _ in range(300):
        found = re.search(r"(http://127\.0\.0\.1:\d+)(/\S*)\?token=(\w+)", log.read_text())
        if found:
            return found.groups()
        try:
            process.wait(timeout=0.2)
            break
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()}")


def get(server, path):
    address, _, token = server
    request = urllib.request.Request(address + path, headers={"Authorization": f"token {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, answer.read().decode()


def test_it_opens_at_chapter_00(server):
    assert server[1] == "/lab/tree/notebooks/00_start_here.ipynb"
    status, page = get(server, server[1])
    assert status == 200
    assert "jupyter-config-data" in page
    status, chapter = get(server, "/api/contents/notebooks/00_start_here.ipynb")
    assert status == 200
    assert json.loads(chapter)["content"]["cells"]


def test_chapters_and_solutions_are_both_within_reach(server):
    names = {entry["name"] for entry in json.loads(get(server, "/api/contents/")[1])["content"]}
    assert {"notebooks", "solutions", "helpers", "README.md"} <= names


def test_the_course_settings_are_in_force(server):
    _, answer = get(server, "/lab/api/settings/@jupyterlab/notebook-extension:tracker")
    assert json.loads(answer)["schema"]["properties"]["windowingMode"]["default"] == "none"
    _, answer = get(server, "/lab/api/settings/@jupyterlab/apputils-extension:notification")
    assert json.loads(answer)["schema"]["properties"]["fetchNews"]["default"] == "false"
