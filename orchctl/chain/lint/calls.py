"""What a call does: to Alembic, to SQLAlchemy, to a connection, to a function of the file's own."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import lru_cache

from orchctl.chain.lint import operations
from orchctl.chain.lint.connections import on_bind, on_raw, on_session
from orchctl.chain.lint.operations import Given
from orchctl.chain.lint.reader import Reader
from orchctl.chain.lint.texts import formatted
from orchctl.chain.lint.things import (
    CONTEXT,
    DIALECT,
    ENGINE,
    FUNCTIONS,
    GAP,
    INSPECTOR,
    RAW,
    RESULT,
    UNKNOWN,
    Batch,
    Bind,
    Built,
    Dotted,
    Local,
    Method,
    Rough,
    Session,
    Special,
    Thing,
)

_STANDARD = sys.stdlib_module_names
_ALEMBIC = "alembic."
_SQLALCHEMY = ("sqlalchemy", "sqlmodel", "flask_sqlalchemy", "sqlalchemy_utils")
_FUNCTIONS = ("func", ".functions")  # sa.func.now(), sa.sql.functions.now()
# Texts, and what of theirs is worked out.
_TEXTS = frozenset(("casefold", "lower", "lstrip", "rstrip", "strip", "upper"))
_FILTERS = frozenset(("filter", "filter_by", "having", "limit", "where"))
_ANSWERS = frozenset(("all", "count", "first", "get", "one", "one_or_none", "scalar"))
_CONTAINERS = (tuple, dict)  # lists are tuples here
_CHANGES = frozenset(
    "add append clear discard extend insert pop popitem remove reverse setdefault sort"
    " update".split()
)
_MOST_APPENDED = 60
_TESTS = frozenset(("endswith", "startswith"))


def call(reader: Reader, node: ast.Call) -> Thing:
    """Note what a call does, and give what it gives."""
    func = node.func
    if type(func) is ast.Attribute and type(func.value) is ast.Name:
        # `sa.…()`, `op.…()`, `batch_op.…()`, as nearly all are: straight on.
        of = reader.look_up(func.value.id)
        if type(of) is Dotted:
            return _imported(reader, f"{of.name}.{func.attr}", _given(reader, node))
        if type(of) is Batch:
            return operations.on_batch(reader, of, func.attr, _given(reader, node))
        if type(of) in _CONTAINERS and func.attr in _CHANGES:
            return _changed(reader, func.value.id, of, func.attr, _given(reader, node))
    return _other(reader, reader.evaluate(func), node)


def _changed(reader: Reader, name: str, of: Thing, method: str, given: Given) -> Thing:
    """`names.append(…)`: followed where it is sure, and while the list is as short as most are."""
    sure = method == "append" and type(of) is tuple and len(given.args) == 1 and reader.certain
    reader.set(name, (*of, given.first) if sure and len(of) < _MOST_APPENDED else UNKNOWN)
    return UNKNOWN


def _other(reader: Reader, called: Thing, node: ast.Call) -> Thing:
    given = _given(reader, node)
    kind = type(called)
    if kind is Dotted:
        return _imported(reader, called.name, given)
    if kind is Method:
        return _method(reader, called.of, called.name, given)
    if kind is Local:
        return reader.enter(called, given.args, given.keywords)
    if kind is Session and called.factory:
        return Session(called.own)
    if isinstance(node.func, ast.Name):
        return _builtin(reader, node.func.id, given)
    return UNKNOWN


def _given(reader: Reader, node: ast.Call) -> Given:
    # Most arguments are constants and calls: no need to ask what these stand for.
    constant, called = ast.Constant, ast.Call
    args: list[Thing] = []
    for one in node.args:
        kind = type(one)
        if kind is constant:
            args.append(one.value)  # type: ignore[attr-defined]
        elif kind is called:
            args.append(call(reader, one))  # type: ignore[arg-type]
        elif kind is ast.Starred:
            thing = reader.evaluate(one)
            args += thing if type(thing) is tuple else (UNKNOWN,)
        else:
            args.append(reader.evaluate(one))
    keywords: dict[str, Thing] = {}
    for keyword in node.keywords:
        value = keyword.value
        thing = value.value if type(value) is constant else reader.evaluate(value)
        if keyword.arg is not None:
            keywords[keyword.arg] = thing
        elif isinstance(thing, dict):
            keywords |= thing
        else:
            keywords["**"] = UNKNOWN
    return Given(node, tuple(args), keywords)


def _imported(reader: Reader, name: str, given: Given) -> Thing:
    plain = _plain(name)
    if plain is not None:
        return plain[0](reader, plain[1], given)
    if name.startswith(_ALEMBIC):
        return _alembic(reader, name.removeprefix(_ALEMBIC), given)
    if name.endswith(".func.case"):
        reader.note("func_case", given.node, keywords=given.keywords)
    root = name.partition(".")[0]
    if root in _SQLALCHEMY:
        return _sqlalchemy(reader, name, given)
    if name.endswith(".session.commit"):
        reader.note("commit", given.node, call="session")
    elif root not in _STANDARD and not name.startswith("sqlalchemy."):
        reader.note("foreign", given.node, call=name, args=given.args)
    elif name == "textwrap.dedent" and given.args and isinstance(given.args[0], str):
        return given.args[0]
    return UNKNOWN


# The same few names are called over and over.
@lru_cache(maxsize=4000)
def _plain(name: str) -> tuple[Callable[[Reader, str, Given], Thing], str] | None:
    """What a call of an operation or of a class of SQLAlchemy's does, and the name it goes by."""
    root, _, last = name.rpartition(".")
    if root == "alembic.op":
        return operations.on_op, last
    special = last in _SPECIAL or root.endswith(_FUNCTIONS)
    if root.partition(".")[0] in _SQLALCHEMY and not special:
        return _build, last
    return None


