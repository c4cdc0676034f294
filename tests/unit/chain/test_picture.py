"""The drawn chain: no line runs through a revision that it has nothing to do with."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings

from orchctl.chain.checked import CheckedChain
from orchctl.chain.parse import parse
from orchctl.chain.picture.chart import Chart, chart_of
from orchctl.chain.picture.layout import lay_out
from orchctl.chain.rules import verify
from tests.support.chains import Link, sound_chains

EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def chart(links: list[Link]) -> Chart:
    files = [parse(link.file.path, link.text.encode()) for link in links]
    return chart_of(CheckedChain.of(files, [Path("/versions")]).graph, verify(files))


@EXAMPLES
@given(sound_chains(most=20))
def test_every_line_has_its_way_free(links: list[Link]) -> None:
    drawn = chart(links)
    layout = lay_out(drawn)
    assert sorted(layout.rows.values()) == list(range(len(links)))
    for line in layout.lines:
        top, bottom = layout.rows[line.edge.child], layout.rows[line.edge.parent]
        assert top < bottom
        between = [
            id_
            for id_, row in layout.rows.items()
            if top < row < bottom and layout.columns[id_] == line.column
        ]
        assert between == [], (line, between)


def test_a_loop_and_a_missing_parent_are_drawn() -> None:
    drawn = chart([Link("a1", ("b1",)), Link("b1", ("a1",)), Link("c1", ("z1",))])
    kinds = {(edge.child, edge.parent): edge.kind for edge in drawn.edges}
    assert kinds == {("a1", "b1"): "loop", ("b1", "a1"): "loop", ("c1", "z1"): "missing"}
    assert [node.missing for node in drawn.nodes if node.id == "z1"] == [True]
    assert {node.severity for node in drawn.nodes} >= {"error"}
