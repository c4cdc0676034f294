"""What the methods of connections and sessions do."""

from __future__ import annotations

from orchctl.chain.lint.operations import Given, execute
from orchctl.chain.lint.reader import Reader
from orchctl.chain.lint.things import (
    ENGINE,
    RAW,
    RESULT,
    UNKNOWN,
    Bind,
    Built,
    Session,
    Thing,
)

_WRITES = frozenset(
    "add add_all bulk_insert_mappings bulk_save_objects bulk_update_mappings delete flush"
    " merge".split()
)
_READS = frozenset(("get", "scalar", "scalars"))


def on_bind(reader: Reader, bind: Bind, name: str, given: Given) -> Thing:
    """A call of a method of a connection."""
    if name in ("execute", "exec_driver_sql"):
        execute(reader, given)
        return RESULT
    if name in ("scalar", "scalars"):
        execute(reader, given)
        reader.note("read", given.node, call=name)
    elif name in ("commit", "rollback", "begin"):
        if bind.own:
            reader.note("commit" if name == "commit" else name, given.node, call="connection")
        elif name == "commit":
            reader.note("commit", given.node, call="apart")
    elif name == "execution_options":
        if given.keywords.get("isolation_level") == "AUTOCOMMIT":
            reader.note("autocommit", given.node, call="AUTOCOMMIT")
        return bind
    elif name == "connect":
        return bind
    elif name == "get_bind":
        return ENGINE
    return UNKNOWN


def on_session(reader: Reader, session: Session, name: str, given: Given) -> Thing:
    """A call of a method of a session."""
    if name == "commit" and not session.own:
        reader.note("commit", given.node, call="apart")
    elif name == "execute":
        execute(reader, given)
        return RESULT
    elif name == "query":
        return Built("Query", given.args, {})
    elif name in _WRITES:
        reader.note("data", given.node)
    elif name in _READS:
        reader.note("read", given.node, call=f"session.{name}")
    elif name in ("get_bind", "connection"):
        return Bind(session.own)
    return UNKNOWN


def on_raw(reader: Reader, name: str, given: Given) -> Thing:
    """A call of a method of the driver's connection or cursor."""
    if name == "executescript":
        reader.note("script", given.node)
    elif name in ("commit", "rollback"):
        reader.note(name, given.node, call="driver")
    elif name in ("execute", "executemany"):
        execute(reader, given)
    elif name in ("fetchall", "fetchone", "fetchmany"):
        reader.note("read", given.node, call=name)
    return RAW
