"""Databases that are no SQLite file: Alembic does what it does there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchctl.upgrade.environment import foreign_code, open_script, resolve_error

if TYPE_CHECKING:
    from orchctl.config import Settings


def heads_elsewhere(settings: Settings) -> tuple[str, ...]:
    """The heads of a database that is no SQLite file, read through env.py.

    Raises:
        ConfigurationError: env.py fails: no driver, no server.
    """
    from alembic.runtime.environment import EnvironmentContext

    config, script = open_script(settings)
    found: list[str] = []

    def read(heads: Any, context: Any) -> list[Any]:
        found.extend(heads)
        return []

    with (
        foreign_code(str(script.env_py_location)),
        EnvironmentContext(config, script, fn=read, dont_mutate=True),
    ):
        script.run_env()
    return tuple(sorted(found))


def run_elsewhere(
    settings: Settings,
    direction: str,
    revision: str | list[str],
    *,
    dry_run: bool,
    **options: bool,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Upgrade, downgrade or stamp with Alembic's own command.

    Args:
        settings: The run's settings.
        direction: `upgrade`, `downgrade` or `stamp`.
        revision: The target as typed; for a stamp several.
        dry_run: Only read.
        options: Of Alembic's command: a stamp's `purge`.

    Returns:
        The heads before and after.

    Raises:
        UsageError: No such revision.
        ConfigurationError: env.py fails.
    """
    from alembic import command
    from alembic.util import CommandError

    before = heads_elsewhere(settings)
    if dry_run:
        return before, before
    config, _ = open_script(settings)
    with foreign_code(f"The {direction}"):
        try:
            getattr(command, direction)(config, revision, **options)
        except CommandError as error:
            typed = revision if isinstance(revision, str) else " ".join(revision)
            raise resolve_error(error, typed) from error
    return before, heads_elsewhere(settings)
