"""The chain run from empty on a scratch file: what the schema of a revision really is.

env.py runs as ever and connects to the project's database; what it executes goes to the scratch
file instead, and the project's database is not touched, nor made where it doesn't exist.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.chain.stamp import SchemaMatch
from orchctl.database.compare import Schema, compare, schema_of
from orchctl.database.inspect import stamped
from orchctl.database.open import writing
from orchctl.errors import OrchctlError, UsageError
from orchctl.upgrade.outcome import SILENT, Hooks, Outcome, Participant
from orchctl.upgrade.target import environment_facts, find_databases
from orchctl.upgrade.transaction import Transaction

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.connection import GuardedConnection

Made = tuple[str, str, str]
# A chain longer than this is not searched for a revision that fits.
_LONGEST_SEARCHED = 50


@dataclass(frozen=True)
class Built:
    """What the chain makes of an empty file.

    Attributes:
        schema: The schema in the end.
        silently_lost: Triggers and indexes (kind, name, SQL) that a revision made and no revision
            drops by name, but a table rebuild in silence. A database that was upgraded in several
            runs may have them still, since each run puts back what was there before it.
    """

    schema: Schema
    silently_lost: frozenset[Made]


def build_scratch(
    settings: Settings,
    revision: str | Sequence[str],
    path: Path,
    hooks: Hooks = SILENT,
    *,
    of: Path | None = None,
) -> Path:
    """Run the chain from empty up to a revision, silently, into a file of its own.

    Args:
        settings: The run's settings.
        revision: The target in Alembic's notation, or several; `base` is the empty database.
        path: The scratch file; made when it isn't there, else gone on from.
        hooks: What happens around the revisions.
        of: Which database it stands for, where env.py goes through several; None means the first.

    Returns:
        `path`.

    Raises:
        UpgradeFailed, Refused: The chain can't be run from empty; the error names the revision.
        UsageError: No such revision.
        ConfigurationError: No project, or its database is no SQLite file.
    """
    for target in (revision,) if isinstance(revision, str) else revision:
        run_on_scratch(settings, target, path, hooks, of=of)
    path.touch()
    return path


def run_on_scratch(
    settings: Settings,
    revision: str,
    path: Path,
    hooks: Hooks = SILENT,
    *,
    of: Path | None = None,
) -> Outcome:
    """As `build_scratch`, for one target.

    Args:
        settings: The run's settings.
        revision: The target in Alembic's notation.
        path: The scratch file.
        hooks: What happens around the revisions.
        of: Which database it stands for; the others' scratch files are made beside it.
    """
    purpose = "Running the chain on a scratch file"
    files = [one.require_file(purpose) for one in find_databases(settings)]
    meant = files[0] if of is None else of
    parts = [
        Participant(file, hooks, instead=path)
        if file == meant
        else Participant(file, SILENT, instead=path.with_name(f"{path.name}-{number}"))
        for number, file in enumerate(files)
    ]
    with _silence():
        outcomes = Transaction(settings, parts, "upgrade", revision).run()
    return outcomes[files.index(meant)]


def built(settings: Settings, revision: str | Sequence[str], *, of: Path | None = None) -> Built:
    """What a revision leaves, Alembic's version table with it, and what was lost on the way there.

    Args:
        settings: The run's settings.
        revision: The target in Alembic's notation, or several.
        of: Of which database, where env.py goes through several; None means the first.

    Raises:
        OrchctlError: As `build_scratch`.
    """
    guards: list[GuardedConnection] = []
    seen: set[Made] = set()

    def look(*_: object) -> None:
        for guard in guards[-1:]:
            seen.update(triggers_and_indexes(guard.real))

    hooks = Hooks(locked=lambda guard, _: guards.append(guard), step=look, check=look)
    with _scratch_file() as path:
        build_scratch(settings, revision, path, hooks, of=of)
        with contextlib.closing(writing(path, timeout=0)) as connection:
            seen -= triggers_and_indexes(connection)
            schema = schema_of(connection)
    dropped = {one for guard in guards for one in guard.writes.dropped_by_name}
    return Built(schema, frozenset(one for one in seen if one[:2] not in dropped))


def triggers_and_indexes(connection: Any) -> frozenset[Made]:
    """The triggers and indexes of a database that have a text: kind, name in lower case, SQL."""
    rows = connection.execute(
        "SELECT type, lower(name), sql FROM sqlite_schema "
        "WHERE type IN ('trigger', 'index') AND sql IS NOT NULL"
    ).fetchall()
    return frozenset((str(kind), str(name), str(sql)) for kind, name, sql in rows)


def table_ddl(settings: Settings, revision: str, table: str) -> str:
    """A table as a revision leaves it: its CREATE statements, indexes and triggers after it.

    Args:
        settings: The run's settings.
        revision: The target in Alembic's notation.
        table: Name of a table or view, in any letter case.

    Raises:
        UsageError: `unknown-table`: that revision has none of this name.
        OrchctlError: As `build_scratch`.
    """
    with _scratch_file() as path:
        build_scratch(settings, revision, path)
        with contextlib.closing(writing(path, timeout=0)) as connection:
            rows = connection.execute(
                "SELECT sql FROM sqlite_schema WHERE lower(tbl_name) = lower(?) "
                "AND sql IS NOT NULL ORDER BY type NOT IN ('table', 'view'), type, name",
                (table,),
            ).fetchall()
            tables = connection.execute(
                "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') "
                "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
            ).fetchall()
    if not rows:
        known = ", ".join(name for (name,) in tables) or "no table at all"
        raise UsageError(
            f"Revision {revision} has no table {table!r}",
            code="unknown-table",
            hint=f"It has: {known}",
        )
    return "".join(f"{sql};\n" for (sql,) in rows)


def fitting_revisions(
    settings: Settings, wanted: Schema, *, ignore: Collection[str], of: Path | None = None
) -> tuple[tuple[str, ...], ...]:
    """Where in the chain the schema is just this one; nothing when that can't be told.

    Args:
        settings: The run's settings.
        wanted: A schema.
        ignore: Tables not to look at; Alembic's own never counts.
        of: Of which database, where env.py goes through several; None means the first.

    Returns:
        As `SchemaMatch.places`.
    """
    return match_schema(settings, wanted, ignore=ignore, of=of).places


def match_schema(
    settings: Settings,
    wanted: Schema,
    *,
    ignore: Collection[str],
    of: Path | None = None,
    most: int = _LONGEST_SEARCHED,
) -> SchemaMatch:
    """Where in the chain the schema is just this one, or why that can't be told.

    The chain is run once; the schema is looked at after every revision. Columns may stand in
    another order. A revision that fails ends the search; what came before it may fit all the same.

    Args:
        settings: The run's settings.
        wanted: A schema.
        ignore: Tables not to look at; Alembic's own never counts.
        of: As in `fitting_revisions`.
        most: A chain of more revisions is not searched.
    """
    found: list[tuple[str, ...]] = []
    guards: list[GuardedConnection] = []

    def look(*_: object) -> None:
        for guard in guards[:1]:
            own = {*ignore, *guard.version_tables}
            differences = compare(wanted, schema_of(guard.real), ignore=own)
            if all(one.kind == "column-order" for one in differences):
                tables = guard.version_tables or {"alembic_version"}
                stamps = {one for table in tables for one in stamped(guard.real, table) or ()}
                found.append(tuple(sorted(stamps)))

    hooks = Hooks(locked=lambda guard, _: guards.append(guard), step=look, check=look)
    obstacle = None
    try:
        if _length(settings) > most:
            return SchemaMatch((), f"the chain has more than {most} revisions")
        with _scratch_file() as path:
            run_on_scratch(settings, "heads", path, hooks, of=of)
    except OrchctlError as error:
        obstacle = error.message
    return SchemaMatch(tuple(found), obstacle)


def version_table(settings: Settings, *, of: Path | None = None) -> str:
    """The name of Alembic's table, env.py asked where it computes that name.

    Args:
        settings: The run's settings.
        of: Of which database, where env.py goes through several; None means the first.

    Raises:
        OrchctlError: env.py fails, or opens no SQLite file.
    """
    facts = environment_facts(settings)
    if facts is not None and facts.version_table is not None:
        return facts.version_table
    with _scratch_file() as path:
        return run_on_scratch(settings, "base", path, of=of).version_table


def _length(settings: Settings) -> int:
    from orchctl.upgrade.environment import open_script

    _, script = open_script(settings)
    return sum(1 for _ in script.walk_revisions())


@contextlib.contextmanager
def _scratch_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="orchctl-scratch-") as folder:
        yield Path(folder) / "scratch.db"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What revisions print and warn of belongs to the run on the real database."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
