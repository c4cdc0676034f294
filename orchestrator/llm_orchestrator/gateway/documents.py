"""The shapes of /v1's answers, for the OpenAPI document: answers are passed on, not built here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from llm_orchestrator.errors import ErrorBody


class ChatChoice(BaseModel):
    """One answer among those that were asked for."""

    model_config = ConfigDict(extra="allow")

    index: int
    message: dict[str, Any]
    finish_reason: str | None = None


class ChatCompletion(BaseModel):
    """OpenAI's chat completion."""

    model_config = ConfigDict(extra="allow")

    choices: list[ChatChoice]


class Embedding(BaseModel):
    """One vector, as numbers or as base64 of 32-bit floats."""

    model_config = ConfigDict(extra="allow")

    index: int
    embedding: list[float] | str


class EmbeddingList(BaseModel):
    """OpenAI's list of embeddings."""

    model_config = ConfigDict(extra="allow")

    data: list[Embedding]


class ModelCard(BaseModel):
    """A model that can be asked for."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(BaseModel):
    """The models that can be asked for."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


_ERRORS = {
    400: "the request is wrong, or no provider of the model can do what it asks for",
    401: "no API key, or one that is not known",
    404: "the model or a provider named in the request does not exist",
    413: "the request is too large, here or at the provider",
    415: "the provider does not take this kind of content",
    422: "the provider finds the request wrong",
    429: "too many requests; `Retry-After` says when to come again",
    502: "no provider answered as it should",
    503: "no provider is healthy or free, or the service has all the work it can take",
    504: "no provider answered in time",
}


def document_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe error answers by their status; all of a relayed request when none is named."""
    return {
        status: {"model": ErrorBody, "description": _ERRORS[status]}
        for status in statuses or _ERRORS
    }


# Until OpenAPI 3.2 brings `itemSchema`, `schema` is commonly read as that of each event.
STREAM = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "description": "with `stream`: OpenAI's chunks as server-sent events, usage in the "
            "last of them, then `[DONE]`; an event with `error` instead when the provider "
            "breaks off",
            "properties": {"data": {"type": "string", "description": "a chunk in JSON"}},
            "required": ["data"],
        }
    }
}
