"""The admin pages: /admin-ui."""

from __future__ import annotations

from fastapi import APIRouter

from llm_orchestrator.web import (
    associations,
    dashboard,
    entrance,
    login,
    logs,
    models,
    providers,
    settings,
)
from llm_orchestrator.web.pages import Pages

__all__ = ["Pages", "router"]

# Pages are for people: the API's description leaves them out.
router = APIRouter(include_in_schema=False)
for part in (login, dashboard, providers, models, associations, logs, settings):
    router.include_router(part.router)
# Last: it answers whatever is left.
router.include_router(entrance.router)
