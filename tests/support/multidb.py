"""Projects of Alembic's own multidb template: one env.py run goes through several files."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import alembic

from tests.support.projects import Project, dump, query

_TEMPLATE = Path(alembic.__file__).parent / "templates" / "multidb"

_INI = """\
[alembic]
script_location = %(here)s/migrations
path_separator = os
prepend_sys_path = .
databases = {names}
{sections}
"""

REVISION = '''\
"""step {revision}

Revision ID: {revision}
Revises: {parent}
Create Date: 2024-01-01 00:00:00

"""
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down!r}
branch_labels = None
depends_on = None


def upgrade(engine_name: str) -> None:
    globals()["upgrade_%s" % engine_name]()


def downgrade(engine_name: str) -> None:
    globals()["downgrade_%s" % engine_name]()

'''


RENAME = """
with op.batch_alter_table("items") as batch:
    batch.alter_column("{old}", new_column_name="{new}")
"""


@dataclass
class MultiProject(Project):
    """A project with the databases engine1.db, engine2.db …, at no revision yet."""

    names: tuple[str, ...] = ("engine1", "engine2")

    def __post_init__(self) -> None:
        (self.folder / "migrations" / "versions").mkdir(parents=True)
        shutil.copy(_TEMPLATE / "env.py", self.folder / "migrations" / "env.py")
        self.set_ini({name: f"sqlite:///{name}.db" for name in self.names})

    def set_ini(self, urls: dict[str, str | None]) -> None:
        sections = "\n".join(
            f"[{name}]\n" + (f"sqlalchemy.url = {url}\n" if url else "")
            for name, url in urls.items()
        )
        ini = _INI.format(names=", ".join(urls), sections=sections)
        # The template's env.py calls fileConfig().
        logging = (_TEMPLATE / "alembic.ini.mako").read_text()
        (self.folder / "alembic.ini").write_text(ini + logging[logging.index("[loggers]") :])

    @property
    def env_py(self) -> Path:
        return self.folder / "migrations" / "env.py"

    @property
    def files(self) -> list[Path]:
        return [self.folder / f"{name}.db" for name in self.names]

    def add_for(self, revision: str, **bodies: str | tuple[str, str]) -> Path:
        """Write a revision; by database its upgrade, or (upgrade, downgrade)."""
        down = self.revisions[-1] if self.revisions else None
        text = REVISION.format(revision=revision, parent=down or "", down=down)
        for name in self.names:
            body = bodies.get(name, "pass")
            pair = (body, "pass") if isinstance(body, str) else body
            for direction, code in zip(("upgrade", "downgrade"), pair, strict=True):
                lines = "\n".join("    " + line for line in code.strip().splitlines())
                text += f"\ndef {direction}_{name}() -> None:\n{lines}\n"
        path = self.folder / "migrations" / "versions" / f"{revision}_step.py"
        path.write_text(text)
        self.revisions.append(revision)
        return path

    def stamps(self) -> list[list[str]]:
        """What each file's version table holds."""
        return [
            [row[0] for row in query(file, "SELECT version_num FROM alembic_version")]
            for file in self.files
        ]

    def dumps(self) -> list[str]:
        return [dump(file) for file in self.files]


def populated(folder: Path) -> MultiProject:
    """At 001 with rows in both files; 002 adds a column to one and rebuilds the other's table."""
    project = MultiProject(folder)
    users = "op.execute(\"INSERT INTO users VALUES (1, 'ann'), (2, 'bob')\")"
    items = "op.execute(\"INSERT INTO items VALUES (1, 'cup'), (2, 'pot'), (3, 'pan')\")"
    project.add_for(
        "001",
        engine1='op.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")\n' + users,
        engine2='op.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")\n' + items,
    )
    done = project.orchctl("upgrade", "--no-rehearse")
    assert done.returncode == 0, done.stderr
    project.add_for(
        "002",
        engine1=(
            'op.add_column("users", sa.Column("mail", sa.Text))',
            'op.drop_column("users", "mail")',
        ),
        engine2=(RENAME.format(old="name", new="title"), RENAME.format(old="title", new="name")),
    )
    return project
