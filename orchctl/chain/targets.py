"""From what a person types as a revision to revisions, where that needs no Alembic.

Follows `RevisionMap` of alembic/script/revision.py (1.18 to 1.20). None always means: ask Alembic,
which knows either the answer or the right words for the error.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchctl.chain.graph import Graph

# Alembic matches the start of ids (and labels) of at least four characters.
_SHORTEST_ABBREVIATED = 4


def locate(graph: Graph, target: str) -> tuple[str, ...] | None:
    """See `Graph.locate`."""
    if not graph.sound or any(sign in target for sign in "+-:, ") or target.count("@") > 1:
        return None
    branch, _, name = target.rpartition("@")
    lineage: set[str] | None = None
    if name == "base":
        return ()
    if branch:
        carrier = _one(graph, branch)
        if carrier is None:
            return None
        lineage = _lineage(graph, carrier)
    return _named(graph, name, lineage)


def pending(graph: Graph, stamped: Collection[str], target: str) -> tuple[str, ...] | None:
    """See `Graph.pending`."""
    targets = locate(graph, target)
    # `branch@heads` may name two heads of which one depends on the other: Alembic refuses.
    if targets is None or overlapping(graph, targets) or not _possible(graph, stamped):
        return None
    needed = graph.ancestors(targets) - graph.ancestors(stamped)
    return graph.applied_order(needed, targets)


def walk(graph: Graph, upper: str, lower: str) -> tuple[str, ...] | None:
    """See `Graph.walk`."""
    tops, bottoms = locate(graph, upper), locate(graph, lower)
    if tops is None or bottoms is None or len(bottoms) > 1 or overlapping(graph, tops):
        return None
    needed = graph.ancestors(tops)
    if bottoms:
        if not needed.issuperset(bottoms):
            return None
        inside = graph.descendants(bottoms, dependencies=False)
        needed = (needed - graph.ancestors(bottoms) | set(bottoms)) & inside
    found = graph.applied_order(needed, tops)
    # A range that only depends_on holds together: Alembic stumbles over it.
    return tuple(reversed(found)) if len(found) == len(needed) else None


def overlapping(graph: Graph, stamped: Iterable[str]) -> tuple[str, str] | None:
    """Two stamped revisions of which one is contained in the other: (contained, containing).

    Alembic refuses to work on such a database.
    """
    known = list(dict.fromkeys(id_ for id_ in stamped if id_ in graph.revisions))
    if len(known) > 1:
        for id_ in known:
            for other in known:
                if other != id_ and other in graph.ancestors([id_]):
                    return other, id_
    return None


def _possible(graph: Graph, stamped: Collection[str]) -> bool:
    return all(id_ in graph.revisions for id_ in stamped) and not overlapping(graph, stamped)


def _named(graph: Graph, name: str, lineage: set[str] | None) -> tuple[str, ...] | None:
    if name == "heads":
        return graph.effective_heads if lineage is None else _within(graph.heads, lineage)
    if name == "head":
        heads = graph.heads if lineage is None else _within(graph.heads, lineage)
        return heads if len(heads) < 2 else None
    found = _one(graph, name, lineage)
    return None if found is None else (found,)


def _one(graph: Graph, name: str, lineage: set[str] | None = None) -> str | None:
    """The one revision that an id, a label or the start of either names."""
    exact = name if name in graph.revisions else graph.labels.get(name)
    if exact is not None:
        return exact if lineage is None or exact in lineage else None
    if not name:
        return None
    names = {**{id_: id_ for id_ in graph.revisions}, **graph.labels}
    matches = [
        full
        for full, id_ in names.items()
        if len(full) >= _SHORTEST_ABBREVIATED
        and full.startswith(name)
        and (lineage is None or id_ in lineage)
    ]
    return names[matches[0]] if len(matches) == 1 else None


def _lineage(graph: Graph, id_: str) -> set[str]:
    """What shares a line with a revision: what comes before and after it, without depends_on."""
    return graph.ancestors([id_], dependencies=False) | graph.descendants([id_], dependencies=False)


def _within(ids: Iterable[str], lineage: set[str]) -> tuple[str, ...]:
    return tuple(id_ for id_ in ids if id_ in lineage)
