"""What goes wrong in a run of revisions, told with revision, line, statement and cause."""

from __future__ import annotations

import linecache
import re
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from orchctl.database.failure import explain, primary_code
from orchctl.errors import OrchctlError, Refused, UpgradeFailed
from orchctl.upgrade.environment import one_line
from orchctl.upgrade.exits import HardExit
from orchctl.upgrade.statements import REFUSED, Advice, Kind

_OWN_CONNECTION = Advice(
    "it opens another connection to the same file",
    "use op.get_bind(), or op.get_bind().engine",
)


_THERE = re.compile(r"already exists|duplicate column name")


def revision_failed(
    revision: Any,
    error: BaseException,
    statement: str | None,
    before: Sequence[str],
    file: Path,
    direction: str,
) -> OrchctlError:
    """The error for a revision that raised.

    sys.exit, and another connection of its own that waits for this one, are refused: no mending of
    the data would help.

    Args:
        revision: Alembic's Script of the revision.
        error: What it raised.
        statement: The last statement that was sent to SQLite.
        before: The heads before the run, which are the heads again.
        file: The database that it ran on.
        direction: `upgrade`, `downgrade` or `stamp`.
    """
    path = revision.module.__file__
    line = _line_of(error, path)
    cause = getattr(error, "orig", None) or error
    if (advice := _hopeless(cause)) is not None:
        by_exit = isinstance(cause, SystemExit)
        shown = source_line(path, line) if by_exit else statement or ""
        helps = not by_exit or getattr(cause, "code", None) in (None, 0)
        return _outside(revision, line, advice, shown, direction if helps else None)
    code, hint = "upgrade-failed", "Mend the revision, then run the same command again"
    if isinstance(cause, sqlite3.Error):
        told = explain(cause, file, doing="write to")
        if told.code in ("disk-full", "io-error"):  # not the revision's fault
            code, hint = told.code, told.hint or hint
        elif _THERE.search(str(cause)):
            hint = "Is that there because the database was made without its revisions? orchctl "
            hint += "doctor tells which one its schema is, orchctl stamp REVISION says so; if not, "
            hint += "mend the revision and run the same command again"
    by_statement = isinstance(cause, sqlite3.Error) and statement is not None
    shown = f"; statement: {_shortened(statement)}" if by_statement and statement else ""
    where = f"at {', '.join(before)}" if before else "at base"
    return UpgradeFailed(
        f"Revision {revision.revision} ({path}:{line}) failed: "
        f"{type(cause).__name__}: {one_line(cause)}{shown}",
        state=f"The database is as before ({where})",
        code=code,
        hint=hint,
        details={
            "revision": revision.revision,
            "path": path,
            "line": line,
            "statement": statement,
            "cause": f"{type(cause).__name__}: {one_line(cause)}",
        },
    )


def refused_statement(revision: Any, kind: Kind, sql: str, direction: str) -> Refused:
    """The refusal of a statement that no transaction can hold.

    Args:
        revision: Alembic's Script of the revision that is running.
        kind: What the statement is.
        sql: Its text.
        direction: `upgrade`, `downgrade` or `stamp`.
    """
    line = line_in(revision.module.__file__)
    return _outside(revision, line, REFUSED[kind], sql, direction)


def refused_connection(revision: Any, line: int, direction: str) -> Refused:
    """The refusal of a revision that opens the database by itself.

    Args:
        revision: Alembic's Script of the revision that is running.
        line: Where in its file.
        direction: `upgrade`, `downgrade` or `stamp`.
    """
    shown = source_line(revision.module.__file__, line)
    return _outside(revision, line, _OWN_CONNECTION, shown, direction)


def source_line(path: str, line: int | None) -> str:
    """One line of a source file, as it stands there."""
    return linecache.getline(path, line).strip() if line else ""


def _hopeless(cause: BaseException) -> Advice | None:
    if isinstance(cause, SystemExit):
        name = "os._exit" if isinstance(cause, HardExit) else "sys.exit"
        return Advice(f"it calls {name}", "raise an exception that says what is wrong")
    if isinstance(cause, sqlite3.Error) and primary_code(cause) == sqlite3.SQLITE_BUSY:
        # Our connection holds the write lock, so only another one can find the database busy.
        return _OWN_CONNECTION
    return None


