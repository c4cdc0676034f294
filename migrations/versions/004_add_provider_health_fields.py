"""add provider health fields

Revision ID: 004
Revises: 003
Create Date: 2025-11-19 08:03:17.441296

provider_health gets the fields that the health page shows, filled from what 001 already stores:

- error_message from last_error;
- last_check from last_validated_at, else last_success_at, else NULL: never checked;
- consecutive_failures from error_count, or 0 where the last outcomes were successes;
- success_rate (percent) from consecutive_successes and error_count; where no success was counted,
  100 for a healthy provider and 0 for another;
- response_time_ms stays 0: nobody measured it.

ADD COLUMN can't give last_check its default (CURRENT_TIMESTAMP) while there are rows, so the
table is rebuilt; nothing refers to it, so nothing goes with the old one.

Both directions create provider_config_extras where it is missing: in databases that passed 003
before that revision kept the other keys of a config.
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision: str = "004"
down_revision: str | None = "003"
branch_labels: str | None = None
depends_on: str | None = None

FILL_HEALTH = """
INSERT INTO _provider_health_004
  (id, provider_id, is_healthy, error_count, last_error, last_status_code, last_validated_at,
   last_success_at, next_retry_at, consecutive_successes, response_time_ms, error_message,
   last_check, consecutive_failures, success_rate)
SELECT id, provider_id, is_healthy, error_count, last_error, last_status_code, last_validated_at,
  last_success_at, next_retry_at, consecutive_successes,
  0,
  last_error,
  coalesce(last_validated_at, last_success_at),
  CASE WHEN coalesce(consecutive_successes, 0) > 0 THEN 0 ELSE coalesce(error_count, 0) END,
  CASE
    WHEN coalesce(consecutive_successes, 0) > 0
      THEN 100.0 * consecutive_successes / (consecutive_successes + coalesce(error_count, 0))
    WHEN coalesce(is_healthy, 1) THEN 100
    ELSE 0 END
FROM provider_health
"""


def upgrade() -> None:
    """Rebuild provider_health with five columns more, filled."""
    create_extras_where_missing()
    op.create_table(
        "_provider_health_004",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.Integer(), nullable=False),
        sa.Column("is_healthy", sa.Boolean(), server_default=sa.text("1"), nullable=True),
        number("error_count"),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_status_code", sa.Integer(), nullable=True),
        timestamp("last_validated_at"),
        sa.Column("last_success_at", sa.DateTime(), nullable=True),
        sa.Column("next_retry_at", sa.DateTime(), nullable=True),
        number("consecutive_successes"),
        sa.Column("response_time_ms", sa.Float(), server_default=sa.text("0"), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        timestamp("last_check"),
        number("consecutive_failures"),
        sa.Column("success_rate", sa.Float(), server_default=sa.text("100"), nullable=True),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("provider_id"),
    )
    op.execute(FILL_HEALTH.strip())
    op.drop_table("provider_health")
    op.rename_table("_provider_health_004", "provider_health")


def number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=True)


def timestamp(name: str) -> sa.Column[datetime]:
    return sa.Column(
        name, sa.DateTime(), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=True
    )


def create_extras_where_missing() -> None:
    op.create_table(
        "provider_config_extras",
        sa.Column("provider_id", sa.Integer(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("provider_id"),
        if_not_exists=True,
    )


def downgrade() -> None:
    """Take the five columns away again; those of 001 stay as they are."""
    create_extras_where_missing()
    op.drop_column("provider_health", "success_rate")
    op.drop_column("provider_health", "consecutive_failures")
    op.drop_column("provider_health", "last_check")
    op.drop_column("provider_health", "error_message")
    op.drop_column("provider_health", "response_time_ms")
