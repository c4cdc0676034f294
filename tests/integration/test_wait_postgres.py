"""wait-db and run before a PostgreSQL server: a real one, and things that are none."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from orchctl.database.postgres import Server, look_at_server, read_server
from orchctl.database.readiness import Readiness
from orchctl.errors import ConfigurationError
from tests.support.machine import NOBODY
from tests.support.postgres import Postgres
from tests.support.preloaded import orchctl, start
from tests.support.processes import wait_until
from tests.support.projects import Project

SECRET = "hunter2-s3cret"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    # Not under pytest's folder, which only its owner may enter; and short, for the socket's name.
    with tempfile.TemporaryDirectory(prefix="orchctl-pg-") as folder:
        yield Postgres(Path(folder))


@pytest.fixture
def stopped(cluster: Postgres) -> Iterator[Postgres]:
    """A server that does not run; what the test starts is stopped after it."""
    yield cluster
    if (cluster.data / "postmaster.pid").exists():
        cluster.stop()
    cluster.set_trust("scram-sha-256")


def _look(server: Postgres, database: str = "postgres", **options: str) -> Readiness:
    query = "&".join(f"{key}={value}" for key, value in options.items())
    url = f"postgresql+asyncpg://app:{SECRET}@127.0.0.1:{server.port}/{database}?{query}"
    return look_at_server(read_server(url), 10)


def _project(tmp_path: Path, server: Postgres) -> tuple[Project, dict[str, str]]:
    url = f"postgresql://app:{SECRET}@127.0.0.1:{server.port}/postgres"
    return Project(tmp_path / "project"), {"DATABASE_URL": url}


def test_one_that_comes_later(tmp_path: Path, stopped: Postgres) -> None:
    project, url = _project(tmp_path, stopped)
    run = start(project, "wait-db", "--interval", "50ms", env=url)
    wait_until(lambda: "can't be reached: Connection refused" in run.stderr())
    stopped.start()
    done = run.finished()
    assert done.returncode == 0, done.stderr
    assert f"PostgreSQL at 127.0.0.1:{stopped.port} takes connections" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    # Nothing in the server's log that worries anybody: no failed login, no broken greeting.
    log = (stopped.folder / "log").read_text().splitlines()
    assert [line for line in log if "FATAL" in line and "is starting up" not in line] == []


def test_one_that_is_still_starting_up(tmp_path: Path, stopped: Postgres) -> None:
    """A server in recovery that lets nobody in yet answers 57P03 for as long as it lasts."""
    signal_file = stopped.data / "standby.signal"
    signal_file.touch()
    if os.geteuid() == 0:
        os.chown(signal_file, NOBODY, NOBODY)
    project, url = _project(tmp_path, stopped)
    try:
        stopped.start(hot_standby="off")
        run = start(project, "wait-db", "--interval", "50ms", env=url)
        wait_until(lambda: "57P03" in run.stderr())
        late = orchctl(project, "wait-db", "--timeout", "100ms", env=url)
        assert late.returncode == 10
        assert "says: the database system is" in late.stderr
        stopped.stop()
    finally:
        signal_file.unlink()
    stopped.start()
    assert run.finished().returncode == 0


def test_what_a_running_one_says(stopped: Postgres) -> None:
    stopped.start()
    # It asks for a password: it takes connections, and says no more to those who don't log in.
    assert _look(stopped).ready
    assert _look(stopped, "nonesuch").ready
    assert _look(stopped, sslmode="disable").ready
    server = read_server(f"postgresql://app@/postgres?host={stopped.folder}&port={stopped.port}")
    found = look_at_server(server, 10)
    assert found.ready
    assert found.told == f"PostgreSQL in {stopped.folder} (port {stopped.port}) takes connections"


def test_one_that_lets_everybody_in(stopped: Postgres) -> None:
    stopped.set_trust("trust")
    stopped.start()
    assert _look(stopped).ready
    found = _look(stopped, "nonesuch")
    assert not found.ready
    assert 'database "nonesuch" does not exist (3D000)' in found.told


def test_one_that_lets_nobody_in_is_up_all_the_same(stopped: Postgres) -> None:
    stopped.set_trust("reject")
    stopped.start()
    found = _look(stopped)
    assert found.ready
    assert "not logged in" in found.told


def test_one_with_tls(stopped: Postgres) -> None:
    for name in ("server.key", "server.crt"):
        (stopped.data / name).unlink(missing_ok=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=elsewhere", "-keyout", "server.key", "-out", "server.crt"],
        cwd=stopped.data, capture_output=True, check=True,
    )  # fmt: skip
    for name in ("server.key", "server.crt"):
        (stopped.data / name).chmod(0o600)
        if os.geteuid() == 0:
            os.chown(stopped.data / name, NOBODY, NOBODY)
    (stopped.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
    stopped.start(ssl="on")
    found = _look(stopped, "nonesuch")
    assert "does not exist (3D000)" in found.told  # said by one who was spoken to through TLS
    assert _look(stopped).ready
    assert "not logged in" in _look(stopped, sslmode="disable").told


def test_run_waits_for_it(tmp_path: Path, stopped: Postgres) -> None:
    project, url = _project(tmp_path, stopped)
    words = ("run", "--interval", "50ms", "--", "echo", "started")
    run = start(project, *words, env=url | {"SKIP_MIGRATION": "1"})
    wait_until(lambda: "Connection refused" in run.stderr())
    stopped.start()
    done = run.finished()
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr
    assert SECRET not in done.stderr


# -- what is no server ----------------------------------------------------------------------------


@contextmanager
def _answering(answer: bytes, *, hang: bool = False) -> Iterator[Server]:
    """Something that gives everybody the same answer, and hangs up or doesn't."""
    kept: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                other, _ = listening.accept()
            except OSError:
                return
            other.recv(100)
            other.sendall(answer)
            if hang:
                kept.append(other)
            else:
                with other, suppress(OSError):
                    other.shutdown(socket.SHUT_WR)
                    while other.recv(100):  # closing on unread bytes would reset the connection
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield Server((("127.0.0.1", listening.getsockname()[1]),), "app", "app", tls=True)
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    for other in kept:
        other.close()


