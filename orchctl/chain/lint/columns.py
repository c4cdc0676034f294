"""L03 and L04: columns that SQLite adds only to empty tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchctl.chain.findings import Finding
from orchctl.chain.lint.acts import Act
from orchctl.chain.lint.subject import Script, Subject, shown
from orchctl.chain.lint.things import Built, Rough, Thing
from orchctl.chain.tokens import Severity

# What ALTER TABLE … ADD COLUMN takes as a default, in parentheses or not.
_LITERAL = re.compile(
    r"\(*\s*(?:[-+]?\s*[\d.]+(?:e[-+]?\d+)?|'(?:[^']|'')*'|\"[^\"]*\"|x'[^']*'|true|false|null)"
    r"\s*\)*$",
    re.IGNORECASE,
)
_NULL = re.compile(r"\(*\s*null\s*\)*$", re.IGNORECASE)
_NOT_NULL = re.compile(r"\bNOT\s+NULL\b", re.IGNORECASE)
_DEFAULT = re.compile(r"\bDEFAULT\s+(\(.*\)|'(?:[^']|'')*'|[^\s,]+)", re.IGNORECASE | re.DOTALL)
_GENERATED = re.compile(r"\b(?:GENERATED|AS)\b", re.IGNORECASE)


def without_default(subject: Subject) -> Iterator[Finding]:
    """L03: a NOT NULL column without a server default: it fails as soon as there is a row."""
    for script, act in _added(subject):
        name, required, default = _facts(act)
        if not required or default not in ("none", "null"):
            continue
        yield subject.finding(
            "L03",
            _severity(script),
            act.node,
            f"The NOT NULL column {name} is added to {shown(act.table)} without a server default: "
            "this fails as soon as the table has a row",
            "Give it a server_default, or add it nullable, fill it, then make it NOT NULL in "
            "batch_alter_table",
            "Cannot add a NOT NULL column with default value NULL"
            if not _copies(act)
            else "NOT NULL constraint failed: _alembic_tmp_…",
        )


def changing_default(subject: Subject) -> Iterator[Finding]:
    """L04: a default that is not constant: ADD COLUMN takes it only while the table is empty."""
    for script, act in _added(subject):
        name, _, default = _facts(act)
        # In batch mode such a default makes Alembic copy the table, and there it is right.
        if default != "changing" or act.in_batch:
            continue
        yield subject.finding(
            "L04",
            _severity(script),
            act.node,
            f"The column {name} is added to {shown(act.table)} with a default that is not "
            "constant: this fails as soon as the table has a row",
            "Add it in op.batch_alter_table(…), which copies the table, or with a constant default",
            "Cannot add a column with non-constant default",
        )


def _severity(script: Script) -> Severity:
    # Whoever goes back re-adds what was there; that is seldom rehearsed, and seldom run.
    return "warning" if script.is_upgrade else "note"


def _added(subject: Subject) -> Iterator[tuple[Script, Act]]:
    """Columns that are added to tables that may have rows."""
    for script in subject.scripts:
        empty: set[str | None] = set()
        for act in script.acts:
            kind = act.effect
            if kind in ("create_table", "emptied"):
                empty.add(act.table)
            elif kind == "data" and act.table is not None:
                empty.discard(act.table)
            elif kind == "rename_table" and act.table in empty:
                empty.add(_new_name(act))
            elif kind in ("data", "unclear"):
                empty.clear()
            elif kind == "add_column" and (act.table is None or act.table not in empty):
                yield script, act


def _new_name(act: Act) -> str | None:
    new = act.sql.name if act.sql else act.arg(0, "new_table_name")
    return new if type(new) is str else None


def _copies(act: Act) -> bool:
    return act.in_batch and act.batch is not None and act.batch.keywords.get("recreate") == "always"


def _facts(act: Act) -> tuple[str, bool, str]:
    """Name, NOT NULL or not, default: none, null, constant, changing or unknown."""
    if act.sql is not None:
        return _sql_facts(act.sql.name, act.sql.rest)
    column = act.column
    if column is None or "**" in column.keywords:
        return "", False, "unknown"
    name = column.args[0] if column.args else column.keywords.get("name")
    shown_name = repr(name) if type(name) is str else "…"
    built = [one for one in column.args if isinstance(one, Built)]
    if any(one.name in ("Computed", "Identity", "FetchedValue") for one in built):
        return shown_name, False, "unknown"
    # Where the table is copied, an INTEGER PRIMARY KEY is filled by SQLite itself.
    key = column.keywords.get("primary_key") is True and not act.in_batch
    nullable = column.keywords.get("nullable", not key)
    if column.keywords.get("primary_key") is True and act.in_batch:
        nullable = True
    return shown_name, nullable is False, _default(column.keywords.get("server_default"))


def _default(given: Thing) -> str:
    if given is None:
        return "none"
    if isinstance(given, Built):
        if given.name.startswith("func."):
            return "changing"
        if given.name in ("text", "literal_column", "DefaultClause"):
            return _default_text(given.args[0] if given.args else None)
        return {"null": "null", "Null": "null", "FetchedValue": "unknown"}.get(
            given.name, "constant"
        )
    return "constant" if type(given) is str else "unknown"


def _default_text(given: Thing) -> str:
    if type(given) is Rough or not isinstance(given, str):
        return _default(given) if isinstance(given, Built) else "unknown"
    if _NULL.match(given):
        return "null"
    if _LITERAL.match(given):
        return "constant"
    # Written for another database: PostgreSQL's casts ('{}'::jsonb) SQLite does not read at all.
    return "unknown" if "::" in given else "changing"


def _sql_facts(name: str | None, rest: str) -> tuple[str, bool, str]:
    default = _DEFAULT.search(rest)
    if _GENERATED.search(rest):
        return "", False, "unknown"
    found = _default_text(default[1]) if default else "none"
    return repr(name) if name else "…", bool(_NOT_NULL.search(rest)), found
