"""What is taken for providers, models and associations, from whichever side it comes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from llm_orchestrator.patterns import KEY, KEY_OR_MASK, NAME, REMARK, URL


def _not_given() -> Any:
    """The default of a field that a change may leave out; never dumped."""
    return None


def _whole(value: Any) -> Any:
    """Take 3.0 for 3: to JSON they are one number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Last of a type's facts: before them, it would hide them from OpenAPI.
WHOLE = BeforeValidator(_whole)
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=NAME)]
Remark = Annotated[str, Field(max_length=255, pattern=REMARK)]
Kind = Literal["openai", "anthropic", "gemini"]
ApiKey = Annotated[str, Field(min_length=1, max_length=255, pattern=KEY)]
ChangedKey = Annotated[str, Field(min_length=1, max_length=255, pattern=KEY_OR_MASK)]
BaseUrl = Annotated[str, Field(max_length=255, pattern=URL)]
Priority = Annotated[int, Field(ge=0, le=1_000_000, description="the lowest is tried first"), WHOLE]
Weight = Annotated[
    int,
    Field(ge=0, le=1_000_000, description="share of the requests beside the others"),
    WHOLE,
]
Retries = Annotated[int, Field(ge=0, le=10), WHOLE]
Seconds = Annotated[int, Field(ge=1, le=3600, description="seconds"), WHOLE]
PerMinute = Annotated[int, Field(ge=1, le=1_000_000, description="requests a minute"), WHOLE]
# Beyond that JSON numbers are no longer exact.
HIGHEST_ID = 2**53 - 1
Id = Annotated[int, Field(ge=1, le=HIGHEST_ID), WHOLE]


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
    api_key: ChangedKey = Field(default_factory=_not_given)
    base_url: BaseUrl | None = Field(default_factory=_not_given)
    enabled: bool = Field(default_factory=_not_given)
    priority: Priority = Field(default_factory=_not_given)
    weight: Weight = Field(default_factory=_not_given)
    max_retries: Retries = Field(default_factory=_not_given)
    timeout: Seconds = Field(default_factory=_not_given)
    rate_limit: PerMinute | None = Field(default_factory=_not_given)


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
