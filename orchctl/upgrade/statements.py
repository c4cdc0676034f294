"""What one SQL statement of a revision or an env.py would do to the transaction around it."""

from __future__ import annotations

import os
import re
import sqlite3
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Kind(Enum):
    """How a statement bears on the transaction."""

    PLAIN = "plain"
    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    ATTACH = "attach"
    VACUUM = "vacuum"
    FOREIGN_KEYS_ON = "foreign_keys on"
    FOREIGN_KEYS_OFF = "foreign_keys off"
    JOURNAL_MODE = "journal_mode"


@dataclass(frozen=True)
class Advice:
    """Why a statement cannot be part of one transaction, and what to write instead."""

    reason: str
    instead: str


REFUSED: dict[Kind, Advice] = {
    Kind.ATTACH: Advice(
        "ATTACH and DETACH reach other files, which this transaction cannot undo",
        "copy between databases outside the migration",
    ),
    Kind.VACUUM: Advice(
        "VACUUM cannot run inside a transaction",
        "run VACUUM after the upgrade, outside the migration",
    ),
    Kind.FOREIGN_KEYS_ON: Advice(
        "PRAGMA foreign_keys=ON does nothing inside a transaction",
        "leave the PRAGMA out: orchctl checks foreign keys before it commits",
    ),
    Kind.JOURNAL_MODE: Advice(
        "the journal mode cannot change inside a transaction",
        "set journal_mode where the application connects",
    ),
}

_LEADING = re.compile(r"(?:\s|;|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")
_ROLLBACK_TO = re.compile(r"rollback\s+(?:transaction\s+)?to\b", re.IGNORECASE)
_PRAGMA = re.compile(
    r"pragma\s+(?:(?:\w+|\"[^\"]+\")\s*\.\s*)?(\w+)\s*(?:=\s*|\(\s*)([^\s;)]+)", re.IGNORECASE
)
_DROP = re.compile(
    r"\s*drop\s+(trigger|index|view)\s+(?:if\s+exists\s+)?"
    r"(?:(?:\w+|\"[^\"]+\")\s*\.\s*)?(\"[^\"]+\"|'[^']+'|`[^`]+`|\[[^\]]+\]|\w+)",
    re.IGNORECASE,
)
_NAME = r"(?:\"[^\"]+\"|'[^']+'|`[^`]+`|\[[^\]]+\]|\w+)"
_ADD_COLUMN = re.compile(
    rf"alter\s+table\s+(?:{_NAME}\s*\.\s*)?{_NAME}\s+add\s+(?!constraint\b)", re.IGNORECASE
)
_KINDS = {
    "BEGIN": Kind.BEGIN,
    "COMMIT": Kind.COMMIT,
    "END": Kind.COMMIT,
    "ROLLBACK": Kind.ROLLBACK,
    "ATTACH": Kind.ATTACH,
    "DETACH": Kind.ATTACH,
    "VACUUM": Kind.VACUUM,
    "PRAGMA": Kind.PLAIN,
}
_OFF = frozenset({"0", "off", "no", "false"})


def classify(sql: str) -> Kind:
    """What `sql` would do to the transaction around it; ROLLBACK TO and SAVEPOINT are plain."""
    begin = _leading(sql)
    word = _WORD.match(sql, begin)
    if word is None:
        return Kind.PLAIN
    keyword = word[0].upper()
    if keyword not in _KINDS:
        return Kind.PLAIN
    if keyword == "ROLLBACK" and _ROLLBACK_TO.match(sql, begin):
        return Kind.PLAIN
    if keyword == "PRAGMA":
        return _pragma(sql, begin)
    return _KINDS[keyword]


def dropped_object(sql: str) -> tuple[str, str] | None:
    """What a statement drops by name, as (trigger | index | view, name in lower case)."""
    match = _DROP.match(sql)
    if match is None:
        return None
    return match[1].lower(), match[2].strip("\"'`[]").lower()


def adds_column(sql: str) -> bool:
    """Whether a statement surely is ALTER TABLE ADD COLUMN; False also when it can't be told."""
    return _ADD_COLUMN.match(sql, _leading(sql)) is not None


def is_several(sql: str) -> bool:
    """Whether more than one statement stands in a text; the driver refuses to execute that."""
    pieces = split_script(sql)
    return len([piece for piece in pieces if _leading(piece) < len(piece)]) > 1


def split_script(script: str) -> list[str]:
    """The statements of an SQL script, split where SQLite says that one is complete."""
    statements, start, position = [], 0, 0
    while (position := script.find(";", position)) >= 0:
        position += 1
        if sqlite3.complete_statement(script[start:position]):
            statements.append(script[start:position])
            start = position
    statements.append(script[start:])
    return [text for text in statements if text.strip().strip(";").strip()]


def _leading(sql: str) -> int:
    """How much blank space, comment and empty statement a text begins with."""
    match = _LEADING.match(sql)
    return match.end() if match else 0


def _pragma(sql: str, begin: int) -> Kind:
    match = _PRAGMA.match(sql, begin)
    if match is None:
        return Kind.PLAIN  # reads a value
    name, value = match[1].lower(), match[2].strip("'\"").lower()
    if name == "foreign_keys":
        return Kind.FOREIGN_KEYS_OFF if value in _OFF else Kind.FOREIGN_KEYS_ON
    return Kind.JOURNAL_MODE if name == "journal_mode" else Kind.PLAIN


def path_literal(path: Path) -> str:
    """A path as it stands in a statement, also one with bytes that are no UTF-8."""
    text = str(path)
    if any("\udc80" <= letter <= "\udcff" for letter in text):
        return f"CAST(x'{os.fsencode(path).hex()}' AS TEXT)"
    return "'" + text.replace("'", "''") + "'"
