"""add provider fields

Revision ID: 002
Revises: 001
Create Date: 2025-10-14 16:40:08.219354

ADD COLUMN and DROP COLUMN (SQLite 3.35) leave the table itself in place. Batch mode would rebuild
`providers`, and with foreign keys on its ON DELETE CASCADE children would go with the old table.
"""

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision: str = "002"
down_revision: str | None = "001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Give providers what routing and retrying need."""
    op.add_column("providers", required_number("priority", "100"))
    op.add_column("providers", required_number("weight", "100"))
    op.add_column("providers", required_number("max_retries", "3"))
    op.add_column("providers", required_number("timeout", "60"))
    op.add_column("providers", sa.Column("rate_limit", sa.Integer(), nullable=True))


def required_number(name: str, default: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text(default), nullable=False)


def downgrade() -> None:
    """Take the five columns away again."""
    op.drop_column("providers", "rate_limit")
    op.drop_column("providers", "timeout")
    op.drop_column("providers", "max_retries")
    op.drop_column("providers", "weight")
    op.drop_column("providers", "priority")
