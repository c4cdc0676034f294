"""Whether a database can be used yet, and waiting until it can."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchctl.config import masked_url
from orchctl.database import lock
from orchctl.database.failure import explain_os, inaccessible, not_a_database
from orchctl.database.header import read_header
from orchctl.database.location import is_sqlite, locate
from orchctl.errors import ConfigurationError, OrchctlError

# Seconds that one look may wait for a lock.
_LOCK_STEP = 0.1


@dataclass(frozen=True)
class Readiness:
    """What one look at a database found.

    Attributes:
        ready: Whether it can be used.
        told: What was found, or what is in the way, in one line.
        hint: What mends it, where that is known.
        code: The error code of what is in the way.
    """

    ready: bool
    told: str
    hint: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class Wait:
    """How a wait ended.

    Attributes:
        last: What the last look found.
        attempts: How often was looked.
        seconds: How long it took.
    """

    last: Readiness
    attempts: int
    seconds: float


Look = Callable[[], Readiness]


def looker(url: str, folder: Path, *, timeout: float, locks: bool = True) -> Look:
    """How to look at the database of a URL.

    Args:
        url: A SQLAlchemy URL: SQLite or PostgreSQL.
        folder: What a relative path counts from.
        timeout: Seconds that one look at a server may take.
        locks: Whether a SQLite file that is locked, or being upgraded, counts as not usable.

    Raises:
        ConfigurationError: `cannot-wait`: another kind of database. `bad-url`, `in-memory`.
    """
    if is_sqlite(url):
        file = locate(url, folder)
        return lambda: look_at_file(file, locks=locks)
    if is_postgres(url):
        from orchctl.database.postgres import look_at_server, read_server

        server = read_server(url)
        return lambda: look_at_server(server, timeout)
    raise ConfigurationError(
        f"Whether {masked_url(url)} is up can't be asked: only SQLite and PostgreSQL can",
        code="cannot-wait",
        hint="sqlite:///…, postgresql://…, or the database's own tool",
    )


def is_postgres(url: str) -> bool:
    """Whether a URL names PostgreSQL, with whatever driver."""
    scheme = url.strip().partition("://")[0].partition("+")[0].lower()
    return scheme in ("postgresql", "postgres")


def look_at_file(file: Path, *, locks: bool = True) -> Readiness:
    """Whether a SQLite file can be used: it, or the directory in which it will be made.

    Leaves no trace on the disk. Never while this process holds a connection to the file.

    Args:
        file: The database; need not exist.
        locks: Whether being locked, or being upgraded or restored by another orchctl, counts.
    """
    try:
        if not file.exists():
            return _look_at_directory(file)
        _require_usable(file)
        if locks and (held := _in_hand(file)):
            return held
    except OrchctlError as error:
        return Readiness(False, error.message, error.hint, error.code)
    except OSError as error:
        told = explain_os(error, file, doing="read")
        return Readiness(False, told.message, told.hint, told.code)
    return Readiness(True, f"{file} is there")


def wait_until_ready(
    look: Look, *, timeout: float, interval: float, on_wait: Callable[[Readiness, float], None]
) -> Wait:
    """Look again and again until a database can be used, or the time is over.

    Args:
        look: One look.
        timeout: Seconds in all; 0 looks once.
        interval: Seconds between two looks.
        on_wait: Called with what was found and the seconds gone, after every look in vain.
    """
    began = time.monotonic()
    attempts = 0
    while True:
        attempts += 1
        found = look()
        gone = time.monotonic() - began
        if found.ready or gone >= timeout:
            return Wait(found, attempts, gone)
        on_wait(found, gone)
        # The last look comes at the very end.
        time.sleep(max(0.0, min(interval, timeout - gone)))


def _look_at_directory(file: Path) -> Readiness:
    real = Path(os.path.realpath(file))
    folder = real.parent
    effective = os.access in os.supports_effective_ids
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        raise inaccessible(real, "create", writing=True)
    return Readiness(True, f"{folder} can be written to; there is no {real.name} yet")


def _require_usable(file: Path) -> None:
    real = Path(os.path.realpath(file))
    effective = os.access in os.supports_effective_ids
    if not real.is_file() or not (
        os.access(real, os.R_OK | os.W_OK, effective_ids=effective)
        and os.access(real.parent, os.W_OK | os.X_OK, effective_ids=effective)
    ):
        raise inaccessible(real, "open", writing=True)
    if read_header(real) is None and real.stat().st_size > 0:
        raise not_a_database(real)


def _in_hand(file: Path) -> Readiness | None:
    """What keeps others from a file just now; None when a reader comes through."""
    if (holder := lock.holder(file)) is not None:
        return Readiness(False, f"{file} is held by {holder}", code="lock-held")
    from orchctl.database.open import ask

    ask(file, lambda *_: None, timeout=_LOCK_STEP)
    return None
