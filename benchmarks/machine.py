"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import version


def described() -> list[tuple[str, str]]:
    """The machine and the versions, as (what, which)."""
    return [
        ("date", f"{datetime.now(UTC):%Y-%m-%d}"),
        ("cores", str(os.cpu_count())),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("Python", platform.python_version()),
        ("SQLite", sqlite3.sqlite_version),
        *((name, version(name)) for name in ("alembic", "sqlalchemy", "typer", "orchctl")),
    ]
