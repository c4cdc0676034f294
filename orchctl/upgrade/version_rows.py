"""Alembic's version table, its row moved from revision to revision without compiling each time.

Alembic writes both ids into the text of every UPDATE, so that SQLAlchemy builds and compiles it
anew for each revision: as dear as a small revision itself. It is always the same statement, which
here gets the ids as parameters.
"""

from __future__ import annotations

from typing import Any


class VersionRows:
    """What a MigrationContext has for its version table; all but `update()` is the table's.

    Args:
        table: The SQLAlchemy table.
        dialect: The connection's dialect, SQLite's.
    """

    def __init__(self, table: Any, dialect: Any) -> None:
        name = dialect.identifier_preparer.format_table(table)
        self._table = table
        self._sql = f"UPDATE {name} SET version_num=? WHERE {name}.version_num = ?"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def update(self) -> Any:
        """The beginning of an UPDATE as Alembic's HeadMaintainer writes it."""
        return _Move(self._table, self._sql)


class _Move:
    """An UPDATE of the one column; whatever else is asked of it, SQLAlchemy's own answers."""

    def __init__(self, table: Any, sql: str) -> None:
        self._table = table
        self._sql = sql

    def __getattr__(self, name: str) -> Any:
        return getattr(self._statement(), name)

    def values(self, version_num: Any) -> _Move:
        self._to = version_num
        return self

    def where(self, clause: Any) -> _Move:
        self._clause = clause
        return self

    def _statement(self) -> Any:
        return self._table.update().values(version_num=self._to).where(self._clause)

    def _execute_on_connection(self, connection: Any, parameters: Any, options: Any) -> Any:
        """What SQLAlchemy's `Connection.execute` calls on a statement."""
        ids = _id(self._to), _id(self._clause.right)
        if None in ids:
            return connection.execute(self._statement(), execution_options=options)
        return connection.exec_driver_sql(self._sql, ids, execution_options=options)


def _id(literal: Any) -> str | None:
    """The text in a literal_column("'text'"); None for anything else."""
    return str(literal.name)[1:-1] if getattr(literal, "is_literal", False) else None
