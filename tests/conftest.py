"""The browser, shared by all tests that need one; without Chromium they are skipped and say so."""

import pytest

from tests import browser


@pytest.fixture(scope="session")
def chrome():
    if browser.chromium() is None:
        pytest.skip("no Chromium found: install one (apt-get install chromium) to run the browser tests")
    with browser.browser() as chrome:
        yield chrome
