"""A run of revisions as one transaction: Alembic's environment, driven by us.

The user's env.py runs as it is. The EnvironmentContext *instance* publishes our `configure` and
`run_migrations` to `alembic.context`; in `configure` we learn which file env.py really opened, put
a `GuardedConnection` in front of its DBAPI connection, switch foreign keys off (inside a
transaction the PRAGMA is ignored: https://www.sqlite.org/pragma.html#pragma_foreign_keys) and take
BEGIN IMMEDIATE before Alembic reads the heads. Revisions, version rows and checks happen inside;
the one COMMIT comes when env.py is through (an async one: when it closes its connection).

An env.py that works on several files gets one such transaction a file, and the commits follow each
other when all of them are through (`commits`).
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from orchctl.database.failure import explain
from orchctl.errors import Interrupted, OrchctlError
from orchctl.upgrade.absent_files import AbsentFiles
from orchctl.upgrade.commits import PartlyCommittedError, commit_all
from orchctl.upgrade.connection import GuardedConnection
from orchctl.upgrade.environment import (
    environment_failed,
    main_file,
    quiet_foreign_code,
    script_for_run,
)
from orchctl.upgrade.exits import Exits
from orchctl.upgrade.failure import (
    about,
    closes_early,
    line_in,
    ran_nothing,
    refused_connection,
    refused_statement,
    revision_failed,
    same_file,
    steps_of_its_own,
    wrong_database,
)
from orchctl.upgrade.file_transaction import FileTransaction, ends_with_its_loop
from orchctl.upgrade.interruption import Interruption
from orchctl.upgrade.outcome import AppliedRevision, Outcome, Participant
from orchctl.upgrade.own_connections import OwnConnections
from orchctl.upgrade.plan import find_steps
from orchctl.upgrade.sharing import put_in_place, share_with
from orchctl.upgrade.unsafe import not_rehearsable, reaches_out
from orchctl.upgrade.version_rows import VersionRows

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.statements import Kind


class Transaction:
    """One run of `upgrade`, `downgrade` or `stamp` over one SQLite file, or several.

    Args:
        settings: The run's settings; its `lock_timeout` bounds every wait.
        files: The files that env.py opens: these and no others.
        direction: `upgrade`, `downgrade` or `stamp`.
        revision: The target, in Alembic's notation; for a stamp several.
        purge: Empty the version table first (a stamp's `--purge`).
    """

    def __init__(
        self,
        settings: Settings,
        files: Sequence[Participant],
        direction: str,
        revision: str | tuple[str, ...],
        *,
        purge: bool = False,
    ) -> None:
        self._settings = settings
        self._direction = direction
        self._revision = revision
        self._purge = purge
        self._interruption = Interruption()
        self._files = [FileTransaction(one, settings.lock_timeout, self._stopped) for one in files]
        self._file = self._files[0]  # the one that env.py is at
        self._current: Any = None  # Alembic's step that is running
        self._failure: BaseException | None = None
        self._alembic: Any = None
        self._script: Any = None
        self._shared = contextlib.ExitStack()
        self._thread = threading.get_ident()
        self._own = OwnConnections([one.file for one in files], self._opened, self._redirection)
        self._absent = AbsentFiles(but=[one.file for one in files if one.instead is None])

    def run(self) -> tuple[Outcome, ...]:
        """Run env.py and, through it, the revisions; commit at the end.

        Returns:
            What was done to each file, in the order given.

        Raises:
            Refused: env.py opens another file; a revision does what no transaction can hold; a
                check said no. Nothing was changed.
            LockHeld: Somebody else kept a database locked. Nothing was changed.
            UpgradeFailed: A revision failed. Every database is as before.
            ConfigurationError: env.py itself failed.
            UsageError: The target is no revision of the chain.
            Interrupted: Ctrl-C or SIGTERM. Every database is as before.
            PartlyCommittedError: A commit after the first one failed.
        """
        from alembic.runtime.environment import EnvironmentContext

        config, self._script = script_for_run(self._settings)
        context = EnvironmentContext(
            config,
            self._script,
            fn=self._steps,
            as_sql=False,
            destination_rev=self._revision,
            purge=self._purge,
        )
        self._alembic = context
        self._configure_alembic = context.configure
        self._run_alembic = context.run_migrations
        # The instance publishes its methods to alembic.context; a subclass is not picked up there.
        setattr(context, "configure", self._configure)  # noqa: B010
        setattr(context, "run_migrations", self._run_migrations)  # noqa: B010
        with self._interruption:
            try:
                with (
                    quiet_foreign_code(),
                    Exits(),
                    self._own,
                    self._absent,
                    self._shared,
                    context,
                ):
                    self._script.run_env()
            except BaseException as error:  # noqa: BLE001
                self._give_up(error)
            else:
                self._settle()
        if not self.committed:
            self._raise_failure()
        return self.outcomes

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What was done to each file, in the order given."""
        seen = self._interruption.seen
        return tuple(one.outcome(interrupted=seen) for one in self._files)

    @property
    def committed(self) -> bool:
        """Whether the run is committed: from then on nothing that comes up undoes it."""
        partly = isinstance(self._failure, PartlyCommittedError)
        return not partly and any(one.committed for one in self._files)

    def _stopped(self) -> bool:
        return self._interruption.seen

    # -- what env.py calls ----------------------------------------------------------------------

    def _configure(self, connection: Any = None, **keywords: Any) -> None:
        if "fn" in keywords:
            self._failure = steps_of_its_own(self._script.env_py_location)
            raise self._failure
        if connection is not None and self._failure is None:
            try:
                self._take(connection)
            except BaseException as error:
                self._failure = error
                raise
        self._configure_alembic(connection=connection, **keywords)
        self._file.note_table(self._alembic.get_context().version_table)

    def _run_migrations(self, **keywords: Any) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            self._run_alembic(**keywords)
            one = self._file
            if one.guard is not None:
                self._check()
                # When env.py closes its connection, SQLAlchemy rolls back; not these revisions.
                one.guard.fasten()
                one.finished = True
        except BaseException as error:
            self._fail(error)
            raise

    def _steps(self, heads: Any, context: Any) -> Iterator[Any]:
        """What Alembic calls with the heads it read, inside our transaction."""
        one, table = self._file, context.version_table
        file, hooks = one.participant.file, one.participant.hooks
        steps = find_steps(self._script, self._direction, self._revision, heads, file)
        one.note_before(table, heads)
        if (steps or self._purge) and not one.planned and one.guard is not None:
            one.planned = True
            hooks.locked(one.guard, [_told(step) for step in steps])
        if steps and not isinstance(context._version, VersionRows):
            context._version = VersionRows(context._version, context.dialect)
        for step in steps:
            outside = one.guard is not None and _told(step)[0] in one.participant.unsafe
            if outside:
                self._step_out(step)
            self._current, began = step, time.monotonic()
            if (revision := _revision_of(step)) is not None:
                one.declared.update(getattr(revision.module, "orchctl_allow_loss", ()))
                if one.guard is not None:
                    one.guard.writes.note_revision(revision.path, self._direction)
            hooks.step(f"Running {step}")
            yield step
            one.applied.append(AppliedRevision(*_told(step), time.monotonic() - began))
            self._current = None
            if outside:
                one.step_in()
        one.note_after(table, context.get_current_heads())

    def _check(self) -> None:
        """What must hold before anything is committed."""
        one = self._file
        if one.guard is not None:
            one.guard.require_transaction()
            if self._wrote(one):
                one.participant.hooks.check(one.guard, frozenset(one.declared))
        if self._stopped():
            raise KeyboardInterrupt

    def _step_out(self, step: Any) -> None:
        """Prove and commit what came before a revision that runs outside the transaction."""
        self._check()
        self._file.step_out(step)

    # -- the connection ---------------------------------------------------------------------------

    def _take(self, connection: Any) -> None:
        """Put the guard in front of the DBAPI connection, and begin."""
        real = connection.connection.dbapi_connection
        if isinstance(real, GuardedConnection):
            self._file = next(one for one in self._files if one.guard is real)
            return
        self._file = one = self._file_of(connection, real)
        if not one.is_open:
            now_or_never = ends_with_its_loop(real, self._thread)

            def closing() -> bool:
                if now_or_never:  # with its event loop, or its thread, the connection ends
                    self._settle(early=True)
                return not now_or_never

            one.begin(real, self._script.env_py_location, self._refuse, closing)
            self._shared.callback(share_with(connection.engine, one))
        else:
            real.close()  # env.py's second connection to the same file: the first one serves both
        put_in_place(connection, one)

    def _file_of(self, connection: Any, real: Any) -> FileTransaction:
        """The file that env.py opened, which must be one that the caller knows of."""
        env_py, expected = self._script.env_py_location, self._expected()
        if connection.dialect.name != "sqlite":
            raise wrong_database(env_py, expected, connection.engine.url)
        opened = str(self._absent.file_of(real) or main_file(real))
        for one in self._files if opened else ():
            if same_file(Path(opened), one.participant.file):
                return one
        raise wrong_database(env_py, expected, opened or ":memory:", one_of=len(self._files) > 1)

    def _expected(self) -> str:
        return " or ".join(str(one.participant.file) for one in self._files)

    def _refuse(self, kind: Kind, sql: str) -> None:
        """A statement that no transaction can hold; from env.py itself it is only left out."""
        revision = _revision_of(self._current)
        if revision is None:
            return
        part = self._file.participant
        if not self._file.is_outside:
            self._end_with(refused_statement(revision, kind, sql, self._direction))
        part.unsafe.needed.add(revision.revision)
        if part.instead is not None and reaches_out(kind, sql):
            self._end_with(not_rehearsable(revision, sql))

    def _opened(self) -> None:
        """Somebody opens a database; a revision may do so only outside the transaction."""
        revision = _revision_of(self._current)
        if revision is None or self._failure is not None:
            return
        part = self._file.participant
        if self._file.is_outside:
            part.unsafe.needed.add(revision.revision)
            if part.instead is not None:
                self._end_with(not_rehearsable(revision, ""))
        elif (line := line_in(revision.module.__file__)) is not None:
            self._end_with(refused_connection(revision, line, self._direction))

    def _redirection(self) -> Path | None:
        """The copy, for a connection that an unsafe revision opens during its rehearsal."""
        part = self._file.participant
        if part.instead is None or not self._file.is_outside:
            return None
        if (revision := _revision_of(self._current)) is not None:
            part.unsafe.needed.add(revision.revision)
        return part.instead

    def _end_with(self, error: OrchctlError) -> NoReturn:
        self._fail(error)
        raise error

    # -- the end ----------------------------------------------------------------------------------

    def _settle(self, *, early: bool = False) -> None:
        """Commit when everything went through, roll back when not."""
        if not any(one.is_open for one in self._files):
            return
        waits = [one for one in self._files if not one.finished]
        if early and self._failure is None and len(waits) < len(self._files) and waits:
            self._fail(closes_early(self._script.env_py_location, waits[0].participant.file))
        try:
            if self._failure is None and not waits:
                self._commit()
            for one in self._files:
                one.undo()
        except BaseException as error:  # noqa: BLE001
            self._fail(error)

    def _commit(self) -> None:
        wrote = [one for one in self._files if one.is_open and self._wrote(one)]
        commit_all(wrote, self._interruption.held_back)

    def _fail(self, error: BaseException) -> None:
        """Remember the first failure and roll back at once, whatever env.py makes of it."""
        if self._failure is None:
            self._failure = error
        for one in self._files:
            one.undo()

    def _give_up(self, error: BaseException) -> None:
        if not self.committed:  # else env.py failed afterwards; the caller checks the file
            self._fail(error)

    def _wrote(self, one: FileTransaction) -> bool:
        return bool(one.applied) or self._purge

    def _raise_failure(self) -> None:
        failure = self._failure
        if failure is None:
            waits = [one.participant.file for one in self._files if not one.finished]
            if waits:
                several = len(self._files) > 1
                raise ran_nothing(self._script.env_py_location, waits[0] if several else None)
            return
        if isinstance(failure, PartlyCommittedError):
            raise failure
        if isinstance(failure, KeyboardInterrupt) or self._stopped():
            raise Interrupted("Interrupted", state="The database is as before") from failure
        told = self._told(failure)
        if len(self._files) > 1:
            about(told, self._file.participant.file)
        if told is failure:
            raise told
        raise told from failure

    def _told(self, failure: BaseException) -> OrchctlError:
        """A failure as an error of ours."""
        one = self._file
        if isinstance(failure, OrchctlError):
            return failure
        if (revision := _revision_of(self._current)) is not None:
            place = one.participant.place
            return revision_failed(
                revision, failure, one.statement, one.before, place, self._direction
            )
        if isinstance(failure, sqlite3.Error):
            return explain(failure, one.participant.file, doing="upgrade")
        return environment_failed(str(self._script.env_py_location), failure)


def _revision_of(step: Any) -> Any:
    """The revision that one of Alembic's steps runs; None for a stamp, which runs none."""
    return getattr(step, "revision", None)


def _told(step: Any) -> tuple[str, str]:
    """The id and the message of what a step leads to."""
    revision = _revision_of(step)
    if revision is None:
        return ", ".join(step.to_revisions) or "base", ""
    return revision.revision, revision.doc
