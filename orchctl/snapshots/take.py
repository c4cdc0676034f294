"""Taking a snapshot: copied by SQLite, sealed, named, described; in this order."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from orchctl import __version__
from orchctl.database.failure import explain, explain_os, inaccessible, primary_code
from orchctl.database.inspect import VERSION_TABLE
from orchctl.database.open import connect, reading, reading_beside, sidecars
from orchctl.database.space import require
from orchctl.errors import OrchctlError
from orchctl.snapshots.catalog import Catalog
from orchctl.snapshots.claim import Claim, abandon, claim, publish, sweep
from orchctl.snapshots.durable import make_directory
from orchctl.snapshots.manifest import (
    REASONS,
    Snapshot,
    not_writable,
    when,
    write_manifest,
)
from orchctl.snapshots.pages import copy_pages
from orchctl.snapshots.seal import Progress, Sealed, seal

# A small cache makes SQLite write the copy through as it goes; measured a fifth faster.
_COPY_SETTINGS = (
    "PRAGMA journal_mode=OFF",
    "PRAGMA synchronous=OFF",
    "PRAGMA locking_mode=EXCLUSIVE",
    "PRAGMA cache_size=50",
)
_TIMEOUT = 30.0
_FAILING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


def take(  # noqa: PLR0913 what a manifest records, and the three ways to reach the database
    database: Path,
    directory: Path,
    *,
    reason: str,
    version_table: str = VERSION_TABLE,
    chain: dict[str, Any] | None = None,
    progress: Progress | None = None,
    beside: bool = False,
    timeout: float = _TIMEOUT,
    source: sqlite3.Connection | None = None,
) -> Snapshot:
    """Take a snapshot of a database, idle or being written to.

    Everything in it belongs to one state: a read transaction is opened first and held, so that
    the copy, made in steps, is never started over by a writer (`.backup` of the sqlite3 shell
    never ends under one). In WAL mode writers go on meanwhile; in rollback mode they wait.

    Args:
        database: The live file.
        directory: Where snapshots go; created (0700) when missing.
        reason: One of `manifest.REASONS`.
        version_table: Name of Alembic's table.
        chain: Kept in the manifest as it is; JSON-serialisable.
        progress: Called with (bytes done, bytes in all), the second pass (hash) included.
        beside: This process holds a connection to the database already: nothing but SQLite may
            open the file then.
        timeout: Seconds to wait for a lock on the database.
        source: Copy through this connection, which has a read transaction open; implies `beside`.

    Returns:
        The snapshot, `complete`.

    Raises:
        Refused: `no-space`, `not-writable`, `database-missing`, `not-a-database`, …: nothing was
            written.
        LockHeld: `database-locked`.
        ValueError: An unknown reason: a mistake in the calling code.
        OperationFailed: `disk-full`, `io-error`; nothing that looks like a snapshot is left.
    """
    if reason not in REASONS:
        raise ValueError(f"{reason!r} is none of {REASONS}")
    real = Path(os.path.realpath(database))
    owner = _owner(real)
    catalog = Catalog(directory, real)
    needed = owner.st_size + _size(sidecars(real)["-wal"])
    require(catalog.directory, needed, f"a snapshot of {real.name}")
    with _claimed(catalog, real, owner) as claimed:
        with _source(real, source, timeout=timeout, beside=beside) as connection:
            try:
                _copy(connection, claimed.partial, _half(progress, 0))
            except sqlite3.Error as error:  # else it would be taken for one of reading
                raise _explained(error, real, catalog.directory) from error
        sealed = seal(claimed, version_table, _half(progress, 1))
        snapshot = _described(
            claimed, sealed, database=real, owner=owner, reason=reason, chain=chain
        )
        publish(claimed)
        # Only now, and last: a file without a manifest is never offered.
        write_manifest(snapshot)
    return snapshot


@contextmanager
def _claimed(catalog: Catalog, real: Path, owner: os.stat_result) -> Iterator[Claim]:
    """A claim that is abandoned, and its files with it, when the body fails."""
    # Ctrl-C is held back from before the file is there until its removal is sure.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        claimed = _claim(catalog, owner)
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield claimed
    except BaseException as error:
        abandon(claimed)
        if isinstance(error, sqlite3.Error):
            raise _explained(error, real, catalog.directory) from error
        if isinstance(error, OSError) and error.errno in _FAILING:
            doing = "write a snapshot into"
            raise explain_os(error, catalog.directory, doing=doing) from error
        raise
    finally:
        os.close(claimed.descriptor)


def _owner(real: Path) -> os.stat_result:
    try:
        return real.stat()
    except OSError as error:
        raise inaccessible(real, "snapshot") from error


def _claim(catalog: Catalog, owner: os.stat_result) -> Claim:
    try:
        make_directory(catalog.directory, like=owner)
        sweep(catalog.directory)
        return claim(catalog, like=owner)
    except PermissionError as error:
        folder = catalog.directory
        while not folder.is_dir():
            folder = folder.parent
        wanted = catalog.directory
        raise not_writable(folder, wanted if folder != wanted else None) from error
    except (FileExistsError, NotADirectoryError) as error:
        raise inaccessible(catalog.directory / "snapshot", "write") from error
    except OSError as error:
        raise explain_os(error, catalog.directory, doing="write a snapshot into") from error


@contextmanager
def _source(
    real: Path, given: sqlite3.Connection | None, *, timeout: float, beside: bool
) -> Iterator[sqlite3.Connection]:
    if given is not None:
        yield given
        return
    if beside:
        with reading_beside(real, timeout=timeout) as connection:
            yield connection
        return
    try:
        connection = connect(real, "mode=rw", timeout=timeout)
        with closing(connection):
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            yield connection
        return
    except sqlite3.Error as error:
        if primary_code(error) not in _NO_RIGHTS:
            raise
    # Somebody else's file, or a read-only mount: what can be read can be snapshotted.
    with reading(real, timeout=timeout) as connection:
        yield connection


_NO_RIGHTS = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


def _copy(source: sqlite3.Connection, partial: Path, progress: Progress | None) -> None:
    with closing(connect(partial, "mode=rw", timeout=0)) as target:
        for setting in _COPY_SETTINGS:
            target.execute(setting)
        copy_pages(source, target, progress)


def _described(
    claimed: Claim,
    sealed: Sealed,
    *,
    database: Path,
    owner: os.stat_result,
    reason: str,
    chain: dict[str, Any] | None,
) -> Snapshot:
    facts = sealed.facts
    return Snapshot(
        id=claimed.id,
        created_at=when(claimed.id),
        reason=reason,
        database=database,
        path=claimed.path,
        size=sealed.size,
        sha256=sealed.sha256,
        page_size=facts.page_size,
        page_count=facts.page_count,
        journal_mode="wal" if sealed.wal else "delete",
        user_version=facts.user_version,
        application_id=facts.application_id,
        heads=facts.heads,
        schema_hash=facts.schema_hash,
        row_counts=sealed.row_counts,
        versions={"sqlite": sqlite3.sqlite_version, "orchctl": __version__},
        status="complete",
        chain=chain,
        owner=(owner.st_uid, owner.st_gid, owner.st_mode & 0o7777),
    )


def _half(progress: Progress | None, which: int) -> Progress | None:
    """Progress of one of two passes over the same bytes."""
    if progress is None:
        return None
    return lambda done, total: progress(which * total + done, 2 * total)


def _explained(error: sqlite3.Error, database: Path, directory: Path) -> OrchctlError:
    if primary_code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return explain(error, directory, doing="write a snapshot into")
    return explain(error, database, doing="snapshot")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
