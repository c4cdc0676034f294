"""Waiting for the databases of a project to be usable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.config import masked_url
from orchctl.database.readiness import Readiness, Wait, looker, wait_until_ready
from orchctl.errors import TimedOut
from orchctl.upgrade.target import find_database, find_databases

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.target import Database

# Seconds in which a server must answer one look.
_ANSWER = 5.0


@dataclass(frozen=True)
class Awaited:
    """A database that can be used, and how long that took."""

    database: str
    wait: Wait


def wait_for_databases(
    settings: Settings,
    *,
    timeout: float,
    interval: float,
    locks: bool,
    on_wait: Callable[[Readiness, float], None],
) -> tuple[Awaited, ...]:
    """Wait until the database that the settings name, or all that env.py opens, can be used.

    Args:
        settings: The run's settings.
        timeout: Seconds in all; 0 looks once.
        interval: Seconds between two looks.
        locks: Whether a locked file counts as not usable.
        on_wait: Called with what was found and the seconds gone, after every look in vain.

    Raises:
        TimedOut: `database-not-ready`; says what was in the way last.
        ConfigurationError: No database can be found, or one that can't be asked (`cannot-wait`).
    """
    found: list[Awaited] = []
    gone = 0.0
    for database in _databases(settings):
        look = looker(database.url, settings.folder, timeout=_ANSWER, locks=locks)
        left = max(0.0, timeout - gone)
        wait = wait_until_ready(look, timeout=left, interval=interval, on_wait=on_wait)
        gone += wait.seconds
        name = str(database.file or masked_url(database.url))
        if not wait.last.ready:
            raise _too_late(name, wait, gone)
        found.append(Awaited(name, wait))
    return tuple(found)


def _databases(settings: Settings) -> tuple[Database, ...]:
    # A named one is waited for as it stands; env.py, which may need it, is not run.
    if settings.url is not None:
        return (find_database(settings, by_text=True),)
    return find_databases(settings)


def _too_late(name: str, wait: Wait, gone: float) -> TimedOut:
    last = wait.last
    return TimedOut(
        f"{last.told} (waited {gone:.0f}s)",
        code="database-not-ready",
        hint=last.hint or "Start the server, or wait longer with --timeout",
        details={"database": name, "reason": last.code, "attempts": wait.attempts},
    )
