"""What the admin API takes and gives for providers, models and associations."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from llm_orchestrator.patterns import KEY, NAME, REMARK, URL
from llm_orchestrator.schema import Model, Provider
from llm_orchestrator.store.associations import Association
from llm_orchestrator.store.masks import mask_key


def _in_utc(moment: dt.datetime) -> dt.datetime:
    """Say that it is UTC; the database keeps it without saying so."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _not_given() -> Any:
    """The default of a field that a change may leave out; never dumped."""
    return None


Moment = Annotated[dt.datetime, AfterValidator(_in_utc)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=NAME)]
Remark = Annotated[str, Field(max_length=255, pattern=REMARK)]
Kind = Literal["openai", "anthropic", "gemini"]
ApiKey = Annotated[str, Field(min_length=1, max_length=255, pattern=KEY)]
BaseUrl = Annotated[str, Field(max_length=255, pattern=URL)]
Priority = Annotated[int, Field(ge=0, le=1_000_000, description="the lowest is tried first")]
Weight = Annotated[
    int, Field(ge=0, le=1_000_000, description="share of the requests beside the others")
]
Retries = Annotated[int, Field(ge=0, le=10)]
Seconds = Annotated[int, Field(ge=1, le=3600, description="seconds")]
PerMinute = Annotated[int, Field(ge=1, le=1_000_000, description="requests a minute")]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]

MASKED = "its last characters after stars; sent back as it is, the key stays as it was"


class Taken(BaseModel):
    """A body of a request: unknown fields and other types are errors, not ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def given(self) -> dict[str, Any]:
        """Return the fields that were given."""
        return self.model_dump(exclude_unset=True)


class NewProvider(Taken):
    """A provider to add."""

    name: Name
    type: Kind
    api_key: ApiKey
    base_url: BaseUrl | None = Field(default=None, description="null: the vendor's own address")
    enabled: bool = True
    priority: Priority = 100
    weight: Weight = 100
    max_retries: Retries = 3
    timeout: Seconds = 60
    rate_limit: PerMinute | None = None


class ProviderChange(Taken):
    """Fields of a provider to change; the others stay."""

    name: Name = Field(default_factory=_not_given)
    type: Kind = Field(default_factory=_not_given)
    api_key: ApiKey = Field(default_factory=_not_given)
    base_url: BaseUrl | None = Field(default_factory=_not_given)
    enabled: bool = Field(default_factory=_not_given)
    priority: Priority = Field(default_factory=_not_given)
    weight: Weight = Field(default_factory=_not_given)
    max_retries: Retries = Field(default_factory=_not_given)
    timeout: Seconds = Field(default_factory=_not_given)
    rate_limit: PerMinute | None = Field(default_factory=_not_given)


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


class NewModel(Taken):
    """A model to add."""

    name: Name
    remark: Remark | None = None
    max_retry: Retries = 3
    timeout: Seconds = 30
    enabled: bool = True


class ModelChange(Taken):
    """Fields of a model to change; the others stay."""

    name: Name = Field(default_factory=_not_given)
    remark: Remark | None = Field(default_factory=_not_given)
    max_retry: Retries = Field(default_factory=_not_given)
    timeout: Seconds = Field(default_factory=_not_given)
    enabled: bool = Field(default_factory=_not_given)


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


class NewAssociation(Taken):
    """A provider to serve a model."""

    model_id: Id
    provider_id: Id
    provider_model: Name = Field(description="what is sent upstream as the model's name")
    weight: Weight = 1
    tool_call: bool = True
    structured_output: bool = True
    image: bool = False
    enabled: bool = True


class AssociationChange(Taken):
    """Fields of an association to change; the others stay, and so does what it joins."""

    provider_model: Name = Field(default_factory=_not_given)
    weight: Weight = Field(default_factory=_not_given)
    tool_call: bool = Field(default_factory=_not_given)
    structured_output: bool = Field(default_factory=_not_given)
    image: bool = Field(default_factory=_not_given)
    enabled: bool = Field(default_factory=_not_given)


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