def _outside(
    revision: Any, line: int | None, advice: Advice, sql: str, direction: str | None
) -> Refused:
    """The refusal; `direction` is None where --unsafe would not help."""
    unsafe = (
        f". Or outside the transaction, after a snapshot: "
        f"orchctl {direction} --unsafe {revision.revision}"
        if direction in ("upgrade", "downgrade")
        else ""
    )
    path = revision.module.__file__
    shown = f": {_shortened(sql)}" if sql else ""
    return Refused(
        f"Revision {revision.revision} ({path}:{line}) cannot be part of one transaction: "
        f"{advice.reason}{shown}",
        code="outside-transaction",
        state="The database is as before",
        hint=f"Instead: {advice.instead}{unsafe}",
        details={"revision": revision.revision, "path": path, "line": line, "statement": sql},
    )


def wrong_database(
    env_py: object, expected: object, opened: object, *, one_of: bool = False
) -> Refused:
    """The refusal of an env.py that opens another database than the one to be protected.

    Args:
        env_py: Its path.
        expected: The database, or all of several.
        opened: What it opens.
        one_of: Whether several are expected; no `--url` names them all then.
    """
    hint = (
        "Mend what env.py reads its URLs from, or the sections that `databases` in the ini lists"
        if one_of
        else f"If {opened} is the right one: orchctl --url sqlite:///{opened} … "
        "Otherwise mend what env.py reads its URL from"
    )
    return Refused(
        f"{env_py} opens {opened}, not {expected}",
        code="wrong-database",
        state="Nothing was changed",
        hint=hint,
    )


def ran_nothing(env_py: object, file: Path | None = None) -> UpgradeFailed:
    """The error for an env.py that ends without having run the migrations.

    Args:
        env_py: Its path.
        file: The database it left out, where there are several.
    """
    return UpgradeFailed(
        f"{env_py} never ran the migrations{f' of {file}' if file else ''}",
        code="env-ran-nothing",
        state="The database is as before",
        hint="env.py must call context.configure(connection=…) and run_migrations()",
    )


def steps_of_its_own(env_py: object) -> Refused:
    """The refusal of an env.py that says by `fn` which revisions run: no plan would be true."""
    return Refused(
        f"{env_py} hands context.configure() an `fn` of its own, which chooses the revisions",
        code="own-steps",
        state="The database is as before",
        hint="Leave `fn` out: orchctl, as Alembic's own commands, says which revisions run",
    )


def about(error: OrchctlError, file: Path) -> None:
    """Say which of several databases an error is about, where it doesn't say so itself."""
    if str(file) not in error.message:
        error.message = f"{file}: {error.message}"
    error.details = {"database": str(file), **error.details}


def closes_early(env_py: object, file: Path) -> Refused:
    """The refusal of an async env.py that ends one database before it begins the next.

    Args:
        env_py: Its path.
        file: A database that is still to come.
    """
    return Refused(
        f"{env_py} closes one database before {file} is migrated: they can't be committed together",
        code="closes-early",
        state="Nothing was changed",
        hint="Open all connections first, in one event loop, as Alembic's multidb template does",
    )


def unknown_to_chain(unknown: Sequence[str], file: Path) -> Refused:
    """The refusal of a database that is stamped with a revision this chain doesn't have."""
    return Refused(
        f"{file} is at revision {', '.join(unknown)}, which this chain does not have: "
        "the database is ahead of this code, or belongs to another",
        code="unknown-to-chain",
        state="Nothing was changed",
        hint="Run the newer code, or go back to a snapshot that fits: orchctl backup list",
    )


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one file, through links too, whether or not it exists."""
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def line_in(path: str) -> int | None:
    """The line of `path` that this thread is executing right now, found on the stack."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename == path:
            return frame.f_lineno
        frame = frame.f_back
    return None


def _line_of(error: BaseException, path: str) -> int | None:
    """The last line of `path` in an error's traceback."""
    line, traceback = None, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == path:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _shortened(statement: str, width: int = 200) -> str:
    text = " ".join(statement.split())
    return text if len(text) <= width else text[: width - 1] + "…"
