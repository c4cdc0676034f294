"""Write pictures of the admin pages to docs/screenshots/, or to the folder given.

The service runs in this process on a database of demo rows, with a clock that stands still, so
that the pictures only change when the pages do.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, Page

from llm_orchestrator.app import create_app
from tests.support.browsers import launched, sign_in
from tests.support.demo_rows import fill
from tests.support.orchestrator import new_database, reserved_port, settings_for

ROOT = Path(__file__).resolve().parent.parent
# Far ahead: logs of then are never old enough to be deleted.
NOW = dt.datetime(2030, 5, 14, 15, 42, 10, tzinfo=dt.UTC)
PAGES = ("dashboard", "providers", "models", "associations", "logs", "settings")
WIDE = {"width": 1080, "height": 670}
PHONE = {"width": 360, "height": 740}


def main(folder: Path) -> None:
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # From within, so that no path of this machine is in a picture.
    with tempfile.TemporaryDirectory() as data, chdir(data):
        fill(new_database(Path(data)), NOW)
        with serving(Path("llm_orchestrator.db")) as url, launched() as browser:
            take_all(browser, url, folder)


@contextmanager
def serving(database: Path) -> Iterator[str]:
    """Serve in a thread of this process, so that its clock can be stopped."""
    app = create_app(settings_for(database))
    app.state.pages.now = lambda: NOW
    with reserved_port() as port:
        config = uvicorn.Config(app, port=port, log_level="warning", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


def take_all(browser: Browser, url: str, folder: Path) -> None:
    """Take every page light, the dashboard dark as well, and two as a telephone shows them."""
    for scheme, size, names in (
        ("light", WIDE, PAGES),
        ("dark", WIDE, ("dashboard",)),
        ("light", PHONE, ("dashboard", "associations")),
    ):
        context = browser.new_context(
            viewport=size, color_scheme=scheme, reduced_motion="reduce", base_url=url
        )
        page = context.new_page()
        suffix = ("-dark" if scheme == "dark" else "") + ("-phone" if size is PHONE else "")
        if not suffix:
            page.goto("/admin-ui/login")
            take(page, folder / "login.png")
        sign_in(page)
        for name in names:
            page.goto(f"/admin-ui/{name}")
            take(page, folder / f"{name}{suffix}.png")
        if not suffix:
            page.goto("/admin-ui/providers")
            page.get_by_role("link", name="Edit OpenAI").click()
            page.get_by_role("dialog").wait_for()
            take(page, folder / "provider-form.png")
        context.close()


def take(page: Page, path: Path) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path, animations="disabled", caret="hide")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screenshots")
