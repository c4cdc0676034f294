"""Rules about links that load, and yet are not what a chain should look like: C17, C18."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from orchctl.chain.checked import CheckedChain
from orchctl.chain.file_rules import at
from orchctl.chain.findings import Finding
from orchctl.chain.graph import Graph
from orchctl.chain.loops import postorder
from orchctl.chain.revision_file import RevisionFile


def dates_out_of_order(chain: CheckedChain) -> Iterator[Finding]:
    """C17: the header's Create Date is before that of a parent."""
    graph = chain.graph
    dates = {id_: _date(file) for id_, file in graph.revisions.items()}
    for id_, file in graph.revisions.items():
        own = dates[id_]
        for parent in graph.parents(id_) if own else ():
            other = dates[parent]
            # A zone on one side only: nobody knows which came first.
            if own is None or other is None or bool(own.tzinfo) != bool(other.tzinfo):
                continue
            if own < other:
                line = file.header["Create Date"]
                yield Finding(
                    "C17",
                    "note",
                    f"Created {own:%Y-%m-%d %H:%M}, before its parent {parent} "
                    f"({other:%Y-%m-%d %H:%M})",
                    path=file.path,
                    line=line.line,
                    column=line.column,
                    revision=id_,
                    suggestion="Nothing, if it was put behind its parent on purpose",
                    alembic="nothing: it does not read the docstring's header",
                )


def _date(file: RevisionFile) -> datetime | None:
    line = file.header.get("Create Date")
    try:
        return datetime.fromisoformat(line.text) if line else None
    except ValueError:
        return None


def idle_links(chain: CheckedChain) -> Iterator[Finding]:
    """C18: a parent named twice, or merged with its own ancestor: a merge of one."""
    for file in chain.files:
        for index, parent in enumerate(file.down_revisions):
            if parent in file.down_revisions[:index]:
                yield _idle(file, index, f"The parent {parent!r} is named twice")
    graph = chain.graph
    merges = [id_ for id_ in graph.merges if len(graph.parents(id_)) > 1]
    depths = _depths(graph) if merges else {}
    for id_ in merges:
        file, parents = graph.revisions[id_], graph.parents(id_)
        for parent in parents:
            later = next((one for one in parents if _precedes(graph, depths, parent, one)), None)
            if later:
                told = f"The parent {parent!r} is an ancestor of the parent {later!r}"
                names = [chain.mistaken.get(name, name) for name in file.down_revisions]
                yield _idle(file, names.index(parent), told)


def _idle(file: RevisionFile, index: int, message: str) -> Finding:
    left = [id_ for place, id_ in enumerate(file.down_revisions) if place != index]
    rest = tuple(dict.fromkeys(left))
    return Finding(
        "C18",
        "warning",
        message,
        suggestion=f"down_revision = {rest[0] if len(rest) == 1 else rest!r}",
        alembic="nothing: it takes the revision for a merge",
        **at(file, "down_revision", index),
    )


def _depths(graph: Graph) -> dict[str, int]:
    """How many revisions come before each, by the longest way."""
    depths: dict[str, int] = {}
    for id_ in postorder({one: graph.parents(one) for one in graph.revisions}):
        depths[id_] = 1 + max((depths.get(parent, 0) for parent in graph.parents(id_)), default=0)
    return depths


def _precedes(graph: Graph, depths: dict[str, int], ancestor: str, id_: str) -> bool:
    """Whether one revision comes before another; looks no deeper than the first one stands."""
    floor, seen, todo = depths[ancestor], set[str](), [id_]
    while todo:
        one = todo.pop()
        if one == ancestor and one != id_:
            return True
        if one not in seen and depths[one] > floor:
            seen.add(one)
            todo.extend(graph.parents(one))
    return False
