"""orchctl in processes that start in a blink: forked from one that has imported everything.

Each run is a process of its own, with its own working folder, environment and output, which can be
signalled and killed; only the half second that Python takes to import Alembic is paid once.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.projects import Project, clean_environment

_SERVER = """
import json, os, signal, sqlite3, sys, time
import aiosqlite, alembic.autogenerate, alembic.command, alembic.operations, alembic.runtime
import sqlalchemy.dialects.sqlite, sqlalchemy.ext.asyncio
import orchctl.__main__, orchctl.cli, orchctl.snapshots.restore
import orchctl.upgrade.execute, orchctl.upgrade.rehearsal
import gc, orchctl.upgrade.at_head, orchctl.upgrade.rollback, orchctl.upgrade.status
exec(sys.argv[1])

signal.signal(signal.SIGINT, signal.default_int_handler)  # even where our parent ignores it
SIGNALS = (signal.SIGINT, signal.SIGTERM)
signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # a child waits with them until it is orchctl

def boundaries(reached):
    # Calls `reached` before every SQL statement, and every change to the file system, by name.
    connect = sqlite3.connect
    def traced(*args, **keywords):
        connection = connect(*args, **keywords)
        connection.set_trace_callback(lambda sql: reached(" ".join(sql.split())[:60]))
        return connection
    sqlite3.connect = sqlite3.dbapi2.connect = traced
    def hook(event, args):
        if event in ("fcntl.flock", "os.mkdir", "os.rename", "os.remove", "os.rmdir"):
            reached(event)
        elif event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR):
            reached("open " + os.path.basename(str(args[0])))
    sys.addaudithook(hook)

def dies_at(number):
    left = [number]
    def reached(name):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return reached

def child(order):
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["env"])
    for number, name in ((0, os.devnull), (1, order["stdout"]), (2, order["stderr"])):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
    sys.argv = ["orchctl", *order["words"]]
    code = 0
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if order["dies_at"] is not None:
            boundaries(dies_at(order["dies_at"]))
        elif order["log"]:
            log = open(order["log"], "a")
            boundaries(lambda name: print(name, file=log, flush=True))
        exec(order["prelude"], {})
        orchctl.__main__.main()
    except SystemExit as exit:
        code = exit.code
    except KeyboardInterrupt:
        code = 130
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

def wait(pid):
    for _ in range(6000):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "never ended"

gc.freeze()
for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        answer = wait(order["wait"])
    else:
        answer = os.fork()
        if not answer:
            child(order)
    print(json.dumps(answer), flush=True)
"""


class Run:
    """A running orchctl."""

    def __init__(self, words: tuple[str, ...], server: _Server, pid: int, folder: Path) -> None:
        self.words = words
        self._server = server
        self.pid = pid
        self._folder = folder

    def send_signal(self, number: int) -> None:
        """Send a signal; to one that has just ended it does nothing."""
        os.kill(self.pid, number)  # not reaped yet, so the pid is still its own

    def alive(self) -> bool:
        """Whether it runs still."""
        return "\nState:\tZ" not in Path(f"/proc/{self.pid}/status").read_text()

    def stderr(self) -> str:
        """What it has written there so far."""
        return (self._folder / "stderr").read_text()

    def finished(self) -> subprocess.CompletedProcess[str]:
        """Wait for the end; a process killed by a signal has its number, negative, as code."""
        code = self._server.ask({"wait": self.pid})
        assert isinstance(code, int), f"{self.words} never ended"
        stdout, stderr = (Path(self._folder, n).read_text() for n in ("stdout", "stderr"))
        return subprocess.CompletedProcess(self.words, code, stdout, stderr)


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
    server = _server(preload, imports)
    folder = Path(server.folder.name, str(next(_numbers)))
    folder.mkdir()
    for name in ("stdout", "stderr"):
        (folder / name).touch()
    order = {
        "folder": str(project.folder),
        "words": words,
        "env": clean_environment() | (env or {}),
        "stdout": str(folder / "stdout"),
        "stderr": str(folder / "stderr"),
        "log": str(log) if log else None,
        "dies_at": dies_at,
        "prelude": prelude,
    }
    return Run(words, server, server.ask(order), folder)


def orchctl(
    project: Project, *words: str, env: dict[str, str] | None = None, prelude: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run orchctl in the project's folder to its end."""
    return start(project, *words, env=env, prelude=prelude).finished()


class _Server:
    def __init__(self, preload: str, imports: str) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="orchctl-preloaded-")
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, imports],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ({"LD_PRELOAD": preload} if preload else {}),
        )
        atexit.register(self.close)

    def ask(self, order: dict[str, Any]) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()
        self.folder.cleanup()


@cache
def _server(preload: str, imports: str) -> _Server:
    return _Server(preload, imports)
