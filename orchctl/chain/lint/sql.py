"""The little of SQL that the rules ask about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from orchctl.chain.lint.things import GAP

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_NAME = (
    r"(?:(?:[\w$]+|\"[^\"]+\"|`[^`]+`|\[[^\]]+\])\.)?([\w$"
    + GAP
    + r"]+|\"[^\"]+\"|`[^`]+`|\[[^\]]+\])"
)
_IF = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
_NO_COLUMN = r"(?!(?:CONSTRAINT|UNIQUE|PRIMARY|FOREIGN|CHECK|INDEX|KEY|COLUMN|IF)\b)"
_FORMS = tuple(
    (kind, re.compile(pattern, re.IGNORECASE | re.DOTALL))
    for kind, pattern in (
        ("rename_table", rf"ALTER\s+TABLE\s+{_NAME}\s+RENAME\s+TO\s+{_NAME}\s*$"),
        ("rename_column", rf"ALTER\s+TABLE\s+{_NAME}\s+RENAME\s+(?:COLUMN\s+)?{_NAME}\s+TO\s+\S+$"),
        ("drop_column", rf"ALTER\s+TABLE\s+{_NAME}\s+DROP\s+(?:COLUMN\s+)?{_NAME}\s*$"),
        (
            "add_column",
            rf"ALTER\s+TABLE\s+{_NAME}\s+ADD\s+(?:COLUMN\s+)?{_NO_COLUMN}{_NAME}(.*)$",
        ),
        ("alter", r"ALTER\s+(?:TABLE\s+(?:ONLY\s+)?(?:IF\s+EXISTS\s+)?" + _NAME + r"|\w+)(.*)$"),
        ("create_table", rf"CREATE\s+(?:TEMP\w*\s+)?TABLE\s+{_IF}{_NAME}(.*)$"),
        ("drop_table", rf"DROP\s+TABLE\s+{_IF}{_NAME}"),
        ("index", r"(?:CREATE\s+(?:UNIQUE\s+)?|DROP\s+)INDEX\b"),
        ("schema", r"(?:CREATE|DROP)\b"),
        (
            "data",
            rf"(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|REPLACE\s+INTO|DELETE\s+FROM|UPDATE)\s+{_NAME}",
        ),
        ("data", r"WITH\b.*\b(?:INSERT|UPDATE|DELETE)\b"),
        ("commit", r"(?:COMMIT|END|ROLLBACK)(?:\s+TRANSACTION)?\s*$"),
        ("begin", r"BEGIN\b|START\s+TRANSACTION\b"),
        ("pragma", r"PRAGMA\s+(?:\w+\.)?(\w+)\s*(.*)$"),
    )
)
# What PostgreSQL's `$$ … $$` holds is a text, such as a function's.
_DOLLARS = re.compile(r"(\$\w*\$).*?\1", re.DOTALL)
_TRIGGER = re.compile(r"\s*CREATE\s+(?:TEMP\w*\s+)?TRIGGER\b", re.IGNORECASE)
_FIRST = re.compile(r"\s*(\w+)")
_WORDS = frozenset(
    "ALTER BEGIN COMMIT CREATE DELETE DROP END INSERT PRAGMA REPLACE ROLLBACK START UPDATE"
    " WITH".split()
)
_LINK = re.compile(
    r"REFERENCES\s+"
    + _NAME
    + r"\s*(?:\([^)]*\))?((?:\s+ON\s+\w+\s+(?:SET\s+\w+|NO\s+ACTION|\w+))*)",
    re.IGNORECASE,
)
_ON_DELETE = re.compile(r"ON\s+DELETE\s+(SET\s+\w+|\w+)", re.IGNORECASE)


class Statement(NamedTuple):
    """One SQL statement.

    Attributes:
        kind: What it does: `alter` is every ALTER that has no kind of its own; `other`.
        text: It.
        table: The table; for `pragma` the PRAGMA's name.
        name: The column that is added or dropped, or a table's new name.
        rest: What follows.
    """

    kind: str
    text: str
    table: str | None = None
    name: str | None = None
    rest: str = ""


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text. A `;` inside a string ends one too: good enough to tell kinds."""
    if "--" in text or "/*" in text:
        text = _COMMENT.sub(" ", text)
    if "$" in text:
        text = _DOLLARS.sub("''", text)
    # What a trigger does is part of it.
    for part in [text] if _TRIGGER.match(text) else text.split(";"):
        first = _FIRST.match(part)
        if first is not None:
            yield _statement(part.strip(), first[1].upper())


def _statement(text: str, word: str) -> Statement:
    if word in _WORDS:
        for kind, pattern in _FORMS:
            if match := pattern.match(text):
                table, name, rest = (*match.groups(), None, None, None)[:3]
                if kind in ("alter", "create_table", "pragma"):
                    name, rest = None, name
                return Statement(kind, text, _plain(table), _plain(name), (rest or "").strip())
    return Statement("other", text)


def _plain(name: str | None) -> str | None:
    """A name without its quotes, None when part of it is unknown."""
    if not name or GAP in name:
        return None
    return name.strip('"`[]')


def links_in(statement: Statement) -> Iterator[tuple[str, str | None]]:
    """The table and ON DELETE of each REFERENCES in a CREATE TABLE or ADD COLUMN."""
    for match in _LINK.finditer(statement.rest):
        action = _ON_DELETE.search(match[2] or "")
        if name := _plain(match[1]):
            yield name, " ".join(action[1].upper().split()) if action else None
