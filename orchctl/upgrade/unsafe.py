"""Revisions that run outside the transaction, because somebody said `--unsafe`.

What came before such a revision is proven and committed at its boundary; it runs in autocommit mode
on the run's own connection; then a new transaction begins for the rest. The database's write lock
is not held meanwhile, so the promise is another one: a snapshot, and its return on any failure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.errors import Refused, UsageError
from orchctl.upgrade.failure import line_in, source_line
from orchctl.upgrade.statements import Kind
from orchctl.upgrade.write_lock import begin, detach_others

if TYPE_CHECKING:
    from orchctl.upgrade.connection import GuardedConnection

NOT_REHEARSABLE = "not-rehearsable"
_INTO = re.compile(r"\binto\b", re.IGNORECASE)


class Unsafe:
    """The revisions of one run that run outside its transaction.

    Args:
        revisions: Their ids.
        leaving: Called with the id when everything before is proven and nothing of it committed:
            the place to note that from here on only the snapshot helps.

    Attributes:
        needed: Those that ran and did what no transaction can hold.
        ran: Those that ran.
    """

    def __init__(
        self, revisions: Collection[str] = (), leaving: Callable[[str], None] = lambda _: None
    ) -> None:
        self._revisions = frozenset(revisions)
        self._leaving = leaving
        self.needed: set[str] = set()
        self.ran: set[str] = set()

    def __contains__(self, revision: object) -> bool:
        return revision in self._revisions

    def step_out(self, step: Any, commit: Callable[[], None]) -> None:
        """Leave the transaction for one of Alembic's steps.

        Args:
            step: The step that is going to run.
            commit: Commits what came before.
        """
        name = step.revision.revision
        self._leaving(name)
        commit()
        self.ran.add(name)
        run = step.migration_fn

        def run_to_its_exit(**keywords: Any) -> None:
            try:
                run(**keywords)
            except SystemExit as error:
                # It ends here by its own will; what it did stands, as with `return`.
                self.needed.add(name)
                if error.code not in (None, 0):
                    raise

        step.migration_fn = run_to_its_exit

    def step_in(
        self, guard: GuardedConnection, file: Path, timeout: float, stopped: Callable[[], bool]
    ) -> None:
        """Take the next transaction, whatever the revision left open.

        Raises:
            LockHeld: Somebody else took the lock meanwhile.
        """
        guard.commit()
        detach_others(guard)
        begin(guard.real, file, timeout, stopped)
        guard.step_in()

    def superfluous(self) -> tuple[str, ...]:
        """Those that ran and did nothing that needs it."""
        return tuple(sorted(self.ran - self.needed))


def resolve(script: Any, typed: str) -> str:
    """The id of a revision as somebody typed it.

    Args:
        script: Alembic's ScriptDirectory.
        typed: An id, the beginning of one, a branch label …

    Raises:
        UsageError: There is none, or more than one.
    """
    from alembic.util import CommandError

    from orchctl.upgrade.environment import resolve_error

    try:
        revision = script.get_revision(typed)
    except CommandError as error:
        raise resolve_error(error, typed) from error
    if revision is None:  # base
        raise UsageError(
            f"--unsafe {typed!r} names no revision",
            code="unknown-revision",
            hint="orchctl history lists the revisions",
        )
    return str(revision.revision)


def no_snapshot(revisions: Sequence[str]) -> Refused:
    """The refusal to run something outside the transaction without a snapshot."""
    return Refused(
        f"{', '.join(revisions)} would run outside the transaction, and there is no snapshot to "
        "put back if that fails",
        code="unsafe-without-snapshot",
        state="Nothing was changed",
        hint="Leave --no-backup (or the setting backup = false) out",
    )


def reaches_out(kind: Kind, sql: str) -> bool:
    """Whether a statement touches other files, which no copy of the database stands for."""
    return kind is Kind.ATTACH or (kind is Kind.VACUUM and _INTO.search(sql) is not None)


def not_rehearsable(revision: Any, what: str) -> Refused:
    """The end of a rehearsal at something that would happen for real.

    Args:
        revision: Alembic's Script of the revision.
        what: A statement, or the source line.
    """
    path = revision.module.__file__
    line = line_in(path)
    return Refused(
        f"Revision {revision.revision} ({path}:{line}) reaches beyond the copy that it is "
        f"rehearsed on: {what or source_line(path, line)}",
        code="not-rehearsable",
        state="The database is as before",
        hint="Rehearse up to the revision before it",
        details={"revision": revision.revision, "path": path, "line": line},
    )
