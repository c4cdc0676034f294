"""A database session for a request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Path
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.errors import ErrorBody
from llm_orchestrator.inputs import HIGHEST_ID
from llm_orchestrator.state import CurrentState

RowId = Annotated[int, Path(ge=1, le=HIGHEST_ID)]

Answers = dict[int | str, dict[str, Any]]
NOT_FOUND: Answers = {404: {"model": ErrorBody, "description": "There is no such thing"}}
INVALID: Answers = {422: {"model": ErrorBody, "description": "Something in the request is wrong"}}
TAKEN: Answers = {409: {"model": ErrorBody, "description": "There is one already"}}
TOO_LARGE: Answers = {413: {"model": ErrorBody, "description": "The body is too long"}}


async def open_session(state: CurrentState) -> AsyncIterator[AsyncSession]:
    """Open a session for as long as a request lasts."""
    async with state.database.session() as session:
        yield session


CurrentSession = Annotated[AsyncSession, Depends(open_session)]
