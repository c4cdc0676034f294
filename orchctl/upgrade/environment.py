"""The user's Alembic environment: its configuration, its script directory, its env.py.

The adapter module of Alembic: what the rest of orchctl knows of Alembic comes through here.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sqlite3
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from orchctl.config import Settings, masked_url
from orchctl.errors import ConfigurationError, OrchctlError, Refused, UsageError
from orchctl.upgrade.deferred_imports import defer_imports, load_deferred

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory


@dataclass(frozen=True)
class Target:
    """The database that env.py opens.

    Attributes:
        url: Its URL as env.py gave it, password included; mask before showing.
        file: The SQLite file, or None when the database isn't SQLite.
        version_tables: Names of Alembic's tables in it, those that env.py uses.
    """

    url: str
    file: Path | None
    version_tables: tuple[str, ...] = ("alembic_version",)

    @property
    def version_table(self) -> str:
        """Alembic's table, the first of several."""
        return self.version_tables[0]


def alembic_config(
    settings: Settings, *, stdout: TextIO | None = None, sql: bool = False
) -> Config:
    """Alembic's Config of the project, with the URL that the settings name.

    Args:
        settings: The run's settings.
        stdout: Where Alembic writes SQL and listings; None means the process's stdout.
        sql: Whether this is Alembic's offline mode.

    Raises:
        ConfigurationError: There is no Alembic project.
    """
    defer_imports()
    from alembic.config import Config

    project = settings.require_project()
    config = Config(
        file_=str(project.ini_file) if project.ini_file else None,
        toml_file=str(project.toml_file) if project.toml_file else None,
        ini_section=project.section,
        stdout=stdout or sys.stdout,
        cmd_opts=Namespace(x=list(settings.x_arguments) or None, quiet=True, sql=sql),
    )
    if settings.url and str(settings.origins["url"]) != f"{project.file} sqlalchemy.url":
        config.set_main_option("sqlalchemy.url", settings.url.replace("%", "%%"))
        # Many an env.py reads this variable itself; both places must give the same answer.
        os.environ["DATABASE_URL"] = settings.url
    return config


def script_directory(config: Config) -> ScriptDirectory:
    """Alembic's view of the chain; imports every revision file.

    Raises:
        ConfigurationError: The folder or its layout is not there.
        Refused: A revision file cannot be loaded, or the chain is broken.
    """
    from alembic.util import CommandError

    try:
        with quiet_alembic():
            script = _linked(config)
    except CommandError as error:
        if "path" in str(error).lower() and "exist" in str(error).lower():
            raise ConfigurationError(
                str(error),
                code="script-location-missing",
                hint="script_location in alembic.ini must name the folder that holds env.py",
            ) from error
        raise broken_chain(error) from error
    except OrchctlError:
        raise
    except Exception as error:
        raise broken_chain(error) from error
    return script


def _linked(config: Config) -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    def linked() -> ScriptDirectory:
        script = ScriptDirectory.from_config(config)
        script.revision_map.heads  # noqa: B018 - reads and links every revision now
        return script

    try:
        return linked()
    except (ImportError, AttributeError, NameError):
        # A revision may import a name that is there once everything is loaded.
        if not load_deferred():
            raise
        return linked()


def broken_chain(error: BaseException) -> Refused:
    """The error for a chain that Alembic cannot load."""
    return Refused(
        f"The revision chain cannot be loaded: {one_line(error)}",
        code="broken-chain",
        state="The database is untouched",
        hint="orchctl verify-chain names the file, the line and the fix",
    )


def open_script(settings: Settings) -> tuple[Config, ScriptDirectory]:
    """The configuration and the script directory of a project, for looking at the chain.

    Loading imports every revision file, so what was looked at is kept for the run that follows.
    """
    config = alembic_config(settings)
    script = script_directory(config)
    _looked_at[settings.require_project().file] = script
    _opened[settings.require_project().file] = script
    return config, script


def script_for_run(settings: Settings) -> tuple[Config, ScriptDirectory]:
    """The same for one run of the revisions: the one that was looked at, else a new one.

    Never one that ran already: what a revision left in its module's globals during a rehearsal is
    not there in the real run.
    """
    config = alembic_config(settings)
    script = _looked_at.pop(settings.require_project().file, None)
    return config, script or script_directory(config)


def last_opened(settings: Settings) -> ScriptDirectory | None:
    """The chain as `open_script` last loaded it, to be looked at and not run; None if never."""
    return _opened.get(settings.require_project().file)


_looked_at: dict[Path, ScriptDirectory] = {}
_opened: dict[Path, ScriptDirectory] = {}


def target_of(connection: Any) -> Target:
    """The database behind a SQLAlchemy connection."""
    url = connection.engine.url.render_as_string(hide_password=False)
    if connection.dialect.name != "sqlite":
        return Target(url, None)
    file = main_file(connection.connection.dbapi_connection)
    return Target(url, Path(file) if file else None)


def database_list(dbapi: Any) -> list[Any]:
    """`PRAGMA database_list` of a DBAPI connection: number, name and file of each database.

    Unlike a SELECT it reads no file. Paths may hold bytes that are no UTF-8.
    """
    plain = isinstance(dbapi, sqlite3.Connection)
    before = dbapi.text_factory if plain else None
    if plain:
        dbapi.text_factory = os.fsdecode
    try:
        cursor = dbapi.cursor()
        cursor.execute("PRAGMA database_list")
        rows = cursor.fetchall()
        cursor.close()
    finally:
        if plain:
            dbapi.text_factory = before
    return list(rows)


