"""C16: what a database's stamp means for the chain."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchctl.chain.findings import Finding
from orchctl.chain.graph import Graph
from orchctl.chain.read import read_files
from orchctl.chain.stamp import Memory, SchemaMatch, Stamp, check_stamp, created_tables
from tests.support.chains import Link, write

CHAIN = [
    Link("a001"),
    Link("b001", ("a001",)),
    Link("c001", ("b001",)),
    Link("x001", labels=("side",)),
    Link("y001", ("x001",), depends_on=("b001",)),
]


def check(
    *stamped: str,
    table: bool = True,
    tables: tuple[str, ...] = ("users",),
    created: tuple[str, ...] = ("users",),
) -> list[Finding]:
    graph = Graph.of(link.file for link in CHAIN)
    return list(check_stamp(graph, Stamp("app.db", stamped, table, tables), created))


@pytest.mark.parametrize(
    "stamped", [("a001",), ("c001",), ("c001", "x001"), ("c001", "y001"), ("y001",)]
)
def test_stamps_that_fit(stamped: tuple[str, ...]) -> None:
    assert [one for one in check(*stamped) if one.severity != "note"] == []


def test_a_database_at_the_heads() -> None:
    assert check("c001", "y001") == []


def test_a_database_that_is_behind() -> None:
    (finding,) = check("b001", "x001")
    assert (finding.rule, finding.severity) == ("C16", "note")
    assert finding.message == "app.db is behind: 2 pending (y001, c001)"
    assert finding.suggestion == "orchctl --url sqlite:///app.db upgrade"


@pytest.mark.parametrize("table", [True, False])
def test_an_empty_database_is_at_base(table: bool) -> None:
    (finding,) = check(table=table, tables=())
    assert finding.severity == "note"
    assert finding.message == "app.db is at base: 5 pending (a001, b001, x001, y001, c001)"


def test_a_vanished_revision() -> None:
    (finding,) = check("c00l")
    assert (finding.rule, finding.severity, finding.revision) == ("C16", "error", "c00l")
    assert "app.db is at revision 'c00l', which this chain does not have" in finding.message
    assert finding.suggestion
    assert finding.suggestion.startswith("The nearest id is c001. ")
    assert finding.suggestion.endswith("; orchctl knows of no snapshot that fits")
    assert finding.alembic == "Can't locate revision identified by 'c00l'"


ALL = {link.id: link.parents for link in CHAIN}
REMEMBERED = {
    "ahead": (ALL | {"d001": ("c001", "y001")}, ": it is ahead by 1 revision after c001, y001; "),
    "renamed": (
        {"a001": (), "bbbb": ("a001",), "d001": ("bbbb",)},
        "; a chain of 3 revisions up to d001 was there on 2024, d001 2 after a001",
    ),
    "another chain": ({"zzzz": (), "d001": ("zzzz",)}, "up to d001 was there on 2024"),
}


@pytest.mark.parametrize(("parents", "told"), REMEMBERED.values(), ids=list(REMEMBERED))
def test_a_vanished_revision_that_is_remembered(
    parents: dict[str, tuple[str, ...]], told: str
) -> None:
    memory = Memory("2024", parents, ("d001",), "20240101T000000-000", ("a001",))
    graph = Graph.of(link.file for link in CHAIN)
    stamp = Stamp("my app.db", ("d001",), True, ("users",), memory=memory)
    (finding,) = check_stamp(graph, stamp, ())
    assert told in finding.message
    assert finding.suggestion == (
        "Use the code that has d001, or go back to snapshot 20240101T000000-000 (at a001): "
        "orchctl --url 'sqlite:///my app.db' rollback --to 20240101T000000-000 --accept-data-loss"
    )


@pytest.mark.parametrize(
    ("stamped", "contained", "containing"),
    [
        (("a001", "c001"), "a001", "c001"),
        (("c001", "b001"), "b001", "c001"),
        (("b001", "y001"), "b001", "y001"),  # by depends_on
    ],
)
def test_two_stamps_on_one_line(stamped: tuple[str, ...], contained: str, containing: str) -> None:
    (finding,) = check(*stamped)
    assert (finding.severity, finding.revision) == ("error", contained)
    assert finding.message == f"app.db is stamped twice: {containing!r} contains {contained!r}"
    assert finding.suggestion == f"DELETE FROM alembic_version WHERE version_num = '{contained}'"


def test_the_same_stamp_twice() -> None:
    finding, behind = check("c001", "c001")
    assert behind.severity == "note"
    assert (finding.severity, finding.revision) == ("warning", "c001")


def test_everything_at_once() -> None:
    assert [one.severity for one in check("gone", "a001", "c001", "c001")] == [
        "error",
        "warning",
        "error",
    ]


@pytest.mark.parametrize(
    ("table", "words"), [(True, "is empty"), (False, "there is no version table alembic_version")]
)
def test_tables_without_a_stamp(table: bool, words: str) -> None:
    (finding,) = check(table=table, tables=("logs", "users"))
    assert finding.severity == "error"
    assert words in finding.message
    assert "2 tables (users)" in finding.message
    assert finding.alembic == "table users already exists"
    assert finding.suggestion
    assert finding.suggestion.startswith("orchctl --url sqlite:///app.db stamp REVISION")


MATCHES = {
    "one": (SchemaMatch((("b001",),)), "Its schema is that of b001: "),
    "branches": (SchemaMatch((("c001", "x001"),)), "Its schema is that of c001 x001: "),
    "rows only": (SchemaMatch((("a001",), ("b001",))), "Its schema is that of a001 and of b001, "),
    "none": (SchemaMatch(), "Its schema is that of no revision: "),
    "unknown": (SchemaMatch(obstacle="no reason"), "schema it has (not looked for: no reason)"),
}


@pytest.mark.parametrize(("match", "told"), MATCHES.values(), ids=list(MATCHES))
def test_the_revision_whose_schema_it_has(match: SchemaMatch, told: str) -> None:
    stamp = Stamp("app.db", (), False, ("users",), match=match)
    (finding,) = check_stamp(Graph.of(link.file for link in CHAIN), stamp, ["users"])
    assert finding.suggestion
    assert told in finding.suggestion


def test_tables_of_somebody_else() -> None:
    (finding,) = check(table=False, tables=("other",))
    assert finding.severity == "warning"


def test_the_tables_that_a_chain_creates(tmp_path: Path) -> None:
    folder = write(tmp_path / "versions", CHAIN)
    path = folder / "a001_step.py"
    path.write_text(
        path.read_text()
        + "    op.create_table('users')\n    op.create_table(\n        \"logs\", x)\n"
        + "    op.create_table(name)\n    op.drop_table('old')\n"
    )
    files = read_files([folder])
    assert created_tables(files) == {"users", "logs"}
    path.unlink()
    assert created_tables(files) == set()
