"""history --graph: the chain drawn in the terminal."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given

from orchctl.chain.picture.lanes import draw
from tests.support.branched import LAYOUTS
from tests.support.chains import Link, sound_chains
from tests.support.env_shapes import STOCK
from tests.support.projects import Project, execute

DRAWING = """\
●    join1 (api, pages, web), do join1
├─╮
● │  api2 (api), grün und 中文
● │  api1 (api), do api1
│ ◉  web1 (pages, web) (current), do web1
├─╯
●    root2, do root2
●    root1 (base), the first one over two lines
"""


@pytest.fixture
def branched(tmp_path: Path) -> Project:
    return LAYOUTS["stock"](tmp_path)


def stamp(project: Project, revision: str) -> None:
    execute(project.database, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);")
    execute(project.database, f"INSERT INTO alembic_version VALUES ('{revision}')")


def test_the_drawing(branched: Project) -> None:
    stamp(branched, "web1")
    drawn = branched.orchctl("history", "--graph", "-r", ":join1")
    assert drawn.stdout == DRAWING
    assert drawn.stderr == ""


def test_the_drawing_without_a_database(branched: Project) -> None:
    drawn = branched.orchctl("history", "--graph", "-r", ":join1")
    assert drawn.stdout == DRAWING.replace("◉", "●").replace(" (current)", "")
    assert not branched.database.exists()


def test_the_drawing_where_only_running_env_py_tells_the_database(branched: Project) -> None:
    """A drawing is not worth a run of env.py; `-i` is a question to the database."""
    stamp(branched, "web1")
    branched.set_env(
        STOCK.replace("import os", "import os, sys; print('env.py runs', file=sys.stderr)")
    )
    drawn = branched.orchctl("history", "--graph", "-r", ":join1")
    assert (drawn.stdout.count("◉"), drawn.stderr) == (0, "")
    asked = branched.orchctl("history", "--graph", "-i", "-r", ":join1")
    assert asked.stdout == DRAWING
    assert "env.py runs" in asked.stderr


def test_the_drawing_of_a_database_that_is_none(branched: Project) -> None:
    """The chain can be looked at all the same, unless the database is asked for."""
    branched.database.write_text("this is no database at all" * 100)
    assert branched.orchctl("history", "--graph").returncode == 0
    refused = branched.orchctl("history", "--graph", "-i")
    assert refused.returncode == 5
    assert "not-a-database" in branched.orchctl("--json", "history", "-i").stderr


def test_the_drawing_in_ascii(branched: Project) -> None:
    stamp(branched, "web1")
    drawn = branched.orchctl(
        "history", "--graph", "-r", "api1:last1", env={"PYTHONIOENCODING": "ascii"}
    )
    assert drawn.stdout == (
        "*  last1 (api, pages, web) (head), end\n"
        "*  join1 (api, pages, web), do join1\n"
        "*  api2 (api), gr?n und ??\n"
        "*  api1 (api), do api1\n"
        ":\n"
    )


def test_the_drawing_with_everything_about_each_revision(branched: Project) -> None:
    drawn = branched.orchctl("history", "--graph", "-v", "-r", "root1:api1")
    path = branched.folder / "migrations" / "versions"
    assert drawn.stdout.startswith(
        f"●  Rev: api1\n│  Parent: root2\n│  Branch names: api\n│  Path: {path}/api1_file.py\n│\n"
        "│      do api1\n"
    )
    assert drawn.stdout.count("●") == 3


def test_dependencies_are_named_in_the_drawing(branched: Project) -> None:
    drawn = branched.orchctl("history", "--graph").stdout
    assert "need3 (head) (depends on side2), do need3" in drawn
    assert "side2 (side) (effective head), do side2" in drawn


def _sides(text: str, column: int) -> str:
    sign = text[2 * column] if len(text) > 2 * column else " "
    up, down = "│╵╰╯├┤┴┼●◉", "│╭╮├┤┬┼●◉"
    return ("U" if sign in up else "") + ("D" if sign in down else "")


@given(sound_chains(most=14))
def test_every_line_of_a_drawing_leads_somewhere(links: list[Link]) -> None:
    """In children-first order: every node once, each below its children, no line cut or lost."""
    parents = {link.id: link.parents for link in links}
    order: list[str] = []
    while len(order) < len(parents):
        order += [
            id_
            for id_ in parents
            if id_ not in order
            and all(child in order for child in parents if id_ in parents[child])
        ][:1]
    rows = draw({id_: parents[id_] for id_ in order})
    assert [row.revision for row in rows if row.revision] == order
    children = {id_: [one for one in parents if id_ in parents[one]] for id_ in parents}
    blank = ""
    for above, row, below in zip(
        [blank, *(row.text for row in rows)],
        rows,
        [*(row.text for row in rows[1:]), blank],
        strict=False,
    ):
        if row.revision is None:
            continue
        column = row.text.index("●") // 2
        assert ("D" in _sides(above, column)) >= bool(children[row.revision])
        assert ("U" in _sides(below, column)) >= bool(parents[row.revision])
    for row, below in pairwise(rows):
        for column in range(20):
            if below.text[2 * column : 2 * column + 1] == "●" or "●" in row.text[2 * column :][:1]:
                continue  # a head begins and a base ends without a line
            assert ("D" in _sides(row.text, column)) == ("U" in _sides(below.text, column))
