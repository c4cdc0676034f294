"""What a picture of a chain shows, whatever it is drawn with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from orchctl.chain.findings import ChainReport, Finding
from orchctl.chain.graph import Graph
from orchctl.chain.tokens import Severity

_WORST: dict[Severity, int] = {"error": 2, "warning": 1, "note": 0}


@dataclass(frozen=True)
class Node:
    """A revision.

    Attributes:
        id: Its id.
        message: Its docstring's first line.
        tags: `head`, `base` and its branch labels.
        severity: Of the worst finding about it; None when there is none.
        findings: What was found, one line each.
        missing: Whether it is only named, and no file has it.
    """

    id: str
    message: str = ""
    tags: tuple[str, ...] = ()
    severity: Severity | None = None
    findings: tuple[str, ...] = ()
    missing: bool = False


@dataclass(frozen=True)
class Edge:
    """A line from a revision to what must come before it.

    Attributes:
        child: The later one.
        parent: The earlier one.
        kind: `parent`, `dependency`, `loop` (closes a loop) or `missing` (nobody has the parent).
    """

    child: str
    parent: str
    kind: Literal["parent", "dependency", "loop", "missing"]


@dataclass(frozen=True)
class Chart:
    """A chain to be drawn.

    Attributes:
        nodes: The revisions, newest first; a parent never stands above its children unless there
            is a loop. Missing ones stand just below the first child that names them.
        edges: The lines between them.
        findings: Those about no revision that is drawn.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    findings: tuple[Finding, ...]


def chart_of(graph: Graph, report: ChainReport) -> Chart:
    """Gather what a picture shows.

    Args:
        graph: The chain.
        report: What was found.
    """
    by_revision: dict[str, list[Finding]] = {}
    other = []
    for finding in report.findings:
        if finding.revision in graph.revisions:
            by_revision.setdefault(finding.revision, []).append(finding)
        else:
            other.append(finding)
    missing: dict[str, list[str]] = {}
    for child, parent in graph.missing_parents:
        missing.setdefault(child, []).append(parent)
    nodes: list[Node] = []
    gone: dict[str, Node] = {}
    for id_ in reversed(graph.order()):
        nodes.append(_node(graph, id_, by_revision.get(id_, ())))
        for parent in missing.get(id_, ()):
            if parent not in gone:
                gone[parent] = Node(parent, "no such revision", (), "error", (), missing=True)
                nodes.append(gone[parent])
    return Chart(tuple(nodes), tuple(_edges(graph, missing)), tuple(other))


def _node(graph: Graph, id_: str, findings: Iterable[Finding]) -> Node:
    file = graph.revisions[id_]
    tags = ["head"] if id_ in graph.heads else []
    tags += ["base"] if id_ in graph.bases else []
    found = list(findings)
    worst = max((one.severity for one in found), key=_WORST.__getitem__, default=None)
    lines = tuple(f"{one.rule} {one.severity}: {one.message}" for one in found)
    return Node(id_, file.message, (*tags, *file.branch_labels), worst, lines)


def _edges(graph: Graph, missing: dict[str, list[str]]) -> Iterable[Edge]:
    closing = {
        (child, cycle[(place + 1) % len(cycle)])
        for cycle in (*graph.cycles, *graph.dependency_cycles)
        for place, child in enumerate(cycle)
    }
    for id_ in graph.revisions:
        for parent in graph.parents(id_):
            yield Edge(id_, parent, "loop" if (id_, parent) in closing else "parent")
        for parent in missing.get(id_, ()):
            yield Edge(id_, parent, "missing")
        for parent in graph.dependencies(id_):
            yield Edge(id_, parent, "loop" if (id_, parent) in closing else "dependency")
