"""Providers, models and associations as the admin API shows them."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field

from llm_orchestrator.schema import Model, Provider
from llm_orchestrator.store.associations import Association
from llm_orchestrator.store.masks import mask_key


def _in_utc(moment: dt.datetime) -> dt.datetime:
    """Say that it is UTC; the database keeps it without saying so."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


Moment = Annotated[dt.datetime, AfterValidator(_in_utc)]

MASKED = "its last characters after stars; sent back as it is, the key stays as it was"


class ProviderBody(BaseModel):
    """A provider. Rows of old may hold what could not be added today."""

    id: int
    name: str
    type: str
    api_key: str = Field(description=MASKED)
    base_url: str | None
    enabled: bool
    priority: int
    weight: int
    max_retries: int
    timeout: int
    rate_limit: int | None
    created_at: Moment | None
    updated_at: Moment | None

    @classmethod
    def of(cls, row: Provider) -> Self:
        """Return what may be shown of a provider."""
        shown = {name: getattr(row, name) for name in cls.model_fields}
        return cls(
            **shown | {"api_key": mask_key(row.api_key), "enabled": row.enabled is not False}
        )


class ModelBody(BaseModel):
    """A model that callers may ask for."""

    id: int
    name: str
    remark: str | None
    max_retry: int | None
    timeout: int | None
    enabled: bool
    created_at: Moment | None
    updated_at: Moment | None

    @classmethod
    def of(cls, row: Model) -> Self:
        """Return a model as it is shown."""
        shown = {name: getattr(row, name) for name in cls.model_fields}
        return cls(**shown | {"enabled": row.enabled is not False})


class AssociationBody(BaseModel):
    """A provider that serves a model, with the names of both."""

    id: int
    model_id: int
    provider_id: int
    provider_model: str
    weight: int
    tool_call: bool
    structured_output: bool
    image: bool
    enabled: bool
    created_at: Moment | None
    updated_at: Moment | None
    model_name: str
    provider_name: str
    provider_type: str

    @classmethod
    def of(cls, found: Association) -> Self:
        """Return an association as it is shown; what a row of old left open is the default."""
        row = found.row
        return cls(
            id=row.id,
            model_id=row.model_id,
            provider_id=row.provider_id,
            provider_model=row.provider_model,
            weight=1 if row.weight is None else row.weight,
            tool_call=row.tool_call is not False,
            structured_output=row.structured_output is not False,
            image=row.image is True,
            enabled=row.enabled is not False,
            created_at=row.created_at,
            updated_at=row.updated_at,
            model_name=found.model_name,
            provider_name=found.provider_name,
            provider_type=found.provider_type,
        )
