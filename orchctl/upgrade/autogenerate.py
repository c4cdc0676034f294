"""Running env.py so that Alembic can compare models and database, or fill a template; read only.

What `alembic.command.revision` and `check` do inside, driven from here: their EnvironmentContext is
out of reach, and only on its instance can batch mode be switched on (see `environment.py`).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.config import masked_url
from orchctl.database.location import is_sqlite
from orchctl.database.open import READ_TIMEOUT, connect, require_regular, sidecars
from orchctl.errors import ConfigurationError, NegativeAnswer, OrchctlError, Refused
from orchctl.upgrade.environment import Target, foreign_code, target_of
from orchctl.upgrade.failure import same_file, wrong_database
from orchctl.upgrade.revisions import revision_error
from orchctl.upgrade.target import find_database

if TYPE_CHECKING:
    from alembic.autogenerate import RevisionContext
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from orchctl.config import Settings


def compare_models(
    settings: Settings, config: Config, script: ScriptDirectory, context: RevisionContext
) -> None:
    """Let Alembic compare the models with the database, and fill `context` with the difference.

    Nothing is written to the database, not even Alembic's version table.

    Args:
        settings: The run's settings.
        config: The project's configuration.
        script: The project's chain.
        context: Where the operations go.

    Raises:
        NegativeAnswer: The database is not at head (`not-at-head`).
        ConfigurationError: env.py fails, names no models, or never runs migrations.
        Refused: env.py opens another database than the one named, or one that this chain
            doesn't know.
    """

    def compare(heads: Any, migration: Any) -> list[Any]:
        _require_head(script, heads, migration)
        _require_models(script, migration)
        context.run_autogenerate(heads, migration)
        return []

    _run(settings, config, script, compare, _options(context))


def fill_template(
    settings: Settings,
    config: Config,
    script: ScriptDirectory,
    context: RevisionContext,
    *,
    sql: bool,
) -> None:
    """Run env.py because `revision_environment` asks for it: it may add template arguments.

    Args:
        settings: The run's settings.
        config: The project's configuration.
        script: The project's chain.
        context: Where the template arguments go.
        sql: Whether env.py runs in offline mode.

    Raises:
        ConfigurationError, Refused: As `compare_models`.
    """

    def fill(heads: Any, migration: Any) -> list[Any]:
        context.run_no_autogenerate(heads, migration)
        return []

    _run(settings, config, script, fill, _options(context) | {"as_sql": sql})


def run_for_template(
    settings: Settings, config: Config, script: ScriptDirectory, arguments: dict[str, Any]
) -> None:
    """Run env.py for the template arguments of a merge; raises as `compare_models`."""
    _run(settings, config, script, lambda heads, migration: [], {"template_args": arguments})


def _options(context: RevisionContext) -> dict[str, Any]:
    return {"template_args": context.template_args, "revision_context": context}


def _run(
    settings: Settings,
    config: Config,
    script: ScriptDirectory,
    work: Callable[[Any, Any], list[Any]],
    options: dict[str, Any],
) -> None:
    from alembic.runtime.environment import EnvironmentContext
    from alembic.util import CommandError

    runs = 0
    failures: list[OrchctlError] = []

    def watched(heads: Any, migration: Any) -> list[Any]:
        nonlocal runs
        runs += 1
        try:
            return work(heads, migration)
        except CommandError as error:
            failures.append(revision_error(error, "heads"))
        except OrchctlError as error:
            failures.append(error)
        return []

    def opened(target: Target) -> None:
        try:
            _require_named(settings, script, target)
        except OrchctlError as error:
            failures.append(error)
            raise
        readers.callback(_keep_wal(target.file))

    context = EnvironmentContext(config, script, fn=watched, dont_mutate=True, **options)
    _in_batch_mode(context, opened)
    with (
        _leaving_no_file(settings),
        contextlib.ExitStack() as readers,
        foreign_code(script.env_py_location),
        context,
    ):
        script.run_env()
    # Raised here: an env.py that swallows errors would have turned them into a yes.
    if failures:
        raise failures[0]
    if not runs:
        raise ConfigurationError(
            f"{script.env_py_location} never calls context.run_migrations()", code="env-without-run"
        )


def _in_batch_mode(context: Any, opened: Callable[[Target], None]) -> None:
    """Switch batch mode on for SQLite where env.py doesn't say, and tell which database it opens.

    SQLite has hardly any ALTER TABLE: without batch mode most of what autogenerate writes fails.
    """
    configure = context.configure

    def wrapped(connection: Any = None, *arguments: Any, **options: Any) -> None:
        if connection is not None:
            opened(target_of(connection))
        if "render_as_batch" not in options:
            options["render_as_batch"] = _on_sqlite(connection, options)
        configure(connection, *arguments, **options)

    # The instance publishes its methods to alembic.context; a subclass is not picked up there.
    context.configure = wrapped


def _on_sqlite(connection: Any, options: dict[str, Any]) -> bool:
    if connection is not None:
        return bool(connection.dialect.name == "sqlite")
    return options.get("dialect_name") == "sqlite" or is_sqlite(str(options.get("url") or ""))


def _require_named(settings: Settings, script: ScriptDirectory, opened: Target) -> None:
    """Refuse to compare with another database than the one that the settings name."""
    if settings.url is None:
        return
    named = find_database(settings)
    if named.file is None and opened.file is None:
        return
    if named.file is None or opened.file is None or not same_file(opened.file, named.file):
        raise wrong_database(
            script.env_py_location,
            named.file or masked_url(named.url),
            opened.file or masked_url(opened.url),
        )


def _require_head(script: ScriptDirectory, heads: Sequence[str], migration: Any) -> None:
    known = {each.revision for each in script.walk_revisions()}
    if unknown := [head for head in heads if head not in known]:
        raise Refused(
            f"The database is at revision {', '.join(unknown)}, which this chain does not have",
            code="unknown-to-chain",
            state="Nothing was changed",
            hint="Run the newer code; orchctl status shows more",
        )
    expected = sorted(each.revision for each in script.get_revisions("heads"))
    if sorted(heads) != expected:
        database = target_of(migration.connection)
        raise NegativeAnswer(
            f"{database.file or masked_url(database.url)} is at {', '.join(heads) or 'base'}, "
            f"not at head ({', '.join(expected)}): it cannot be compared with the models",
            code="not-at-head",
            state="Nothing was changed",
            hint="orchctl upgrade",
        )


def _require_models(script: ScriptDirectory, migration: Any) -> None:
    if migration.opts.get("target_metadata") is None:
        raise ConfigurationError(
            f"{script.env_py_location} gives Alembic no models to compare with",
            code="no-models",
            hint="In env.py: context.configure(…, target_metadata=Base.metadata)",
        )


def _keep_wal(file: Path | None) -> Callable[[], None]:
    """Keep a WAL that somebody left behind as it is; returns what to call in the end.

    The last connection to a database moves its WAL into it on closing, unless it is one for
    reading. An empty WAL is left alone: after it, the last connection has to clear up.
    """
    if file is None:
        return lambda: None
    try:
        if sidecars(file)["-wal"].stat().st_size == 0:
            return lambda: None
        reader = connect(file, "mode=ro", timeout=READ_TIMEOUT)
        reader.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except (OSError, sqlite3.Error):  # no WAL, or one that env.py will have to complain about
        return lambda: None

    def close() -> None:
        with contextlib.suppress(sqlite3.Error):  # opened in a thread of env.py
            reader.close()

    return close


@contextlib.contextmanager
def _leaving_no_file(settings: Settings) -> Iterator[None]:
    """SQLite creates the file on connecting; remove it again where there was none."""
    file: Path | None = None
    if settings.url is not None and is_sqlite(settings.url):
        file = find_database(settings).file
    if file is not None:
        require_regular(file)  # before env.py opens it, and waits
    missing = file is not None and not file.exists()
    try:
        yield
    finally:
        if file is not None and missing:
            with contextlib.suppress(OSError):
                if file.stat().st_size == 0:
                    file.unlink()
