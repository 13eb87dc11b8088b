"""Chromium for the browser tests: Debian's headless shell, else the whole of it, driven by Playwright and shut off from
everything but this machine.

    def test_a_session_streams(page, served):
        page.goto(served.url)

A page that throws, or that the content security policy had to stop, fails its test.
Playwright runs an event loop in the test's own thread, so Django would refuse its ORM there (DJANGO_ALLOW_ASYNC_UNSAFE
allows it while the browser is open), and async tests must stand in another file.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.waiting import PATIENCE

SHELL, BROWSER = Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium")
CHROMIUM = SHELL if SHELL.exists() else BROWSER  # the shell draws no window that nobody sees
INSTALL = "apt-get install -y --no-install-recommends chromium-headless-shell"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE [::1]",
]


expect.set_options(timeout=PATIENCE * 1000)  # five seconds are few on a busy machine


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a file; skipped by name where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}; to run this: {INSTALL}")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        with playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser:
            yield browser


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page without cookies; what goes wrong on it unseen is shown at the end of its test."""
    wrong: list[str] = []
    with chromium.new_context(reduced_motion="reduce") as context:  # what moves is drawn sixty times a second
        context.set_default_timeout(PATIENCE * 1000)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on("console", lambda message: wrong.extend(refusals(message)))
        yield context.new_page()
    assert not wrong, wrong


def refusals(message: ConsoleMessage) -> list[str]:
    return [message.text] if "Content Security Policy" in message.text else []
