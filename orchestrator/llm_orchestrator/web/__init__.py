"""The admin pages: /admin-ui."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["web"])
