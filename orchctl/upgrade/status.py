"""One look at a database and its chain, without Alembic where the files alone tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database import lock
from orchctl.database.inspect import DatabaseFacts, inspect
from orchctl.snapshots.catalog import Catalog
from orchctl.upgrade.at_head import static_chain
from orchctl.upgrade.journal import Journal
from orchctl.upgrade.killed_run import KilledRun, find_killed_run
from orchctl.upgrade.plan import snapshot_directory
from orchctl.upgrade.target import verified_databases

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.snapshots.manifest import Snapshot


@dataclass(frozen=True)
class Status:
    """Where a database stands.

    Attributes:
        facts: The file.
        version_table: Name of Alembic's table.
        heads: What the version table holds at head.
        pending: Revisions that an upgrade to head would run, in order: (id, message).
        unknown: Revisions it is stamped with that the chain doesn't have.
        last_snapshot: The newest usable one.
        lock_holder: Who holds orchctl's lock on it, as text.
        killed: The last run, when it was killed.
        leftovers: Temporary tables of an interrupted batch operation.
    """

    facts: DatabaseFacts
    version_table: str
    heads: tuple[str, ...]
    pending: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]
    last_snapshot: Snapshot | None
    lock_holder: str | None
    killed: KilledRun | None
    leftovers: tuple[str, ...]

    @property
    def at_head(self) -> bool:
        """Whether nothing is pending and everything is known."""
        return set(self.facts.heads) == set(self.heads)


def read_statuses(settings: Settings) -> tuple[Status, ...]:
    """Gather the status of every database that env.py goes through, or of the one that is named.

    A file with several version tables has one status for each.

    Raises:
        ConfigurationError: No project, or the database is no SQLite file.
        Refused: The file is no database; env.py opens another one.
    """
    return tuple(
        _status(settings, database.require_file("status"), table)
        for database in verified_databases(settings)
        for table in (database.version_table, *database.further_tables)
    )


def _status(settings: Settings, file: Path, version_table: str) -> Status:
    facts = inspect(file, version_table=version_table)
    heads, pending, unknown = _chain(settings, facts.heads, file)
    directory = snapshot_directory(settings, file)
    snapshots = Catalog(directory, file).list()
    usable = [one for one in snapshots if one.status in ("complete", "verified")]
    holder = lock.holder(file)
    return Status(
        facts=facts,
        version_table=version_table,
        heads=heads,
        pending=pending,
        unknown=unknown,
        last_snapshot=max(usable, key=lambda one: one.id, default=None),
        lock_holder=str(holder) if holder else None,
        killed=find_killed_run(Journal(directory, file), file, facts.heads),
        leftovers=tuple(name for name in facts.tables if name.startswith("_alembic_tmp_")),
    )


def _chain(
    settings: Settings, stamped: tuple[str, ...], file: Path
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], tuple[str, ...]]:
    graph = static_chain(settings)
    if graph is None:
        return _chain_by_alembic(settings, stamped, file)
    unknown = tuple(id_ for id_ in stamped if id_ not in graph.revisions)
    from orchctl.chain.targets import pending

    ids = () if unknown else pending(graph, stamped, "heads")
    if ids is None:  # stamps that contradict each other: only Alembic can say
        return _chain_by_alembic(settings, stamped, file)
    steps = tuple((id_, graph.revisions[id_].message) for id_ in ids)
    return graph.effective_heads, steps, unknown


def _chain_by_alembic(
    settings: Settings, stamped: tuple[str, ...], file: Path
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], tuple[str, ...]]:
    from orchctl.upgrade.environment import open_script
    from orchctl.upgrade.plan import find_steps

    _, script = open_script(settings)
    known = script.revision_map._revision_map
    unknown = tuple(id_ for id_ in stamped if id_ not in known)
    steps = [] if unknown else find_steps(script, "upgrade", "heads", stamped, file)
    heads = tuple(script.revision_map._real_heads)
    return heads, tuple((s.revision.revision, s.revision.doc) for s in steps), unknown
