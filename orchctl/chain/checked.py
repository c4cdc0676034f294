"""What the rules look at: the files, and the graph as it is meant to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from orchctl.chain.graph import Graph
from orchctl.chain.revision_file import RevisionFile


@dataclass(frozen=True)
class CheckedChain:
    """A chain under examination.

    Attributes:
        files: Its files.
        locations: The folders they are in.
        mistaken: Parents that are named by their file, with the ids that are meant. The graph
            takes these as mended, so that one slip is one finding and not three.
    """

    files: tuple[RevisionFile, ...]
    locations: tuple[Path, ...]
    mistaken: Mapping[str, str]

    @classmethod
    def of(cls, files: Sequence[RevisionFile], locations: Sequence[Path]) -> CheckedChain:
        """Gather what the rules need."""
        return cls(tuple(files), tuple(locations), _mistaken(files))

    @cached_property
    def graph(self) -> Graph:
        """The graph, parents that are named by their file taken as mended."""
        return Graph.of(self.files, aliases=self.mistaken)

    @cached_property
    def unread(self) -> tuple[RevisionFile, ...]:
        """Files whose id is not known: any one of them may be what another one misses."""
        return tuple(file for file in self.files if file.revision is None)

    @cached_property
    def looping(self) -> frozenset[str]:
        """Ids on a loop that was found."""
        return frozenset(id_ for loop in self.graph.cycles for id_ in loop)

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Ids that are named as parents and that no file has."""
        return tuple(dict.fromkeys(parent for _, parent in self.graph.missing_parents))

    @cached_property
    def loose_ends(self) -> int:
        """How many heads other faults explain: each can cut one revision off from its child."""
        doubles = sum(len(files) - 1 for files in self.graph.duplicates.values())
        unknown = sum(bool(file.unknown & {"revision", "down_revision"}) for file in self.files)
        return len(self.missing) + doubles + unknown + len(self.graph.cycles)


def _mistaken(files: Sequence[RevisionFile]) -> dict[str, str]:
    ids = {file.revision for file in files if file.revision is not None}
    if all(ids.issuperset(file.down_revisions) for file in files):
        return {}
    named: dict[str, list[str]] = {}
    for file in files:
        if file.revision is not None:
            named.setdefault(file.path.stem, []).append(file.revision)
            named.setdefault(file.path.name, []).append(file.revision)
    parents = {(parent, file.revision) for file in files for parent in file.down_revisions}
    return {
        parent: named[parent][0]
        for parent, child in sorted(parents, key=lambda pair: (pair[0], pair[1] or ""))
        if parent not in ids and len(named.get(parent, ())) == 1 and named[parent][0] != child
    }
