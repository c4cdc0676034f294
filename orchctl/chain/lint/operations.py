"""What the methods of `op`, and those of a batch, do."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from orchctl.chain.lint.reader import Reader
from orchctl.chain.lint.sql import statements
from orchctl.chain.lint.things import (
    CONTEXT,
    UNKNOWN,
    Batch,
    Bind,
    Built,
    Thing,
    text_of,
)


class Given(NamedTuple):
    """A call's node and its arguments."""

    node: ast.Call
    args: tuple[Thing, ...]
    keywords: dict[str, Thing]

    @property
    def first(self) -> Thing:
        """The first argument, UNKNOWN when there is none."""
        return self.args[0] if self.args else UNKNOWN


# Which argument of op's methods is the table, and what kind of act it is.
_OP: dict[str, tuple[str, int, str]] = {
    "add_column": ("add_column", 0, "table_name"),
    "alter_column": ("alter_column", 0, "table_name"),
    "bulk_insert": ("data", 0, "table"),
    "create_check_constraint": ("constraint", 1, "table_name"),
    "create_exclude_constraint": ("constraint", 1, "table_name"),
    "create_foreign_key": ("constraint", 1, "source_table"),
    "create_index": ("index", 1, "table_name"),
    "create_primary_key": ("constraint", 1, "table_name"),
    "create_table": ("create_table", 0, "table_name"),
    "create_table_comment": ("comment", 0, "table_name"),
    "create_unique_constraint": ("constraint", 1, "table_name"),
    "drop_column": ("drop_column", 0, "table_name"),
    "drop_constraint": ("drop_constraint", 1, "table_name"),
    "drop_index": ("index", 1, "table_name"),
    "drop_table": ("drop_table", 0, "table_name"),
    "drop_table_comment": ("comment", 0, "table_name"),
    "rename_table": ("rename_table", 0, "old_table_name"),
}


_SHARED = frozenset(("execute", "f", "get_bind", "get_context"))


def _shared(reader: Reader, method: str, given: Given) -> Thing:
    """What `op` and a batch have in common."""
    if method == "execute":
        execute(reader, given)
        return None
    if method == "f":
        return given.first
    return CONTEXT if method == "get_context" else Bind(own=True)


def on_op(reader: Reader, method: str, given: Given) -> Thing:
    """A call of `op.method(…)`."""
    if method in _SHARED:
        return _shared(reader, method, given)
    if method == "batch_alter_table":
        table = named(given.keywords.get("table_name", given.first))
        return Batch(table, given.node, given.keywords, len(reader.acts))
    known = _OP.get(method)
    if known is None:  # run_async, invoke, a plugin's own
        reader.note("foreign", given.node, call=f"op.{method}", args=given.args)
        return UNKNOWN
    kind, position, name = known
    table = given.args[position] if position < len(given.args) else given.keywords.get(name)
    rest = given.args[:position] + given.args[position + 1 :]
    keywords = given.keywords
    if name in keywords:
        keywords = {key: thing for key, thing in keywords.items() if key != name}
    reader.note(kind, given.node, table=named(table), call=method, args=rest, keywords=keywords)
    return _created(given) if method == "create_table" else UNKNOWN


def _created(given: Given) -> Built:
    return Built("Table", given.args, given.keywords)


def named(thing: Thing) -> str | None:
    """The name of a table that is given by name or as a table."""
    if isinstance(thing, Built) and thing.name.lower() == "table":
        return text_of(thing.args[0]) if thing.args else None
    return text_of(thing)


def on_batch(reader: Reader, batch: Batch, method: str, given: Given) -> Thing:
    """A call of `batch_op.method(…)`."""
    if method in _SHARED:
        return _shared(reader, method, given)
    known = _OP.get(method)
    if known is not None:
        kind = known[0]
        keywords = given.keywords
        reader.note(
            kind,
            given.node,
            table=batch.table,
            batch=batch,
            call=method,
            args=given.args,
            keywords=keywords,
        )
    return UNKNOWN


_EMPTYING = re.compile(r"DELETE\s+FROM\s+\S+\s*$", re.IGNORECASE)
# Which kind of act a built statement is.
_BUILT = {"update": "data", "insert": "data", "delete": "data"}


def execute(reader: Reader, given: Given) -> None:
    """Note what is sent to the database."""
    sent = given.args[0] if given.args else given.keywords.get("sqltext", UNKNOWN)
    if isinstance(sent, Built) and sent.name == "text":
        sent = sent.args[0] if sent.args else UNKNOWN
    if isinstance(sent, str):
        for one in statements(sent):
            kind = "emptied" if one.kind == "data" and _EMPTYING.match(one.text) else "sql"
            reader.note(kind, given.node, table=one.table, sql=None if kind == "emptied" else one)
    elif isinstance(sent, Built):
        kind = _BUILT.get(sent.name, "query")
        if sent.name == "delete" and "where" not in sent.keywords:
            kind = "emptied"
        elif sent.name == "DropTable":
            kind = "drop_table"
        elif sent.name in ("CreateTable", "CreateIndex", "DDL"):
            kind = "schema"
        table = named(sent.args[0]) if sent.args else None
        reader.note(kind, given.node, table=table)
    else:
        reader.note("unclear", given.node)
