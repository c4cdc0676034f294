"""Where what is read decides what is written."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def begin_writing(session: AsyncSession) -> None:
    """Take the write lock before anything is read: nobody changes meanwhile what was found.

    Of two that add the same at once, the second then finds that of the first. Raises SQLAlchemy's
    OperationalError when another process does not give the lock.
    """
    await session.execute(text("BEGIN IMMEDIATE"))
