"""Every answer of the graph is Alembic's own, on chains made at random."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from alembic.script.base import ScriptDirectory
from alembic.script.revision import Revision, RevisionError, RevisionMap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchctl.chain.graph import Graph
from orchctl.chain.read import read_files
from tests.support.chains import Link, sound_chains, write

MANY = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def alembic_map(links: Iterable[Link]) -> RevisionMap:
    """What ScriptDirectory makes of the files, without the files."""
    revisions = [
        Revision(link.id, link.parents or None, link.depends_on or (), link.labels or ())
        for link in links
    ]
    return RevisionMap(lambda: revisions)


def graph_of(links: Iterable[Link]) -> Graph:
    return Graph.of(link.file for link in links)


def alembic_upgrade(map_: RevisionMap, stamped: Sequence[str], target: str) -> list[str] | None:
    try:
        found = list(map_.iterate_revisions(target, tuple(stamped), implicit_base=True))
    except RevisionError:
        return None
    return [revision.revision for revision in reversed(found)]


def alembic_walk(map_: RevisionMap, upper: str, lower: str) -> list[str] | None:
    try:
        found = list(
            map_.iterate_revisions(upper, lower, inclusive=True, assert_relative_length=False)
        )
    except (RevisionError, AssertionError):  # it asserts on ranges held together by depends_on
        return None
    return [revision.revision for revision in found]


def in_order(graph: Graph, ids: Sequence[str]) -> bool:
    """Whether nothing stands before what it needs."""
    place = {id_: index for index, id_ in enumerate(ids)}
    return all(
        place.get(below, -1) < place[id_]
        for id_ in ids
        for below in (*graph.parents(id_), *graph.dependencies(id_))
    )


def ordered_by_chance(links: Iterable[Link]) -> bool:
    """Alembic keeps several dependencies in a set, so its own order changes from run to run."""
    return any(len(link.depends_on) > 1 for link in links)


def assert_same(
    links: Sequence[Link], ours: Sequence[str] | None, theirs: Sequence[str] | None
) -> None:
    assert (ours is None) == (theirs is None)
    if ours is None or theirs is None:
        return
    if ordered_by_chance(links):
        assert sorted(ours) == sorted(theirs)
    else:
        assert list(ours) == list(theirs)


@MANY
@given(sound_chains())
def test_heads_bases_branch_points_and_merges(links: list[Link]) -> None:
    graph, map_ = graph_of(links), alembic_map(links)
    assert graph.sound
    assert graph.heads == map_.heads
    assert graph.bases == map_.bases
    assert graph.effective_heads == map_._real_heads
    revisions = [map_.get_revision(link.id) for link in links]
    assert graph.branch_points == tuple(r.revision for r in revisions if r and r.is_branch_point)
    assert graph.merges == tuple(r.revision for r in revisions if r and r.is_merge_point)


@MANY
@given(sound_chains())
def test_branch_names(links: list[Link]) -> None:
    graph, map_ = graph_of(links), alembic_map(links)
    for link in links:
        revision = map_.get_revision(link.id)
        assert revision is not None
        assert graph.branch_names[link.id] == tuple(sorted(revision.branch_labels))


def applied_sets(graph: Graph) -> st.SearchStrategy[tuple[str, ...]]:
    """What a database can be stamped with: the tops of anything that was applied."""
    ids = st.lists(st.sampled_from(list(graph.revisions)), max_size=4, unique=True)
    return ids.map(lambda chosen: tops(graph, chosen))


def tops(graph: Graph, chosen: Iterable[str]) -> tuple[str, ...]:
    applied = graph.ancestors(chosen)
    return tuple(
        id_
        for id_ in graph.revisions
        if id_ in applied and graph.descendants([id_]) & applied == {id_}
    )


@MANY
@given(st.data(), sound_chains())
def test_pending_is_what_alembic_would_run(data: st.DataObject, links: list[Link]) -> None:
    graph, map_ = graph_of(links), alembic_map(links)
    stamped = data.draw(applied_sets(graph))
    labels = [label for link in links for label in link.labels]
    names = ["head", "heads", "base", *graph.revisions, *labels]
    name = data.draw(st.sampled_from([*names, *(id_[:3] for id_ in graph.revisions)]))
    branch = data.draw(st.sampled_from(["", *[f"{label}@" for label in labels], "nowhere@"]))
    target = branch + name
    assert_same(links, graph.pending(stamped, target), alembic_upgrade(map_, stamped, target))


@MANY
@given(st.data(), sound_chains())
def test_pending_from_stamps_that_contradict_each_other(
    data: st.DataObject, links: list[Link]
) -> None:
    graph, map_ = graph_of(links), alembic_map(links)
    ids = st.sampled_from([*graph.revisions, "gone"])
    stamped = data.draw(st.lists(ids, max_size=3, unique=True))
    assert_same(links, graph.pending(stamped, "heads"), alembic_upgrade(map_, stamped, "heads"))


@MANY
@given(st.data(), sound_chains())
def test_walk_is_what_history_lists(data: st.DataObject, links: list[Link]) -> None:
    graph, map_ = graph_of(links), alembic_map(links)
    labels = [label for link in links for label in link.labels]
    labels = [f"{label}@{end}" for label in labels for end in ("head", "heads")]
    upper = data.draw(st.sampled_from(["heads", "head", *graph.revisions, *labels]))
    lower = data.draw(st.sampled_from(["base", *graph.revisions]))
    assert_same(links, graph.walk(upper, lower), alembic_walk(map_, upper, lower))


@MANY
@given(sound_chains())
def test_order_puts_everything_after_what_it_needs(links: list[Link]) -> None:
    graph = graph_of(links)
    order = graph.order()
    assert sorted(order) == sorted(link.id for link in links)
    assert in_order(graph, order)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(links=sound_chains(most=7))
def test_the_same_from_real_files(
    links: list[Link], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write(tmp_path_factory.mktemp("chain") / "versions", links)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        script = ScriptDirectory(folder.parent)
        graph = Graph.of(read_files([folder]))
        assert graph.sound
        assert list(graph.heads) == script.get_heads()
        assert list(graph.bases) == script.get_bases()
        theirs = [revision.revision for revision in script.walk_revisions()]
    ours = graph.walk()
    assert ours is not None
    assert_same(links, ours, theirs)
    paths = {id_: Path(file.path) for id_, file in graph.revisions.items()}
    assert paths == {r.revision: Path(r.path) for r in script.walk_revisions()}
    messages = {id_: file.docstring for id_, file in graph.revisions.items()}
    assert messages == {r.revision: r.longdoc for r in script.walk_revisions()}
