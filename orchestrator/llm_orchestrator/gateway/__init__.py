"""The OpenAI-compatible side: /v1."""

from __future__ import annotations

from fastapi import APIRouter

from llm_orchestrator.gateway import chat, embeddings, models

router = APIRouter(tags=["gateway"])
for part in (chat.router, embeddings.router, models.router):
    router.include_router(part)
