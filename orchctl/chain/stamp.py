"""A database's stamp against the chain: rule C16, over plain data."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchctl.chain.findings import Finding
from orchctl.chain.graph import Graph
from orchctl.chain.regular_file import read_regular
from orchctl.chain.revision_file import RevisionFile
from orchctl.chain.source import decode
from orchctl.chain.suggest import likely_id
from orchctl.chain.targets import overlapping
from orchctl.chain.tokens import Severity

_CREATED = re.compile(r"\bcreate_table\(\s*[\"']([^\"']+)[\"']")
_NAMED = 5  # of a long list this many are named


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered beside a database of revisions that the chain lacks.

    Attributes:
        at: When a chain that has them was last recorded, UTC; None when none ever was.
        parents: That chain: each id with its parents.
        heads: Its heads.
        snapshot: Id of the newest snapshot that fits this chain; None when there is none.
        snapshot_heads: What that one is stamped with.
    """

    at: str | None = None
    parents: Mapping[str, Sequence[str]] = field(default_factory=dict)
    heads: tuple[str, ...] = ()
    snapshot: str | None = None
    snapshot_heads: tuple[str, ...] = ()

    def before(self, id_: str) -> set[str]:
        """A revision with all that comes before it, as far as it was recorded."""
        seen: set[str] = set()
        todo = [id_]
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                todo.extend(self.parents.get(one, ()))
        return seen


@dataclass(frozen=True, slots=True)
class SchemaMatch:
    """Which revisions leave the schema that a database has.

    Attributes:
        places: The heads at each place of the chain that fits, in order; empty for base.
        obstacle: Why that can't be told.
    """

    places: tuple[tuple[str, ...], ...] = ()
    obstacle: str | None = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a database says about where it stands.

    Attributes:
        database: Its path.
        stamped: The ids in the version table.
        has_version_table: Whether there is one.
        tables: Its other tables.
        version_table: The version table's name.
        memory: What is remembered of ids that the chain lacks; None when nobody looked.
        match: Which revision its schema is, where it has no stamp; None when nobody looked.
        together: Whether env.py goes through several databases: then commands take all of them.
    """

    database: str
    stamped: tuple[str, ...]
    has_version_table: bool
    tables: tuple[str, ...]
    version_table: str = "alembic_version"
    memory: Memory | None = None
    match: SchemaMatch | None = None
    together: bool = False

    @property
    def command(self) -> str:
        """The beginning of a command that migrates this database."""
        return "orchctl" if self.together else self.command_alone

    @property
    def command_alone(self) -> str:
        """The beginning of a command on this database and no other."""
        return f"orchctl --url {shlex.quote(f'sqlite:///{self.database}')}"


def check_stamp(graph: Graph, stamp: Stamp, created: Iterable[str]) -> Iterator[Finding]:
    """C16: the database is stamped with what the chain lacks, twice, not at all, or is behind.

    Args:
        graph: The chain.
        stamp: The database.
        created: The tables that the chain creates (`created_tables`): one that is there in a
            database without a stamp makes the upgrade fail.
    """
    if stamp.stamped:
        yield from _vanished(graph, stamp)
        yield from _contradicting(graph, stamp)
    elif stamp.tables:
        yield _unstamped(stamp, set(created))
        return
    yield from _behind(graph, stamp)


def created_tables(files: Iterable[RevisionFile]) -> set[str]:
    """The tables that revisions create by a literal name, as far as their text shows it."""
    names: set[str] = set()
    for file in files:
        try:
            text = decode(read_regular(file.path)).text
        except OSError:
            continue
        names.update(_CREATED.findall(text))
    return names


def _vanished(graph: Graph, stamp: Stamp) -> Iterator[Finding]:
    memory = stamp.memory or Memory()
    for id_ in stamp.stamped:
        if id_ in graph.revisions:
            continue
        likely = None if memory.at else likely_id(id_, graph.revisions)
        hint = f"The nearest id is {likely}. " if likely else ""
        yield Finding(
            "C16",
            "error",
            f"{stamp.database} is at revision {id_!r}, which this chain does not have"
            f"{_origin(graph, memory, id_)}",
            revision=id_,
            suggestion=f"{hint}Use the code that has {id_}, {_way_back(stamp, memory)}",
            alembic=f"Can't locate revision identified by {id_!r}",
        )


def _origin(graph: Graph, memory: Memory, id_: str) -> str:
    """Where the revision comes from, as far as it is remembered."""
    if memory.at is None:
        return ""
    told = (
        f"; a chain of {len(memory.parents)} revisions up to {', '.join(memory.heads)} "
        f"was there on {memory.at}"
    )
    before = memory.before(id_)
    more = len([one for one in before if one not in graph.revisions])
    if graph.revisions and before.issuperset(graph.revisions):
        heads = ", ".join(graph.heads)
        return f": it is ahead by {_counted(more, 'revision')} after {heads}{told}"
    here = before.intersection(graph.revisions)
    nearest = [one for one in graph.revisions if one in here and _is_last(graph, one, here)]
    return told + (f", {id_} {more} after {', '.join(nearest)}" if nearest else "")


def _is_last(graph: Graph, id_: str, among: set[str]) -> bool:
    return not among.intersection(graph.children(id_))


def _way_back(stamp: Stamp, memory: Memory) -> str:
    if memory.snapshot is None:
        return "or restore a backup from before it; orchctl knows of no snapshot that fits"
    return (
        f"or go back to snapshot {memory.snapshot} (at {', '.join(memory.snapshot_heads)}): "
        f"{stamp.command_alone} rollback --to {memory.snapshot} --accept-data-loss"
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


def _unstamped(stamp: Stamp, created: set[str]) -> Finding:
    clash = [table for table in stamp.tables if table in created]
    severity: Severity = "error" if clash else "warning"
    state = (
        f"the version table {stamp.version_table} is empty"
        if stamp.has_version_table
        else f"there is no version table {stamp.version_table}"
    )
    what = _counted(len(stamp.tables), "table")
    if clash:
        what += f" ({_listed(clash)})"
    alembic = "nothing: it starts at the first revision"
    if clash:
        alembic = f"table {clash[0]} already exists"
    return Finding(
        "C16",
        severity,
        f"{stamp.database} has {what}, but {state}",
        suggestion=_place(stamp),
        alembic=alembic,
    )


def _place(stamp: Stamp) -> str:
    """Which revision to stamp it with, as far as that is known."""
    by_hand = f"{stamp.command} stamp REVISION, with the revision whose schema it has"
    match = stamp.match
    if match is None:
        return by_hand
    places = [" ".join(heads) for heads in match.places if heads]
    if len(places) == 1:
        return f"Its schema is that of {places[0]}: {stamp.command} stamp {places[0]}"
    if places:
        return (
            f"Its schema is that of {' and of '.join(places)}, which differ in rows only: "
            f"{stamp.command} stamp the last of them that ran"
        )
    if match.obstacle:
        return f"{by_hand} (not looked for: {match.obstacle})"
    return (
        f"Its schema is that of no revision: {stamp.command} stamp REVISION tells how they differ"
    )


def _behind(graph: Graph, stamp: Stamp) -> Iterator[Finding]:
    pending = graph.pending(stamp.stamped)
    if not pending:
        return
    where = "is behind" if stamp.stamped else "is at base"
    yield Finding(
        "C16",
        "note",
        f"{stamp.database} {where}: {len(pending)} pending ({_listed(pending)})",
        suggestion=f"{stamp.command} upgrade",
    )


def _listed(names: Collection[str]) -> str:
    return ", ".join(list(names)[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
