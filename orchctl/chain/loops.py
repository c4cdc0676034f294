"""Loops in a directed graph, found without recursion and in linear time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

Edges = Mapping[str, Iterable[str]]


def loops(edges: Edges) -> Iterator[tuple[str, ...]]:
    """One loop for each group of nodes that reach each other.

    Args:
        edges: Each node with the nodes it points at; those that are no nodes are passed over.

    Yields:
        The nodes of the loop in the direction of the edges, the group's first node first. A node
        that points at itself is a loop of one.
    """
    for group in _knots(edges):
        members = set(group)
        start = group[0]
        path = _path(edges, members, start, start)
        if path:
            yield tuple(path)


def loops_through(edges: Edges, special: Edges) -> Iterator[tuple[str, ...]]:
    """One loop that uses a special edge for each group of nodes that reach each other.

    Args:
        edges: The ordinary edges.
        special: Edges beside them.
    """
    every = {node: (*edges[node], *special.get(node, ())) for node in edges}
    for group in _knots(every):
        members = set(group)
        for node in group:
            first = next((other for other in special.get(node, ()) if other in members), None)
            if first is not None:
                back = [node] if first == node else _path(every, members, first, node)
                yield (node, *(back[:-1] if back[-1:] == [node] else back))
                break


def _path(edges: Edges, members: set[str], start: str, end: str) -> list[str]:
    """The shortest way from start to end inside a group: start, …; `end` itself only if reached.

    With start == end: the way around, without repeating the start.
    """
    before: dict[str, str] = {}
    todo = deque([start])
    while todo:
        node = todo.popleft()
        for other in edges[node]:
            if other == end:
                return _traced(before, start, node) + ([end] if start != end else [])
            if other in members and other not in before and other != start:
                before[other] = node
                todo.append(other)
    return []


def _traced(before: Mapping[str, str], start: str, node: str) -> list[str]:
    path = [node]
    while path[-1] != start:
        path.append(before[path[-1]])
    return path[::-1]


def postorder(edges: Edges) -> list[str]:
    """Every node after the nodes it points at, as far as there is no loop; otherwise in order."""
    seen: set[str] = set()
    order: list[str] = []
    for root in edges:
        if root in seen:
            continue
        seen.add(root)
        work = [(root, iter(edges[root]))]
        while work:
            node, others = work[-1]
            other = next((one for one in others if one in edges and one not in seen), None)
            if other is None:
                work.pop()
                order.append(node)
            else:
                seen.add(other)
                work.append((other, iter(edges[other])))
    return order


def _knots(edges: Edges) -> Iterator[list[str]]:
    """The groups of nodes that reach each other (Kosaraju's two passes), in the order of `edges`.

    A single node counts when it points at itself.
    """
    pointing: dict[str, list[str]] = {node: [] for node in edges}
    for node, others in edges.items():
        for other in others:
            if other in pointing:
                pointing[other].append(node)
    position = {node: place for place, node in enumerate(edges)}
    grouped: set[str] = set()
    knots: list[list[str]] = []
    for root in reversed(postorder(edges)):
        group = _gathered(root, pointing, grouped)
        if len(group) > 1 or (group and root in edges[root]):
            knots.append(sorted(group, key=position.__getitem__))
    yield from sorted(knots, key=lambda group: position[group[0]])


def _gathered(root: str, edges: Edges, done: set[str]) -> list[str]:
    group: list[str] = []
    todo = [root]
    while todo:
        node = todo.pop()
        if node not in done:
            done.add(node)
            group.append(node)
            todo.extend(edges[node])
    return group
