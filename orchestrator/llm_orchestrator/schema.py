"""The orchestrator's tables at revision 004, as SQLAlchemy models.

The revisions in the top-level `migrations/` make and change the tables; `alembic check` holds the
two against each other.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Float, ForeignKey, MetaData, String, Text, UniqueConstraint, func, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# constraint, and the comparison tells a named one from one without a name.
NAMING_CONVENTION = {
    "ix": "ix_%(column_0_N_label)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of the models; its metadata is the schema at head."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Provider(Base):
    """An upstream service: where it is, its key, and how much it is used."""

    __tablename__ = "providers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    # openai, anthropic or gemini
    type: Mapped[str] = mapped_column(String(50))
    enabled: Mapped[bool | None] = mapped_column(server_default=text("1"))
    created_at: Mapped[dt.datetime | None] = mapped_column(server_default=func.current_timestamp())
    updated_at: Mapped[dt.datetime | None] = mapped_column(server_default=func.current_timestamp())
    # The lowest is tried first.
    priority: Mapped[int] = mapped_column(server_default=text("100"))
    weight: Mapped[int] = mapped_column(server_default=text("100"))
    max_retries: Mapped[int] = mapped_column(server_default=text("3"))
    # seconds
    timeout: Mapped[int] = mapped_column(server_default=text("60"))
    rate_limit: Mapped[int | None]
    api_key: Mapped[str] = mapped_column(String(255))
    base_url: Mapped[str | None] = mapped_column(String(255))


class ProviderConfigExtras(Base):
    """What a provider's JSON config held besides key and address, before columns replaced it.

    Only providers that had more have a row. The table is optional: revision 003 once dropped the
    other keys, and a database that passed it then is at head without the table.
    """

    __tablename__ = "provider_config_extras"
    __table_args__ = ({"info": {"optional": True}},)

    provider_id: Mapped[int] = mapped_column(
        ForeignKey("providers.id", ondelete="CASCADE"), primary_key=True
    )
    # A JSON object without api_key and base_url
    config: Mapped[str] = mapped_column(Text)


class Model(Base):
    """A model that callers may ask for by name."""

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    remark: Mapped[str | None] = mapped_column(String(255))
    max_retry: Mapped[int | None] = mapped_column(server_default=text("3"))
    # seconds
    timeout: Mapped[int | None] = mapped_column(server_default=text("30"))
    enabled: Mapped[bool | None] = mapped_column(server_default=text("1"))
    created_at: Mapped[dt.datetime | None] = mapped_column(server_default=func.current_timestamp())
    updated_at: Mapped[dt.datetime | None] = mapped_column(server_default=func.current_timestamp())


class ModelProvider(Base):
    """A provider that serves a model: under which name, and what it can do there."""

    __tablename__ = "model_providers"

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))
    provider_id: Mapped[int] = mapped_column(ForeignKey("providers.id", ondelete="CASCADE"))
    # What is sent upstream as the model's name.
    provider_model: Mapped[str] = mapped_column(String(100))
    weight: Mapped[int | None] = mapped_column(server_default=text("1"))
    tool_call: Mapped[bool | None] = mapped_column(server_default=text("1"))
    structured_output: Mapped[bool | None] = mapped_column(server_default=text("1"))
    image: Mapped[bool | None] = mapped_column(server_default=text("0"))
    enabled: Mapped[bool | None] = mapped_column(server_default=text("1"))
    created_at: Mapped[dt.datetime | None] = mapped_column(server_default=func.current_timestamp())
    updated_at: Mapped[dt.datetime | None] = mapped_column(server_default=func.current_timestamp())


class RequestLog(Base):
    """One call: who asked, who answered, how it ended, what it cost."""

    __tablename__ = "request_logs"

    id: Mapped[int] = mapped_column(primary_key=True)
    # No foreign key: a log outlives its provider.
    provider_id: Mapped[int | None]
    model: Mapped[str | None] = mapped_column(String(100))
    endpoint: Mapped[str | None] = mapped_column(String(255))
    method: Mapped[str | None] = mapped_column(String(10))
    status_code: Mapped[int | None]
    error_message: Mapped[str | None] = mapped_column(Text)
    latency_ms: Mapped[int | None]
    prompt_tokens: Mapped[int | None] = mapped_column(server_default=text("0"))
    completion_tokens: Mapped[int | None] = mapped_column(server_default=text("0"))
    total_tokens: Mapped[int | None] = mapped_column(server_default=text("0"))
    cost: Mapped[float | None] = mapped_column(Float)
    # A hash of the caller's key, never the key.
    user_id: Mapped[str | None] = mapped_column(String(100))
    ip_address: Mapped[str | None] = mapped_column(String(50))
    created_at: Mapped[dt.datetime | None] = mapped_column(server_default=func.current_timestamp())


class ProviderHealth(Base):
    """The last outcomes of a provider's health checks."""

    __tablename__ = "provider_health"

    id: Mapped[int] = mapped_column(primary_key=True)
    provider_id: Mapped[int] = mapped_column(
        ForeignKey("providers.id", ondelete="CASCADE"), unique=True
    )
    is_healthy: Mapped[bool | None] = mapped_column(server_default=text("1"))
    error_count: Mapped[int | None] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None] = mapped_column(Text)
    last_status_code: Mapped[int | None]
    last_validated_at: Mapped[dt.datetime | None] = mapped_column(
        server_default=func.current_timestamp()
    )
    last_success_at: Mapped[dt.datetime | None]
    next_retry_at: Mapped[dt.datetime | None]
    consecutive_successes: Mapped[int | None] = mapped_column(server_default=text("0"))
    response_time_ms: Mapped[float | None] = mapped_column(Float, server_default=text("0"))
    error_message: Mapped[str | None] = mapped_column(Text)
    last_check: Mapped[dt.datetime | None] = mapped_column(server_default=func.current_timestamp())
    consecutive_failures: Mapped[int | None] = mapped_column(server_default=text("0"))
    # percent
    success_rate: Mapped[float | None] = mapped_column(Float, server_default=text("100"))


class ProviderStats(Base):
    """A provider's totals of one day."""

    __tablename__ = "provider_stats"
    __table_args__ = (UniqueConstraint("provider_id", "date"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    provider_id: Mapped[int] = mapped_column(ForeignKey("providers.id", ondelete="CASCADE"))
    date: Mapped[dt.date]
    total_requests: Mapped[int | None] = mapped_column(server_default=text("0"))
    success_requests: Mapped[int | None] = mapped_column(server_default=text("0"))
    failed_requests: Mapped[int | None] = mapped_column(server_default=text("0"))
    total_tokens: Mapped[int | None] = mapped_column(server_default=text("0"))
    prompt_tokens: Mapped[int | None] = mapped_column(server_default=text("0"))
    completion_tokens: Mapped[int | None] = mapped_column(server_default=text("0"))
    avg_response_time: Mapped[float | None] = mapped_column(Float, server_default=text("0"))
    last_used_at: Mapped[dt.datetime | None]
