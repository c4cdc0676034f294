"""The graph where Alembic has no answer: broken, looping and very long chains."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchctl.chain.graph import Graph
from orchctl.chain.loops import loops, postorder
from orchctl.chain.revision_file import RevisionFile
from orchctl.chain.tokens import Token
from tests.support.chains import Link


def graph(*links: Link) -> Graph:
    return Graph.of(link.file for link in links)


def line(count: int, first: tuple[str, ...] = ()) -> list[Link]:
    return [Link(f"r{n}", (f"r{n - 1}",) if n else first) for n in range(count)]


LONG = 20_000


def test_a_long_line() -> None:
    links = line(LONG)
    random.Random(1).shuffle(links)
    chain = graph(*links)
    assert chain.sound
    assert (chain.heads, chain.bases) == ((f"r{LONG - 1}",), ("r0",))
    assert chain.order() == tuple(f"r{n}" for n in range(LONG))
    assert chain.pending(["r10"], "head") == tuple(f"r{n}" for n in range(11, LONG))
    assert len(chain.walk() or ()) == LONG


def test_a_long_loop() -> None:
    chain = graph(*line(LONG, first=(f"r{LONG - 1}",)))
    (cycle,) = chain.cycles
    assert len(cycle) == LONG
    assert cycle[:2] == ("r0", f"r{LONG - 1}")
    assert not chain.sound
    assert sorted(chain.order()) == sorted(chain.revisions)


def test_a_long_loop_closed_by_a_dependency() -> None:
    links = line(LONG)
    links[0] = Link("r0", depends_on=(f"r{LONG - 1}",))
    (cycle,) = graph(*links).dependency_cycles
    assert len(cycle) == LONG
    assert cycle[:2] == ("r0", f"r{LONG - 1}")


def test_many_branches_and_one_merge() -> None:
    tips = [Link(f"b{n}", ("root",)) for n in range(LONG)]
    chain = graph(Link("root"), *tips, Link("all", tuple(tip.id for tip in tips)))
    assert chain.heads == ("all",)
    assert chain.order()[0] == "root"
    assert chain.order()[-1] == "all"
    assert chain.branch_points == ("root",)
    assert chain.merges == ("all",)


def test_many_small_loops() -> None:
    pairs = [
        link
        for n in range(0, 4000, 2)
        for link in (Link(f"r{n}", (f"r{n + 1}",)), Link(f"r{n + 1}", (f"r{n}",)))
    ]
    assert len(graph(*pairs).cycles) == 2000


def test_a_loop_is_shown_as_one_goes_round_it() -> None:
    chain = graph(
        Link("base"),
        Link("a", ("base", "c")),
        Link("b", ("a",)),
        Link("c", ("b",)),
        Link("d", ("c",)),
    )
    assert chain.cycles == (("a", "c", "b"),)
    assert chain.heads == ("d",)


def test_a_self_loop() -> None:
    assert graph(Link("a", ("a",))).cycles == (("a",),)
    assert graph(Link("a", depends_on=("a",))).dependency_cycles == (("a",),)


def test_a_loop_of_parents_is_no_loop_of_dependencies() -> None:
    chain = graph(Link("a", ("b",)), Link("b", ("a",)), Link("c", ("a",), depends_on=("b",)))
    assert chain.cycles == (("a", "b"),)
    assert chain.dependency_cycles == ()


def test_dependencies_by_label_close_loops_too() -> None:
    chain = graph(Link("a", labels=("x",), depends_on=("y",)), Link("b", ("a",), labels=("y",)))
    assert chain.dependency_cycles == (("a", "b"),)


EDGES = st.dictionaries(
    st.integers(0, 12).map(str), st.lists(st.integers(0, 12).map(str), max_size=3), max_size=12
)


@settings(max_examples=300, deadline=None)
@given(EDGES)
def test_every_loop_is_found_and_is_one(edges: dict[str, list[str]]) -> None:
    found = list(loops(edges))
    for loop in found:
        for node, following in zip(loop, (*loop[1:], loop[0]), strict=True):
            assert following in edges[node]
        assert len(set(loop)) == len(loop)
    # Kahn's way of asking the same: what cannot be taken away is in, or between, loops.
    left = dict(edges)
    while free := [node for node in left if not any(other in left for other in left[node])]:
        for node in free:
            del left[node]
    assert bool(found) == bool(left)
    assert sorted(postorder(edges)) == sorted(edges)


def test_missing_and_duplicate_ids() -> None:
    chain = graph(Link("a"), Link("b", ("gone", "a")), Link("b", ("a",), depends_on=("who",)))
    assert chain.duplicates.keys() == {"b"}
    assert chain.missing_parents == []  # the last file counts, as with Alembic
    assert chain.missing_dependencies == [("b", "who")]
    assert not chain.sound
    assert graph(Link("b", ("gone",))).missing_parents == [("b", "gone")]


def test_aliases_stand_in_for_mistaken_parents() -> None:
    files = [Link("001").file, Link("002", ("001_initial",)).file]
    assert Graph.of(files).heads == ("001", "002")
    mended = Graph.of(files, aliases={"001_initial": "001"})
    assert (mended.heads, mended.order()) == (("002",), ("001", "002"))


@pytest.mark.parametrize(
    "target", ["+1", "-1", "head-1", "a+2", "nope", "", "x@y@z", "abc@head", "a:b", "heads,a"]
)
def test_what_only_alembic_should_answer(target: str) -> None:
    chain = graph(Link("a"), Link("bbbb1", ("a",)), Link("bbbb2", ("a",)))
    assert chain.pending((), target) is None


def test_ambiguous_and_several_heads() -> None:
    chain = graph(Link("a"), Link("bbbb1", ("a",)), Link("bbbb2", ("a",)))
    assert chain.pending((), "head") is None
    assert chain.pending((), "bbbb") is None
    assert chain.pending((), "bbbb1") == ("a", "bbbb1")
    assert chain.pending(("a",), "heads") in (("bbbb1", "bbbb2"), ("bbbb2", "bbbb1"))


def test_a_chain_that_was_not_understood_answers_nothing() -> None:
    unknown = RevisionFile(Path("x.py"), "b", unknown=frozenset({"down_revision"}))
    chain = Graph.of([Link("a").file, unknown])
    assert chain.pending((), "heads") is None
    assert chain.walk() is None
    assert chain.bases == ("a",)  # b has parents, only we don't know which


def test_labels_that_clash_are_not_sound() -> None:
    assert not graph(Link("a", labels=("x",)), Link("b", ("a",), labels=("x",))).sound
    assert not graph(Link("a", labels=("b",)), Link("b", ("a",))).sound


def test_an_empty_chain() -> None:
    chain = graph()
    assert chain.sound
    assert (chain.heads, chain.order(), chain.pending((), "head")) == ((), (), ())


def test_tokens_compare_by_value() -> None:
    assert Token("a", 1, 1, 1, 4, True) == Token("a", 1, 1, 1, 4, True)
