"""The Alembic environment of the LLM Orchestrator.

Works with `sqlite:///` and `sqlite+aiosqlite:///`, online and offline (`--sql`). The database is
DATABASE_URL of the environment or else `sqlalchemy.url` of alembic.ini.
"""

import asyncio
import os
from collections.abc import Sequence
from logging.config import fileConfig
from typing import Any

from alembic import context
from sqlalchemy import Connection, MetaData, engine_from_config, make_url, pool

config = context.config

if config.config_file_name is not None:
    # The loggers of a program that runs Alembic in its own process stay as they are.
    fileConfig(config.config_file_name, disable_existing_loggers=False)

if os.environ.get("DATABASE_URL"):
    config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"].replace("%", "%%"))


class Models(Sequence[MetaData]):
    """The metadata of the models, imported when `check` or autogenerate asks for it.

    So an upgrade needs neither the package nor the time to import it. And being a sequence of
    MetaData, which Alembic takes as well as one, it keeps the models' naming convention out of
    the revisions: what they create doesn't depend on whether the package is installed.
    """

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        from llm_orchestrator.schema import Base  # noqa: PLC0415

        return [Base.metadata][index]


def include_object(
    item: Any, _name: str | None, type_: str, reflected: bool, compare_to: Any
) -> bool:
    """Let a table be missing that the models call optional; where it exists it is compared."""
    missing = type_ == "table" and not reflected and compare_to is None
    return not (missing and item.info.get("optional", False))


def compare_server_default(
    _context: Any, _column: Any, _model: Any, actual: Any, _default: Any, wanted: str | None
) -> bool | None:
    """Compare numbers by value, the rest as Alembic does: DEFAULT '100.0' is DEFAULT 100."""
    try:
        return float(str(actual).strip("()'")) != float(str(wanted).strip("()'"))
    except ValueError:
        return None


# What both modes have in common. Types and server defaults are compared: a clean `check` means it.
OPTIONS: dict[str, Any] = {
    "target_metadata": Models(),
    "include_object": include_object,
    "render_as_batch": True,
    "compare_type": True,
    "compare_server_default": compare_server_default,
}


def run_migrations_offline() -> None:
    """Write SQL instead of executing it; no driver is needed.

    The script is one transaction: `sqlite3 -bail FILE < script.sql` does all of it or nothing.
    """
    context.configure(
        url=config.get_main_option("sqlalchemy.url"),
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        transactional_ddl=True,
        **OPTIONS,
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate(connection: Connection) -> None:
    """Run the revisions on an open connection."""
    context.configure(connection=connection, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    """Run the revisions through a synchronous driver."""
    connectable = engine_from_config(
        config.get_section(config.config_ini_section, {}),
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
    )
    with connectable.connect() as connection:
        migrate(connection)


async def run_async_migrations() -> None:
    """Run the revisions through an asynchronous driver."""
    from sqlalchemy.ext.asyncio import async_engine_from_config  # noqa: PLC0415

    connectable = async_engine_from_config(
        config.get_section(config.config_ini_section, {}),
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
    )
    async with connectable.connect() as connection:
        await connection.run_sync(migrate)
    await connectable.dispose()


if context.is_offline_mode():
    run_migrations_offline()
elif make_url(config.get_main_option("sqlalchemy.url") or "").get_dialect().is_async:
    asyncio.run(run_async_migrations())
else:
    run_migrations_online()
