"""Random sound revisions, and one wrong line put anywhere into them: every rule finds its own."""

from __future__ import annotations

import textwrap

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchctl.chain.lint.rules import LINT_RULES
from tests.support.linted import linted, revision

EXAMPLES = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

# `#` is a number of its own in each.
SOUND = [
    "op.create_table('c#', sa.Column('id', sa.Integer, primary_key=True))",
    "op.create_table('d#', sa.Column('p', sa.ForeignKey('c.id', ondelete='CASCADE')))",
    "op.add_column('a#', sa.Column('x', sa.Integer()))",
    "op.add_column('e#', sa.Column('x', sa.Integer(), nullable=False, server_default='0'))",
    "op.create_index('i#', 'a', ['x'])",
    "op.drop_index('j#', 'a')",
    "op.rename_table('f#', 'g#')",
    "with op.batch_alter_table('b#') as batch:\n    batch.add_column(sa.Column('x', sa.Text()))",
    "with op.batch_alter_table('h#') as batch:\n    batch.alter_column('x', nullable=True)",
    "op.execute('UPDATE a SET x = #')",
    "op.execute(sa.text('INSERT INTO a VALUES (:x)').bindparams(x=#))",
    "op.bulk_insert(sa.table('a', sa.column('x')), [{'x': #}])",
    "x# = # + 1\nprint(x#)",
    "for n# in (1, 2):\n    op.execute(f'UPDATE a SET x = {n#}')",
]
# What is put in, its severity at most, the rule that finds it.
WRONG = {
    "L01": ["op.get_bind().commit()", "op.execute('COMMIT')"],
    "L02": ["op.drop_table('gone')", "op.execute('ALTER TABLE gone DROP COLUMN y')"],
    "L03": ["op.add_column('k', sa.Column('y', sa.Integer(), nullable=False))"],
    "L04": ["op.add_column('k', sa.Column('y', sa.Date(), server_default=sa.func.now()))"],
    "L05": [
        "\n".join(
            (
                "op.create_table('l', sa.Column('p', sa.ForeignKey('k.id', ondelete='CASCADE')))",
                "with op.batch_alter_table('k') as k:",
                "    k.alter_column('y', nullable=True)",
            )
        )
    ],
    "L06": ["with op.batch_alter_table('k') as k:\n    k.drop_constraint(None, type_='unique')"],
    "L08": ["from app.models import User\nop.execute(sa.insert(User))"],
    "L09": ["rows = op.get_bind().execute(sa.text('SELECT 1')).fetchall()"],
    "L10": [
        "op.alter_column('k', 'y', type_=sa.Text())",
        "op.execute('ALTER INDEX a RENAME TO b')",
    ],
    "L11": ["try:\n    op.create_index('m', 'k', ['y'])\nexcept Exception:\n    pass"],
    "L12": ["op.execute('PRAGMA foreign_keys=ON')", "op.execute('PRAGMA journal_mode=WAL')"],
    "L13": ["y = sa.func.case((1, 2), else_=3)"],
}
AROUND = [
    "{}",
    "if True:\n    {}",
    "if x:\n    {}",
    "with a as b:\n    {}",
    "for a in (1,):\n    {}",
]


@st.composite
def sound(draw: st.DrawFn) -> list[str]:
    """The statements of an upgrade() that nothing is wrong with."""
    chosen = draw(st.lists(st.sampled_from(SOUND), max_size=6))
    return [text.replace("#", str(number)) for number, text in enumerate(chosen)]


@EXAMPLES
@given(sound())
def test_what_is_sound_has_no_finding(body: list[str]) -> None:
    assert linted(revision("\n".join(body) or "pass")) == []


@EXAMPLES
@given(st.data(), sound())
def test_one_wrong_statement_anywhere(data: st.DataObject, body: list[str]) -> None:
    rule = data.draw(st.sampled_from(sorted(WRONG)))
    wrong = data.draw(st.sampled_from(WRONG[rule]))
    for _ in range(data.draw(st.integers(0, 2))):
        outer = data.draw(st.sampled_from(AROUND))
        wrong = outer.replace("    {}", textwrap.indent(wrong, "    ")).replace("{}", wrong)
    place = data.draw(st.integers(0, len(body)))
    text = revision("\n".join([*body[:place], wrong, *body[place:]]))
    found = linted(text)
    assert rule in {one.rule for one in found}, text
    # What is wrong is where it was put, and nothing else is.
    start = text.index("def upgrade") + len("def upgrade():\n")
    first = text.count("\n", 0, start) + "\n".join([*body[:place], ""]).count("\n") + 1
    last = first + wrong.count("\n")
    assert all(one.line is not None and first <= one.line <= last for one in found), text


@EXAMPLES
@given(sound(), st.sampled_from(["pass", "return", "op.execute('SELECT 1')"]))
def test_l07_a_downgrade_that_leaves_what_was_made(body: list[str], back: str) -> None:
    made = "op.create_table('made', sa.Column('id', sa.Integer))"
    found = linted(revision("\n".join([*body, made]), back))
    assert {(one.rule, one.severity) for one in found} == {("L07", "note")}
    undone = linted(revision(made, "op.drop_table('made')"))
    assert undone == []


def test_every_rule_has_its_break() -> None:
    assert {rule.id for rule in LINT_RULES} == {*WRONG, "L07"}
