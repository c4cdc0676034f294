"""Rules about how the files hang together: C02 to C05, C09, C14."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from orchctl.chain.checked import CheckedChain
from orchctl.chain.file_rules import at
from orchctl.chain.findings import Finding
from orchctl.chain.graph import Graph
from orchctl.chain.loops import postorder
from orchctl.chain.suggest import MOST_LIKELY, from_header, likely_id
from orchctl.chain.tokens import Severity

_SHOWN = 10


def duplicate_ids(chain: CheckedChain) -> Iterator[Finding]:
    """C02: several files claim one id; Alembic runs only the last one it loads."""
    for id_, files in chain.graph.duplicates.items():
        used = files[-1].path.name
        for file in files[1:]:
            yield Finding(
                "C02",
                "error",
                f"The id {id_!r} is already that of {files[0].path.name}; only {used} would run",
                suggestion="Give one of the two files another id",
                alembic=f"UserWarning: Revision {id_} is present more than once",
                **at(file, "revision"),
            )


def loops(chain: CheckedChain) -> Iterator[Finding]:
    """C03: following the parents leads back to the start."""
    graph = chain.graph
    said = _said_about_loops(graph) if graph.cycles else ""
    for cycle in graph.cycles:
        file = graph.revisions[cycle[0]]
        following = cycle[1 % len(cycle)]
        names = [chain.mistaken.get(name, name) for name in file.down_revisions]
        if len(cycle) == 1:
            message = f"The revision {cycle[0]!r} is its own parent"
        else:
            message = f"The parents run in a loop: {_around(cycle)}"
        yield Finding(
            "C03",
            "error",
            message,
            suggestion=_way_out(graph, cycle),
            alembic=f"Self-loop is detected in revisions ({cycle[0]})" if len(cycle) == 1 else said,
            **at(file, "down_revision", names.index(following)),
        )


def _way_out(graph: Graph, cycle: Sequence[str]) -> str:
    for id_ in cycle:
        if right := from_header(graph.revisions[id_], graph.revisions):
            name = graph.revisions[id_].path.name
            return f"In {name}: down_revision = {right!r}, as its docstring says"
    return "Let one of them follow a revision outside the loop, or none (down_revision = None)"


def _said_about_loops(graph: Graph) -> str:
    """What `RevisionMap._detect_cycles` makes of it; a loop with a way in and out passes it."""
    if not graph.heads or not graph.bases:
        return f"Cycle is detected in revisions ({_listed(list(graph.revisions))})"
    below = graph.ancestors(graph.heads, dependencies=False)
    above = graph.descendants(graph.bases, dependencies=False)
    lost = sorted(set(graph.revisions) - (below & above))
    if lost:
        return f"Cycle is detected in revisions ({_listed(lost)})"
    return "nothing: it runs them, one before its parent"


def several_heads(chain: CheckedChain) -> Iterator[Finding]:
    """C04: `upgrade head` does not know where to go."""
    graph = chain.graph
    heads = graph.heads
    if len(heads) - 1 <= chain.loose_ends:
        return
    named = _labels_of(graph)
    last = graph.revisions[heads[-1]]
    addressable = all(head in named for head in heads)
    ways = _listed([f"{named[head]}@head" for head in heads if head in named])
    # A merge whose parents are computed may join any number of them.
    joining = [one.path.name for one in chain.files if "down_revision" in one.unknown]
    unless = f", unless {_listed(joining)} joins them, whose parents are not known"
    yield Finding(
        "C04",
        "warning" if addressable or joining else "error",
        f"{len(heads)} heads: {_with_files(graph, heads)}{_common_parent(graph, heads)}"
        + (unless if joining else ""),
        suggestion=f"upgrade heads, or one of {ways}"
        if addressable
        else 'orchctl merge heads -m "merge"',
        alembic="Multiple head revisions are present for given argument 'head'",
        **at(last, "down_revision"),
    )


def _labels_of(graph: Graph) -> dict[str, str]:
    """For each head that has one, a label L for which L@head is this head and no other."""
    lone = _lone_heads(graph)
    named = {lone[carrier]: label for label, carrier in reversed(graph.labels.items())}
    for id_, file in graph.revisions.items():
        if "branch_labels" in file.unknown:  # what only running the file tells is a label too
            named.setdefault(lone[id_], "…")
    return {head: label for head, label in named.items() if head is not None}


def _lone_heads(graph: Graph) -> dict[str, str | None]:
    """Each revision with the only head that comes after it, None where several do."""
    lone: dict[str, str | None] = {}
    for id_ in reversed(postorder({one: graph.parents(one) for one in graph.revisions})):
        after = {lone.get(child) for child in graph.children(id_)} or {id_}
        lone[id_] = after.pop() if len(after) == 1 else None
    return lone


def _common_parent(graph: Graph, heads: Sequence[str]) -> str:
    parents = [set(graph.parents(head)) for head in heads]
    common = set.intersection(*parents)
    return f"; each follows {sorted(common)[0]}" if common else ""


def several_bases(chain: CheckedChain) -> Iterator[Finding]:
    """C05: more than one revision follows nothing."""
    graph = chain.graph
    if len(graph.bases) < 2:
        return
    # With a label each, they are meant.
    meant = all(graph.revisions[base].branch_labels for base in graph.bases)
    # The odd one out is the one on which the least is built; nobody means one of very many.
    few = graph.bases[-_SHOWN:]
    odd = min(reversed(few), key=lambda base: len(graph.descendants([base])))
    file = graph.revisions[odd]
    right = from_header(file, graph.revisions)
    suggestion = "If that is meant, give each base a branch label"
    if right:
        suggestion = f"In {file.path.name}: down_revision = {right!r}, as its docstring says"
    yield Finding(
        "C05",
        "note" if meant else "warning",
        f"{len(graph.bases)} bases: {_with_files(graph, graph.bases)}",
        suggestion=None if meant else suggestion,
        alembic="nothing: it runs them one after another",
        **at(file, "down_revision"),
    )


def dependencies(chain: CheckedChain) -> Iterator[Finding]:
    """C09: depends_on names nothing, or something that depends on it in turn."""
    yield from _unknown_dependencies(chain)
    graph = chain.graph
    said = _said_about_dependencies(graph) if graph.dependency_cycles else ""
    for cycle in graph.dependency_cycles:
        file = graph.revisions[cycle[0]]
        following = cycle[1 % len(cycle)]
        targets = [graph.target_of(name) for name in file.depends_on]
        if len(cycle) == 1:
            message = f"The revision {cycle[0]!r} depends on itself"
        else:
            message = f"depends_on closes a loop: {_around(cycle)}"
        yield Finding(
            "C09",
            "error",
            message,
            suggestion="Remove this depends_on: what it names can only run afterwards",
            alembic=f"Dependency self-loop is detected in revisions ({cycle[0]})"
            if len(cycle) == 1
            else said,
            **at(file, "depends_on", targets.index(following)),
        )


def _unknown_dependencies(chain: CheckedChain) -> Iterator[Finding]:
    graph = chain.graph
    stems = {file.path.stem: file.revision for file in chain.files if file.revision}
    names = [*graph.revisions, *graph.labels]
    # A file whose id is not known may be the one that is meant.
    severity: Severity = "warning" if chain.unread else "error"
    for count, (id_, name) in enumerate(graph.missing_dependencies):
        file = graph.revisions[id_]
        likely = stems.get(name)
        if likely is None and count < MOST_LIKELY:
            likely = likely_id(name, names, avoid=[id_])
        yield Finding(
            "C09",
            severity,
            f"depends_on names {name!r}, which is neither a revision nor a branch label",
            suggestion=likely,
            alembic=f"KeyError: {name!r}",
            **at(file, "depends_on", file.depends_on.index(name)),
        )


def _said_about_dependencies(graph: Graph) -> str:
    free = [id_ for id_ in graph.bases if not graph.revisions[id_].depends_on]
    if not graph.effective_heads or not free:
        return f"Dependency cycle is detected in revisions ({_listed(list(graph.revisions))})"
    reached = graph.ancestors(graph.effective_heads) & graph.descendants(free)
    lost = sorted(set(graph.revisions) - reached)
    if lost:
        return f"Dependency cycle is detected in revisions ({_listed(lost)})"
    return "nothing: it runs them, one before what it depends on"


def no_revisions(chain: CheckedChain) -> Iterator[Finding]:
    """C14: there is nothing to check."""
    if chain.files:
        return
    places = [place for place in chain.locations if place.is_dir()]
    where = ", ".join(map(str, places or chain.locations)) or "no folder"
    message = f"No revisions in {where}" if places else f"The folder {where} does not exist"
    suggestion = 'orchctl revision -m "…" makes the first one'
    if inside := sorted({path.parent.name for place in places for path in place.glob("*/*.py")}):
        names = _listed(inside)
        suggestion = f"Name one of its folders ({names}), or set recursive_version_locations = true"
    yield Finding(
        "C14",
        "warning",
        message,
        path=next(iter(places or chain.locations), None),
        suggestion=suggestion,
        alembic="nothing: upgrade head does nothing",
    )


def _around(cycle: Sequence[str]) -> str:
    if len(cycle) > _SHOWN:
        half = _SHOWN // 2
        shown = [*cycle[:half], f"… {len(cycle) - _SHOWN} more …", *cycle[-half:], cycle[0]]
    else:
        shown = [*cycle, cycle[0]]
    return " → ".join(shown)


def _listed(ids: Sequence[str]) -> str:
    more = f", … {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def _with_files(graph: Graph, ids: Iterable[str]) -> str:
    shown = [f"{id_} ({graph.revisions[id_].path.name})" for id_ in ids]
    return _listed(shown)
