"""The admin pages without an admin key."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.orchestrator import in_process


def test_without_an_admin_key_the_pages_are_off_and_say_so(database: Path) -> None:
    async def look() -> None:
        async with in_process(database, admin_key=None) as (_, client):
            page = await client.get("/admin-ui/login")
            assert "switched off" in page.text
            assert "<form" not in page.text
            answer = await client.post("/admin-ui/login", data={"admin_key": ""})
            assert answer.status_code == 503
            assert "llm_orchestrator_session" not in answer.cookies
            assert (await client.get("/admin-ui/models")).status_code == 303

    asyncio.run(look())
