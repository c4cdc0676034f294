"""The admin side as JSON: /api/admin and, for older guides, /admin."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from llm_orchestrator.admin import associations, models, observation, providers, transfer
from llm_orchestrator.auth import require_admin
from llm_orchestrator.errors import ErrorBody

PARTS = (observation, providers, models, associations, transfer)

_inside = APIRouter(
    dependencies=[Depends(require_admin)],
    responses={
        401: {"model": ErrorBody, "description": "No admin key"},
        403: {"model": ErrorBody, "description": "Another key"},
        503: {
            "model": ErrorBody,
            "description": "The admin side is off, or the database can't be used",
        },
    },
)
for _part in PARTS:
    _inside.include_router(_part.router)

router = APIRouter()
router.include_router(_inside, prefix="/api/admin", tags=["admin"])
router.include_router(_inside, prefix="/admin", tags=["admin, older paths"], deprecated=True)
