"""A service in a container over a SQLite database: to be deployed, written to, and looked at."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.docker_engine import docker
from tests.support.processes import wait_until
from tests.support.projects import Project, clean_environment

TAG = "orchctl-tests-deployed"
# Writes what it is sent and says so once it is committed. MODE: good; sick (never healthy, but
# writes what it is sent); crash (ends at once).
_SERVICE = """
import http.server, os, signal, sqlite3, sys

MODE, PATH = os.environ["MODE"], "/data/app.db"
if MODE == "crash":
    sys.exit("this version can't start")

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200 if MODE != "sick" else 503, MODE + " " + os.environ["VERSION"])

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        connection = sqlite3.connect(PATH, timeout=20)
        with connection:
            connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))
        connection.close()
        self.answer(201, text)

    def log_message(self, *words):
        pass

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
print("serving", flush=True)
server.serve_forever()
"""
_DOCKERFILE = """
FROM {base}
COPY service.py /service.py
ENV VERSION={version} MODE={mode} PYTHONDONTWRITEBYTECODE=1
CMD ["python3", "/service.py"]
"""
TABLES = "op.create_table('notes', sa.Column('id', sa.Integer, primary_key=True), "
TABLES += "sa.Column('text', sa.String))"
COLUMN = "op.add_column('notes', sa.Column('stars', sa.Integer))"


def build(base: str, version: str, mode: str = "good") -> str:
    """An image of the service; its tag."""
    tag = f"{TAG}:{version}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "service.py").write_text(_SERVICE)
        text = _DOCKERFILE.format(base=base, version=version, mode=mode)
        (Path(folder) / "Dockerfile").write_text(text)
        docker("build", "--quiet", "--network", "none", "--tag", tag, folder)
    return tag


@dataclass
class Deployed:
    """A container of the service, and the project with its revisions."""

    project: Project
    name: str
    port: int
    data: Path

    @property
    def database(self) -> Path:
        return self.data / "app.db"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def orchctl(self, *words: str, **keywords: Any) -> subprocess.CompletedProcess[str]:
        return self.project.orchctl(*words, **keywords)

    def deploy(self, *words: str, **keywords: Any) -> subprocess.CompletedProcess[str]:
        """`orchctl deploy` of the container, its URL asked."""
        given = [f"docker:{self.name}", "--health", self.url, "--grace", "5s", "--timeout", "20s"]
        return self.orchctl("deploy", *given, *words, **keywords)

    def answer(self) -> str:
        """What the service says now; "" when it does not."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    def write(self, text: str) -> None:
        """Have the service write a note, which it says it has kept."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", "/", text)
            assert connection.getresponse().status == 201
        finally:
            connection.close()

    def containers(self) -> list[str]:
        """What is there under its name, or under one that begins like it."""
        names = docker("ps", "--all", "--format", "{{.Names}}").splitlines()
        return sorted(name for name in names if name.startswith(self.name))

    def facts(self, name: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", name or self.name))[0]
        return found

    def heads(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return [row[0] for row in connection.execute("SELECT * FROM alembic_version")]

    def notes(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return [row[0] for row in connection.execute("SELECT text FROM notes ORDER BY id")]

    def record(self) -> dict[str, Any]:
        """What the record of the deploys says."""
        path = self.database.with_name("app.db.orchctl-deploy.json")
        content: dict[str, Any] = json.loads(path.read_text())
        return content


@contextlib.contextmanager
def deployed(folder: Path, image: str) -> Iterator[Deployed]:
    """The service with its database at revision a1, and a project that knows b2 besides."""
    project = Project(folder / "project")
    project.add("a1", TABLES)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    made = project.orchctl("--url", f"sqlite:///{data / 'app.db'}", "upgrade", "--no-backup")
    assert made.returncode == 0, made.stderr
    project.add("b2", COLUMN, "op.drop_column('notes', 'stars')")
    one = Deployed(project, f"orchctl-tests-{uuid.uuid4().hex[:12]}", _free_port(), data)
    words = ["--env", f"PORT={one.port}", "--env", "DATABASE_URL=sqlite:////data/app.db"]
    words += ["--volume", f"{data}:/data", "--network", "host", "--restart", "always"]
    docker("run", "--detach", "--name", one.name, *words, image)
    try:
        wait_until(one.answer, "the service answers")
        yield one
    finally:
        for name in docker("ps", "--all", "--format", "{{.Names}}").splitlines():
            if name.startswith(one.name):
                docker("rm", "--force", "--volumes", name)


class Writer:
    """Somebody who writes all the while, and remembers what the service said it had kept.

    What got no answer may have been kept or not: a service can be stopped between the two.
    """

    def __init__(self, one: Deployed) -> None:
        self._one = one
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.kept: list[tuple[float, str]] = []
        self.unanswered: set[str] = set()

    def __enter__(self) -> Writer:
        self._thread.start()
        wait_until(lambda: len(self.kept) > 5, "something is written")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.kept]

    def answered(self, notes: list[str]) -> list[str]:
        """Those of the notes that got an answer or never came from here, in their order."""
        return [text for text in notes if text not in self.unanswered]

    def _write(self) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            text = f"note {number}"
            connection = http.client.HTTPConnection("127.0.0.1", self._one.port, timeout=20)
            try:
                connection.request("POST", "/", text)
                if connection.getresponse().status == 201:
                    self.kept.append((time.time(), text))
            except (OSError, http.client.HTTPException):
                self.unanswered.add(text)
                time.sleep(0.02)
            finally:
                connection.close()


@dataclass(frozen=True)
class Ended:
    """How an orchctl ended: its exit code (-9 when killed), its stderr, the calls it made."""

    code: int
    stderr: str
    calls: tuple[str, ...]


class Forks:
    """Runs orchctl in forks of one process, so that its libraries are imported but once.

    Each can be killed with SIGKILL before the n-th thing that changes anything outside: a write of
    the record or of the journal, a snapshot, an upgrade, a restore, a call to the engine that
    changes a container.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _FORKS],
            cwd=folder,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, killed_before: int = 0) -> Ended:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([killed_before, list(words)]) + "\n")
        self._process.stdin.flush()
        code, stderr, calls = json.loads(self._process.stdout.readline())
        return Ended(code, stderr, tuple(calls))

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