def _build(reader: Reader, name: str, given: Given) -> Thing:
    keywords = given.keywords
    if keywords:
        # Reflected from the database: Table(…, autoload_with=bind), MetaData().reflect(bind).
        about = keywords.get("autoload_with") or keywords.get("bind")
        if type(about) is Bind:
            reader.note("read", given.node, call="autoload_with")
    return Built(name, given.args, keywords)


def _alembic(reader: Reader, name: str, given: Given) -> Thing:
    place, _, method = name.rpartition(".")
    if place == "op":
        return operations.on_op(reader, method, given)
    if method in ("get_bind", "bind"):
        return Bind(own=True)
    if method == "get_context":
        return CONTEXT
    if method in ("is_offline_mode", "as_sql"):
        reader.offline = True
        return False
    if name == "context.execute":
        return operations.on_op(reader, "execute", given)
    return UNKNOWN


def _sqlalchemy(reader: Reader, name: str, given: Given) -> Thing:
    before, _, last = name.rpartition(".")
    if before.endswith(_FUNCTIONS):
        return Built(f"func.{last}", given.args, given.keywords)
    special = _SPECIAL.get(last)
    return special(reader, given) if special is not None else _build(reader, last, given)


def _inspector(reader: Reader, given: Given, *, call: str = "inspect") -> Thing:
    about = given.first
    if type(about) is Bind or about is ENGINE:
        reader.note("read", given.node, call=call)
        return INSPECTOR
    return UNKNOWN


def _session(_reader: Reader, given: Given, *, factory: bool = False) -> Thing:
    bind = given.keywords.get("bind", given.first)
    own = not (bind is ENGINE or (type(bind) is Bind and not bind.own))
    return Session(own, factory)


def _factory(reader: Reader, given: Given) -> Thing:
    return _session(reader, given, factory=True)


def _engine(_reader: Reader, _given: Given) -> Thing:
    return Method(UNKNOWN, "engine")


_SPECIAL: dict[str, Callable[[Reader, Given], Thing]] = {
    "inspect": _inspector,
    "from_engine": lambda reader, given: _inspector(reader, given, call="from_engine"),
    "Session": _session,
    "sessionmaker": _factory,
    "scoped_session": lambda _reader, given: given.first,
    "create_engine": _engine,
}


def _method(reader: Reader, of: Thing, name: str, given: Given) -> Thing:
    handler = _METHODS.get(type(of))
    if handler is not None:
        return handler(reader, of, name, given)
    if isinstance(of, str):
        return _on_text(of, name, given)
    if name == "executescript":
        reader.note("script", given.node)
    elif name in ("drop_all", "create_all"):
        _all_tables(reader, name, given)
    elif name in ("items", "keys", "values") and isinstance(of, dict):
        return tuple(getattr(of, name)())
    return UNKNOWN


