"""What each kind of expression stands for: the half of the reader that works out values."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable
from typing import Any

from orchctl.chain.lint.calls import call
from orchctl.chain.lint.reader import Expression, Reader
from orchctl.chain.lint.statements import bind
from orchctl.chain.lint.texts import filled, rough, written
from orchctl.chain.lint.things import (
    CONTEXT,
    DIALECT,
    ENGINE,
    FUNCTIONS,
    GAP,
    INSPECTOR,
    PLAIN,
    RAW,
    RESULT,
    UNKNOWN,
    Bind,
    Built,
    Dotted,
    Method,
    Session,
    Special,
    Thing,
    truth,
)
from orchctl.chain.moulds import Line, Unfamiliar


def _constant(_reader: Reader, node: ast.Constant) -> Thing:
    return node.value


def _name(reader: Reader, node: ast.Name) -> Thing:
    return reader.look_up(node.id)


def _attribute(reader: Reader, node: ast.Attribute) -> Thing:
    of, name = reader.evaluate(node.value), node.attr
    if type(of) is Dotted:
        return Dotted(f"{of.name}.{name}")
    found = _ATTRIBUTES.get((of if type(of) is Special else type(of), name))
    if found is not None:
        return found
    if of is RESULT:
        reader.note("read", node)
    if of is CONTEXT and name == "as_sql":
        reader.offline = True
        return False
    if name == "dialect":
        return DIALECT
    if type(of) is Built and of.name.lower() == "table" and of.args:
        return {"__tablename__": of.args[0], "name": of.args[0], "__table__": of}.get(
            name, Method(of, name)
        )
    return Method(of, name)


# What a bind's, a context's or a dialect's attribute is. The name is how it is on SQLite.
_ATTRIBUTES: dict[tuple[object, str], Thing] = {
    (Bind, "engine"): ENGINE,
    (Bind, "connection"): RAW,
    (Bind, "driver_connection"): RAW,
    (RAW, "driver_connection"): RAW,
    (RAW, "dbapi_connection"): RAW,
    (ENGINE, "engine"): ENGINE,
    (ENGINE, "name"): "sqlite",
    (CONTEXT, "bind"): Bind(own=True),
    (CONTEXT, "connection"): Bind(own=True),
    (INSPECTOR, "bind"): Bind(own=True),
    (INSPECTOR, "engine"): ENGINE,
    (DIALECT, "name"): "sqlite",
    (DIALECT, "dialect_description"): "sqlite+pysqlite",
    (Session, "bind"): Bind(own=True),
}

# `a = a + a`, sixty times, is one that no memory holds.
_MOST_ITEMS = 10_000


def _sequence(reader: Reader, node: ast.Tuple | ast.List | ast.Set) -> Thing:
    items: list[Thing] = []
    for element in node.elts:
        if isinstance(element, ast.Starred):
            inner = reader.evaluate(element.value)
            if type(inner) is not tuple or len(items) + len(inner) > _MOST_ITEMS:
                return UNKNOWN
            items += inner
        else:
            items.append(reader.evaluate(element))
    return tuple(items)


def _dict(reader: Reader, node: ast.Dict) -> Thing:
    found: dict[Any, Thing] = {}
    known = True
    for key, value in zip(node.keys, node.values, strict=True):
        name = reader.evaluate(key) if key is not None else UNKNOWN
        thing = reader.evaluate(value)
        if type(name) in (str, int):
            found[name] = thing
        else:
            known = False
    return found if known else UNKNOWN


def _joined(reader: Reader, node: ast.JoinedStr) -> Thing:
    pieces: list[str] = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            thing = reader.evaluate(part.value)
            plain = part.format_spec is None and part.conversion == -1
            pieces.append(written(thing) if plain else GAP)
        elif isinstance(part, ast.Constant):
            pieces.append(str(part.value))
    return rough("".join(pieces))


def _binary(reader: Reader, node: ast.BinOp) -> Thing:
    left, right = reader.evaluate(node.left), reader.evaluate(node.right)
    if isinstance(node.op, ast.Add):
        if type(left) is tuple and type(right) is tuple:
            return left + right if len(left) + len(right) <= _MOST_ITEMS else UNKNOWN
        if isinstance(left, str) or isinstance(right, str):
            return rough(written(left) + written(right))
    if isinstance(node.op, ast.Mod) and isinstance(left, str):
        return filled(left, right)
    return UNKNOWN


_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}


def _compare(reader: Reader, node: ast.Compare) -> Thing:
    left = reader.evaluate(node.left)
    rights = [reader.evaluate(one) for one in node.comparators]
    compared = _COMPARED.get(type(node.ops[0]))
    if len(rights) != 1 or compared is None or not _settled(left) or not _settled(rights[0]):
        return UNKNOWN
    try:
        return compared(left, rights[0])
    except TypeError:
        return UNKNOWN


def _settled(thing: Thing) -> bool:
    if type(thing) is tuple:
        return all(_settled(one) for one in thing)
    return type(thing) in PLAIN


def _several(reader: Reader, node: ast.BoolOp) -> Thing:
    stops = isinstance(node.op, ast.Or)
    unsure = False
    thing: Thing = UNKNOWN
    for value in node.values:
        thing = reader.evaluate(value)
        verdict = truth(thing)
        if verdict is stops:
            return thing
        unsure = unsure or verdict is None
    return UNKNOWN if unsure else thing


def _unary(reader: Reader, node: ast.UnaryOp) -> Thing:
    thing = reader.evaluate(node.operand)
    if isinstance(node.op, ast.Not):
        verdict = truth(thing)
        return UNKNOWN if verdict is None else not verdict
    if isinstance(node.op, ast.USub) and type(thing) in (int, float):
        return -thing
    return UNKNOWN


def _choice(reader: Reader, node: ast.IfExp) -> Thing:
    verdict = truth(reader.evaluate(node.test))
    if verdict is not None:
        return reader.evaluate(node.body if verdict else node.orelse)
    with reader.perhaps():
        one, other = reader.evaluate(node.body), reader.evaluate(node.orelse)
    return one if type(one) is type(other) and one == other else UNKNOWN


def _subscript(reader: Reader, node: ast.Subscript) -> Thing:
    of, key = reader.evaluate(node.value), reader.evaluate(node.slice)
    if of is FUNCTIONS:
        return Method(FUNCTIONS, key if isinstance(key, str) else GAP)
    if of is RESULT:
        reader.note("read", node)
    if type(of) in (tuple, dict) and type(key) in (int, str):
        try:
            return of[key]
        except (LookupError, TypeError):
            return UNKNOWN
    return UNKNOWN


def _comprehension(
    reader: Reader, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
) -> Thing:
    with reader.apart():
        for generator in node.generators:
            if reader.evaluate(generator.iter) is RESULT:
                reader.note("read", generator.iter)
            bind(reader, generator.target, UNKNOWN)
        with reader.perhaps():
            for generator in node.generators:
                _all(reader, generator.ifs)
            parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
            _all(reader, parts)
    return UNKNOWN


def _all(reader: Reader, nodes: Iterable[ast.expr]) -> None:
    for one in nodes:
        reader.evaluate(one)


def _named(reader: Reader, node: ast.NamedExpr) -> Thing:
    thing = reader.evaluate(node.value)
    bind(reader, node.target, thing)
    return thing


def _inner(reader: Reader, node: ast.Await | ast.Starred | ast.YieldFrom) -> Thing:
    return reader.evaluate(node.value)


def _line(reader: Reader, line: Line) -> Thing:
    """An argument that stands in many files: worked out once, while its names mean the same."""
    tree = line.tree
    if tree is None:
        for name, meaning in line.meanings:
            if reader.look_up(name) != meaning:
                raise Unfamiliar(name)
        return line.thing
    first = len(reader.acts)
    thing = call(reader, tree)
    if line.names is not None and len(reader.acts) == first:
        meanings = [(name, reader.look_up(name)) for name in (*line.names, *line.labels)]
        if all(_is_steady(meaning, name in line.labels) for name, meaning in meanings):
            line.keep(thing, meanings)
    return thing


def _is_steady(meaning: Thing, label: bool) -> bool:
    """Whether what is called there is SQLAlchemy's, or `op.f`: it does nothing to the reader."""
    if type(meaning) is not Dotted:
        return False
    return meaning.name.partition(".")[0] == "sqlalchemy" or (
        label and meaning.name == "alembic.op"
    )


EXPRESSIONS: dict[type[ast.expr], Expression] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Call: call,
    ast.Tuple: _sequence,
    ast.List: _sequence,
    ast.Set: _sequence,
    ast.Dict: _dict,
    ast.JoinedStr: _joined,
    ast.BinOp: _binary,
    ast.Compare: _compare,
    ast.BoolOp: _several,
    ast.UnaryOp: _unary,
    ast.IfExp: _choice,
    ast.Subscript: _subscript,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.DictComp: _comprehension,
    ast.NamedExpr: _named,
    ast.Await: _inner,
    ast.Starred: _inner,
    ast.YieldFrom: _inner,
    Line: _line,
}
