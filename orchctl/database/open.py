"""Connections to one SQLite file: reading without a trace, writing, and what their errors mean."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from orchctl.database.failure import (
    explain,
    inaccessible,
    not_a_database,
    odd_sidecar,
    primary_code,
)
from orchctl.database.header import Header, read_header
from orchctl.database.holders import Holder, holders
from orchctl.database.space import require
from orchctl.errors import OperationFailed, OrchctlError

__all__ = [
    "Holder",
    "ask",
    "connect",
    "explain",
    "holders",
    "odd_file",
    "reading",
    "reading_beside",
    "require_regular",
    "sidecars",
    "uri",
    "writing",
]

Answer = TypeVar("Answer")
READ_TIMEOUT = 5.0
_ATTEMPTS = 5
# Two writes within one tick of the kernel's clock leave the same time on a file (up to 10 ms).
_TICK_NS = 20_000_000


@contextmanager
def reading(path: Path, *, timeout: float = READ_TIMEOUT) -> Iterator[sqlite3.Connection]:
    """A connection for reading that leaves the file and everything beside it as it was.

    No byte of the database or its sidecars is changed and none is left behind, whether the file
    is in rollback or WAL mode, idle, in use, or left over by a killed process. (Beside live
    processes their own `-shm` changes, as with any reader.) A read transaction is open, so all
    that is read belongs to one state; in rollback mode it keeps writers from committing, so
    be brief.

    Opens and closes the file: never while this process holds a connection to it (then
    `reading_beside`). Nor may the body open one for writing: SQLite shares the index of a WAL
    between the connections of a process, and here it may be open for reading only.

    Args:
        path: The database; must exist. A file of zero bytes is an empty database.
        timeout: Seconds to wait for a lock.

    Raises:
        Refused: `database-missing`, `no-directory`, `not-a-database`, `database-damaged`,
            `cannot-open`; `no-space` when only a copy could be read and there is no room for it.
        LockHeld: `database-locked`.
        OperationFailed: `database-changed` when a writer came while a file nobody had open was
            read; asking again helps (`ask` does).
    """
    with _reading(path, timeout) as opened:
        yield opened.connection


@contextmanager
def _reading(path: Path, timeout: float) -> Iterator[_Opened]:
    with _translated(path):
        opened = _opened(Path(os.path.realpath(path)), timeout)
    try:
        with _translated(path):
            yield opened
    except OrchctlError:
        opened.check(path)  # torn data can look like damage
        raise
    finally:
        opened.close()
    opened.check(path)


@contextmanager
def reading_beside(path: Path, *, timeout: float = READ_TIMEOUT) -> Iterator[sqlite3.Connection]:
    """A second, reading connection in a process that already holds one to the same file.

    Nothing but SQLite opens the file here: closing any other descriptor of it would drop the
    locks of the first connection.

    Args:
        path: The database; must exist.
        timeout: Seconds to wait for a lock.

    Raises:
        Refused, LockHeld, OperationFailed: As `explain` tells.
    """
    with _translated(path), closing(connect(path, "mode=ro", timeout=timeout)) as connection:
        _begin(connection)
        yield connection


def writing(path: Path, *, timeout: float) -> sqlite3.Connection:
    """A connection for writing to an existing file, in autocommit mode (BEGIN is the caller's).

    Args:
        path: The database; must exist.
        timeout: Seconds that SQLite itself waits for a lock.

    Raises:
        Refused: `database-missing`, `no-directory`, `cannot-open`. Whether the content is a
            database shows at the first statement: hold its error against `explain`.
    """
    with _translated(path, doing="write to"):
        return connect(path, "mode=rw", timeout=timeout)


def ask(
    path: Path,
    question: Callable[[sqlite3.Connection, Header | None], Answer],
    *,
    timeout: float = READ_TIMEOUT,
) -> Answer:
    """Answer a question about a file through `reading`, again when a writer came in between.

    Args:
        path: The database; must exist.
        question: What to find out, given the connection and the file's header (None for an
            empty file); may be called several times.
        timeout: Seconds to wait for a lock.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with _reading(path, timeout) as opened:
                return question(opened.connection, opened.header)
        except OperationFailed as error:
            if error.code != "database-changed" or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("not reached")


def connect(path: Path, query: str, *, timeout: float) -> sqlite3.Connection:
    """A plain connection by URI, in autocommit mode.

    Args:
        path: The database file.
        query: SQLite's URI parameters, e.g. `mode=ro`.
        timeout: Seconds that SQLite waits for a lock.
    """
    require_regular(path)
    # An env.py may run the migrations, and with them our hooks, in a thread of its own.
    return sqlite3.connect(
        uri(path, query),
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
    )


def odd_file(path: Path) -> Path | None:
    """What is no regular file where SQLite opens one: it would wait for ever for a named pipe.

    Args:
        path: The database; need not exist.

    Returns:
        The database, its `-journal`, `-wal` or `-shm`; None when all of them are files, or absent.
    """
    real = Path(os.path.realpath(path))
    return next((one for one in (real, *sidecars(real).values()) if _is_odd(one)), None)


def require_regular(path: Path, doing: str = "open") -> None:
    """See that nothing that SQLite opens is anything but a file; only looks, opens nothing.

    Args:
        path: The database; need not exist.
        doing: What is about to be done, for the error.

    Raises:
        Refused: `cannot-open`.
    """
    odd = odd_file(path)
    if odd is None:
        return
    if odd == Path(os.path.realpath(path)):
        raise inaccessible(odd, doing)
    raise odd_sidecar(path, odd, doing)


