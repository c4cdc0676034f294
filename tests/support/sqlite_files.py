"""SQLite files in every state that a process, a crash or a careless hand leaves them in."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

SIDECARS = ("-wal", "-shm", "-journal")
NOBODY = 65534


def make(path: Path, mode: str = "delete", rows: int = 50, revision: str = "002") -> Path:
    """A closed database with a parent, a child table and an Alembic stamp."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.executescript(
        """
        BEGIN;
        CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent(id),
                            body TEXT);
        CREATE INDEX ix_child_parent ON child (parent_id);
        CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
        """
    )
    connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    connection.executemany("INSERT INTO parent VALUES (?, ?)", ((n, f"p{n}") for n in range(rows)))
    connection.executemany(
        "INSERT INTO child VALUES (?, ?, ?)",
        ((n, n % max(rows, 1), "x" * 400) for n in range(rows * 4)),
    )
    connection.execute("COMMIT")
    connection.close()
    return path


def run_sql(path: Path, *statements: str) -> None:
    """Statements, committed."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def dump(path: Path) -> list[str]:
    """The `.dump` of a database, by a plain connection."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def scalar(path: Path, query: str) -> object:
    """The one value of a query."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchone()[0]


def bytes_beside(path: Path) -> dict[str, bytes]:
    """The bytes of a database and of whatever is in its directory, by name."""
    return {one.name: one.read_bytes() for one in sorted(path.parent.iterdir()) if one.is_file()}


class Process:
    """A Python program in a process of its own, stopped for sure."""

    def __init__(self, program: str, *arguments: object) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def line(self) -> str:
        """The next line it prints."""
        assert self.popen.stdout
        return self.popen.stdout.readline().strip()

    def say(self, text: str = "") -> None:
        """A line for its stdin."""
        assert self.popen.stdin
        self.popen.stdin.write(text + "\n")
        self.popen.stdin.flush()

    def kill(self) -> None:
        """kill -9."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()

    def end(self) -> int:
        """Close its stdin and wait for it."""
        assert self.popen.stdin
        self.popen.stdin.close()
        return self.popen.wait()

    def close(self) -> None:
        if self.popen.poll() is None:
            self.kill()
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


@contextlib.contextmanager
def process(program: str, *arguments: object) -> Iterator[Process]:
    """Run a program while the body does; it is killed afterwards when it still runs."""
    started = Process(program, *arguments)
    try:
        yield started
    finally:
        started.close()


# Holds a lock (argv[2] is the SQL that takes it) until its stdin is closed.
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2].split(";"):
    connection.execute(statement).fetchall()
print("ready", flush=True)
sys.stdin.read()
"""

# Commits one row after another, with its own counter in the row, and counts what it committed.
WRITE = """
import sqlite3, sys, threading, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
connection.execute("CREATE TABLE IF NOT EXISTS log (n INTEGER, twice INTEGER)")
count = connection.execute("SELECT count(*) FROM log").fetchone()[0]
print("ready", flush=True)
while not stop.is_set():
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO log VALUES (?, ?)", (count, 2 * count))
    connection.execute("UPDATE child SET body = ? WHERE id = ?", ("y" * 400, count % 40))
    connection.execute("COMMIT")
    count += 1
    time.sleep(float(sys.argv[2]))
print(count, flush=True)
"""


def leave_wal(path: Path) -> None:
    """A WAL database as a killed process leaves it: rows in the -wal, and a -shm."""
    insert = "INSERT INTO parent (name) VALUES ('in the wal')"
    statements = f"PRAGMA journal_mode=WAL;PRAGMA wal_autocheckpoint=0;{insert}"
    with process(HOLD, path, statements) as holder:
        assert holder.line() == "ready"
        holder.kill()
    assert path.with_name(path.name + "-wal").stat().st_size > 0


def leave_hot_journal(path: Path) -> None:
    """A rollback-mode database as a process leaves it that is killed in mid-transaction."""
    statements = "PRAGMA cache_size=2;BEGIN IMMEDIATE;UPDATE child SET body = 'half' || id"
    with process(HOLD, path, statements) as holder:
        assert holder.line() == "ready"
        holder.kill()
    assert path.with_name(path.name + "-journal").stat().st_size > 0


@contextlib.contextmanager
def ordinary_user() -> Iterator[int]:
    """The body runs as a user whom file modes concern; root becomes nobody for the while."""
    if os.geteuid() != 0:
        yield os.geteuid()
        return
    os.seteuid(NOBODY)
    try:
        yield NOBODY
    finally:
        os.seteuid(0)


@contextlib.contextmanager
def reachable_folder() -> Iterator[Path]:
    """A directory that every user can reach (pytest's own are their owner's alone)."""
    folder = Path(tempfile.mkdtemp(prefix="orchctl-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
