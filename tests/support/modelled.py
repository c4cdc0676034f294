"""Projects with SQLAlchemy models, for what compares them with the database."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.support.branched import PLAIN_ENV, add_template
from tests.support.projects import Project, execute

MODELS = """\
import sqlalchemy as sa

metadata = sa.MetaData()
sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(50), nullable=False),
)
"""
GROWN = """
sa.Table(
    "users",
    metadata,
    sa.Column("name", sa.String(80), nullable=True),
    sa.Column("email", sa.Text, index=True),
    extend_existing=True,
)
sa.Table(
    "posts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user", sa.ForeignKey("users.id", name="fk_posts_user")),
    sa.UniqueConstraint("user", name="uq_posts_user"),
)
"""
USERS = (
    'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), '
    'sa.Column("name", sa.String(50), nullable=False))'
)

# What the revision above leaves, made at once.
AT_HEAD = """\
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
CREATE TABLE users (id INTEGER NOT NULL, name VARCHAR(50) NOT NULL, PRIMARY KEY (id));
INSERT INTO alembic_version VALUES ('aaaa01');
"""


def with_models(env: str, more: str = "") -> str:
    env = env.replace("target_metadata = None", "from models import metadata as target_metadata")
    return env.replace("target_metadata=target_metadata", f"target_metadata=target_metadata{more}")


def modelled(folder: Path) -> Project:
    """Models, a database at head, and nothing about batch mode in env.py."""
    project = Project(folder, env=with_models(PLAIN_ENV))
    add_template(project.folder)
    (project.folder / "models.py").write_text(MODELS)
    project.add("aaaa01", USERS, "op.drop_table('users')")
    execute(project.database, AT_HEAD)
    return project


def error_of(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    """The error that a run with --json ended with."""
    error: dict[str, object] = json.loads(done.stderr)["error"]
    return error