def main_file(dbapi: Any) -> str:
    """The file of a DBAPI connection's main database; empty for one in memory."""
    # Below SQLAlchemy, whose own execute would begin a transaction.
    rows = database_list(dbapi)
    return next((row[2] or "" for row in rows if row[1] == "main"), "")


@contextlib.contextmanager
def foreign_code(what: str) -> Iterator[None]:
    """Run the user's code quietly; its failures become one clear error."""
    with quiet_foreign_code():
        try:
            yield
        except OrchctlError:
            raise
        except Exception as error:
            raise environment_failed(what, error) from error


def _install(error: ImportError) -> str:
    name = (error.name or "").partition(".")[0]
    missing = f"what provides {name}" if name else "the missing package"
    return (
        f"Install {missing} beside orchctl, or orchctl into the application's environment; "
        "modules of the project itself are found through prepend_sys_path"
    )


def environment_failed(what: str, error: BaseException) -> OrchctlError:
    """The error for an env.py that raises before any revision ran."""
    if isinstance(error, ImportError):
        return ConfigurationError(
            f"{what} cannot be run: {one_line(error)}",
            code="env-import",
            hint=_install(error),
        )
    hint = "orchctl --debug shows where"
    if "application context" in str(error):
        hint = "Begin env.py with one: from app import create_app; "
        hint += "create_app().app_context().push() (README, Flask-Migrate)"
    if isinstance(error, NotImplementedError) and _is_two_phase(error):
        hint = "SQLite has no two-phase commit: USE_TWOPHASE = False in env.py; orchctl commits "
        hint += "no file before all of them went through"
    return ConfigurationError(
        f"{what} failed before any revision ran: {type(error).__name__}: {one_line(error)}",
        code="env-failed",
        state="The database is untouched",
        hint=hint,
    )


def _is_two_phase(error: BaseException) -> bool:
    traceback, names = error.__traceback__, set()
    while traceback is not None:
        names.add(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    return "do_begin_twophase" in names


@contextlib.contextmanager
def quiet_foreign_code() -> Iterator[None]:
    """Keep env.py's and the revisions' prints off stdout, and their warnings off stderr.

    stdout is the command's result, and with --json stderr is nothing but an error's JSON.
    """
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings(), quiet_alembic():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def quiet_alembic() -> Iterator[None]:
    """Keep Alembic's own INFO lines out of the way; orchctl reports the steps itself."""
    filters = {name: _BelowWarning() for name in _CHATTY} | {"asyncio": _LoopBrokenOff()}
    for name, filter_ in filters.items():
        logging.getLogger(name).addFilter(filter_)
    try:
        yield
    finally:
        for name, filter_ in filters.items():
            logging.getLogger(name).removeFilter(filter_)


_CHATTY = (
    "alembic.runtime.migration",
    "alembic.runtime.plugins",
    "alembic.runtime.plugins.setup",
    "alembic.env",
)


class _LoopBrokenOff(logging.Filter):
    """Drops what an event loop says of tasks that orchctl's own errors ended; it tells of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "unhandled exception during asyncio.run()" not in record.getMessage()


class _BelowWarning(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING


def resolve_error(error: BaseException, revision: str) -> OrchctlError:
    """The error for a revision that the command line names and Alembic can't resolve.

    Args:
        error: Alembic's CommandError, or the RevisionError that it was made from.
        revision: The revision as typed.
    """
    from alembic.script.revision import MultipleHeads

    cause = error.__cause__ or error
    if "with --sql requires" in str(error):
        return UsageError(
            "A downgrade with --sql has to be told where it begins: it asks no database",
            hint=f"orchctl downgrade FROM:{revision} --sql",
        )
    if "in --sql mode" in str(error):
        return UsageError(
            one_line(error).rstrip("."),
            code="no-offline-sql",
            hint="That revision needs the database: orchctl upgrade --dry-run shows what would "
            "run, orchctl rehearse what it does",
        )
    if isinstance(cause, MultipleHeads):
        return UsageError(
            f"{revision!r} could be any of several heads: {', '.join(sorted(cause.heads))}",
            code="several-heads",
            hint="orchctl upgrade heads takes them all, BRANCH@head or an id one of them; "
            "orchctl merge heads joins them for good",
        )
    if "Multiple revisions start with" in str(cause):
        return UsageError(
            one_line(cause).rstrip("."),
            code="ambiguous-revision",
            hint="Type more of it; orchctl history lists the revisions",
        )
    relative = revision[:1] in ("+", "-")
    return UsageError(
        one_line(error).rstrip("."),
        code="unknown-revision",
        hint=f"From where the database is, {revision} is no one revision: orchctl history "
        "--indicate-current shows what is there; name it by its id"
        if relative
        else f"orchctl history lists the revisions; {revision!r} is none of them",
    )


def offline_sql(settings: Settings, direction: str, revision: str | list[str]) -> str:
    """The SQL of an upgrade, downgrade or stamp, as Alembic's `--sql` prints it.

    Args:
        settings: The run's settings.
        direction: `upgrade`, `downgrade` or `stamp`.
        revision: Target or `FROM:TO`; a downgrade needs the range, a stamp may have several.
    """
    from alembic import command
    from alembic.util import CommandError

    buffer = io.StringIO()
    config = alembic_config(settings, stdout=buffer, sql=True)
    config.output_buffer = buffer
    with foreign_code("The offline run"):
        try:
            getattr(command, direction)(config, revision, sql=True)
        except CommandError as error:
            typed = revision if isinstance(revision, str) else " ".join(revision)
            raise resolve_error(error, typed) from error
    return buffer.getvalue()


def one_line(error: BaseException) -> str:
    """An error's text on one line, URLs masked."""
    return masked_url(" ".join(str(error).split()))
