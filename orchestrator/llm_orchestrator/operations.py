"""Routes for those who run the service: liveness, readiness, version, metrics."""

from __future__ import annotations

import sys
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from llm_orchestrator import __version__
from llm_orchestrator.metrics import CONTENT_TYPE
from llm_orchestrator.revision import HEAD, DatabaseRefused
from llm_orchestrator.state import CurrentState

router = APIRouter(tags=["operations"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether requests can be served."""

    status: Literal["ready", "not ready"]
    revision: str | None = Field(default=None, description="of the database")
    reason: str | None = Field(default=None, description="why it is not ready")


class Version(BaseModel):
    """What runs here."""

    version: str
    revision: str = Field(description="the revision of the database that this release needs")
    python: str


@router.get("/health")
@router.get("/healthz")
async def alive() -> Alive:
    """Answer while the process lives; the database is not asked."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Ready}})
async def ready(state: CurrentState) -> Ready:
    """Answer 200 while the database is reachable and at this release's revision."""
    try:
        await state.database.require_head(busy_seconds=1)
    except DatabaseRefused as refused:
        body = Ready(status="not ready", reason=refused.code)
        return JSONResponse(body.model_dump(), 503)  # type: ignore[return-value]
    return Ready(status="ready", revision=HEAD)


@router.get("/version")
async def version() -> Version:
    """Say which release answers."""
    return Version(
        version=__version__, revision=HEAD, python=".".join(map(str, sys.version_info[:3]))
    )


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(state: CurrentState) -> Response:
    """Tell Prometheus how it goes, in its text format."""
    return Response(state.metrics.render(), media_type=CONTENT_TYPE)


@router.get("/", include_in_schema=False)
async def login_page() -> RedirectResponse:
    """Show people to the login page."""
    return RedirectResponse("/admin-ui/login", 302)
