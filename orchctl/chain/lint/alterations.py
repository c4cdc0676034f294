"""L10 and L13: what SQLite does not understand."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchctl.chain.findings import Finding
from orchctl.chain.lint.acts import Act
from orchctl.chain.lint.subject import Script, Subject, shown
from orchctl.chain.lint.things import UNKNOWN, Built
from orchctl.chain.tokens import Severity

_CONSTRAINTS = "NotImplementedError: No support for ALTER of constraints in SQLite dialect"
_SYNTAX = 'near "{}": syntax error'
# SQLite 3.53 can add and drop NOT NULL, and CHECK constraints.
_NEWER = "with SQLite before 3.53"
_NULLABLE = re.compile(r"ALTER\s+(?:COLUMN\s+)?\S+\s+(?:SET|DROP)\s+NOT\s+NULL\s*$", re.IGNORECASE)
_CHECK = re.compile(r"ADD\s+CONSTRAINT\s+\S+\s+CHECK\b|DROP\s+CONSTRAINT\s+\S+\s*$", re.IGNORECASE)


def lacking(subject: Subject) -> Iterator[Finding]:
    """L10: op.alter_column() and its like outside batch mode, other databases' ALTER."""
    for script in subject.scripts:
        for act in script.acts:
            told = _sql(act) if act.sql else None if act.in_batch else _operation(act)
            if told is None:
                continue
            what, alembic, newer = told
            yield subject.finding(
                "L10",
                _severity(script, act, newer),
                act.node,
                f"SQLite has no ALTER that {what}",
                _instead(act),
                alembic,
            )


def _severity(script: Script, act: Act, newer: bool) -> Severity:
    return "warning" if newer else script.severity(act)


def _instead(act: Act) -> str:
    if act.sql and act.table is None:
        return "Send it only where op.get_context().dialect.name is the database it is for"
    table = f'"{act.table}"' if act.table else "table"
    return f"with op.batch_alter_table({table}) as batch_op: …, which copies the table"


def _operation(act: Act) -> tuple[str, str, bool] | None:
    if act.kind == "alter_column":
        return _altered(act)
    what = {"constraint": "adds a constraint to", "drop_constraint": "drops a constraint of"}.get(
        act.kind
    )
    column = act.column if act.kind == "add_column" else None
    if column is not None:
        linked = any(isinstance(one, Built) and one.name == "ForeignKey" for one in column.args)
        if column.keywords.get("unique") is True and column.keywords.get("index") is not True:
            what = "adds a UNIQUE column to"
        elif linked and not act.keywords.get("inline_references"):
            what = "adds a foreign key to"
    return (f"{what} {shown(act.table)}", _CONSTRAINTS, False) if what else None


def _altered(act: Act) -> tuple[str, str, bool] | None:
    """Renaming is the one thing that works."""
    given = act.keywords
    name = act.arg(0, "column_name")
    about = f"the column {name!r} of {shown(act.table)}" if type(name) is str else "a column"
    failed = _SYNTAX.format("ALTER")
    if given.get("type_") is not None:
        return f"gives {about} another type", failed, False
    if given.get("server_default", False) is not False:
        return f"changes the default of {about}", failed, False
    if given.get("comment", False) is not False:
        return f"comments {about}", "can't render element of type ColumnComment", False
    nullable = given.get("nullable")
    if nullable is not None and nullable is not UNKNOWN:
        told = f"makes {about} {'nullable' if nullable is True else 'NOT NULL'}"
        return f"{told}, before its version 3.53", f"{failed}, {_NEWER}", True
    return None


def _sql(act: Act) -> tuple[str, str, bool] | None:
    sql = act.sql
    if sql is None or sql.kind != "alter":
        return None
    text = " ".join(sql.text.split())
    quoted = text if len(text) <= 60 else text[:59] + "…"
    quoted = quoted.replace("\0", "…")
    newer = bool(_NULLABLE.match(sql.rest) or _CHECK.match(sql.rest))
    failed = _SYNTAX.format("…")
    told = f"reads {quoted!r}"
    return (
        (f"{told}, before its version 3.53", f"{failed}, {_NEWER}", True)
        if newer
        else (
            told,
            failed,
            False,
        )
    )


def case_function(subject: Subject) -> Iterator[Finding]:
    """L13: func.case() is a call of a function of that name, which no database has."""
    for script in subject.scripts:
        for act in script.acts:
            if act.kind == "func_case":
                with_else = "else_" in act.keywords
                yield subject.finding(
                    "L13",
                    script.severity(act),
                    act.node,
                    "func.case() calls a function named case, it is not the CASE expression",
                    "sa.case((condition, value), else_=other)",
                    "TypeError: Function.__init__() got an unexpected keyword argument 'else_'"
                    if with_else
                    else "a syntax error",
                )
