"""One chain with branches, merges, labels and dependencies, in projects of many shapes.

root1 ─ root2 ┬ api1 ─ api2 ┬ join1 ─ last1        (api, last)
              └ web1 ───────┘
side1 ─ side2              (own base and label, in a folder of its own where there are two)
need1 ─ need2              (another base; need2 depends on side1)
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import alembic

from tests.support.env_shapes import SHAPES
from tests.support.projects import Project

_FILE = '''\
"""{message}

Revision ID: {id}
Revises: {revises}
Create Date: 2024-01-{day:02} 10:00:00.123456

"""
from alembic import op

revision = {id!r}
down_revision = {parents!r}
branch_labels = {labels!r}
depends_on = {needs!r}


def upgrade():
    pass


def downgrade():
    pass
'''

# As `alembic init` writes it: the database is plain to see without running it.
PLAIN_ENV = """\
from alembic import context
from sqlalchemy import engine_from_config, pool

config = context.config
target_metadata = None


def run_migrations_offline() -> None:
    url = config.get_main_option("sqlalchemy.url")
    context.configure(url=url, target_metadata=target_metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    connectable = engine_from_config(
        config.get_section(config.config_ini_section, {}),
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
    )
    with connectable.connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
"""

ASYNC_ENV = (
    PLAIN_ENV.replace(
        "from alembic import context\n", "import asyncio\n\nfrom alembic import context\n"
    )
    .replace("import engine_from_config, pool", "import pool")
    .replace(
        "config = context.config",
        "from sqlalchemy.ext.asyncio import async_engine_from_config\n\nconfig = context.config",
    )
    .replace("def run_migrations_online() -> None:\n", "async def run_async() -> None:\n")
    .replace("engine_from_config(\n        config", "async_engine_from_config(\n        config")
    .replace(
        """\
    with connectable.connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            context.run_migrations()
""",
        """\
    async with connectable.connect() as connection:
        await connection.run_sync(do_run_migrations)
    await connectable.dispose()


def do_run_migrations(connection) -> None:
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    asyncio.run(run_async())
""",
    )
)


@dataclass(frozen=True)
class Link:
    """One revision."""

    id: str
    parents: str | tuple[str, ...] | None = None
    labels: str | tuple[str, ...] | None = None
    needs: str | tuple[str, ...] | None = None
    message: str = ""
    apart: bool = False

    def text(self, day: int) -> str:
        parents = (self.parents,) if isinstance(self.parents, str) else self.parents or ()
        return _FILE.format(
            message=self.message or f"do {self.id}",
            id=self.id,
            revises=", ".join(parents),
            day=day,
            parents=self.parents,
            labels=self.labels,
            needs=self.needs,
        )


CHAIN = (
    Link("root1", message="the first one\nover two lines"),
    Link("root2", "root1"),
    Link("api1", "root2", labels="api"),
    Link("api2", "api1", message="grün und 中文"),
    Link("web1", "root2", labels=("web", "pages")),
    Link("join1", ("api2", "web1")),
    Link("last1", "join1", message="end\n\nwith a second paragraph"),
    Link("side1", labels="side", apart=True),
    Link("side2", "side1", apart=True),
    Link("need1"),
    Link("need2", "need1", needs="side1"),
    Link("need3", "need2", needs="side2"),
)


def write_links(folder: Path, links: Iterable[Link] = CHAIN, apart: Path | None = None) -> None:
    """The files of a chain; those that are apart in another folder."""
    for day, link in enumerate(links, 1):
        place = apart if apart and link.apart else folder
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{link.id}_file.py").write_text(link.text(day), encoding="utf-8")


def add_template(folder: Path) -> None:
    """The file that new revisions are made from, as `alembic init` puts it there."""
    templates = Path(alembic.__file__).parent / "templates"
    shutil.copy(templates / "generic" / "script.py.mako", folder / "migrations")


def _stock(folder: Path) -> Project:
    project = Project(folder, env=PLAIN_ENV)
    write_links(folder / "migrations" / "versions")
    return project


def _here(folder: Path) -> Project:
    project = Project(folder, url="sqlite:///%(here)s/app.db", env=PLAIN_ENV)
    write_links(folder / "migrations" / "versions")
    return project


def _two_locations(folder: Path) -> Project:
    project = Project(folder, env=PLAIN_ENV)
    with (folder / "alembic.ini").open("a") as ini:
        ini.write("version_locations = %(here)s/migrations/versions:%(here)s/more/versions\n")
    write_links(folder / "migrations" / "versions", apart=folder / "more" / "versions")
    return project


def _recursive(folder: Path) -> Project:
    project = Project(folder, env=PLAIN_ENV)
    with (folder / "alembic.ini").open("a") as ini:
        ini.write("recursive_version_locations = true\n")
    versions = folder / "migrations" / "versions"
    write_links(versions, apart=versions / "2024" / "deep")
    return project


def _toml(folder: Path) -> Project:
    env = (
        SHAPES["stock"]
        .replace(
            "engine_from_config(\n        config.get_section(config.config_ini_section, {}), "
            'prefix="sqlalchemy.", **keywords\n    )',
            'create_engine("sqlite:///app.db", **keywords)',
        )
        .replace("config.get_main_option", "config.get_alembic_option")
    )
    project = Project(folder, env=env)
    (folder / "alembic.ini").unlink()
    (folder / "pyproject.toml").write_text(
        '[tool.alembic]\nscript_location = "%(here)s/migrations"\nprepend_sys_path = ["."]\n'
        'version_locations = ["%(here)s/migrations/versions", "%(here)s/more"]\n'
    )
    write_links(folder / "migrations" / "versions", apart=folder / "more")
    return project


def _async(folder: Path) -> Project:
    project = Project(folder, url="sqlite+aiosqlite:///app.db", env=ASYNC_ENV)
    write_links(folder / "migrations" / "versions")
    return project


def _elsewhere(folder: Path) -> Project:
    project = Project(folder, url="postgresql://user:secret@127.0.0.1:1/app", env=PLAIN_ENV)
    write_links(folder / "migrations" / "versions")
    return project


def _computed(folder: Path) -> Project:
    """An id that only running the file tells: the static side has to pass."""
    project = _stock(folder)
    file = folder / "migrations" / "versions" / "root1_file.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("revision = 'root1'", "revision = str.join('', ['root', '1'])"),
        encoding="utf-8",
    )
    return project


LAYOUTS: dict[str, Callable[[Path], Project]] = {
    "stock": _stock,
    "here": _here,
    "two-locations": _two_locations,
    "recursive": _recursive,
    "toml": _toml,
    "async": _async,
    "elsewhere": _elsewhere,
    "computed-id": _computed,
}
