"""What callers send: OpenAI's bodies and the gateway's own fields among them.

Only what routing and the adapters read is checked. Everything else goes on as it came, so that a
field which OpenAI adds tomorrow needs nothing here.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from llm_orchestrator.inputs import WHOLE

OWN_FIELDS = frozenset({"provider", "fallback_providers", "timeout", "retry_count"})
MOST_RETRIES = 5

Name = Annotated[str, Field(min_length=1, max_length=100)]
# Of a list the first error is told: a body of nothing but errors would take all memory.
First = Field(fail_fast=True)
Objects = Annotated[list[dict[str, Any]], First]
Count = Annotated[int, Field(ge=1), WHOLE]
Token = Annotated[int, WHOLE]
# Each form for itself: a bound on all of them together is lost to OpenAPI.
NotEmpty = Field(min_length=1)
Input = (
    Annotated[str, NotEmpty]
    | Annotated[list[str], NotEmpty, First]
    | Annotated[list[Token], NotEmpty, First]
    | Annotated[list[Annotated[list[Token], First]], NotEmpty, First]
)


class RoutedRequest(BaseModel):
    """What every request to a model has."""

    # Strict: what an adapter reads is what the caller wrote, not what it could be taken for.
    model_config = ConfigDict(extra="allow", strict=True)

    model: Name = Field(description="a name from /v1/models")
    provider: Name | None = Field(default=None, description="ask this provider, and no other first")
    fallback_providers: list[Name] | None = Field(
        default=None,
        max_length=10,
        description="providers to ask, in this order, when those of the model have failed",
    )
    timeout: float | None = Field(
        default=None,
        gt=0,
        le=3600,
        description="seconds that each provider has, retries included; in a stream, until its "
        "first part and then between two parts. Default: the model's, else the provider's",
    )
    retry_count: Annotated[int, Field(ge=0, le=MOST_RETRIES), WHOLE] | None = Field(
        default=None,
        description="how often one provider is asked again. Default: the model's",
    )


class Message(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="allow", strict=True)

    role: str
    content: str | Objects | None = None
    tool_calls: Objects | None = None


class ChatRequest(RoutedRequest):
    """OpenAI's chat completion request; fields that are not listed go on to the provider."""

    messages: Annotated[list[Message], First] = Field(min_length=1)
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    tools: Objects | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    n: Annotated[int, Field(ge=1, le=128), WHOLE] | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    stop: str | Annotated[list[str], First] | None = None


class EmbeddingRequest(RoutedRequest):
    """OpenAI's embedding request; fields that are not listed go on to the provider."""

    input: Input
    encoding_format: str | None = Field(default=None, description="float or base64")
    dimensions: Count | None = None


def strip_own_fields(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body as a provider gets it."""
    return {name: value for name, value in body.items() if name not in OWN_FIELDS}
