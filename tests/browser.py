"""The course's JupyterLab, and a headless Chromium that uses it as a learner does: what the tests share."""

import functools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.notebooks import ROOT, cells

NAMES = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--no-proxy-server"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # whatever a page asks for: no internet
]
PLACES = "HOME JUPYTER_RUNTIME_DIR JUPYTER_DATA_DIR JUPYTER_CONFIG_DIR JUPYTERLAB_WORKSPACES_DIR".split()
PATIENCE = 900_000  # milliseconds for all cells of a chapter: on a quiet machine the slowest needs a tenth
MOMENT = 120_000  # milliseconds for anything else: one page, one cell, one click

CONNECTED = "document.querySelector('#jp-main-statusbar')?.innerText.includes('| Idle')"
STATE = """() => {  // of the notebook: "done", what went wrong, or nothing yet
  const seen = where => document.querySelector(where)?.innerText.trim().slice(-800);
  const wrong = seen('.jp-Dialog-content') || seen('[data-mime-type$="jupyter.stderr"]');  // errors too
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
  return wrong || (prompts.every(prompt => /\\d/.test(prompt.innerText)) ? 'done' : '');
}"""


def chromium():
    """The path of a Chromium or Chrome: the system's, else Playwright's own; None if there is neither."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if os.path.exists(own) else None


@contextmanager
def browser():
    """A headless Chromium without the internet."""
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        try:
            yield chrome
        finally:
            chrome.close()


@contextmanager
def lab(folder, home):
    """A JupyterLab started in `folder` as the Makefile starts it: (address, path it opens at, token)."""
    command = [sys.executable, "-m", "jupyterlab", "--config=labconfig/jupyter_lab_config.py"]
    command += ["--ServerApp.port=0", "--no-browser"]
    places = {name: str(home / name.lower()) for name in PLACES}
    log = home / "log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, env=os.environ | places)
    try:
        yield _wait_for_address(process, log)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait_for_address(process, log):
    for _ in range(600):
        found = re.search(r"http://127\.0\.0\.1:(\d+)(/\S*)\?token=(\w+)", log.read_text())
        if found and _listens(int(found[1])):
            return f"http://127.0.0.1:{found[1]}", found[2], found[3]
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()}")


def _listens(port):
    """The log names the address some moments before anybody answers there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(server, path, method="GET"):
    """What the server answers: (status, text)."""
    address, _, token = server
    request = urllib.request.Request(
        address + path, headers={"Authorization": f"token {token}"}, method=method
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, answer.read().decode()


@contextmanager
def course():
    """The course's own JupyterLab on a copy of the chapters that nobody has run yet."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy, home = Path(folder, "course"), Path(folder, "home")
        home.mkdir()
        _copy_course(copy)
        with lab(copy, home) as server:
            yield server


def _copy_course(folder):
    for name in ("labconfig", "solutions"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "notebooks").mkdir()
    for path in ROOT.glob("notebooks/*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell.update(outputs=[], execution_count=None)
        (folder / "notebooks" / path.name).write_text(json.dumps(notebook), encoding="utf-8")


def photographed(test):
    """When `test(chapter)` fails, the message says where a picture of the page lies."""

    @functools.wraps(test)
    def wrapped(chapter):
        try:
            test(chapter)
        except Exception as error:
            chapter.page.screenshot(path=chapter.photo)
            error.add_note(f"The page at that moment: {chapter.photo}")
            raise

    return wrapped


class Chapter:
    """A chapter open in JupyterLab. Its cells are named by the ids they have in the file."""

    def __init__(self, chrome, server, path, photo):
        """photo: where `photographed` puts a picture of the page."""
        self.server, self.path, self.photo = server, path, photo
        self.ids = [cell["id"] for cell in cells(path)]
        self.page_errors, self.outside = [], []
        self.page = chrome.new_page(viewport={"width": 1400, "height": 1000}, device_scale_factor=1.5)
        self.page.set_default_timeout(MOMENT)
        self.page.on("pageerror", lambda error: self.page_errors.append(str(error)))
        address, _, token = server
        ours = address, address.replace("http", "ws"), "data:", "blob:"
        self.page.on("request", lambda asked: asked.url.startswith(ours) or self.outside.append(asked.url))
        self.page.goto(f"{address}/lab/tree/notebooks/{path.name}?token={token}&reset")
        self.page.wait_for_function(CONNECTED)

    def cell(self, cell_id):
        return self.page.locator(".jp-Notebook .jp-Cell").nth(self.ids.index(cell_id))

    @photographed
    def run_all(self):
        """Menu Run → Run All Cells; ends when every code cell has its number, or at the first error."""
        self.page.click(".lm-MenuBar-item >> text=Run")
        self.page.click("text='Run All Cells'")
        state = self.page.wait_for_function(STATE, timeout=PATIENCE).json_value()
        assert state == "done", f"{self.path.name}: {state}"

    def type(self, cell_id, text):
        """Replace a cell's source by keyboard, run it with Shift+Enter, and run the cell below it."""
        self.cell(cell_id).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.insert_text(text)
        below = self.ids[self.ids.index(cell_id) + 1]
        for each in (cell_id, below):
            before = self.prompt(each)
            self.page.keyboard.press("Shift+Enter")
            self.page.wait_for_function(
                "([cell, before]) => /\\d/.test(cell.innerText) && cell.innerText != before",
                arg=[self.cell(each).locator(".jp-InputPrompt").element_handle(), before],
            )

    def state(self):
        return self.page.evaluate(STATE)

    def prompt(self, cell_id):
        return self.cell(cell_id).locator(".jp-InputPrompt").inner_text()

    def output(self, cell_id):
        return self.cell(cell_id).locator(".jp-Cell-outputWrapper").inner_text()

    def close(self):
        """Close the page and end its kernel, so that no memory is kept."""
        self.page.close()
        for kernel in json.loads(ask(self.server, "/api/kernels")[1]):
            ask(self.server, f"/api/kernels/{kernel['id']}", "DELETE")
