"""What a revision does, one act after the other, as on SQLite."""

from __future__ import annotations

import ast
from typing import NamedTuple

from orchctl.chain.lint.sql import Statement
from orchctl.chain.lint.things import Batch, Built, Thing

# What changes tables, and what changes anything.
SCHEMA_ACTS = frozenset(
    (
        "add_column",
        "alter",
        "alter_column",
        "constraint",
        "create_table",
        "drop_column",
        "drop_constraint",
        "drop_table",
        "rename_column",
        "rename_table",
        "schema",
    )
)
CHANGES = SCHEMA_ACTS | {"data", "emptied", "index"}


class Act(NamedTuple):
    """One thing that a revision does.

    Attributes:
        kind: Such as `create_table`, `commit`, `sql`.
        node: The call that does it.
        certain: Whether running the function on SQLite surely does it.
        table: The table it is about, None where the text does not tell.
        batch: The batch it is part of.
        call: The method's own name: `create_foreign_key`.
        args: Its arguments, without the table.
        keywords: Those given by name.
        sql: What is sent, when it is text.
    """

    kind: str
    node: ast.expr | ast.stmt
    certain: bool
    table: str | None = None
    batch: Batch | None = None
    call: str = ""
    args: tuple[Thing, ...] = ()
    keywords: dict[str, Thing] = {}  # noqa: RUF012 - never changed
    sql: Statement | None = None

    @property
    def effect(self) -> str:
        """Its kind, for SQL that of the statement."""
        return self.kind if self.sql is None else self.sql.kind

    def arg(self, position: int, name: str) -> Thing:
        """An argument by its position or its name; None where it is not given."""
        if position < len(self.args):
            return self.args[position]
        return self.keywords.get(name)

    @property
    def in_batch(self) -> bool:
        """Whether the table may be rebuilt for it."""
        return self.batch is not None and not self.batch.plain

    @property
    def column(self) -> Built | None:
        """The column that is added."""
        given = self.arg(0, "column")
        return given if isinstance(given, Built) and given.name == "Column" else None
