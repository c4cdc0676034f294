"""Routes for those who run the service."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.orchestrator import ADMIN, Service, in_process


def test_it_answers(service: Service) -> None:
    with service.client() as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/readyz").status_code == 200


def test_in_process(database: Path) -> None:
    async def body() -> None:
        async with in_process(database) as (app, client):
            assert (await client.get("/readyz", headers=ADMIN)).status_code == 200
            assert app.state.gateway.changes == 0

    asyncio.run(body())
