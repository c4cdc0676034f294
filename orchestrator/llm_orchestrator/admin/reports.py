"""What the admin API gives that is counted, checked or logged."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, RootModel

from llm_orchestrator.admin.bodies import Moment
from llm_orchestrator.cache import CacheStatus
from llm_orchestrator.errors import ErrorBody
from llm_orchestrator.inputs import Name, Taken
from llm_orchestrator.schema import Provider, ProviderHealth, RequestLog
from llm_orchestrator.store.stats import ProviderTotals, Totals


class Verified(BaseModel):
    """The admin key is right."""

    valid: Literal[True] = True


class Outcome(BaseModel):
    """How one request ended."""

    created_at: Moment | None
    status_code: int | None
    success: bool
    latency_ms: int | None
    error_message: str | None

    @classmethod
    def of(cls, row: RequestLog) -> Self:
        """Return what a log says of it."""
        return cls(
            created_at=row.created_at,
            status_code=row.status_code,
            success=row.status_code is not None and 200 <= row.status_code < 400,
            latency_ms=row.latency_ms,
            error_message=row.error_message,
        )


class AssociationStatus(BaseModel):
    """An association's last requests, the newest first."""

    model_provider_id: int
    outcomes: list[Outcome]


class OfferedModel(BaseModel):
    """A model that a provider says it has."""

    name: str
    imported: bool = Field(description="whether the provider serves it here already")


class Offer(BaseModel):
    """The models that a provider says it has."""

    provider_id: int
    models: list[OfferedModel]


class ModelNames(Taken):
    """Names of a provider's models to serve."""

    models: list[Name] = Field(min_length=1, max_length=1000)


class ModelsAdded(BaseModel):
    """What adding models came to."""

    created_models: int
    created_associations: int
    skipped: int = Field(description="served here already")


class ProviderHealthBody(BaseModel):
    """How an enabled provider is; nulls where it was never checked."""

    provider_id: int
    provider_name: str
    is_healthy: bool | None
    response_time_ms: float | None
    error_message: str | None
    last_check: Moment | None
    consecutive_failures: int
    success_rate: float | None = Field(description="percent")

    @classmethod
    def of(cls, provider: Provider, health: ProviderHealth | None) -> Self:
        """Return a provider's health as the last check left it."""
        return cls(
            provider_id=provider.id,
            provider_name=provider.name,
            is_healthy=health.is_healthy if health else None,
            response_time_ms=health.response_time_ms if health else None,
            error_message=health.error_message if health else None,
            last_check=health.last_check if health else None,
            consecutive_failures=(health.consecutive_failures or 0) if health else 0,
            success_rate=health.success_rate if health else None,
        )


class HealthReport(BaseModel):
    """How the service is as a whole."""

    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: Moment
    database_status: str = Field(description="`ok`, or what is wrong with it")
    cache_status: CacheStatus = Field(description="`unreachable`: Redis is wanted and gone")
    providers: list[ProviderHealthBody]


class HealthRefusal(RootModel[HealthReport | ErrorBody]):
    """What comes with 503: the report of an unhealthy service, or why there is none."""


class TotalsBody(BaseModel):
    """Counts of requests."""

    total_requests: int
    success_requests: int
    failed_requests: int
    success_rate: float = Field(description="percent; 0 without requests")
    avg_response_time_ms: float
    total_tokens: int
    total_cost: float

    @staticmethod
    def facts(totals: Totals) -> dict[str, float]:
        """Return the fields."""
        return {name: getattr(totals, name) for name in TotalsBody.model_fields}


class ProviderTotalsBody(TotalsBody):
    """Counts of a provider's requests."""

    provider_id: int
    provider_name: str | None = Field(description="null once the provider is deleted")

    @classmethod
    def of(cls, found: ProviderTotals) -> Self:
        """Return a provider's totals."""
        return cls.model_validate(
            {
                **TotalsBody.facts(found.totals),
                "provider_id": found.provider_id,
                "provider_name": found.provider_name,
            }
        )


class StatsReport(TotalsBody):
    """What the logs of the last hours add up to."""

    hours: int
    providers: list[ProviderTotalsBody]


class LogBody(BaseModel):
    """One request."""

    id: int
    provider_id: int | None
    provider_name: str | None
    model: str | None
    endpoint: str | None
    method: str | None
    status_code: int | None
    error_message: str | None
    latency_ms: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cost: float | None
    user_id: str | None = Field(description="stands for the caller's key")
    ip_address: str | None
    created_at: Moment | None

    @classmethod
    def of(cls, row: RequestLog, provider_name: str | None) -> Self:
        """Return a log as it is shown."""
        fields = set(cls.model_fields) - {"provider_name"}
        return cls(provider_name=provider_name, **{name: getattr(row, name) for name in fields})


class LogPageBody(BaseModel):
    """A page of the logs, the newest first."""

    items: list[LogBody]
    total: int
    page: int
    page_size: int
    pages: int


class Cleaned(BaseModel):
    """How many logs were deleted."""

    deleted: int
    retention_days: int
