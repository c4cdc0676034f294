"""A snapshot of a 1 GB database, fsync and hash in, idle and under a writer."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.commands import ORCHCTL, timed
from benchmarks.figures import Options, Ratio, Report, race

_BACKUP = "sqlite3 .backup, idle"
_LIMIT = 30.0
_WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
connection.execute("PRAGMA synchronous=NORMAL")
print("writing", flush=True)
while True:
    connection.execute("INSERT INTO log (at, note) VALUES (?, 'x')", (time.time(),))
    time.sleep(0.005)
"""


def run(options: Options) -> Report:
    """Measure the library call and the command against the sqlite3 shell."""
    size = 50 if options.quick else 1000
    database = options.folder / "large.db"
    _fill(database, size)
    shell = partial(_shell_backup, database)
    idle = {"take()": partial(_take, database), "command": partial(_command, database)}
    quiet = race({**idle, _BACKUP: shell}, options.rounds)
    busy = {}
    for name, call in idle.items():
        busy[name] = partial(_under_writer, database, call)
    written = race({**busy, _BACKUP: shell}, options.rounds)
    names = {"take()": "orchctl.snapshots.take.take()", "command": "orchctl backup create"}
    figures = []
    for seconds, when in ((quiet, "idle"), (written, "under a steady writer")):
        for name, shown in names.items():
            case = f"{shown}, {when}"
            figures.append(Ratio(case, seconds[name], _BACKUP, seconds[_BACKUP], 2.0))
    return Report(
        "snapshot",
        "Snapshots",
        f"A database of {size:,} MB in WAL mode. Ours: copied, fsynced, hashed (sha256), rows of "
        "every table counted, described in a manifest. The writer commits a row every 5 ms; it is "
        "started before the clock. `.backup` copies, and no more.",
        tuple(figures),
        (_never_ends(database, 3.0 if options.quick else _LIMIT),),
    )


def _fill(database: Path, megabytes: int) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.executescript(
        f"""
        PRAGMA journal_mode=WAL;
        PRAGMA synchronous=OFF;
        CREATE TABLE log (id INTEGER PRIMARY KEY, at REAL, note TEXT);
        CREATE TABLE document (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body BLOB);
        BEGIN;
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {megabytes * 245})
        INSERT INTO document SELECT i, 'document ' || i, randomblob(4000) FROM n;
        COMMIT;
        PRAGMA wal_checkpoint(TRUNCATE);
        """
    )
    connection.close()


def _take(database: Path) -> float:
    from orchctl.snapshots.take import take

    directory = database.parent / "taken"
    began = time.perf_counter()
    take(database, directory, reason="manual")
    seconds = time.perf_counter() - began
    shutil.rmtree(directory)
    return seconds


def _command(database: Path) -> float:
    command = [ORCHCTL, "--url", f"sqlite:///{database}", "backup", "create"]
    seconds = timed(command, database.parent)
    shutil.rmtree(database.parent / "backups")
    return seconds


def _shell_backup(database: Path) -> float:
    copy = database.with_name("shell.db")
    seconds = timed(["sqlite3", str(database), f".backup '{copy}'"], database.parent)
    copy.unlink()
    return seconds


def _under_writer(database: Path, call: partial[float]) -> float:
    with _writing(database):
        return call()


@contextlib.contextmanager
def _writing(database: Path) -> Iterator[None]:
    """A process that writes a row every 5 ms; gone, and its WAL with it, afterwards."""
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(database)], stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        yield
        if writer.poll() is not None:
            raise RuntimeError("the writer ended early")
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close() if writer.stdout else None
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _never_ends(database: Path, limit: float) -> str:
    copy = database.with_name("shell.db")
    command = ["sqlite3", str(database), f".backup '{copy}'"]
    try:
        with _writing(database):
            began = time.perf_counter()
            subprocess.run(command, timeout=limit, capture_output=True, check=True)
            seconds = time.perf_counter() - began
        return f"`sqlite3 .backup` under the same writer took {seconds:.1f} s."
    except subprocess.TimeoutExpired:
        return (
            f"`sqlite3 .backup` under the same writer was stopped after {limit:.0f} s without a "
            "result: every commit makes it start over."
        )
    finally:
        for path in database.parent.glob("shell.db*"):
            path.unlink()