def _is_odd(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        return error.errno == errno.ELOOP


def uri(path: Path, query: str) -> str:
    """SQLite's URI of a file (https://www.sqlite.org/uri.html)."""
    text = str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file://{text}?{query}"


def sidecars(path: Path) -> dict[str, Path]:
    """What SQLite keeps beside a database, by ending: `-journal`, `-wal`, `-shm`."""
    real = Path(os.path.realpath(path))
    return {end: real.with_name(real.name + end) for end in ("-journal", "-wal", "-shm")}


class _Opened:
    """A connection, what must not change while it is read, and what to clear away after it."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        header: Header | None,
        *,
        watched: tuple[Path, ...] = (),
        seen: object = None,
        folder: Path | None = None,
    ) -> None:
        self.connection = connection
        self.header = header
        self.watched = watched
        self.seen = seen
        self.folder = folder

    def check(self, path: Path) -> None:
        if self.watched and _fingerprint(self.watched) != self.seen:
            raise _changed(path)

    def close(self) -> None:
        self.connection.close()
        if self.folder:
            import shutil

            shutil.rmtree(self.folder, ignore_errors=True)


def _opened(real: Path, timeout: float) -> _Opened:
    require_regular(real)
    header = _checked_header(real)
    beside = sidecars(real)
    if header is None or not header.wal:
        return _open_rollback(real, header, beside["-journal"], timeout)
    if not _size(beside["-wal"]) and not (beside["-wal"].exists() and beside["-shm"].exists()):
        return _open_frozen(real, header)
    if beside["-shm"].exists():
        return _open_shared(real, header, timeout)
    # A WAL without its index: every way of opening it in place would write one.
    return _open_copy(real, header, beside["-wal"])


def _checked_header(real: Path) -> Header | None:
    """The header, None for an empty file; refuses what isn't a SQLite file."""
    try:
        header = read_header(real)
        size = real.stat().st_size
    except OSError as error:
        raise inaccessible(real, "open") from error
    if header is None and size > 0:
        raise not_a_database(real)
    return header


def _open_rollback(real: Path, header: Header | None, journal: Path, timeout: float) -> _Opened:
    try:
        return _Opened(_begun(real, "mode=ro", timeout), header)
    except sqlite3.Error as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
    # A hot journal: a writer died half-way, and reading starts with undoing what it did.
    return _open_copy(real, header, journal)


def _open_frozen(real: Path, header: Header) -> _Opened:
    """WAL mode with nothing in the WAL: immutable=1 is the one way that creates no sidecar."""
    age = time.time_ns() - real.stat().st_mtime_ns
    if 0 <= age < _TICK_NS:
        time.sleep((_TICK_NS - age) / 1e9)
    seen = _fingerprint((real,))
    return _Opened(_begun(real, "mode=ro&immutable=1", 0), header, watched=(real,), seen=seen)


def _open_shared(real: Path, header: Header, timeout: float) -> _Opened:
    """WAL with its index. Nobody there: SQLite builds an index in memory, and writes nothing."""
    beside = sidecars(real)
    if _index_is_behind(beside["-wal"], beside["-shm"]) and not holders(real):
        return _open_copy(real, header, beside["-wal"])
    try:
        return _Opened(_begun(real, "mode=ro&readonly_shm=1", timeout), header)
    except sqlite3.Error as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_CANTINIT:
            raise
    # Somebody is there, and no read mark fits: one must be set in the shared index, as ever.
    return _Opened(_begun(real, "mode=ro", timeout), header)


def _index_is_behind(wal: Path, index: Path) -> bool:
    """Whether a WAL was begun anew, and its writer died (or is just about) to say so in the index.

    With the index open for reading only, SQLite tries for ten seconds to find the two agree, then
    gives up (SQLITE_PROTOCOL). What must agree are the salts
    (https://www.sqlite.org/walformat.html#the_wal_index_header).
    """
    try:
        with wal.open("rb") as stream:
            begun = stream.read(32)[16:24]
        with index.open("rb") as stream:
            known = stream.read(40)[32:40]
    except FileNotFoundError:
        return False
    return len(begun) == 8 and begun != known


def _open_copy(real: Path, header: Header | None, beside: Path) -> _Opened:
    """The database and its journal or WAL copied aside, where recovery may write."""
    import shutil
    import tempfile

    size = real.stat().st_size + _size(beside)
    require(Path(tempfile.gettempdir()), size, f"a copy of {real.name} (it needs recovery)")
    folder = Path(tempfile.mkdtemp(prefix="orchctl-read-"))
    try:
        seen = _fingerprint((real, beside))
        copy = folder / real.name
        shutil.copyfile(real, copy)
        if beside.exists():
            shutil.copyfile(beside, folder / beside.name)
        if _fingerprint((real, beside)) != seen:
            raise _changed(real)
        return _Opened(_begun(copy, "mode=rw", 0), header, folder=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _begun(path: Path, query: str, timeout: float) -> sqlite3.Connection:
    connection = connect(path, query, timeout=timeout)
    try:
        _begin(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only=ON")
    connection.execute("BEGIN")
    # The read lock is taken by the first read, not by BEGIN.
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _fingerprint(files: tuple[Path, ...]) -> object:
    found: list[tuple[int, ...] | None] = []
    for file in files:
        try:
            facts = file.stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns))
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _changed(path: Path) -> OperationFailed:
    return OperationFailed(
        f"{path} was written to while it was being read",
        code="database-changed",
        hint="Run it again",
    )


@contextmanager
def _translated(path: Path, doing: str = "read") -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        # 0 and SQLITE_ERROR are mistakes in what was asked, not facts about the file.
        if primary_code(error) in (0, sqlite3.SQLITE_ERROR):
            raise
        raise explain(error, path, doing=doing) from error
    except OSError as error:
        raise inaccessible(path, doing) from error
