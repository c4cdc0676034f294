"""The orchestrator for a test: a migrated database, and the service on it.

`running()` is a real process with a real uvicorn on a free port, `in_process()` the same
application in the test's own process and event loop.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from llm_orchestrator.app import create_app
from llm_orchestrator.settings import Settings
from tests.support.migration_chain import ROOT, upgrade
from tests.support.preloaded import Run, server, started
from tests.support.processes import wait_until

ADMIN_KEY = "admin-key-of-the-tests-0123456789"
API_KEY = "sk-key-of-the-tests-0123456789"
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
# The first application of a process is the slow one.
_SERVING = """
import llm_orchestrator.__main__, llm_orchestrator.server
from llm_orchestrator.settings import Settings
llm_orchestrator.server.create_app(Settings(_env_file=None, database_url="sqlite:////nowhere.db"))
"""
CALLER = {"Authorization": f"Bearer {API_KEY}"}


def new_database(folder: Path, revision: str = "head") -> Path:
    """Make a database in a folder by running the chain."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "llm_orchestrator.db"
    upgrade(path, revision)
    return path


def copied(template: Path, folder: Path) -> Path:
    """Copy a database that nobody writes to; much faster than making one."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(template, folder / "llm_orchestrator.db"))


@dataclass(frozen=True)
class Service:
    """A service that runs in a process of its own."""

    url: str
    database: Path
    process: Run
    log: Path

    def client(self, **headers: str) -> httpx.Client:
        """A client without any key, but for the headers given."""
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def admin(self) -> httpx.Client:
        return self.client(**ADMIN)

    def caller(self) -> httpx.Client:
        return self.client(**CALLER)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return how it ended."""
        self.process.send_signal(number)
        return self.process.wait(60)


def environment(database: Path, **settings: str) -> dict[str, str]:
    """The service's variables and hardly any other; `settings` in capitals."""
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_START")
        if name in os.environ
    }
    return {
        **kept,
        "PYTHONPATH": str(ROOT / "orchestrator"),
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": f"sqlite:///{database}",
        "ADMIN_KEY": ADMIN_KEY,
        "API_KEYS": API_KEY,
        "HEALTH_CHECK_INTERVAL": "0",
        **settings,
    }


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "llm_orchestrator", *words]


@contextmanager
def running(database: Path, **settings: str) -> Iterator[Service]:
    """Run the service in a process on a free port until the end of the block."""
    log = database.parent / f"service-{len(list(database.parent.glob('service-*.log')))}.log"
    with reserved_port() as port:
        process = started(
            "llm_orchestrator.__main__",
            ["serve"],
            folder=database.parent,
            env=environment(database, PORT=str(port), **settings),
            origin=server(_SERVING),
            output=log,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_it_answers(url, process, log)
            yield Service(url, database, process, log)
        finally:
            _end(process)


@contextmanager
def reserved_port() -> Iterator[int]:
    """A free port that nobody is given but who asks for it by number, as a service does."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def _wait_until_it_answers(url: str, process: Run, log: Path) -> None:
    def answers() -> bool:
        assert process.poll() is None, f"the service ended: {log.read_text()}"
        try:
            return httpx.get(f"{url}/health").status_code == 200
        except httpx.ConnectError:
            return False

    wait_until(answers, "the service answers")


def _end(process: Run) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def settings_for(database: Path, **settings: Any) -> Settings:
    """Settings as `running` has them, for create_app; `settings` by their fields' names."""
    values: dict[str, Any] = {
        "database_url": f"sqlite:///{database}",
        "admin_key": ADMIN_KEY,
        "api_keys": [API_KEY],
        "health_check_interval": 0,
        **settings,
    }
    return Settings(_env_file=None, **values)


@asynccontextmanager
async def in_process(
    database: Path, **settings: Any
) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    """Start the application in this event loop; `app.state.gateway` is its State.

    For one test: `asyncio.run(...)`. Answers arrive as a whole; streams want `running`.
    """
    app = create_app(settings_for(database, **settings))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://service", timeout=30
        ) as client,
    ):
        yield app, client
