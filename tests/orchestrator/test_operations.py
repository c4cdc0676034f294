"""Routes for those who run the service."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.orchestrator import ADMIN, Service, in_process


def test_it_answers(service: Service) -> None:
    with service.client() as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/readyz").status_code == 200


def test_what_answers_get_answers_head(service: Service) -> None:
    """As monitors, load balancers and `curl --head` ask."""
    with service.client() as client:
        for path in ("/health", "/readyz", "/v1/models", "/admin-ui/login", "/nowhere"):
            got, told = client.get(path), client.head(path)
            assert (told.status_code, told.content) == (got.status_code, b"")
            assert told.headers["content-type"] == got.headers["content-type"]
        assert client.head("/v1/embeddings").status_code == 405


def test_in_process(database: Path) -> None:
    async def body() -> None:
        async with in_process(database) as (app, client):
            assert (await client.get("/readyz", headers=ADMIN)).status_code == 200
            assert app.state.gateway.changes == 0

    asyncio.run(body())
