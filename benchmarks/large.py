"""Large databases: a whole upgrade, the proof when all was rebuilt, and memory."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.chain import write_project
from benchmarks.commands import ALEMBIC, ORCHCTL, peak_memory, timed
from benchmarks.figures import Figure, Options, Peak, Ratio, Report, race

_ROUNDS = 5
_MEMORY = 250.0
_CHECK = "PRAGMA integrity_check"
_BARE = "alembic upgrade head and sqlite3 .backup"
# Wide rows, narrow ones with a link and its index, and rows of a page each.
_TABLES = {
    "account": "id INTEGER PRIMARY KEY, email VARCHAR(80) NOT NULL, name TEXT, "
    "balance NUMERIC(12, 2), created DATETIME",
    "entry": "id INTEGER PRIMARY KEY, account_id INTEGER REFERENCES account (id), "
    "amount INTEGER, rate FLOAT, note TEXT",
    "document": "id INTEGER PRIMARY KEY, account_id INTEGER REFERENCES account (id), "
    "title TEXT, body BLOB",
}
_ROWS = {
    "account": "'user' || i || '@mail.invalid', 'Name ' || (i % 997), i % 100000 / 100.0, "
    "'2024-01-01 00:00:00.000000'",
    "entry": "(i + 6) / 7, i % 100003, i / 7.0, 'entry ' || (i % 9973)",
    "document": "i, 'document ' || i, randomblob(4000)",
}
_ROWS_A_MB = {"account": 1150, "entry": 8050, "document": 130}
_INDEX = "CREATE INDEX ix_entry_account_id ON entry (account_id)"
_VERSION = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
    "INSERT INTO alembic_version VALUES ('000001')",
)
_ADD_COLUMN = 'op.add_column("entry", sa.Column("memo", sa.Text))'
_ADDED = "ALTER TABLE entry ADD COLUMN memo TEXT"
_REBUILD = """for table in ("account", "entry", "document"):
        with op.batch_alter_table(table, recreate="always") as batch:
            batch.add_column(sa.Column("memo", sa.Text))"""


def run(options: Options) -> Report:
    """Measure one database of 1 GB, and memory on one of 5 GB."""
    size = 50 if options.quick else 1000
    project = options.folder / "project"
    write_project(project, ["pass", _ADD_COLUMN])
    _fill(project / "first.db", size)
    rounds = 3 if options.quick else _ROUNDS
    figures: list[Figure] = [_whole_run(project, size, rounds)]
    figures += _proofs(project / "first.db", size, rounds)
    shutil.rmtree(project)
    figures += _peaks(options.folder / "memory", 5 * size)
    return Report(
        "large",
        "Large databases",
        "Three tables, a third of the file each: rows of 100 bytes, narrow rows with a foreign key "
        "and an index, rows of 4 KB. The whole run is `orchctl upgrade` with its defaults: checks, "
        "snapshot, rehearsal, upgrade, proof, confirmation. For the proof all tables are rebuilt "
        "as batch mode does, in a transaction that stays open; then every row is compared with the "
        f"file before. Memory is the most that the command, or a child of its, had resident. "
        f"Medians of {rounds} here.",
        tuple(figures),
    )


def _fill(database: Path, megabytes: int) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        for table, columns in _TABLES.items():
            rows = megabytes * _ROWS_A_MB[table]
            connection.execute(f"CREATE TABLE {table} ({columns})")
            connection.execute(
                "WITH RECURSIVE n (i) AS "
                f"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
                f"INSERT INTO {table} SELECT i, {_ROWS[table]} FROM n"
            )
        for statement in (_INDEX, *_VERSION):
            connection.execute(statement)
        connection.execute("COMMIT")


# -- time -----------------------------------------------------------------------------------------


def _whole_run(project: Path, size: int, rounds: int) -> Ratio:
    sides = {ORCHCTL: partial(_upgraded, project), _BARE: partial(_upgraded_bare, project)}
    seconds = race(sides, rounds)
    case = f"{size:,} MB, one column added: orchctl upgrade"
    return Ratio(case, seconds[ORCHCTL], _BARE, seconds[_BARE], 6.0)


def _upgraded(project: Path) -> float:
    _reset(project)
    return timed([ORCHCTL, "upgrade"], project)


def _upgraded_bare(project: Path) -> float:
    _reset(project)
    seconds = timed(["sqlite3", "app.db", ".backup copy.db"], project)
    return seconds + timed([ALEMBIC, "upgrade", "head"], project)


def _reset(project: Path) -> None:
    for path in (*project.glob("app.db*"), *project.glob("copy.db*")):
        path.unlink()
    shutil.rmtree(project / "backups", ignore_errors=True)
    shutil.copy(project / "first.db", project / "app.db")


# -- proof ----------------------------------------------------------------------------------------


def _proofs(before: Path, size: int, rounds: int) -> list[Ratio]:
    cases = {
        "proof, every table rebuilt": (True, "full"),
        "proof, every table rebuilt, --proof keys": (True, "keys"),
        "proof, one column added": (False, "full"),
    }
    figures = []
    for case, (rebuild, level) in cases.items():
        copy = before.with_name("after.db")
        shutil.copy(before, copy)
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute(f"ATTACH '{before}' AS orchctl_before")
            writes = _changed(connection, rebuild=rebuild)
            ours = partial(_proven, connection, writes, level)
            seconds = race({"proof": ours, _CHECK: partial(_checked, before)}, rounds)
        for path in before.parent.glob("after.db*"):
            path.unlink()
        told = f"{size:,} MB, {case}"
        figures.append(Ratio(told, seconds["proof"], _CHECK, seconds[_CHECK], 2.0))
    return figures


def _changed(connection: sqlite3.Connection, *, rebuild: bool) -> Any:
    """Write in a transaction that stays open; what the authorizer saw of it."""
    from orchctl.upgrade.writes import Writes

    writes = Writes()
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("BEGIN IMMEDIATE")

    def seen(action: int, first: Any, second: Any, third: Any, trigger: Any) -> int:
        writes.note(action, first, second, trigger, third, None if rebuild else _ADDED)
        return sqlite3.SQLITE_OK

    connection.set_authorizer(seen)
    if rebuild:
        for table, columns in _TABLES.items():
            connection.execute(f"CREATE TABLE _alembic_tmp_{table} ({columns})")
            connection.execute(f"INSERT INTO _alembic_tmp_{table} SELECT * FROM {table}")
            connection.execute(f"DROP TABLE {table}")
            connection.execute(f"ALTER TABLE _alembic_tmp_{table} RENAME TO {table}")
        connection.execute(_INDEX)
    else:
        connection.execute(_ADDED)
    connection.set_authorizer(None)
    return writes


def _proven(connection: sqlite3.Connection, writes: Any, level: str) -> float:
    from orchctl.upgrade.proof import prove

    began = time.perf_counter()
    proof = prove(connection, writes, level)
    seconds = time.perf_counter() - began
    if proof.losses or not proof.changes:
        raise RuntimeError(f"this is no proof: {proof}")
    return seconds


def _checked(database: Path) -> float:
    with closing(sqlite3.connect(database)) as connection:
        began = time.perf_counter()
        connection.execute(_CHECK).fetchall()
        return time.perf_counter() - began


# -- memory ---------------------------------------------------------------------------------------


def _peaks(project: Path, size: int) -> list[Peak]:
    write_project(project, ["pass", _REBUILD])
    _fill(project / "app.db", size)
    figures = []
    for title, words in {
        "backup create": ("backup", "create"),
        "backup verify --full": ("backup", "verify", "--full"),
        "rehearse, every table rebuilt": ("rehearse",),
        "upgrade, every table rebuilt": ("upgrade", "--proof", "full"),
        "rollback": ("rollback", "--yes"),
    }.items():
        megabytes = peak_memory([ORCHCTL, *words], project)
        figures.append(Peak(f"{size:,} MB: orchctl {title}", megabytes, _MEMORY))
    # What was put aside by the rollback goes back.
    (latest,) = sorted((project / "backups").rglob("*.snapshot"))[-1:]
    words = ("backup", "restore", latest.stem.rsplit(".", 1)[-1], "--yes")
    megabytes = peak_memory([ORCHCTL, *words], project)
    figures.append(Peak(f"{size:,} MB: orchctl backup restore", megabytes, _MEMORY))
    return figures
