"""L01, L11 and L12: what breaks the one transaction that a migration should be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from orchctl.chain.findings import Finding
from orchctl.chain.lint.acts import Act
from orchctl.chain.lint.sql import Statement
from orchctl.chain.lint.subject import Subject

_HALF = "nothing, until something fails after it: then the first half stays"


def committed(subject: Subject) -> Iterator[Finding]:
    """L01: commit(), BEGIN, executescript() or autocommit_block() in a revision."""
    for script in subject.scripts:
        for act in script.acts:
            told = _told(act)
            if told is not None:
                message, suggestion, alembic = told
                yield subject.finding("L01", "warning", act.node, message, suggestion, alembic)


def _told(act: Act) -> tuple[str, str, str] | None:
    kind = act.effect
    if kind in ("commit", "rollback", "begin") and act.sql:
        word = act.sql.text.split()[0].upper()
        return (
            f"{word} inside a revision: the migration is no longer one transaction",
            "Take it out: Alembic begins and commits",
            f"cannot {word.lower()} - no transaction is active, or nothing: it depends",
        )
    return _TOLD.get((act.kind, act.call)) or _TOLD.get((act.kind, ""))


_TAKE_OUT = "Take it out: Alembic commits when the revision is done"
_TOLD: dict[tuple[str, str], tuple[str, str, str]] = {
    ("commit", ""): (
        "commit() inside a revision: what it did so far stays when the rest fails",
        _TAKE_OUT,
        "nothing: it exits 0, and the version is not stored",
    ),
    ("commit", "apart"): (
        "commit() on a connection of its own: it is not part of the migration's transaction",
        "Use op.get_bind(), and leave the commit to Alembic",
        "database is locked, once the migration itself has written; nothing before that",
    ),
    ("commit", "session"): (
        "The application's session commits: it is not part of the migration's transaction",
        "Use op.get_bind(), and leave the commit to Alembic",
        "database is locked, once the migration itself has written; nothing before that",
    ),
    ("rollback", ""): (
        "rollback() inside a revision undoes what it did so far, and no more",
        "Raise an exception instead: Alembic rolls back",
        "nothing: it exits 0, and the version is not stored",
    ),
    ("begin", ""): (
        "begin() inside a revision: Alembic has begun the transaction",
        "Take it out; begin_nested() for a savepoint",
        "This connection has already initialized a SQLAlchemy Transaction() object",
    ),
    ("script", ""): (
        "executescript() commits before it starts: what was done so far stays when it fails",
        "Send the statements one by one with op.execute()",
        _HALF,
    ),
    ("autocommit", ""): (
        "autocommit_block() commits what was done so far",
        "SQLite needs none: enter it only where op.get_context().dialect.name is another",
        _HALF,
    ),
    ("autocommit", "AUTOCOMMIT"): (
        "isolation_level AUTOCOMMIT inside a revision: each statement stays when the next fails",
        "Leave the isolation level as it is",
        _HALF,
    ),
}


def swallowed(subject: Subject) -> Iterator[Finding]:
    """L11: a broad `except` around changes, which goes on as if nothing had happened."""
    raised = _raised(subject.tree) if any(one.swallowed for one in subject.scripts) else frozenset()
    for script in subject.scripts:
        for node, caught, acts in script.swallowed:
            # Put into a list, which is raised after all.
            if not raised.isdisjoint(_lists_of(node)):
                continue
            tables = list(dict.fromkeys(act.table for act in acts if act.table))
            about = ", ".join(map(repr, tables[:3])) + (", …" if len(tables) > 3 else "")
            yield subject.finding(
                "L11",
                "warning",
                node,
                f"'{caught}' swallows whatever fails while "
                + (
                    f"{about} {'is' if len(tables) == 1 else 'are'} changed"
                    if tables
                    else "data is changed"
                ),
                "Ask first (sa.inspect(bind).has_table(…)), or catch the one error that is meant "
                "and raise the others",
                "nothing: the revision counts as done, whatever of it happened",
            )


def _raised(tree: ast.Module) -> frozenset[str]:
    """The names in the file's `raise` statements."""
    return frozenset(
        name.id
        for raised in ast.walk(tree)
        if isinstance(raised, ast.Raise)
        for name in ast.walk(raised)
        if isinstance(name, ast.Name)
    )


def _lists_of(handler: ast.AST) -> Iterator[str]:
    """The lists that a handler puts something into."""
    for node in ast.walk(handler) if isinstance(handler, ast.ExceptHandler) else ():
        if isinstance(node, ast.Attribute) and node.attr == "append":
            yield getattr(node.value, "id", "")


# Asking by PRAGMA changes nothing.
_ASKING = re.compile(
    r"(?:table_x?info|table_list|index_x?info|index_list|foreign_key_list|foreign_key_check"
    r"|integrity_check|quick_check|database_list|collation_list|compile_options|function_list)$",
    re.IGNORECASE,
)


def pragmas(subject: Subject) -> Iterator[Finding]:
    """L12: a PRAGMA that sets something."""
    for script in subject.scripts:
        for act in script.acts:
            sql = act.sql
            if sql is None or sql.kind != "pragma":
                continue
            name = (sql.table or "").lower()
            if not sql.rest or _ASKING.match(name):
                continue
            yield subject.finding(
                "L12",
                # What batch_alter_table on a parent is often preceded by; L05 takes note of it.
                "note" if name == "foreign_keys" and is_off(sql) else "warning",
                act.node,
                f"{' '.join(sql.text.split())} inside a revision: {_effect(name)}",
                _PRAGMA_INSTEAD.get(name, "Set it where the connection is made, in env.py"),
                "nothing: whether it takes effect depends on what ran before",
            )


def is_off(sql: Statement) -> bool:
    """Whether a PRAGMA switches something off."""
    return sql.rest.strip("=() ;").lower() in ("0", "off", "false", "no")


def _effect(name: str) -> str:
    if name in ("foreign_keys",):
        return "ignored once a transaction is open, and else in force for every later revision"
    if name in ("journal_mode", "synchronous", "locking_mode"):
        return "fails once a transaction is open, and else outlives the migration"
    return "it belongs to the connection, not to the schema"


_PRAGMA_INSTEAD = {
    "foreign_keys": "Set it in env.py before the transaction begins; orchctl upgrade switches "
    "foreign keys off and checks them before it commits",
}
