"""orchctl in processes that start in a blink: forked from one that has imported everything.

Each run is a process of its own, with its own working folder, environment and output, which can be
signalled and killed; only the half second that Python takes to import Alembic is paid once.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.projects import Project, clean_environment

_ROOT = Path(__file__).parents[2]
# All of orchctl, and what its commands import on their way.
ORCHCTL = """
import importlib, pkgutil
import aiosqlite, alembic.autogenerate, alembic.command, alembic.operations, alembic.runtime
import alembic.__main__, docker, rich.console, rich.table
import sqlalchemy.dialects.sqlite, sqlalchemy.ext.asyncio
import orchctl
for found in pkgutil.walk_packages(orchctl.__path__, "orchctl."):
    # The one goes into pytest; the other's name is that of a function until somebody imports it.
    if found.name not in ("orchctl.pytest_plugin", "orchctl.cli.run"):
        importlib.import_module(found.name)
"""
# What Python itself, or libc, reads when a process starts: who changes it needs a real start.
_READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_")


class Run:
    """A process that a server was forked to be; subprocess.Popen in what is here."""

    def __init__(self, words: Sequence[str], server: Server, pid: int, folder: Path) -> None:
        self.words = words
        self._server = server
        self.pid = pid
        self._folder = folder
        self._ended = os.pidfd_open(pid)
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        """Send a signal; to one that has just ended it does nothing."""
        if self.returncode is None:
            os.kill(self.pid, number)  # not reaped yet, so the pid is still its own

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def alive(self) -> bool:
        """Whether it runs still."""
        return self.poll() is None

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float = 60) -> int:
        """Its exit code; that of a process killed by a signal is the number, negative."""
        if self.returncode is None:
            waiting = select.poll()
            waiting.register(self._ended, select.POLLIN)
            if not waiting.poll(timeout * 1000):
                raise subprocess.TimeoutExpired(self.words, timeout)
            self.returncode = self._server.ask({"wait": self.pid})
            os.close(self._ended)
        return self.returncode

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """Its output and its errors, once it has ended."""
        self.wait(timeout)
        return self.stdout(), self.stderr()

    def stdout(self) -> str:
        """What it has written there so far."""
        return (self._folder / "stdout").read_text()

    def stderr(self) -> str:
        """What it has written there so far."""
        return (self._folder / "stderr").read_text()

    def finished(self) -> subprocess.CompletedProcess[str]:
        """Wait for the end; a process killed by a signal has its number, negative, as code."""
        try:
            code = self.wait(200)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.words} never ended: {self.stderr()}") from None
        return subprocess.CompletedProcess(self.words, code, self.stdout(), self.stderr())


_numbers = itertools.count()


def start(
    project: Project,
    *words: str,
    env: dict[str, str] | None = None,
    log: Path | None = None,
    dies_at: int | None = None,
    prelude: str = "",
    preload: str = "",
    imports: str = "",
) -> Run:
    """Start orchctl in the project's folder, and go on.

    Args:
        project: Where.
        words: The command line.
        env: Further environment variables.
        log: Write down every boundary between two steps: SQL statements and changes to the file
            system, a line each, in the order they are reached.
        dies_at: kill -9 at the boundary with this number, counted from 0.
        prelude: Python to execute in the process before orchctl's own.
        preload: Libraries for LD_PRELOAD.
        imports: Python to execute once, in the process that all of these are forked from.
    """
    return started(
        "orchctl.__main__",
        words,
        folder=project.folder,
        env=clean_environment() | (env or {}),
        origin=server(ORCHCTL + imports, preload),
        log=str(log) if log else None,
        dies_at=dies_at,
        prelude=prelude,
    )


def started(
    program: str,
    words: Sequence[str],
    *,
    folder: Path,
    env: Mapping[str, str],
    origin: Server | None = None,
    output: Path | None = None,
    **order: Any,
) -> Run:
    """Start a program, given by the module that `python -m` would run.

    Args:
        program: Its module, which has a `main`.
        words: Its command line.
        folder: Its working folder.
        env: All of its environment.
        origin: What it is forked from.
        output: Where stdout and stderr go to, together; else each is kept.
        order: What `start` says.
    """
    origin = origin or server(ORCHCTL)
    kept = Path(origin.folder.name, str(next(_numbers)))
    kept.mkdir()
    files = {"stdout": kept / "stdout", "stderr": kept / "stderr"}
    if output:
        files = dict.fromkeys(files, output)
    for path in files.values():
        path.touch()
    whole = {"log": None, "dies_at": None, "prelude": ""} | order
    whole |= {"program": program, "words": words, "folder": str(folder), "env": dict(env)}
    whole |= {name: str(path) for name, path in files.items()}
    return Run(words, origin, origin.ask(whole), kept)


def orchctl(
    project: Project, *words: str, env: dict[str, str] | None = None, prelude: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run orchctl in the project's folder to its end."""
    return start(project, *words, env=env, prelude=prelude).finished()


@cache
def server(imports: str, preload: str = "") -> Server:
    """What all processes with these imports, and these libraries in LD_PRELOAD, are forked from."""
    return Server(imports, preload)


def starts_alike(env: Mapping[str, str]) -> bool:
    """Whether a process with this environment starts as the one that it is forked from did."""
    return _at_start(env) == _at_start(os.environ)


def _at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_START)}


class Server:
    """A process to fork from."""

    def __init__(self, imports: str, preload: str) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="orchctl-preloaded-")
        self._one_at_a_time = threading.Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", imports],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ({"LD_PRELOAD": preload} if preload else {}),
        )
        atexit.register(self.close)

    def ask(self, order: dict[str, Any]) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self._one_at_a_time:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()
        self.folder.cleanup()
