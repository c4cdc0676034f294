"""Lint takes a file of any length, in work that grows with its length and no faster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchctl.chain.lint.lint_file import lint_file
from tests.support.counted import steps

pytestmark = pytest.mark.timeout(120)
HEAD = "from alembic import op\nimport sqlalchemy as sa\nrevision = 'a1'\ndown_revision = None\n"
EMPTY = "def upgrade():\n    pass\ndef downgrade():\n    pass\n"


def lines(count: int, *each: str) -> str:
    """These lines, `#` a number, again and again."""
    text = "".join(f"{line}\n" for line in each)
    return "".join(text.replace("#", str(number)) for number in range(count))


def module(*each: str) -> Callable[[int], str]:
    return lambda count: HEAD + lines(count, *each) + EMPTY


def upgrade(*each: str, first: str = "pass", back: str = "pass") -> Callable[[int], str]:
    inside = [f"    {line}" for line in each]
    return lambda count: (
        f"{HEAD}def upgrade():\n    {first}\n{lines(count, *inside)}def downgrade():\n    {back}\n"
    )


LONG = {
    "conditions": module("x# = #", "if y: x# = 2"),
    "attempts": module("x# = #", "try: y# = 2", "except E: pass"),
    "cases": module("x# = #", "match y:", "    case 1: z = 1", "    case a: pass"),
    "comprehensions": module("x# = [a for a in b]"),
    "loops": module("for x# in y: z = #"),
    "functions that are looked up": lambda count: (
        HEAD
        + lines(count, "def f#(): pass")
        + "def upgrade():\n"
        + lines(count, "    globals()['f#']()")
    ),
    "conditions in a function": upgrade("x# = #", "if y:", "    op.drop_table('t#')"),
    "attempts in a function": upgrade("try:", "    op.drop_table('t#')", "except Exception: pass"),
    "failures that are kept": upgrade(
        "try:", "    op.drop_table('t#')", "except Exception as e: bad#.append(e)", "raise E(bad)"
    ),
    "tables": upgrade("op.create_table('t#', sa.Column('a'))", back="op.drop_index('x')"),
    "columns": upgrade("op.add_column('t', sa.Column('a#'))", back="op.drop_index('x')"),
    "columns without a default": upgrade(
        "op.execute('DELETE FROM t#')", "op.add_column('t#', sa.Column('a', nullable=False))"
    ),
    "dropped tables": upgrade("op.drop_table('t#')"),
    "dropped columns": upgrade("op.drop_column('t', 'c#')"),
    "moved tables": upgrade(
        "op.execute('INSERT INTO n# SELECT * FROM t#')",
        "op.drop_table('t#')",
        "op.rename_table('n#', 't#')",
    ),
    "a long batch": upgrade(
        "    b.add_column(sa.Column('a#', sa.ForeignKey('q.id'), nullable=False))",
        "    b.drop_column('d#')",
        first="with op.batch_alter_table('t') as b:",
    ),
    "batches": upgrade(
        "with op.batch_alter_table('t#') as b:", "    b.drop_constraint('x_y_fkey')"
    ),
    "statements": upgrade("op.execute('ALTER TABLE t# ADD a INTEGER NOT NULL')"),
    "reads": upgrade("op.get_bind().execute(sa.text('SELECT #')).fetchall()"),
    "commits": upgrade("op.get_bind().commit()"),
    "names that are no ASCII": upgrade("op.drop_table('é#')"),
    "one line": lambda count: (
        f"{HEAD}def upgrade():\n    " + "; ".join(f"op.drop_table('é{n}')" for n in range(count))
    ),
    "models": module("from app.models import M#"),
}
# What may name any function is held against all of them, up to a limit.
LIMITED = {
    "functions whose names are put together": lambda count: (
        HEAD
        + lines(count, "def f#(): pass")
        + "def upgrade():\n"
        + lines(count, "    globals()['g%s' % x]()")
    ),
}


@pytest.mark.parametrize("make", LONG.values(), ids=LONG)
def test_twice_the_file_is_twice_the_work(make: Callable[[int], str]) -> None:
    """Counted in lines, not in seconds: a quadratic reader takes four times as many."""
    small, large = make(150), make(300)
    few = steps(lambda: lint_file(Path("a1.py"), small, "a1"))
    many = steps(lambda: lint_file(Path("a1.py"), large, "a1"))
    assert few < many < 2.5 * few


@pytest.mark.parametrize("make", (LONG | LIMITED).values(), ids=LONG | LIMITED)
def test_a_file_of_thousands(make: Callable[[int], str]) -> None:
    lint_file(Path("a1.py"), make(4000), "a1")
