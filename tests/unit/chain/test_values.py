"""What is worked out without running a module is what running it gives."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchctl.chain.values import Computed, Constant, Series, Value, module_values

WORKED_OUT = {
    "plain": "x = '1'",
    "annotated": "from typing import Union\nx: Union[str, None] = '1'",
    "annotated without a value": "x: str\nx = '1'",
    "chained": "x = y = None",
    "tuple": "x = ('a', 'b')",
    "list": "x = ['a', 'b']",
    "nested": "x = ('a', ('b', None))",
    "unpacked": "x, y = '1', '2'",
    "unpacked deeper": "(x, [y, z]) = '1', ('2', '3')",
    "starred": "y = ('a', 'b')\nx = (*y, 'c')",
    "concatenated": "x = 'a' + 'b' + 'c'",
    "joined": "x = 'a' 'b'",
    "tuples added": "x = ('a',) + ('b',)",
    "f-string": "y = '1'\nx = f'{y}_a'",
    "f-string of a number": "x = f'{7}a'",
    "named": "PARENT = '1'\nx = PARENT",
    "last one wins": "x = '1'\nx = '2'",
    "augmented": "x = 'a'\nx += 'b'",
    "augmented tuple": "x = ('a',)\nx += ('b',)",
    "tuple of a list": "x = tuple(['a', 'b'])",
    "str of a string": "x = str('a')",
    "known condition": "if True:\n    x = '1'\nelse:\n    x = '2'",
    "never main": "x = '1'\nif __name__ == '__main__':\n    x = '2'",
    "not type checking": "TYPE_CHECKING = False\nif not TYPE_CHECKING:\n    x = '1'",
    "the same either way": "import sys\nif sys.flags.debug:\n    x = '1'\nelse:\n    x = '1'",
    "conditional import": "try:\n    import no\nexcept ImportError:\n    no = None\nx = '1'",
    "finally": "try:\n    pass\nfinally:\n    x = '1'",
    "conditional expression": "x = '1' if True else '2'",
    "inside with": "import contextlib\nwith contextlib.suppress(ValueError):\n    x = '1'",
    "deleted": "x = '1'\ndel x\nx = '2'",
    "after a function": "def f():\n    x = '2'\nx = '1'",
    "a local is no global": "x = '1'\ndef f():\n    x = '2'",
    "unicode": "x = 'ä'",
    "bytes": "x = b'1'",
    "number": "x = 5",
    "a method that changes nothing": "x = '1'\ntry:\n    x.lower()\nfinally:\n    pass",
    "globals of a function": "x = '1'\ndef upgrade(name):\n    globals()[name]()",
    "another list": "y = []\nx = []\ny.append('a')",
}


def plain(value: Value) -> Any:
    match value:
        case Constant():
            return value.value
        case Series():
            items = [plain(item) for item in value.items]
            kinds = {ast.Tuple: tuple, ast.List: list, ast.Set: set}
            return kinds.get(type(value.node), tuple)(items)
        case Computed():
            raise LookupError


@pytest.mark.parametrize("text", WORKED_OUT.values(), ids=list(WORKED_OUT))
def test_worked_out_as_python_does(text: str) -> None:
    ran: dict[str, Any] = {"__name__": "revision_py"}
    exec(text, ran)
    value = module_values(ast.parse(text).body)["x"]
    expected = tuple(ran["x"]) if isinstance(ran["x"], list) else ran["x"]
    found = plain(value)
    assert (tuple(found) if isinstance(found, list) else found) == expected


COMPUTED = {
    "call": "x = make()",
    "environment": "import os\nx = os.environ['X']",
    "either way": "import sys\nif sys.flags.debug:\n    x = '1'\nelse:\n    x = '2'",
    "perhaps": "import sys\nif sys.flags.debug:\n    x = '1'",
    "perhaps not": "x = '1'\nfor y in z:\n    x = '2'",
    "after an exception": "x = '1'\ntry:\n    import nowhere\nexcept ImportError:\n    x = '2'",
    "a second round": "x = y = '1'\nfor i in z:\n    x = y\n    y = '2'",
    "interrupted": "x = '1'\ntry:\n    x = '2'\n    f()\n    x = '1'\nexcept E:\n    pass",
    "imported": "from elsewhere import x",
    "a function": "def x(): pass",
    "a class": "class x: pass",
    "part of": "x = ('a', make())[1]",
    "method": "x = 'A'.lower()",
    "percent": "x = '%s' % 'a'",
    "format": "x = f'{1:03d}'",
    "repeated": "x = 'a' * 3",
    "with target": "with f() as x:\n    pass",
    "loop target": "for x in 'ab':\n    pass",
    "starred target": "y, *x = 'a', 'b', 'c'",
    "wrong length": "x, y = 'a'",
    "own tuple": "def tuple(x): return 1\nx = tuple(('a',))",
    "match": "match make():\n    case 1:\n        x = '1'",
    "appended to": "x = ['a']\nx.append('b')",
    "appended to by another name": "y = ['a']\nx = y\ny.extend(['b'])",
    "appended to in a loop": "x = []\nfor y in 'ab':\n    x.append(y)",
    "one item assigned": "x = ['a']\nx[0] = 'b'",
    "in passing": "x = '1'\nif (x := '2'):\n    pass",
    "by a function": "x = '1'\ndef f():\n    global x\n    x = '2'\nf()",
    "behind its back": "x = '1'\nglobals()['x'] = '2'",
    "one item deleted": "x = ['a', 'b']\ndel x[0]",
}


@pytest.mark.parametrize("text", COMPUTED.values(), ids=list(COMPUTED))
def test_said_to_be_computed(text: str) -> None:
    assert isinstance(module_values(ast.parse(text).body)["x"], Computed)


def test_a_deleted_name_is_gone() -> None:
    assert "x" not in module_values(ast.parse("x = '1'\ndel x").body)


def test_a_star_import_is_remembered() -> None:
    assert "*" in module_values(ast.parse("from alembic.op import *").body)


NAME = st.sampled_from("xyz")
LITERAL = st.sampled_from(["'1'", "'2'", "None", "('1', '2')", "['1']", "()", "b'1'", "0"])
EXPRESSION = st.recursive(
    LITERAL | NAME,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} + {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}, {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} if chance() else {pair[1]})"),
        inner.map(lambda one: f"f'{{{one}}}'" if "'" not in one and '"' not in one else one),
        inner.map(lambda one: f"tuple({one})"),
        inner.map(lambda one: f"(*{one}, '3')"),
    ),
    max_leaves=3,
)


def indented(lines: list[str]) -> str:
    return "\n".join("    " + line for text in lines for line in text.splitlines())


def body(inner: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(inner, min_size=1, max_size=3)


CONDITION = st.sampled_from(["chance()", "True", "not chance()", "x"])
SIMPLE = st.one_of(
    st.tuples(NAME, EXPRESSION).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    st.tuples(NAME, EXPRESSION).map(lambda pair: f"{pair[0]}: object = {pair[1]}"),
    st.tuples(NAME, EXPRESSION).map(lambda pair: f"{pair[0]} += {pair[1]}"),
    st.tuples(NAME, NAME, EXPRESSION).map(lambda three: "{} = {} = {}".format(*three)),
    st.tuples(NAME, NAME, EXPRESSION).map(lambda three: "{}, {} = {}".format(*three)),
    NAME.map(lambda name: f"del {name}"),
    st.just("chance()"),
)
STATEMENT = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.tuples(CONDITION, body(inner), body(inner)).map(
            lambda parts: f"if {parts[0]}:\n{indented(parts[1])}\nelse:\n{indented(parts[2])}"
        ),
        st.tuples(body(inner), body(inner), body(inner)).map(
            lambda parts: (
                f"try:\n{indented(parts[0])}\nexcept Exception:\n{indented(parts[1])}\n"
                f"finally:\n{indented(parts[2])}"
            )
        ),
        body(inner).map(lambda lines: f"for i in range(count()):\n{indented(lines)}"),
    ),
    max_leaves=6,
)


@settings(max_examples=120, deadline=None)
@given(st.lists(STATEMENT, min_size=1, max_size=6), st.lists(st.integers(0, 3), max_size=12))
def test_never_wrong_whatever_the_module_does(statements: list[str], chances: list[int]) -> None:
    """Random modules: where a value is claimed to be known, running gives that very value."""
    text = "\n".join(statements)
    values = module_values(ast.parse(text).body)
    luck = iter([*chances, *[0] * 1000])
    ran: dict[str, Any] = {"chance": lambda: next(luck) > 1, "count": lambda: next(luck)}
    try:
        exec(text, ran)
    except Exception:  # noqa: BLE001
        return  # such a module has no values
    for name in "xyz":
        value = values.get(name)
        if value is None:
            assert name not in ran
        elif known(value):
            assert same(value, ran[name])


def known(value: Value) -> bool:
    if isinstance(value, Series):
        return all(known(item) for item in value.items)
    return isinstance(value, Constant)


def same(value: Value, ran: Any) -> bool:
    if isinstance(value, Series):
        return len(value.items) == len(ran) and all(
            same(item, one) for item, one in zip(value.items, ran, strict=True)
        )
    return isinstance(value, Constant) and value.value == ran and type(value.value) is type(ran)