def _on_special(reader: Reader, of: Special, name: str, given: Given) -> Thing:
    if of is FUNCTIONS:
        return _dispatched(reader, name)
    if of is RAW:
        return on_raw(reader, name, given)
    if of is CONTEXT:
        if name == "autocommit_block":
            reader.note("autocommit", given.node)
        elif name == "execute":
            operations.execute(reader, given)
        return UNKNOWN
    if of is ENGINE and name in ("connect", "begin", "raw_connection"):
        return RAW if name == "raw_connection" else Bind(own=False)
    return RESULT if of is RESULT else UNKNOWN


def _dispatched(reader: Reader, name: str) -> Thing:
    """`globals()["upgrade_%s" % engine_name]()`: every function whose name starts so."""
    start, gap, _ = name.partition(GAP)
    if not gap:
        meant = [start]
    elif start:
        meant = [key for key in reader.module if key.startswith(start)]
        reader.spend(len(reader.module) // 100)
    else:
        meant = []
    for key in meant:
        thing = reader.module.get(key)
        if type(thing) is Local:
            reader.enter(thing, (), {})
    return UNKNOWN


def _on_built(reader: Reader, of: Built, name: str, given: Given) -> Thing:
    if of.name == "Query":
        return _on_query(reader, of, name, given)
    if name in ("drop_all", "create_all"):
        _all_tables(reader, name, given)
        return UNKNOWN
    if name == "reflect":
        reader.note("read", given.node, call="reflect")
        return UNKNOWN
    if of.name.lower() in ("table", "alias") and name in ("update", "insert", "delete", "select"):
        return Built(name, (of, *given.args), given.keywords)
    if name in _FILTERS:
        return Built(of.name, of.args, {**of.keywords, "where": True})
    return of


def _all_tables(reader: Reader, name: str, given: Given) -> None:
    """`metadata.create_all(bind, tables=[…])`: those that are named may have been there before."""
    reader.note(name, given.node)
    tables = given.keywords.get("tables")
    if name == "create_all" and type(tables) is tuple:
        with reader.perhaps():
            for one in tables:
                reader.note("create_table", given.node, table=operations.named(one))


def _on_query(reader: Reader, query: Built, name: str, given: Given) -> Thing:
    if name in _FILTERS:
        return Built("Query", query.args, {"where": True})
    if name in ("delete", "update"):
        emptied = name == "delete" and not query.keywords
        kind = "emptied" if emptied else "data"
        reader.note(kind, given.node, table=operations.named(query.args[0]) if query.args else None)
    elif name in _ANSWERS:
        reader.note("read", given.node, call=f"query.{name}")
    else:
        return query
    return UNKNOWN


def _on_text(of: str, name: str, given: Given) -> Thing:
    if name == "format":
        return formatted(of, given.args, given.keywords)
    if name in _TEXTS and not given.args:
        done: str = getattr(str(of), name)()
        return Rough(done) if type(of) is Rough else done
    if name in _TESTS and type(of) is str and given.args and type(given.first) in (str, tuple):
        try:
            return getattr(of, name)(given.first)
        except TypeError:
            return UNKNOWN
    return Rough(of + GAP) if name in ("replace", "join") else UNKNOWN


_METHODS: dict[type, Callable[[Reader, Thing, str, Given], Thing]] = {
    Batch: operations.on_batch,
    Bind: on_bind,
    Session: on_session,
    Special: _on_special,
    Built: _on_built,
}


def _builtin(reader: Reader, name: str, given: Given) -> Thing:
    if name == "isinstance" and given.first is DIALECT and len(given.args) == 2:
        classes = given.args[1] if type(given.args[1]) is tuple else (given.args[1],)
        if all(type(one) is Dotted for one in classes):
            return any("sqlite" in one.name.lower() for one in classes)
    if name in ("globals", "eval"):
        if name == "globals":
            return FUNCTIONS
        text = given.first
        return Method(FUNCTIONS, text.removesuffix("()")) if isinstance(text, str) else UNKNOWN
    for thing in given.args:
        if thing is RESULT:
            reader.note("read", given.node)
    if name in ("list", "tuple", "set", "sorted", "reversed") and type(given.first) is tuple:
        return given.first
    return given.first if name == "str" and isinstance(given.first, str) else UNKNOWN
