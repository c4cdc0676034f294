"""A real Chromium without a window: Debian's, or Chrome, or the one that CHROMIUM names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from shutil import which
from typing import Any

import httpx
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    StorageState,
    expect,
    sync_playwright,
)

from tests.support.demo_rows import KEY_MARK
from tests.support.orchestrator import ADMIN_KEY, API_KEY, Service

CHROMIUM = os.environ.get("CHROMIUM") or which("chromium") or which("google-chrome")
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
SESSION = "llm_orchestrator_session"
SECRETS = (ADMIN_KEY, API_KEY, KEY_MARK, "never-shown")
# Long: a test waits for conditions, on a machine that may be busy.
PATIENCE_MS = 30_000


@contextmanager
def launched() -> Iterator[Browser]:
    """Start a browser for the block."""
    expect.set_options(timeout=PATIENCE_MS)
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


@dataclass
class Visit:
    """A page that is watched."""

    context: BrowserContext
    page: Page
    url: str
    # Statuses that a test asks for; Chromium reports them as errors.
    expected: set[int] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.context.on("request", lambda request: self._see(request.url))

    def goto(self, path: str) -> Page:
        """Go to one of our pages and look through what it came with."""
        self.page.goto(f"/admin-ui/{path}")
        self.look()
        return self.page

    def look(self) -> None:
        """Note secrets in the page as it is now."""
        content = self.page.content()
        self.leaks += [f"{secret} on {self.page.url}" for secret in SECRETS if secret in content]

    def close(self) -> None:
        self.look()
        self.context.close()

    def complaints(self) -> list[str]:
        """What the page should not have done."""
        return [*self.errors, *self.elsewhere, *self.leaks]

    def _hear(self, message: ConsoleMessage) -> None:
        known = any(f"status of {status} " in message.text for status in self.expected)
        if message.type in {"error", "warning"} and not known:
            self.errors.append(message.text)

    def _see(self, url: str) -> None:
        if not url.startswith((self.url + "/", "data:", "blob:")):
            self.elsewhere.append(url)


# Who has signed in once on a service need not do so in every test.
_signed_in: dict[str, StorageState] = {}


def visiting(browser: Browser, service: Service, *, signed_in: bool, **options: Any) -> Visit:
    """Open a page of a context of its own, signed in or not."""
    if signed_in and service.url not in _signed_in:
        _signed_in[service.url] = _sign_in_once(browser, service.url)
    state = _signed_in[service.url] if signed_in else None
    context = browser.new_context(base_url=service.url, storage_state=state, **options)
    context.set_default_timeout(PATIENCE_MS)
    visit = Visit(context, context.new_page(), service.url)
    visit.watch()
    return visit


def _sign_in_once(browser: Browser, url: str) -> StorageState:
    context = browser.new_context(base_url=url)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    sign_in(page)
    page.wait_for_url("**/dashboard")
    state = context.storage_state()
    context.close()
    return state


Visitor = Callable[..., Visit]


def token_of(page: httpx.Response) -> str:
    """The token of the forms on a page."""
    found = re.search(r'name="csrf_token" value="(\w+)"', page.text)
    assert found
    return found[1]


def log_in(client: httpx.Client, key: str = ADMIN_KEY, **fields: str) -> httpx.Response:
    """Sign in without a browser; the client keeps the cookie."""
    token = token_of(client.get("/admin-ui/login"))
    return client.post(
        "/admin-ui/login", data={"admin_key": key, "csrf_token": token, "next": "", **fields}
    )
