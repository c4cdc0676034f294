"""The ways real projects write env.py, each as a whole file."""

from __future__ import annotations

import sys

_HEAD = """\
import os
from alembic import context
from sqlalchemy import create_engine, engine_from_config, event, pool, text

config = context.config
target_metadata = None


def offline():
    context.configure(url=config.get_main_option("sqlalchemy.url"), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def engine(**keywords):
    return engine_from_config(
        config.get_section(config.config_ini_section, {}), prefix="sqlalchemy.", **keywords
    )

"""

_TAIL = """

if context.is_offline_mode():
    offline()
else:
    online()
"""


def _sync(body: str) -> str:
    lines = "\n".join("    " + line if line else "" for line in body.strip("\n").splitlines())
    return _HEAD + "\ndef online():\n" + lines + "\n" + _TAIL


STOCK = _sync("""
with engine(poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()
""")

_ASYNC = (
    _HEAD.replace("from alembic import context", "import asyncio\nfrom alembic import context")
    + """
from sqlalchemy.ext.asyncio import async_engine_from_config


def do_run(connection):
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()


async def run_async():
    connectable = async_engine_from_config(
        config.get_section(config.config_ini_section, {}),
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
    )
    async with connectable.connect() as connection:
        await connection.run_sync(do_run)
    await connectable.dispose()


def online():
    asyncio.run(run_async())
"""
    + _TAIL
)

# Prefect's: the engine pools its connections, nothing disposes it before its event loop ends, and
# env.py runs in a worker thread of that loop.
_ASYNC_POOLED = _ASYNC.replace("pool.NullPool", "pool.AsyncAdaptedQueuePool").replace(
    "    await connectable.dispose()\n", ""
)
_ASYNC_FROM_THREAD = _ASYNC_POOLED.replace(
    "    asyncio.run(run_async())",
    """\
    async def in_a_thread():
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(
            lambda: asyncio.run_coroutine_threadsafe(run_async(), loop).result()
        )

    asyncio.run(in_a_thread())""",
)

SHAPES: dict[str, str] = {
    "stock": STOCK,
    "async": _ASYNC,
    "async-pooled": _ASYNC_POOLED,
    "async-from-thread": _ASYNC_FROM_THREAD,
    "own-create-engine": _sync("""
with create_engine(config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""),
    "application-engine": _sync("""
application = create_engine(
    config.get_main_option("sqlalchemy.url"), poolclass=pool.QueuePool, pool_size=3
)

@event.listens_for(application, "connect")
def connected(dbapi, record):
    dbapi.execute("PRAGMA foreign_keys=ON")
    dbapi.execute("PRAGMA busy_timeout=1000")

with application.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""),
    "engine-begin": _sync("""
with engine().begin() as connection:
    context.configure(connection=connection)
    context.run_migrations()
"""),
    "no-begin-transaction": _sync("""
with engine(poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    context.run_migrations()
"""),
    "transaction-per-migration": _sync("""
with engine(poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""),
    "transactional-ddl-on": _sync("""
with engine(poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
"""),
    "transactional-ddl-on-per-migration": _sync("""
with engine(poolclass=pool.NullPool).connect() as connection:
    context.configure(
        connection=connection, transactional_ddl=True, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()
"""),
    "transactional-ddl-off": _sync("""
with engine(poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection, transactional_ddl=False)
    with context.begin_transaction():
        context.run_migrations()
"""),
    "autocommit": _sync("""
with engine(poolclass=pool.NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""),
    "begin-recipe": _sync("""
recipe = engine(poolclass=pool.NullPool)

@event.listens_for(recipe, "connect")
def connected(dbapi, record):
    dbapi.isolation_level = None

@event.listens_for(recipe, "begin")
def begun(connection):
    connection.exec_driver_sql("BEGIN")

with recipe.connect() as connection:
    context.configure(connection=connection, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
"""),
    "begin-recipe-begun": _sync("""
recipe = engine(poolclass=pool.NullPool)

@event.listens_for(recipe, "connect")
def connected(dbapi, record):
    dbapi.isolation_level = None

@event.listens_for(recipe, "begin")
def begun(connection):
    connection.exec_driver_sql("BEGIN IMMEDIATE")

with recipe.begin() as connection:
    context.configure(connection=connection)
    context.run_migrations()
"""),
    "prefect-like": _sync("""
with engine(poolclass=pool.NullPool).connect() as connection:
    connection.execute(text("COMMIT")) if connection.connection.in_transaction else None
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        connection.execute(text("COMMIT"))
        connection.execute(text("PRAGMA foreign_keys=OFF"))
        connection.execute(text("BEGIN IMMEDIATE"))
        context.run_migrations()
        connection.execute(text("COMMIT"))
        connection.execute(text("PRAGMA foreign_keys=ON"))
        connection.execute(text("BEGIN IMMEDIATE"))
"""),
    "autobegin-before-configure": _sync("""
with engine(poolclass=pool.NullPool).connect() as connection:
    connection.execute(text("SELECT 1"))
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""),
    "run-twice": _sync("""
with engine(poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
    with context.begin_transaction():
        context.run_migrations()
"""),
    "attributes-connection": _sync("""
connection = config.attributes.get("connection")
if connection is None:
    connection = engine(poolclass=pool.NullPool).connect()
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
connection.close()
"""),
    "never-closed": _sync("""
connection = engine(poolclass=pool.StaticPool).connect()
config.attributes["kept"] = connection
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
"""),
    "swallows-errors": _sync("""
with engine(poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    try:
        with context.begin_transaction():
            context.run_migrations()
    except Exception:
        pass
"""),
    "rolls-back-on-error": _sync("""
with engine(poolclass=pool.NullPool).connect() as connection:
    transaction = connection.begin()
    context.configure(connection=connection)
    try:
        context.run_migrations()
        transaction.commit()
    except Exception:
        transaction.rollback()
        raise
"""),
    "two-connections": _sync("""
for number in (1, 2):
    with engine(poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""),
    "fails-at-the-end": _sync("""
with engine(poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
if os.path.exists("fail"):
    raise RuntimeError("after everything")
"""),
    "in-a-thread": _sync("""
import threading

def work():
    with engine(poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()

failures = []
def guarded():
    try:
        work()
    except BaseException as error:
        failures.append(error)
thread = threading.Thread(target=guarded)
thread.start()
thread.join()
if failures:
    raise failures[0]
"""),
}

# sqlite3.connect(autocommit=…) came with Python 3.12.
if sys.version_info >= (3, 12):
    SHAPES |= {
        "autocommit-false": _sync("""
with engine(poolclass=pool.NullPool, connect_args={"autocommit": False}).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""),
        "autocommit-true": _sync("""
with engine(poolclass=pool.NullPool, connect_args={"autocommit": True}).connect() as connection:
    context.configure(connection=connection, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
"""),
        "autocommit-false-begun": _sync("""
application = engine(connect_args={"autocommit": False})
with application.begin() as connection:
    connection.execute(text("SELECT count(*) FROM sqlite_schema"))
    context.configure(connection=connection)
    context.run_migrations()
"""),
    }

ASYNC_SHAPES = frozenset({"async", "async-pooled", "async-from-thread"})


def url_for(shape: str) -> str:
    """The URL whose driver a shape needs."""
    return "sqlite+aiosqlite:///app.db" if shape in ASYNC_SHAPES else "sqlite:///app.db"
