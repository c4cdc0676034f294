"""Reading the body of a request to a model, with the errors that FastAPI has for it."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, kind: type[Body]) -> Body:
    """Return the body, checked.

    Raises RequestValidationError when it is not of this kind, HTTPException 400 when it is no
    text or its sender left.
    """
    try:
        return kind.model_validate(await _decode(request))
    except ValidationError as error:
        raise RequestValidationError(
            [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]
        ) from error


async def _decode(request: Request) -> Any:
    try:
        # Bytes are no model of any kind, which is what is then said of them.
        return await (request.json() if _says_json(request) else request.body())
    except json.JSONDecodeError as error:
        raise RequestValidationError(
            [{"type": "json_invalid", "loc": ("body", error.pos), "msg": error.msg}]
        ) from error
    # ValueError: no UTF-8, or a number of thousands of digits.
    except (ValueError, RecursionError, ClientDisconnect) as error:
        raise HTTPException(400, "There was an error parsing the body") from error


def _says_json(request: Request) -> bool:
    """Whether it is said to be JSON; a browser may send anything else to anywhere, unasked."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )
