"""No code is too odd for the lint, nor makes it slow."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchctl.chain.lint.file_lint import FileLint
from orchctl.chain.lint.lint_file import lint_file
from orchctl.chain.pages import read_pages
from tests.support.linted import revision
from tests.support.rule_examples import example

PATH = Path("odd.py")
OWN = sorted((Path(__file__).parents[4] / "migrations" / "versions").glob("*.py"))
TEXTS = [path.read_text() for path in OWN] + [
    example(page.id, kind) for page in read_pages() if page.id[0] == "L" for kind in ("Wrong",)
]
LINES = sorted({line for text in TEXTS for line in text.splitlines()})
WORDS = ["None", "op", "*x", "**x", "lambda: op", "[]", "{}", "1", "''", "batch_op", "x := 1", "()"]


@settings(deadline=None)
@given(st.data())
def test_mutated_revisions(data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from(TEXTS)).splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.integers(0, 3))
        if change == 0:
            lines[place] = data.draw(st.sampled_from(LINES))
        elif change == 1:
            lines[place] = ""
        elif change == 2:
            lines.insert(place, lines[place])
        else:
            words = lines[place].split(", ")
            words[data.draw(st.integers(0, len(words) - 1))] = data.draw(st.sampled_from(WORDS))
            lines[place] = ", ".join(words)
    text = "\n".join(lines)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert isinstance(lint_file(PATH, text, None), FileLint)
        try:
            ast.parse(text)
        except SyntaxError:
            assert lint_file(PATH, text, None) == FileLint()


ODD = [
    "op.drop_table()",
    "op.create_foreign_key()",
    "op.batch_alter_table()",
    "op.execute()",
    "op.execute(b'DROP')",
    "op.drop_column({})",
    "op.add_column('t', sa.Column())",
    "op.add_column(*args, **more)",
    "op.create_table('t', *[sa.Column(one) for one in ALL], **more)",
    "with op.batch_alter_table('t') as (a, b):\n    a.drop_column('x')",
    "[][0]\n{}['a']\n'a'['b']\n(1, 2)['x']",
    "'%d %s' % 1\n'{:>3} {!r} {0}'.format(1)\n'{9}'.format(1)\n'%' % ()",
    "'a'.startswith(1)\n'a' in 1\n{[]: 1}\n{(): 1}[()]",
    "globals()['x']()\nglobals()[1]()\nglobals()['upgrade']()\neval(1)",
    "upgrade()",
    "def a(): b()\ndef b(): a(); a()\na()",
    "for op in op: op.x()",
    "del op\nop.drop_table('t')",
    "x = y = *a, b = 1, 2",
    "async def a():\n    async with a() as b: await b\n    async for c in d: yield c",
    "try:\n    pass\nexcept* ValueError:\n    pass",
    "match x:\n    case {'a': [1, *_]} | Point(x=0) if y:\n        pass\n    case _:\n        pass",
    "op.get_bind().connection.x.y.z()()()[0].execute",
    "sa.inspect()\nsa.inspect(1)\nsa.func.case",
    "op.execute('ALTER')\nop.execute('DROP TABLE')\nop.execute('PRAGMA')\nop.execute(';;')",
    "return (yield)",
]


@pytest.mark.parametrize("body", ODD)
def test_odd_calls(body: str) -> None:
    assert isinstance(lint_file(PATH, revision(body, body), "1"), FileLint)


def test_deep_and_long_code() -> None:
    for body in (
        "x = " + "(" * 90 + "1" + ")" * 90,
        "x = " + "+".join(["'a'"] * 3000),
        "x = " + "a." * 3000 + "b",
        "\n".join(f"{' ' * n}if x:" for n in range(90)) + "\n" + " " * 90 + "pass",
        "for a in (1, 2, 3, 4, 5, 6, 7, 8, 9):\n" * 1
        + "".join(f"{' ' * n}for b in (1,2,3,4,5,6,7,8,9):\n" for n in range(1, 15))
        + " " * 15
        + "op.drop_table('t')",
    ):
        assert isinstance(lint_file(PATH, revision(body), "1"), FileLint)


def test_functions_that_call_each_other_end() -> None:
    above = "\n".join(f"def f{n}():\n    f{n + 1}()\n    f{n + 1}()" for n in range(40))
    assert isinstance(lint_file(PATH, revision("f0()", above=above), "1"), FileLint)


# Each calls itself three times: followed to the depth of other functions, that is half a million.
DEEP = """
def plain(thing):
    if some(thing):
        return [plain(one) for one in thing] + [plain(thing), plain(thing)]
    return plain(thing)
"""


def test_what_comes_after_a_function_that_calls_itself_is_read() -> None:
    text = revision("plain(1)\nop.drop_table('t')", "plain(1)\nop.create_table('t')", DEEP)
    lint = lint_file(PATH, text, "1")
    assert [one.rule for one in lint.findings] == ["L02"]


def test_nothing_is_said_of_what_was_not_read() -> None:
    body = "for one in range(3):\n    pass\n" + "x = 1\n" * 30_000
    lint = lint_file(PATH, revision("op.create_table('t')", f"{body}op.drop_table('t')"), "1")
    assert lint.findings == ()
