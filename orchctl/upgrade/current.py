"""Where a database is, and whether that is where its chain ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchctl.config import masked_url
from orchctl.upgrade.at_head import heads_of
from orchctl.upgrade.revisions import (
    Ids,
    LoadedRevisions,
    Revision,
    StaticRevisions,
    open_revisions,
)
from orchctl.upgrade.target import environment_facts, find_database, verified_databases

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.target import Database


@dataclass(frozen=True)
class Current:
    """Where a database is.

    Attributes:
        database: The file, or the masked URL of a database that is none.
        url: Its URL, masked.
        version_table: Name of Alembic's table.
        stamped: What its version table holds, sorted.
        heads: What the version table holds once it is at head, sorted.
        revisions: What Alembic calls current: of each branch the newest revision that is applied,
            also where only a `depends_on` brought it in.
        unknown: What of `stamped` this chain does not have.
        at_head: Whether it holds just what it should.
    """

    database: str
    url: str
    version_table: str
    stamped: Ids
    heads: Ids
    revisions: tuple[Revision, ...]
    unknown: Ids
    at_head: bool


def read_current(settings: Settings) -> tuple[Current, ...]:
    """Where each database is; without Alembic where the files and env.py's text prove enough.

    Returns:
        One for every database that env.py goes through, and every version table in it.

    Raises:
        ConfigurationError: No project, or no database can be found.
        Refused: It is not a database, can't be read, is another than the one named, or the chain
            cannot be loaded.
        LockHeld: Somebody keeps it locked.
    """
    settings.require_project()
    found = read_stamps(settings)
    chain = open_revisions(settings)
    return tuple(_compared(database, stamped, chain) for database, stamped in found)


def read_stamp(settings: Settings) -> Ids:
    """The revisions in the version tables, of all databases; raises as `read_current`."""
    return tuple(sorted({one for _, stamped in read_stamps(settings) for one in stamped}))


def read_stamps(settings: Settings) -> tuple[tuple[Database, Ids], ...]:
    """The databases and the revisions in their version tables; raises as `read_current`.

    A file that does not exist is an empty database.
    """
    if settings.url is not None:
        database = find_database(settings, by_text=True)
        if database.proven and (stamped := _by_file(settings, database)) is not None:
            return ((database, stamped),)
    databases = verified_databases(settings)
    if len(databases) == 1 and not databases[0].further_tables:
        stamped = _by_file(settings, databases[0])
        from orchctl.upgrade.elsewhere import heads_elsewhere

        return ((databases[0], heads_elsewhere(settings) if stamped is None else stamped),)
    return tuple(
        (replace(one, version_table=table, further_tables=()), heads_of(file, table))
        for one in databases
        for file in (one.require_file("current"),)
        for table in (one.version_table, *one.further_tables)
    )


def _by_file(settings: Settings, database: Database) -> Ids | None:
    """What the file itself says; None where it takes env.py to read it."""
    if database.file is None:
        return None
    if _names_its_table(settings) or not database.file.exists():
        return heads_of(database.file, database.version_table)
    return None


def provable_stamp(settings: Settings) -> Ids | None:
    """The revisions in the version table where that needs no run of env.py; else None.

    Raises:
        Refused, LockHeld: As `read_current`.
    """
    if settings.url is None or settings.project is None:
        return None
    database = find_database(settings, by_text=True)
    if not database.proven or database.file is None or not _names_its_table(settings):
        return None
    return heads_of(database.file, database.version_table)


def _names_its_table(settings: Settings) -> bool:
    """Whether env.py says in plain words which table the version is in."""
    facts = environment_facts(settings)
    if facts is None:
        return True
    return facts.version_table is not None and facts.version_table_schema in (None, "main")


def _compared(
    database: Database, stamped: Ids, chain: StaticRevisions | LoadedRevisions
) -> Current:
    meant = {stamp: chain.resolve(stamp) for stamp in stamped}
    known = sorted({id_ for id_ in meant.values() if id_ is not None})
    unknown = tuple(stamp for stamp, id_ in meant.items() if id_ is None)
    heads = tuple(sorted(chain.heads(effective=True)))
    return Current(
        database=str(database.file or masked_url(database.url)),
        url=masked_url(database.url),
        version_table=database.version_table,
        stamped=stamped,
        heads=heads,
        revisions=chain.get(chain.reached(known)),
        unknown=unknown,
        at_head=not unknown and tuple(known) == heads,
    )
