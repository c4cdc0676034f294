"""Chains of any length: one whose schema grows to its end, one that also takes things back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_INI = """\
[alembic]
script_location = %(here)s/migrations
path_separator = os
sqlalchemy.url = sqlite:///app.db
"""

_ENV = """\
from alembic import context
from sqlalchemy import engine_from_config, pool

config = context.config
connectable = engine_from_config(
    config.get_section(config.config_ini_section, {}),
    prefix="sqlalchemy.",
    poolclass=pool.NullPool,
)
with connectable.connect() as connection:
    context.configure(connection=connection, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
"""

_REVISION = '''\
"""step {number}

Revision ID: {revision}
Revises: {parent}
Create Date: 2024-01-01 00:00:00

"""
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down}
branch_labels = None
depends_on = None


def upgrade() -> None:
    {statement}


def downgrade() -> None:
    pass
'''

# Two statements a revision: a table, a column, a child table, each with an index.
_TABLE = """op.create_table(
        "t{table}",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False),
    )
    op.create_index("ix_t{table}_name", "t{table}", ["name"])"""
_COLUMN = """op.add_column("t{table}", sa.Column("note", sa.Text, server_default=""))
    op.create_index("ix_t{table}_note", "t{table}", ["note"])"""
_CHILD = """op.create_table(
        "t{table}_log",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("t_id", sa.Integer, sa.ForeignKey("t{table}.id", ondelete="CASCADE")),
        sa.Column("at", sa.DateTime, server_default=sa.func.now()),
    )
    op.create_index("ix_t{table}_log_t_id", "t{table}_log", ["t_id"])"""
_STATEMENTS = (_TABLE, _COLUMN, _CHILD)
# The same taken back, each with its index.
_DROPS = (
    """op.drop_index("ix_t{table}_note", "t{table}")
    op.drop_column("t{table}", "note")""",
    """op.drop_index("ix_t{table}_log_t_id", "t{table}_log")
    op.drop_table("t{table}_log")""",
    """op.drop_index("ix_t{table}_name", "t{table}")
    op.drop_table("t{table}")""",
)
# After so many revisions, a chain that takes things back leaves its schema at that size.
_GROWN = 60


def write_chain(folder: Path, length: int, *, grows: bool = True) -> None:
    """Write an Alembic project with `length` revisions in one line; its database is app.db.

    Args:
        folder: Where; must not exist.
        length: How many.
        grows: Whether every revision adds to the schema, to 1.7 tables and indexes a revision.
            If not, it stays at about a hundred: of the revisions after the first 60, every second
            three drop what the three before them made.
    """
    write_project(folder, [_statement(number, grows) for number in range(1, length + 1)])


def write_project(folder: Path, statements: Sequence[str]) -> None:
    """Write an Alembic project with one revision for each of these bodies of upgrade()."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text(_INI)
    (folder / "migrations" / "env.py").write_text(_ENV)
    for number, statement in enumerate(statements, start=1):
        parent = revision_id(number - 1) if number > 1 else ""
        (versions / f"{revision_id(number)}_step.py").write_text(
            _REVISION.format(
                number=number,
                revision=revision_id(number),
                parent=parent,
                down=repr(parent) if parent else None,
                statement=statement,
            )
        )


def _statement(number: int, grows: bool) -> str:
    group, place = divmod(number - 1, 3)
    if grows or number <= _GROWN or group % 2 == 0:
        return _STATEMENTS[place].format(table=group)
    return _DROPS[place].format(table=group - 1)


def revision_id(number: int) -> str:
    """The id of the chain's n-th revision, counted from 1."""
    return f"{number:06x}"
