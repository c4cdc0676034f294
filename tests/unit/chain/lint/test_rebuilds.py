"""L05 over whole chains: which links are there when a table is rebuilt."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchctl.chain.lint.lint_file import lint_file
from orchctl.chain.lint.rules import across
from tests.support.linted import revision

REBUILD = 'with op.batch_alter_table("{}") as b:\n    b.alter_column("x", type_=sa.Text())'


def create(table: str, parent: str, action: str | None, way: int = 0) -> str:
    more = f", ondelete={action!r}" if action else ""
    key = (
        f'sa.Column("p", sa.Integer, sa.ForeignKey("{parent}.id"{more}))',
        f'sa.ForeignKeyConstraint(["p"], ["{parent}.id"]{more})',
    )
    if way < 2:
        return f'op.create_table("{table}", sa.Column("id", sa.Integer), {key[way]})'
    return (
        f'op.create_table("{table}")\n'
        f'with op.batch_alter_table("{table}") as b:\n'
        f'    b.create_foreign_key("fk", "{parent}", ["p"], ["id"]{more})'
    )


def rebuilt(*bodies: str) -> list[str]:
    """The revisions, by place, with a finding."""
    lints = {}
    for place, body in enumerate(bodies):
        path = Path(f"{len(bodies) - place}.py")  # the order of files is not that of revisions
        lints[path] = lint_file(path, revision(body), str(place))
    lints = dict(sorted(lints.items()))
    found = across(lints, [str(place) for place in range(len(bodies))])
    return [one.revision or "" for one in found if one.rule == "L05"]


@pytest.mark.parametrize("way", [0, 1, 2])
@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "set null", None, "RESTRICT"])
def test_a_parent(way: int, action: str | None) -> None:
    losing = action not in (None, "RESTRICT")
    assert rebuilt(create("c", "p", action, way), REBUILD.format("p")) == ["1"] * losing


@pytest.mark.parametrize(
    "between",
    [
        'op.drop_table("c")',
        'op.execute("DROP TABLE c")',
        'op.drop_column("c", "p")',
        'with op.batch_alter_table("c") as b:\n    b.drop_constraint("fk", type_="foreignkey")',
        'op.rename_table("p", "other")',
    ],
)
def test_a_link_that_is_gone(between: str) -> None:
    linked = create("c", "p", "CASCADE", 2).replace('"fk"', '"fk"')
    assert rebuilt(linked, between, REBUILD.format("p")) == []


LOOKED_UP = "with op.batch_alter_table({}) as b:\n    b.drop_constraint(name(), type_={})"


def test_a_constraint_whose_name_is_looked_up() -> None:
    nameless, named = create("c", "p", "CASCADE"), create("c", "p", "CASCADE", 2)
    rebuild = REBUILD.format("p")
    assert rebuilt(nameless, LOOKED_UP.format('"c"', '"foreignkey"'), rebuild) == []
    # Names are looked up where none was given.
    assert rebuilt(named, LOOKED_UP.format('"c"', '"foreignkey"'), rebuild) == ["2"]
    assert rebuilt(nameless, LOOKED_UP.format('"c"', '"unique"'), rebuild) == ["2"]
    assert rebuilt(nameless, LOOKED_UP.format('"d"', '"foreignkey"'), rebuild) == ["2"]
    # Of a table that is not known, it may be any.
    assert rebuilt(named, LOOKED_UP.format("some()", '"foreignkey"'), rebuild) == []
    assert rebuilt(named, 'op.drop_constraint("other", some())', rebuild) == ["2"]
    assert rebuilt(named, 'op.drop_constraint("fk", some())', rebuild) == []


@pytest.mark.parametrize(
    "body",
    [
        'op.execute("PRAGMA foreign_keys=OFF")\n' + REBUILD.format("p"),
        'with op.batch_alter_table("p") as b:\n    b.add_column(sa.Column("y"))',
        'with op.batch_alter_table("p") as b:\n    b.create_index("i", ["y"])',
        'with op.batch_alter_table("p", recreate="never") as b:\n    b.drop_column("y")',
        'with op.batch_alter_table("p") as b:\n    pass',
    ],
)
def test_what_deletes_nothing(body: str) -> None:
    assert rebuilt(create("c", "p", "CASCADE"), body) == []


def test_a_link_that_comes_later_and_one_in_raw_sql() -> None:
    assert rebuilt(REBUILD.format("p"), create("c", "p", "CASCADE")) == []
    sql = "CREATE TABLE c (p INTEGER REFERENCES p(id) ON UPDATE CASCADE ON DELETE SET NULL)"
    assert rebuilt(f'op.execute("{sql}")', REBUILD.format("p")) == ["1"]
    assert rebuilt(f'op.execute("{sql}")', 'op.rename_table("p", "q")', REBUILD.format("q")) == [
        "2"
    ]


TABLES = st.sampled_from("abcd")
STEPS = st.one_of(
    st.tuples(
        st.just("create"),
        TABLES,
        TABLES,
        st.sampled_from([None, "CASCADE", "SET NULL"]),
        st.integers(0, 2),
    ),
    st.tuples(st.just("drop"), TABLES),
    st.tuples(st.just("rebuild"), TABLES),
)


@settings(deadline=None)
@given(st.lists(STEPS, max_size=8))
def test_random_chains(steps: list[tuple]) -> None:
    live: list[tuple[str, str, str | None]] = []
    expected, bodies = [], []
    for place, (kind, table, *more) in enumerate(steps):
        if kind == "create":
            parent, action, way = more
            bodies.append(create(table, parent, action, way))
            live.append((table, parent, action))
        elif kind == "drop":
            bodies.append(f'op.drop_table("{table}")')
            live = [one for one in live if one[0] != table]
        else:
            bodies.append(REBUILD.format(table))
            expected += [str(place)] * any(one[1] == table and one[2] for one in live)
    # Adding a foreign key in batch mode rebuilds the child, which may be a parent too.
    ways = {str(place) for place, step in enumerate(steps) if step[0] == "create"}
    assert [one for one in rebuilt(*bodies) if one not in ways] == expected
