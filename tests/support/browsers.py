"""A real Chromium without a window; CHROMIUM names another than Debian's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.orchestrator import ADMIN_KEY

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# What a browser does on its own account would be requests that no page made.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication",
)
# Tests run as root in CI, where Chromium's sandbox can't, and /dev/shm of a container is small.
ROOTED = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")


@contextmanager
def launched() -> Iterator[Browser]:
    """Start a browser for the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=[*ROOTED, *QUIET]
        )
        try:
            yield browser
        finally:
            browser.close()


def sign_in(page: Page, key: str = ADMIN_KEY) -> None:
    """Go through the sign-in page; the page's context must have a base_url."""
    page.goto("/admin-ui/login")
    page.get_by_label("Admin key").fill(key)
    page.get_by_role("button", name="Sign in").click()
