"""The browser, shared by all tests that need one; without Chromium they are skipped and say so."""

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import browser


@pytest.fixture(scope="session")
def chrome():
    if browser.chromium() is None:
        pytest.skip("no Chromium found: install one (apt-get install chromium) to run the browser tests")
    with browser.browser() as chrome:
        yield chrome


class ByChapter(LoadScopeScheduling):
    """Tests of one chapter go to one worker, since they share its page. xdist's own loadgroup would need
    marks in the tests' names, which pytest 9.2 lets nobody write."""

    def _split_scope(self, nodeid):
        return nodeid.partition("[")[2]  # what stands in brackets: the chapter's name


def pytest_xdist_make_scheduler(config, log):
    return ByChapter(config, log) if config.getvalue("dist") == "loadgroup" else None
