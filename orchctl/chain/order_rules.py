"""Rules about links that load, and yet are not what a chain should look like: C17, C18."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from orchctl.chain.checked import CheckedChain
from orchctl.chain.file_rules import at
from orchctl.chain.findings import Finding
from orchctl.chain.graph import Graph
from orchctl.chain.loops import postorder
from orchctl.chain.revision_file import RevisionFile

_SHOWN = 10
_STEPS = 100


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
        seen: set[str] = set()
        for index, parent in enumerate(file.down_revisions):
            if parent in seen:
                yield _idle(file, index, f"The parent {parent!r} is named twice")
            seen.add(parent)
    graph = chain.graph
    merges = [id_ for id_ in graph.merges if len(graph.parents(id_)) > 1]
    search = _Search(graph) if merges else None
    for id_ in merges:
        file = graph.revisions[id_]
        for parent, later in search.idle_parents(id_) if search else ():
            told = f"The parent {parent!r} is an ancestor of the parent {later!r}"
            names = [chain.mistaken.get(name, name) for name in file.down_revisions]
            yield _idle(file, names.index(parent), told)


def _idle(file: RevisionFile, index: int, message: str) -> Finding:
    suggestion = "Take it out"
    if len(file.down_revisions) <= _SHOWN:
        left = [id_ for place, id_ in enumerate(file.down_revisions) if place != index]
        rest = tuple(dict.fromkeys(left))
        suggestion = f"down_revision = {rest[0] if len(rest) == 1 else rest!r}"
    return Finding(
        "C18",
        "warning",
        message,
        suggestion=suggestion,
        alembic="nothing: it takes the revision for a merge",
        **at(file, "down_revision", index),
    )


class _Search:
    """Looks for ancestors among the parents of merges, no deeper than the parents stand.

    Where merges reach far down one after the other, that is more than the chain is worth: after
    `_STEPS` revisions looked at for each one there is, it gives up.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._left = _STEPS * len(graph.revisions)
        # How many revisions come before each, by the longest way.
        self._depths: dict[str, int] = {}
        for id_ in postorder({one: graph.parents(one) for one in graph.revisions}):
            before = (self._depths.get(parent, 0) for parent in graph.parents(id_))
            self._depths[id_] = 1 + max(before, default=0)

    def idle_parents(self, merge: str) -> Iterator[tuple[str, str]]:
        """Parents of a merge that are ancestors of another parent, and that one."""
        parents = self._graph.parents(merge)
        # What only the merge follows is nobody else's ancestor.
        doubtful = {one for one in parents if len(self._graph.children(one)) > 1}
        found = self._before(parents, doubtful) if doubtful else set()
        for parent in parents:
            if parent in found:
                later = next((one for one in parents if self._precedes(parent, one)), None)
                if later is not None:
                    yield parent, later

    def _precedes(self, ancestor: str, id_: str) -> bool:
        return bool(self._before([id_], {ancestor}))

    def _before(self, ids: Iterable[str], wanted: set[str]) -> set[str]:
        """Those of the wanted that come before any of these revisions."""
        floor = min(self._depths[one] for one in wanted)
        found: set[str] = set()
        seen: set[str] = set()
        todo = list(ids)
        while todo and self._left > 0 and len(found) < len(wanted):
            one = todo.pop()
            if one in seen or self._depths[one] <= floor:
                continue
            self._left -= 1
            seen.add(one)
            below = self._graph.parents(one)
            found.update(wanted.intersection(below))
            todo.extend(below)
        return found
