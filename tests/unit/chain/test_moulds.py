"""Trees put together from statements that were parsed before say what the parser's say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from orchctl.chain import moulds
from orchctl.chain.lint.file_lint import FileLint
from orchctl.chain.lint.lint_file import lint_file
from orchctl.chain.moulds import Line, moulded
from tests.support.linted import revision
from tests.support.unplaced import unplaced

PATH = Path("002_more.py")
TABLE = """
op.create_table(
    "{name}",
    sa.Column("id", sa.Integer(), nullable=False),
    sa.Column("parent", sa.Integer(), sa.ForeignKey("{parent}.id", ondelete="CASCADE")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_{name}")),
)"""


def table(name: str, parent: str = "users") -> str:
    return TABLE.format(name=name, parent=parent)


def both(text: str) -> FileLint:
    """What a text shows, the same either way."""
    tree = moulded(text)
    assert tree is not None
    assert unplaced(tree) == unplaced(ast.parse(text))
    known, parsed = lint_file(PATH, text, "2", moulded(text)), lint_file(PATH, text, "2")
    assert known == parsed
    return known


def test_files_with_other_names() -> None:
    for name, parent in (("a", "b"), ("c", "a"), ("a", "c"), ("a", "b")):
        lint = both(revision(table(name, parent), f"op.drop_table('{name}')"))
        assert [step[:2] for step in lint.steps] == [(name, parent)]


def test_what_was_parsed_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    text = revision(table("one"), "op.drop_table('one')")
    both(text)
    monkeypatch.setattr(ast, "parse", lambda *_: pytest.fail("parsed"))
    assert lint_file(PATH, text.replace("one", "two"), "2", moulded(text)).steps


def test_the_same_statement_several_times() -> None:
    columns = "\n".join(f"op.add_column('t', sa.Column('{name}'))" for name in "abca")
    assert [one.message[:19] for one in both(revision(columns, "pass")).findings] != []
    both(revision(table("a") + table("b") + table("a"), "op.drop_table('a')\nop.drop_table('b')"))


def test_an_import_that_means_something_else() -> None:
    plain = revision(table("one"), "op.drop_table('one')")
    for text in (plain, plain.replace("sqlalchemy", "elsewhere"), plain):
        both(text)
    inside = revision("sa = other\n" + table("one"))
    assert both(inside).steps == ()


def test_lines_that_do_something_are_looked_at_each_time() -> None:
    line = "sa.Column('n', sa.inspect(op.get_bind()).default),"
    text = revision(f"op.create_table(\n    'a',\n    {line}\n)")
    for _ in range(2):
        assert "L09" in [one.rule for one in both(text).findings]


@pytest.mark.parametrize(
    "body",
    [
        "op.execute('a' \"b\")",
        "op.execute('')  # it's \"so\"",
        "x = {'a': ['b', ('c',)]}['a']",
        "op.create_table(\n    'a', 'b',\n    *columns,\n    sa.f('x'), sa.f('y'),\n)",
        "op.f(\n    sa.Column('a'), # 'x'\n)",
        "for name in ('a', 'b'):\n    op.drop_table(name)",
        "op.get_bind()\nop.get_bind(\n    1,\n)\nop.get_bind()",
        '"""What it does."""\nop.drop_table("a")',
        "match x:\n    case 'a':\n        op.drop_table('b')",
        "op.execute(\n    '<0>',\n)",
    ],
)
def test_statements_of_all_kinds(body: str) -> None:
    text = revision(body)
    for _ in range(2):
        tree = moulded(text)
        assert tree is None or unplaced(tree) == unplaced(ast.parse(text))
        assert lint_file(PATH, text, "2", moulded(text)) == lint_file(PATH, text, "2")


@pytest.mark.parametrize(
    "opening",
    ["# (c)\n#\n\n", '# (c)\n"""It\'s\n"new"\n"""\n', '"""Title"""\n', "\n\n", "#\n# import x\n"],
)
def test_openings(opening: str) -> None:
    both(opening + revision("op.execute('x')"))


@pytest.mark.parametrize(
    "opening", ["# a\rimport (\n", "# a\0\n", '"""a\0"""\n', '"""a"""b\n', '"""a']
)
def test_doubtful_openings(opening: str) -> None:
    assert moulded(opening + revision("op.execute('x')")) is None


def test_little_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moulds, "_MOST_KEPT", 200)
    monkeypatch.setattr(moulds, "_MOST_LINES", 3)
    for place in range(20):
        both(revision(table(f"t{place}") + f"\nx{place} = sa.f('a', {place})"))


def test_a_line_is_worked_out_once() -> None:
    text = revision(table("one"), "op.drop_table('one')")
    both(text)
    tree = moulded(text)
    assert tree is not None
    lines = [one for one in ast.walk(tree) if isinstance(one, Line)]
    assert [one.text[:9] for one in lines] == ["sa.Column", "sa.Column", "sa.Primar"]
    assert {one.tree for one in lines} == {None}
