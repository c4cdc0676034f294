"""A database's stamp against the chain: rule C16, over plain data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchctl.chain.findings import Finding
from orchctl.chain.graph import Graph
from orchctl.chain.revision_file import RevisionFile
from orchctl.chain.source import decode
from orchctl.chain.suggest import likely_id
from orchctl.chain.targets import overlapping
from orchctl.chain.tokens import Severity

_CREATED = re.compile(r"\bcreate_table\(\s*[\"']([^\"']+)[\"']")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a database says about where it stands.

    Attributes:
        database: Its name for messages (a path, or a URL without its password).
        stamped: The ids in the version table.
        has_version_table: Whether there is one.
        tables: Its other tables.
        version_table: The version table's name.
    """

    database: str
    stamped: tuple[str, ...]
    has_version_table: bool
    tables: tuple[str, ...]
    version_table: str = "alembic_version"


def check_stamp(graph: Graph, stamp: Stamp, created: Iterable[str]) -> Iterator[Finding]:
    """C16: the database is stamped with what the chain lacks, twice, or not at all.

    Args:
        graph: The chain.
        stamp: The database.
        created: The tables that the chain creates (`created_tables`): one that is there in a
            database without a stamp makes the upgrade fail.
    """
    if stamp.stamped:
        yield from _vanished(graph, stamp)
        yield from _contradicting(graph, stamp)
    else:
        yield from _unstamped(stamp, set(created))


def created_tables(files: Iterable[RevisionFile]) -> set[str]:
    """The tables that revisions create by a literal name, as far as their text shows it."""
    names: set[str] = set()
    for file in files:
        try:
            text = decode(file.path.read_bytes()).text
        except OSError:
            continue
        names.update(_CREATED.findall(text))
    return names


def _vanished(graph: Graph, stamp: Stamp) -> Iterator[Finding]:
    for id_ in stamp.stamped:
        if id_ in graph.revisions:
            continue
        likely = likely_id(id_, graph.revisions)
        hint = f"The nearest id is {likely}. " if likely else ""
        yield Finding(
            "C16",
            "error",
            f"{stamp.database} is at revision {id_!r}, which this chain does not have",
            revision=id_,
            suggestion=f"{hint}Use the code that has {id_}, or restore a snapshot from before it",
            alembic=f"Can't locate revision identified by {id_!r}",
        )


def _contradicting(graph: Graph, stamp: Stamp) -> Iterator[Finding]:
    twice = [id_ for id_ in dict.fromkeys(stamp.stamped) if stamp.stamped.count(id_) > 1]
    for id_ in twice:
        yield Finding(
            "C16",
            "warning",
            f"{stamp.database} is stamped with {id_!r} {stamp.stamped.count(id_)} times",
            revision=id_,
            suggestion=f"Leave one row of {id_} in {stamp.version_table}",
            alembic="nothing until the next upgrade, which matches more rows than it expects",
        )
    if pair := overlapping(graph, stamp.stamped):
        contained, containing = pair
        yield Finding(
            "C16",
            "error",
            f"{stamp.database} is stamped twice: {containing!r} contains {contained!r}",
            revision=contained,
            suggestion=f"DELETE FROM {stamp.version_table} WHERE version_num = '{contained}'",
            alembic=f"Requested revision {containing} overlaps with other requested revisions "
            f"{contained}",
        )


def _unstamped(stamp: Stamp, created: set[str]) -> Iterator[Finding]:
    if not stamp.tables:
        return
    clash = [table for table in stamp.tables if table in created]
    severity: Severity = "error" if clash else "warning"
    state = (
        f"the version table {stamp.version_table} is empty"
        if stamp.has_version_table
        else f"there is no version table {stamp.version_table}"
    )
    what = f"{len(stamp.tables)} table{'s' if len(stamp.tables) > 1 else ''}"
    if clash:
        what += f" ({', '.join(clash[:5])}{', …' if len(clash) > 5 else ''})"
    alembic = "nothing: it starts at the first revision"
    if clash:
        alembic = f"table {clash[0]} already exists"
    yield Finding(
        "C16",
        severity,
        f"{stamp.database} has {what}, but {state}",
        suggestion="orchctl stamp REVISION, with the revision whose schema it has",
        alembic=alembic,
    )
