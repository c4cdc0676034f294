"""Alembic projects made for a test: a folder with alembic.ini, env.py and revisions."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.env_shapes import STOCK

INI = """\
[alembic]
script_location = %(here)s/migrations
path_separator = os
prepend_sys_path = .
{url}
"""

REVISION = '''\
"""{message}

Revision ID: {revision}
Revises: {parents}
Create Date: 2024-01-0{day} 00:00:00

"""
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
{upgrade}


def downgrade() -> None:
{downgrade}
'''


@dataclass
class Project:
    """An Alembic project in a folder of its own."""

    folder: Path
    url: str | None = "sqlite:///app.db"
    env: str = STOCK
    revisions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "migrations" / "versions").mkdir(parents=True)
        url = f"sqlalchemy.url = {self.url}" if self.url else ""
        (self.folder / "alembic.ini").write_text(INI.format(url=url))
        self.set_env(self.env)

    @property
    def database(self) -> Path:
        return self.folder / "app.db"

    def set_env(self, text: str) -> None:
        (self.folder / "migrations" / "env.py").write_text(text)

    def add(
        self,
        revision: str,
        upgrade: str = "pass",
        downgrade: str = "pass",
        *,
        down: str | tuple[str, ...] | None = "",
        name: str | None = None,
    ) -> Path:
        """Write a revision; its parent is the one added before unless `down` says otherwise."""
        if down == "":
            down = self.revisions[-1] if self.revisions else None
        path = self.folder / "migrations" / "versions" / (name or f"{revision}_step.py")
        path.write_text(
            REVISION.format(
                message=f"step {revision}",
                revision=revision,
                parents="" if down is None else down,
                down=down,
                day=min(len(self.revisions) + 1, 9),
                upgrade=textwrap.indent(textwrap.dedent(upgrade).strip(), "    "),
                downgrade=textwrap.indent(textwrap.dedent(downgrade).strip(), "    "),
            )
        )
        self.revisions.append(revision)
        return path

    def orchctl(
        self, *words: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run orchctl in a process of its own, in the project's folder."""
        return run("orchctl", words, self.folder, clean_environment() | (env or {}))

    def alembic(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run plain Alembic in the project's folder."""
        return run("alembic", words, self.folder, clean_environment())

    def heads(self, table: str = "alembic_version") -> list[str]:
        return sorted(row[0] for row in query(self.database, f"SELECT version_num FROM {table}"))

    def dump(self) -> str:
        return dump(self.database)


def run(
    program: str, words: Sequence[str], folder: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; Python is started for it only where the environment asks for that.

    Args:
        program: `orchctl` or `alembic`.
        words: Its command line.
        folder: Where.
        env: All of its environment.
    """
    from tests.support import preloaded

    if preloaded.starts_alike(env):
        return preloaded.started(f"{program}.__main__", words, folder=folder, env=env).finished()
    return subprocess.run(
        [sys.executable, "-m", program, *words],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def clean_environment() -> dict[str, str]:
    """This process's environment without what orchctl reads."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("ORCHCTL_", "DATABASE_URL", "ALEMBIC_CONFIG"))
    }


def query(database: Path, sql: str, *parameters: object) -> list[tuple]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(sql, parameters).fetchall()
    finally:
        connection.close()


def execute(database: Path, script: str) -> None:
    connection = sqlite3.connect(database)
    try:
        connection.executescript(script)
        connection.commit()
    finally:
        connection.close()


def dump(database: Path) -> str:
    """The database as `.dump` prints it."""
    connection = sqlite3.connect(database)
    try:
        return "\n".join(connection.iterdump())
    finally:
        connection.close()


def bytes_of(database: Path) -> dict[str, bytes]:
    """The bytes of a database and its sidecars, by file name."""
    return {
        path.name: path.read_bytes()
        for path in sorted(database.parent.glob(database.name + "*"))
        if not path.name.endswith("-lock")
    }
