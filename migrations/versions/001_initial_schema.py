"""initial schema

Revision ID: 001
Revises:
Create Date: 2025-10-06 09:12:41.503817

Constraints have no names, as in the databases that are out there: SQLite can't rename one, so
naming them here would make two kinds of database.
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision: str = "001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the six tables."""
    create_providers_and_models()
    create_request_logs()
    create_provider_health()
    create_provider_stats()


def create_providers_and_models() -> None:
    op.create_table(
        "providers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("type", sa.String(50), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        flag("enabled", "1"),
        timestamp("created_at"),
        timestamp("updated_at"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "models",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("remark", sa.String(255), nullable=True),
        number("max_retry", "3"),
        number("timeout", "30"),
        flag("enabled", "1"),
        timestamp("created_at"),
        timestamp("updated_at"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "model_providers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.Integer(), nullable=False),
        sa.Column("provider_model", sa.String(100), nullable=False),
        number("weight", "1"),
        flag("tool_call", "1"),
        flag("structured_output", "1"),
        flag("image", "0"),
        flag("enabled", "1"),
        timestamp("created_at"),
        timestamp("updated_at"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )


def create_request_logs() -> None:
    op.create_table(
        "request_logs",
        sa.Column("id", sa.Integer(), nullable=False),
        # No foreign key: a log outlives its provider.
        sa.Column("provider_id", sa.Integer(), nullable=True),
        sa.Column("model", sa.String(100), nullable=True),
        sa.Column("endpoint", sa.String(255), nullable=True),
        sa.Column("method", sa.String(10), nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        number("prompt_tokens", "0"),
        number("completion_tokens", "0"),
        number("total_tokens", "0"),
        sa.Column("cost", sa.Float(), nullable=True),
        sa.Column("user_id", sa.String(100), nullable=True),
        sa.Column("ip_address", sa.String(50), nullable=True),
        timestamp("created_at"),
        sa.PrimaryKeyConstraint("id"),
    )


def create_provider_health() -> None:
    op.create_table(
        "provider_health",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.Integer(), nullable=False),
        flag("is_healthy", "1"),
        number("error_count", "0"),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_status_code", sa.Integer(), nullable=True),
        timestamp("last_validated_at"),
        sa.Column("last_success_at", sa.DateTime(), nullable=True),
        sa.Column("next_retry_at", sa.DateTime(), nullable=True),
        number("consecutive_successes", "0"),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("provider_id"),
    )


def create_provider_stats() -> None:
    op.create_table(
        "provider_stats",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.Integer(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        number("total_requests", "0"),
        number("success_requests", "0"),
        number("failed_requests", "0"),
        number("total_tokens", "0"),
        number("prompt_tokens", "0"),
        number("completion_tokens", "0"),
        sa.Column("avg_response_time", sa.Float(), server_default=sa.text("0"), nullable=True),
        sa.Column("last_used_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("provider_id", "date"),
    )


def number(name: str, default: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text(default), nullable=True)


def flag(name: str, default: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), server_default=sa.text(default), nullable=True)


def timestamp(name: str) -> sa.Column[datetime]:
    return sa.Column(
        name, sa.DateTime(), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=True
    )


def downgrade() -> None:
    """Drop the six tables, children first: with foreign keys on, a parent takes them along."""
    op.drop_table("provider_stats")
    op.drop_table("provider_health")
    op.drop_table("request_logs")
    op.drop_table("model_providers")
    op.drop_table("models")
    op.drop_table("providers")
