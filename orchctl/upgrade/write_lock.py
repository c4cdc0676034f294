"""SQLite's write lock on the upgrade's connection: taken before the first read, kept to the end."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchctl.database.failure import locked, primary_code
from orchctl.errors import LockHeld, Refused
from orchctl.upgrade.connection import GuardedConnection, driver


def leave_transaction(real: Any, env_py: object) -> None:
    """Bring env.py's connection into autocommit mode, outside any transaction."""
    if getattr(driver(real), "in_transaction", False):
        # An env.py with a BEGIN recipe of its own stands here. Nothing of it may be kept.
        schema = _value(real, "PRAGMA schema_version")
        real.rollback()
        if getattr(driver(real), "in_transaction", False):
            real.execute("ROLLBACK").close()
        if _value(real, "PRAGMA schema_version") != schema:
            raise Refused(
                f"{env_py} changes the schema before context.configure()",
                code="env-writes",
                state="Nothing was changed",
                hint="Do it in a revision",
            )
    if getattr(driver(real), "autocommit", -1) is False:  # Python 3.12's PEP 249 mode
        real.autocommit = True
    real.isolation_level = None


def begin(real: Any, file: Path, timeout: float, stopped: Callable[[], bool]) -> None:
    """Foreign keys off, then BEGIN IMMEDIATE, retried with jitter until `timeout` seconds.

    SQLite's own busy handler sleeps up to 100 ms between tries and starves under a busy writer; a
    short own loop gets in at once.
    """
    real.execute("PRAGMA foreign_keys=OFF").close()
    patience = _value(real, "PRAGMA busy_timeout")
    real.execute("PRAGMA busy_timeout=0").close()
    _retried(lambda: real.execute("BEGIN IMMEDIATE").close(), file, timeout, stopped)
    real.execute(f"PRAGMA busy_timeout={patience}").close()


def commit(
    guard: GuardedConnection, file: Path, timeout: float, stopped: Callable[[], bool]
) -> None:
    """COMMIT; in a rollback-journal database it waits for readers to finish."""
    _retried(lambda: guard.finish(keep=True), file, timeout, stopped)


def forget_failed_commit(guard: GuardedConnection) -> None:
    """Wipe out what a COMMIT that failed has left in the WAL.

    Where only its sync failed, all of it stands there, its end mark too: this connection knows that
    it isn't committed, but who opens the file after all others have closed it would not.
    """
    with contextlib.suppress(sqlite3.Error):
        if guard.in_transaction:
            guard.control("ROLLBACK")
        guard.real.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()


def step_out(
    guard: GuardedConnection, file: Path, timeout: float, stopped: Callable[[], bool]
) -> None:
    """COMMIT as `commit`, and go on outside a transaction."""
    _retried(guard.step_out, file, timeout, stopped)
    # The snapshot that the proof attached; PRAGMA journal_mode is about every attached file.
    detach_others(guard)


def detach_others(guard: GuardedConnection) -> None:
    """Detach every attached database; to be called outside a transaction."""
    cursor = guard.real.execute("SELECT name FROM pragma_database_list WHERE seq > 1")
    names = [row[0].replace("'", "''") for row in cursor.fetchall()]
    cursor.close()
    for name in names:
        guard.control(f"DETACH '{name}'")


def _retried(
    action: Callable[[], None], file: Path, timeout: float, stopped: Callable[[], bool]
) -> None:
    deadline = time.monotonic() + timeout
    while True:
        if stopped():
            raise KeyboardInterrupt
        try:
            action()
        except sqlite3.OperationalError as error:
            if primary_code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            if time.monotonic() >= deadline:
                raise _still_locked(file, timeout) from error
            time.sleep(random.uniform(0.0002, 0.003))  # noqa: S311 - jitter, not a secret
        else:
            return


def _still_locked(file: Path, timeout: float) -> LockHeld:
    error = locked(file)
    error.message += f", waited {timeout:g}s"
    return error


def _value(real: Any, sql: str) -> Any:
    cursor = real.cursor()
    cursor.execute(sql)
    row = cursor.fetchone()
    cursor.close()
    return row[0] if row else None
