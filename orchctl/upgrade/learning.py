"""Which databases env.py opens, learnt by running it with nothing behind `alembic.context`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.errors import ConfigurationError
from orchctl.upgrade.absent_files import AbsentFiles
from orchctl.upgrade.environment import Target, foreign_code, open_script, target_of
from orchctl.upgrade.failure import same_file

if TYPE_CHECKING:
    from orchctl.config import Settings


class _Learned(BaseException):
    """Leaves env.py at context.configure(); not an Exception, so that env.py can't swallow it."""


def learn_target(settings: Settings) -> Target:
    """Run env.py up to `context.configure()` and see which database its connection is to.

    Nothing is read from or written to that database by us, and none is created.

    Raises:
        ConfigurationError: env.py fails, or never configures a connection.
    """
    found: list[Target] = []

    def first(target: Target) -> None:
        found.append(target)
        raise _Learned

    with contextlib.suppress(_Learned):
        _run(settings, first)
    return _require(settings, found)[0]


def learn_targets(settings: Settings) -> tuple[Target, ...]:
    """Run env.py to its end, nothing being migrated, and see which databases it goes through.

    Returns:
        Each database once, in env.py's order, with all the version tables named for it.

    Raises:
        ConfigurationError: env.py fails, or never configures a connection.
    """
    found: list[Target] = []
    try:
        _run(settings, found.append)
    except ConfigurationError:
        # It may need what only a real run has; that one refuses a database nobody knew of.
        if not found:
            raise
    merged: list[Target] = []
    for target in _require(settings, found):
        for number, known in enumerate(merged):
            if _same(known, target):
                tables = (*known.version_tables, *target.version_tables)
                merged[number] = replace(known, version_tables=tuple(dict.fromkeys(tables)))
                break
        else:
            merged.append(target)
    return tuple(merged)


def _run(settings: Settings, heard: Callable[[Target], None]) -> None:
    """Run env.py; what it would do through `alembic.context` is not done."""
    from alembic.runtime.environment import EnvironmentContext

    config, script = open_script(settings)
    folders = _folders(script.version_locations)
    absent = AbsentFiles()
    stopped: list[_Learned] = []

    def configure(connection: Any = None, **keywords: Any) -> None:
        if stopped:  # an env.py with a bare `except:` came back
            raise stopped[0]
        if _folders(script.version_locations) != folders:
            raise _other_chain(settings, script.version_locations)
        if connection is None:
            return
        found = target_of(connection)
        missing = absent.file_of(connection.connection.dbapi_connection)
        table = keywords.get("version_table") or "alembic_version"
        try:
            heard(replace(found, file=missing or found.file, version_tables=(table,)))
        except _Learned as error:
            stopped.append(error)
            raise

    context = EnvironmentContext(config, script, fn=lambda rev, context: [])
    # The instance publishes its methods to alembic.context; a subclass is not picked up there.
    setattr(context, "configure", configure)  # noqa: B010
    setattr(context, "run_migrations", lambda **_: None)  # noqa: B010
    setattr(context, "begin_transaction", contextlib.nullcontext)  # noqa: B010
    with foreign_code("env.py"), absent, context:
        script.run_env()


def _folders(locations: Iterable[Any]) -> set[Path]:
    return {Path(location).resolve() for location in locations or ()}


def _other_chain(settings: Settings, locations: Iterable[Any]) -> ConfigurationError:
    """The error for an env.py that names the revisions' folders itself, as Prefect's does."""
    project = settings.require_project()
    return ConfigurationError(
        f"{project.script_location / 'env.py'} sets version_locations, after the chain was read",
        code="env-sets-version-locations",
        state="The database is untouched",
        hint=f"Name the folders in {project.file}: version_locations = "
        + " ".join(map(str, locations)),
    )


def _require(settings: Settings, found: list[Target]) -> list[Target]:
    if found:
        return found
    env_py = settings.require_project().script_location / "env.py"
    raise ConfigurationError(
        f"{env_py} never hands a connection to context.configure()",
        code="env-without-connection",
        hint="Name the database: orchctl --url sqlite:///PATH …",
    )


def _same(one: Target, other: Target) -> bool:
    if one.file is None or other.file is None:
        return one.url == other.url and one.file is other.file
    return same_file(one.file, Path(other.file))
