"""Errors as callers get them: OpenAI's shape, on /v1 and everywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from starlette.exceptions import HTTPException
from starlette.routing import Match

from llm_orchestrator.patterns import EXPLAINED
from llm_orchestrator.store.faults import Duplicate, MaskedKey, StoreFault, Unknown

logger = structlog.stdlib.get_logger(__name__)

# What the OpenAI SDKs make their exception classes from is the status; the type is for people.
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
CODES = {
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    422: "invalid_value",
}

# Which method a path must take to take this one.
ALLOWED_BY = {"GET": "GET", "HEAD": "GET"} | {
    method: method for method in ("POST", "PATCH", "PUT", "DELETE")
}

STORE_FAULTS: Mapping[type[StoreFault], tuple[int, str]] = {
    Unknown: (404, "not_found"),
    Duplicate: (409, "duplicate"),
    MaskedKey: (409, "masked_key"),
}


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(description="where it is, e.g. `messages.0.content`")
    message: str


class ErrorFacts(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = Field(default=None, description="the field it is about")
    code: str | None = Field(default=None, description="a word for programs")
    errors: list[FieldError] | None = Field(
        default=None, description="every field that is wrong, where there are several"
    )


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorFacts


class ApiError(Exception):
    """An answer with an error status, raised from anywhere in a request."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str | None = None,  # noqa: A002
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type or type_of(status)
        self.code = code
        self.param = param
        self.headers = dict(headers or {})


def type_of(status: int) -> str:
    """Return the `type` of an error by its HTTP status."""
    return TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def error_body(
    message: str,
    type: str,  # noqa: A002
    *,
    code: str | None = None,
    param: str | None = None,
    errors: Sequence[FieldError] = (),
) -> dict[str, Any]:
    """Return the body of an error, also for the middle of a stream."""
    facts = ErrorFacts(message=message, type=type, param=param, code=code)
    body: dict[str, Any] = {"error": facts.model_dump(exclude={"errors"})}
    if errors:
        body["error"]["errors"] = [error.model_dump() for error in errors]
    return body


def install_error_handlers(app: FastAPI) -> None:
    """Have every error of the app answered in the one shape."""
    app.add_exception_handler(ApiError, _answer_api_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(StoreFault, _answer_store_fault)
    app.add_exception_handler(OperationalError, _answer_no_database)
    app.add_exception_handler(PoolExhausted, _answer_no_database)


async def _answer_api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101
    body = error_body(error.message, error.type, code=error.code, param=error.param)
    return JSONResponse(body, error.status, headers=error.headers)


async def _answer_store_fault(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StoreFault)  # noqa: S101
    status, code = STORE_FAULTS[type(error)]
    body = error_body(error.message, type_of(status), code=code, param=error.field)
    return JSONResponse(body, status)


async def _answer_no_database(request: Request, error: Exception) -> JSONResponse:
    """The statement, which holds what was to be written, stays out of answer and log."""
    assert isinstance(error, SQLAlchemyError)  # noqa: S101
    reason = str(getattr(error, "orig", None) or "no connection is free")
    logger.error("database", path=request.url.path, reason=reason)
    body = error_body(f"The database: {reason}.", "api_error", code="database_unavailable")
    return JSONResponse(body, 503, headers={"Retry-After": "5"})


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    # The framework's word for a body that is no UTF-8 or no form; any other body in error is 422.
    status = _invalid_status(request) if error.status_code == 400 else error.status_code
    message = str(error.detail or HTTPStatus(status).phrase)
    body = error_body(message, type_of(status), code=CODES.get(status))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed(request))
    return JSONResponse(body, status, headers=headers)


def _allowed(request: Request) -> list[str]:
    """Return every method that the path takes; the framework names those of its first route."""
    return [
        method
        for method, asked in ALLOWED_BY.items()
        if any(
            route.matches({**request.scope, "method": asked})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    """Say which fields are wrong, never what stood in them: it may be a key."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found = [_field_error(each) for each in error.errors()]
    message = "; ".join(f"{e.field}: {e.message}" if e.field else e.message for e in found)
    body = error_body(
        message,
        "invalid_request_error",
        code="invalid_value",
        param=found[0].field or None if found else None,
        errors=found,
    )
    return JSONResponse(body, _invalid_status(request))


def _invalid_status(request: Request) -> int:
    """OpenAI answers 400; elsewhere it is what FastAPI and its clients are used to."""
    return 400 if request.url.path.startswith("/v1/") else 422


def _field_error(error: Mapping[str, Any]) -> FieldError:
    place = [str(part) for part in error["loc"]]
    if error["type"] == "json_invalid":
        return FieldError(field="", message="the body is no JSON")
    if error["type"] in {"model_attributes_type", "model_type"} and len(place) == 1:
        return FieldError(
            field="", message="the body is no JSON object; is its Content-Type application/json?"
        )
    pattern = error.get("ctx", {}).get("pattern")
    return FieldError(field=".".join(place[1:]), message=EXPLAINED.get(pattern, str(error["msg"])))