_FORKS = """
import json, os, signal, sys, tempfile
import alembic.command, docker, docker.api.client, sqlalchemy.dialects.sqlite
from orchctl.cli import boundary
from orchctl.deploy import database, record, run, undo
from orchctl.workloads.docker.engine import Engine

def be_orchctl(due, words, log):
    calls = 0

    def counted(owner, name):
        real = getattr(owner, name)

        def first(*words, **keywords):
            nonlocal calls
            calls += 1
            os.write(log, f"{name}\\n".encode())
            if calls == due:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*words, **keywords)

        setattr(owner, name, first)

    for name in ("create", "start", "stop", "rename", "remove", "set_restart_policy"):
        counted(Engine, name)
    counted(record, "_write")
    counted(run, "take_snapshot")
    counted(run, "upgrade_here")
    counted(run, "write_journal")
    counted(undo, "put_database_back")
    counted(undo, "write_journal")
    return boundary.run(words)

for line in sys.stdin:
    due, words = json.loads(line)
    with tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as log:
        child = os.fork()
        if not child:
            os.dup2(err.fileno(), 2)
            os.dup2(err.fileno(), 1)
            code = 99
            try:
                code = int(be_orchctl(due, words, log.fileno()))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        err.seek(0)
        log.seek(0)
        told = [os.waitstatus_to_exitcode(status), err.read().decode(), log.read().decode().split()]
    print(json.dumps(told), flush=True)
"""


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