@pytest.mark.parametrize(
    ("answer", "hang", "says"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "is no PostgreSQL server: it answered b'H'"),
        (b"NHTTP/1.1 400 Bad Request\r\n\r\n", False, "is no PostgreSQL server: it answered"),
        (b"", False, "is no PostgreSQL server: it hung up"),
        (b"N", False, "is no PostgreSQL server: it hung up"),
        (b"", True, "does not answer within 0.2s"),
        (b"N", True, "does not answer within 0.2s"),
        (b"Sno TLS", False, "can't be reached: "),
        (b"S", True, "does not answer within 0.2s"),
    ],
)
def test_what_is_no_server(answer: bytes, hang: bool, says: str) -> None:
    with _answering(answer, hang=hang) as server:
        found = look_at_server(server, 0.2 if hang else 20)
    assert not found.ready
    assert says in found.told, found.told


@pytest.mark.parametrize(
    ("url", "addresses", "user", "database"),
    [
        ("postgresql://u:p@db:6432/app", [("db", 6432)], "u", "app"),
        ("postgres://db/app", [("db", 5432)], "postgres", "app"),
        ("postgresql+psycopg://u%40x:p@db", [("db", 5432)], "u@x", "u@x"),
        ("postgresql://u@[::1]:6000/app", [("::1", 6000)], "u", "app"),
        ("postgresql://u@/app?host=/run/pg", [("/run/pg", 5432)], "u", "app"),
        ("postgresql://u@%2Frun%2Fpg/app", [("/run/pg", 5432)], "u", "app"),
        ("postgresql://u@a:1,b:2/app", [("a", 1), ("b", 2)], "u", "app"),
        ("postgresql://u@/app?host=a:1&host=b:2", [("a", 1), ("b", 2)], "u", "app"),
        ("postgresql:///app?user=u&host=a,b&port=7", [("a", 7), ("b", 7)], "u", "app"),
    ],
)
def test_urls(url: str, addresses: list, user: str, database: str) -> None:
    server = read_server(url)
    assert (list(server.addresses), server.user, server.database) == (addresses, user, database)


def test_a_url_that_is_none() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_server(f"postgresql://u:{SECRET}@db:port/app")
    assert SECRET not in str(caught.value)
