"""The admin side as JSON: /api/admin and, for older guides, /admin."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["admin"])
