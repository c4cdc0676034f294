"""A run of revisions as one transaction: Alembic's environment, driven by us.

The user's env.py runs as it is. The EnvironmentContext *instance* publishes our `configure` and
`run_migrations` to `alembic.context`; in `configure` we learn which file env.py really opened, put
a `GuardedConnection` in front of its DBAPI connection, switch foreign keys off (inside a
transaction the PRAGMA is ignored: https://www.sqlite.org/pragma.html#pragma_foreign_keys) and take
BEGIN IMMEDIATE before Alembic reads the heads. Revisions, version rows and checks happen inside;
the one COMMIT comes when env.py is through (an async one: when it closes its connection).
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.database.failure import explain
from orchctl.database.inspect import stamped
from orchctl.database.open import reading_beside
from orchctl.errors import Interrupted, OrchctlError, UpgradeFailed
from orchctl.upgrade.absent_files import AbsentFiles
from orchctl.upgrade.connection import GuardedConnection, SharedConnection, State
from orchctl.upgrade.environment import (
    environment_failed,
    main_file,
    quiet_foreign_code,
    script_for_run,
)
from orchctl.upgrade.failure import (
    refused_statement,
    revision_failed,
    same_file,
    wrong_database,
)
from orchctl.upgrade.interruption import Interruption
from orchctl.upgrade.outcome import AppliedRevision, Hooks, Outcome
from orchctl.upgrade.plan import find_steps
from orchctl.upgrade.write_lock import begin, commit, leave_transaction

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.statements import Kind


# Seconds for an env.py's own thread to end; it commits nothing later either.
_THREAD_PATIENCE = 5.0


@dataclass
class _Progress:
    before: tuple[str, ...] | None = None
    applied: list[AppliedRevision] = field(default_factory=list)
    current: Any = None  # Alembic's step that is running
    began: float = 0.0
    after: tuple[str, ...] = ()
    version_table: str = "alembic_version"
    declared: set[str] = field(default_factory=set)
    planned: bool = False
    finished: bool = False
    failure: BaseException | None = None


class Transaction:
    """One run of `upgrade`, `downgrade` or `stamp` over one SQLite file.

    Args:
        settings: The run's settings; its `lock_timeout` bounds every wait.
        file: The file that the caller has locked and will snapshot; env.py must open this one.
        direction: `upgrade`, `downgrade` or `stamp`.
        revision: The target, in Alembic's notation; for a stamp several.
        hooks: What happens around the revisions.
        instead: Run on this file, though env.py opens `file`: a copy, or a scratch database. The
            file that env.py opens is then not touched.
        purge: Empty the version table first (a stamp's `--purge`).
    """

    def __init__(
        self,
        settings: Settings,
        file: Path,
        direction: str,
        revision: str | tuple[str, ...],
        hooks: Hooks,
        *,
        instead: Path | None = None,
        purge: bool = False,
    ) -> None:
        self._settings = settings
        self._file = file
        self._direction = direction
        self._revision = revision
        self._hooks = hooks
        self._instead = instead
        self._purge = purge
        self._guard: GuardedConnection | None = None
        self._progress = _Progress()
        self._alembic: Any = None
        self._script: Any = None
        self._shared = contextlib.ExitStack()
        self._interruption = Interruption()
        self._thread = threading.get_ident()
        self._absent = AbsentFiles(but=None if instead else file)

    def run(self) -> Outcome:
        """Run env.py and, through it, the revisions; commit once.

        Raises:
            Refused: env.py opens another file; a revision does what no transaction can hold; a
                check said no. Nothing was changed.
            LockHeld: Somebody else kept the database locked. Nothing was changed.
            UpgradeFailed: A revision failed. The database is as before.
            ConfigurationError: env.py itself failed.
            UsageError: The target is no revision of the chain.
            Interrupted: Ctrl-C or SIGTERM. The database is as before.
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
                with quiet_foreign_code(), self._absent, self._shared, context:
                    self._script.run_env()
            except BaseException as error:  # noqa: BLE001
                self._give_up(error)
            else:
                self._settle()
        if not self.committed:
            self._raise_failure()
        return self._outcome()

    @property
    def committed(self) -> bool:
        """Whether the run is committed: from then on nothing that comes up undoes it."""
        return self._guard is not None and self._guard.state is State.COMMITTED

    def _stopped(self) -> bool:
        return self._interruption.seen

    # -- what env.py calls ----------------------------------------------------------------------

    def _configure(self, connection: Any = None, **keywords: Any) -> None:
        if connection is not None and self._progress.failure is None:
            try:
                self._take(connection)
            except BaseException as error:
                self._progress.failure = error
                raise
        self._configure_alembic(connection=connection, **keywords)
        context = self._alembic.get_context()
        self._progress.version_table = context.version_table
        if self._guard is not None:
            self._guard.version_tables.add(context.version_table)

    def _run_migrations(self, **keywords: Any) -> None:
        if self._progress.failure is not None:
            raise self._progress.failure
        try:
            self._run_alembic(**keywords)
            if self._guard is not None:
                self._guard.require_transaction()
                if self._wrote():
                    self._hooks.check(self._guard, frozenset(self._progress.declared))
                if self._stopped():
                    raise KeyboardInterrupt
                # When env.py closes its connection, SQLAlchemy rolls back; not these revisions.
                self._guard.fasten()
                self._progress.finished = True
        except BaseException as error:
            self._fail(error)
            raise

    def _steps(self, heads: Any, context: Any) -> Iterator[Any]:
        """What Alembic calls with the heads it read, inside our transaction."""
        progress = self._progress
        steps = find_steps(self._script, self._direction, self._revision, heads, self._file)
        if progress.before is None:
            progress.before = tuple(sorted(heads))
            progress.after = progress.before
        if (steps or self._purge) and not progress.planned and self._guard is not None:
            progress.planned = True
            self._hooks.locked(self._guard, [_told(step) for step in steps])
        for step in steps:
            progress.current, progress.began = step, time.monotonic()
            if (revision := _revision_of(step)) is not None:
                progress.declared.update(getattr(revision.module, "orchctl_allow_loss", ()))
            self._hooks.step(f"Running {step}")
            yield step
            seconds = time.monotonic() - progress.began
            progress.applied.append(AppliedRevision(*_told(step), seconds))
        progress.current = None
        progress.after = tuple(sorted(context.get_current_heads()))

    # -- the connection ---------------------------------------------------------------------------

    def _take(self, connection: Any) -> None:
        """Put the guard in front of the DBAPI connection, and begin."""
        fairy = connection.connection
        real = fairy.dbapi_connection
        if isinstance(real, GuardedConnection):
            return
        self._require_this_file(connection, real)
        if self._guard is None or self._guard.state is not State.OPEN:
            self._guard = self._guarded(real)
            self._share(connection.engine)
        else:
            real.close()  # env.py's second connection to the same file: the first one serves both
        # SQLAlchemy keeps the DBAPI connection in two places: the one handed out, and the pool's
        # record, through which it is closed.
        fairy.dbapi_connection = self._guard
        fairy._connection_record.dbapi_connection = self._guard

    def _guarded(self, real: Any) -> GuardedConnection:
        """Leave whatever transaction env.py began, begin ours, and stand in front."""
        leave_transaction(real, self._script.env_py_location)
        stands_for = None
        now_or_never = hasattr(real, "run_async") or threading.get_ident() != self._thread
        if self._instead is not None:
            stands_for, real = real, sqlite3.connect(self._instead, check_same_thread=False)
            real.isolation_level = None
            real.execute("PRAGMA synchronous=OFF").close()  # a copy need not outlive a crash
        begin(real, self._file, self._settings.lock_timeout, self._stopped)

        def closing() -> bool:
            if now_or_never:  # with its event loop, or its thread, the connection ends
                self._settle()
            return not now_or_never

        return GuardedConnection(real, self._refuse, closing, self._stopped, stands_for)

    def _share(self, engine: Any) -> None:
        """Whoever asks env.py's engine for another connection gets ours, until the run is over."""
        from sqlalchemy import event

        def connect(*_: object) -> SharedConnection | None:
            guard = self._guard
            return SharedConnection(guard) if guard and guard.state is State.OPEN else None

        engine.dispose(close=False)  # connections that wait in the pool are not ours
        event.listen(engine, "do_connect", connect)
        self._shared.callback(event.remove, engine, "do_connect", connect)

    def _require_this_file(self, connection: Any, real: Any) -> None:
        if connection.dialect.name != "sqlite":
            raise wrong_database(self._script.env_py_location, self._file, connection.engine.url)
        opened = str(self._absent.file_of(real) or main_file(real))
        if not opened or not same_file(Path(opened), self._file):
            raise wrong_database(self._script.env_py_location, self._file, opened or ":memory:")

    def _refuse(self, kind: Kind, sql: str) -> None:
        """A statement that no transaction can hold; from env.py itself it is only left out."""
        revision = _revision_of(self._progress.current)
        if revision is None:
            return
        error = refused_statement(revision, kind, sql)
        self._fail(error)
        raise error

    # -- the end ----------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Commit when everything went through, roll back when not."""
        guard = self._guard
        if guard is None or guard.state is not State.OPEN:
            return
        keep = self._progress.finished and self._progress.failure is None
        try:
            if keep and self._wrote():
                commit(guard, self._file, self._settings.lock_timeout, self._stopped)
            else:
                guard.finish(keep=False)
        except BaseException as error:  # noqa: BLE001
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Remember the first failure and roll back at once, whatever env.py makes of it."""
        if self._progress.failure is None:
            self._progress.failure = error
        guard = self._guard
        if guard is not None and guard.state is State.OPEN and guard.is_at_work_elsewhere():
            self._wait_for(guard)
        elif guard is not None and guard.state is State.OPEN:
            # A failed ROLLBACK means that SQLite has rolled back by itself.
            with contextlib.suppress(sqlite3.Error):
                guard.finish(keep=False)
            if guard.in_doubt and self._stands_committed():
                guard.state = State.COMMITTED

    def _wait_for(self, guard: GuardedConnection) -> None:
        """Have the thread that uses the connection give up; two at once would crash sqlite3."""
        guard.give_up()
        deadline = time.monotonic() + _THREAD_PATIENCE
        while guard.state is State.OPEN and time.monotonic() < deadline:
            time.sleep(0.01)

    def _stands_committed(self) -> bool:
        """What became of a COMMIT that was broken off, asked of a fresh connection."""
        progress, file = self._progress, self._instead or self._file
        with reading_beside(file) as connection:
            found = stamped(connection, progress.version_table) or ()
        return found == progress.after != progress.before

    def _give_up(self, error: BaseException) -> None:
        if not self.committed:  # else env.py failed afterwards; the caller checks the file
            self._fail(error)

    def _wrote(self) -> bool:
        return bool(self._progress.applied) or self._purge

    def _raise_failure(self) -> None:
        progress = self._progress
        failure = progress.failure
        if failure is None:
            if not progress.finished:
                raise UpgradeFailed(
                    f"{self._script.env_py_location} never ran the migrations",
                    code="env-ran-nothing",
                    state="The database is as before",
                    hint="env.py must call context.configure(connection=…) and run_migrations()",
                )
            return
        if isinstance(failure, KeyboardInterrupt) or self._stopped():
            raise Interrupted("Interrupted", state="The database is as before") from failure
        if isinstance(failure, OrchctlError):
            raise failure
        if (revision := _revision_of(progress.current)) is not None:
            statement = self._guard.statement if self._guard else None
            before = progress.before or ()
            file = self._instead or self._file
            raise revision_failed(revision, failure, statement, before, file) from failure
        if isinstance(failure, sqlite3.Error):
            raise explain(failure, self._file, doing="upgrade") from failure
        raise environment_failed(str(self._script.env_py_location), failure) from failure

    def _outcome(self) -> Outcome:
        progress = self._progress
        return Outcome(
            before=progress.before or (),
            after=progress.after,
            applied=tuple(progress.applied),
            version_table=progress.version_table,
            deferred_commits=self._guard.deferred_commits if self._guard else 0,
            interrupted=self._interruption.seen,
        )


def _revision_of(step: Any) -> Any:
    """The revision that one of Alembic's steps runs; None for a stamp, which runs none."""
    return getattr(step, "revision", None)


def _told(step: Any) -> tuple[str, str]:
    """The id and the message of what a step leads to."""
    revision = _revision_of(step)
    if revision is None:
        return ", ".join(step.to_revisions) or "base", ""
    return revision.revision, revision.doc
