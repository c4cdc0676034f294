"""Whole upgrades: empty file to head, and a populated one with its snapshot first."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.chain import revision_id, write_chain
from benchmarks.commands import ALEMBIC, ORCHCTL, STRACE, fsyncs, slowed, timed
from benchmarks.figures import Count, Figure, Options, Ratio, Report, race

_PLAIN = "alembic upgrade head"
_BARE = "orchctl upgrade --no-backup"
_SAFE = "orchctl upgrade --no-rehearse"
_FULL = "orchctl upgrade"
_ALONE = "Alembic's code in one transaction, nothing guarded"
_ONE_TRANSACTION = """
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

config = Config("alembic.ini")
script = ScriptDirectory.from_config(config)
with create_engine("sqlite:///app.db", isolation_level="AUTOCOMMIT").connect() as connection:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    steps = EnvironmentContext(config, script, fn=lambda at, _: script._upgrade_revs("head", at))
    with steps:
        steps.configure(connection=connection)
        steps.get_context()._in_external_transaction = True
        steps.run_migrations()
    connection.exec_driver_sql("COMMIT")
"""
_COMMANDS = {
    _PLAIN: [ALEMBIC, "upgrade", "head"],
    _BARE: [ORCHCTL, "upgrade", "--no-backup"],
    _SAFE: [ORCHCTL, "upgrade", "--no-rehearse"],
    _FULL: [ORCHCTL, "upgrade"],
    _ALONE: [sys.executable, "-c", _ONE_TRANSACTION],
}
_TWO = (_BARE, _PLAIN)
_SQLITE = "sqlite3 alone, the same statements"
_EXECUTE = """
import pathlib, sqlite3
script = pathlib.Path("chain.sql").read_text()
sqlite3.connect("app.db").executescript(f"BEGIN; {script}; COMMIT;")
"""


def run(options: Options) -> Report:
    """Measure chains of 10, 300 and 2,000 revisions."""
    figures: list[Figure] = []
    figures += _lengths(options)
    figures += _with_snapshot(options)
    figures += _slow_disk(options)
    figures += _long(options)
    return Report(
        "upgrade",
        "Upgrades",
        "One line of revisions, each with two statements (a table, a column, a child table in "
        "turn, each with an index), and a stock env.py. Every run starts from an empty file (or, "
        "with a snapshot, from a database at the first revision) and is a process of its own. "
        "fsyncs are fsync and fdatasync calls as strace counts them; the slow disk is strace "
        "adding 1 ms to each of them, on both sides. The time that is left is Python, SQLAlchemy "
        "and SQLite at work, the same on both sides; what one transaction saves is the fsyncs. "
        "With 1 ms added to each, the ratio hangs on how fast the machine computes; so what "
        "Alembic's own code takes in one transaction, nothing guarded, stands beside it. "
        "Of 2,000 revisions, three rounds: once every second three take back what the three before "
        "them made, once all add to the schema, which SQLite reads again after each ALTER TABLE, "
        "whoever sends it.",
        tuple(figures),
        () if STRACE else ("strace is not here: no fsyncs counted, no slow disk.",),
    )


def _lengths(options: Options) -> list[Figure]:
    figures: list[Figure] = []
    for length, bound in ((10, 1.0), (300, 0.35)):
        project = _project(options, length)
        seconds = race({name: _run(project, name) for name in _TWO}, options.rounds)
        case = f"{length:,} revisions, empty file to head, no snapshot"
        figures.append(Ratio(case, seconds[_BARE], _PLAIN, seconds[_PLAIN], bound))
        if STRACE and length == 300:
            counts = {name: _counted(project, name) for name in _TWO}
            case = f"{length:,} revisions, fsyncs"
            figures.append(Count(case, counts[_BARE], _PLAIN, counts[_PLAIN], 20))
    return figures


def _with_snapshot(options: Options) -> list[Figure]:
    project = _project(options, 300, populated=True)
    names = (_SAFE, _FULL, _PLAIN)
    seconds = race({name: _run(project, name) for name in names}, options.rounds)
    safe = "299 revisions, with snapshot and proof (--no-rehearse)"
    full = "299 revisions, with snapshot, rehearsal and proof (the default)"
    figures: list[Figure] = [
        Ratio(safe, seconds[_SAFE], _PLAIN, seconds[_PLAIN], 0.5),
        Ratio(full, seconds[_FULL], _PLAIN, seconds[_PLAIN]),
    ]
    if STRACE:
        counts = {name: _counted(project, name) for name in (_SAFE, _PLAIN)}
        case = "299 revisions, with snapshot and proof, fsyncs"
        figures.append(Count(case, counts[_SAFE], _PLAIN, counts[_PLAIN], 20))
    return figures


def _slow_disk(options: Options) -> list[Figure]:
    if not STRACE:
        return []
    project = _project(options, 300)
    sides = {name: _run(project, name, milliseconds=1.0) for name in _TWO}
    seconds = race(sides | {_ALONE: _run(project, _ALONE, milliseconds=1.0)}, options.rounds)
    case = "300 revisions, empty file to head, no snapshot, each fsync 1 ms longer"
    return [
        Ratio(case, seconds[_BARE], _PLAIN, seconds[_PLAIN], 0.12),
        Ratio(case, seconds[_BARE], _ALONE, seconds[_ALONE]),
    ]


def _long(options: Options) -> list[Figure]:
    """2,000 revisions, on a schema that stays small and on one that grows with every revision."""
    length, rounds = (90, 3) if options.quick else (2000, 3)
    case = f"{length:,} revisions, empty file to head, no snapshot"
    steady = _project(options, length, grows=False)
    seconds = race({name: _run(steady, name) for name in _TWO}, rounds)
    figures = [
        Ratio(
            f"{case}, a schema of about 100 tables and indexes",
            seconds[_BARE],
            _PLAIN,
            seconds[_PLAIN],
            0.25,
        )
    ]
    growing = _project(options, length)
    sides = {name: _run(growing, name) for name in _TWO}
    seconds = race(sides | {_SQLITE: _statements_alone(growing)}, rounds)
    case += f", {length * 5 // 3:,} tables and indexes at the end"
    return [
        *figures,
        Ratio(case, seconds[_BARE], _PLAIN, seconds[_PLAIN]),
        Ratio(case, seconds[_BARE], _SQLITE, seconds[_SQLITE]),
    ]


def _statements_alone(project: Path) -> Callable[[], float]:
    """The SQL that the chain comes to, executed by sqlite3 in one transaction."""
    with (project / "chain.sql").open("w") as file:
        subprocess.run([ALEMBIC, "upgrade", "head", "--sql"], cwd=project, stdout=file, check=True)
    return partial(_fresh, project, [sys.executable, "-c", _EXECUTE])


def _project(options: Options, length: int, *, populated: bool = False, grows: bool = True) -> Path:
    kind = "-populated" if populated else "" if grows else "-steady"
    folder = options.folder / f"chain-{length}{kind}"
    if not folder.exists():
        write_chain(folder, length, grows=grows)
    if populated:
        timed([ALEMBIC, "upgrade", revision_id(1)], folder)
        (folder / "app.db").rename(folder / "first.db")
    return folder


def _run(project: Path, name: str, *, milliseconds: float = 0.0) -> Callable[[], float]:
    command: Sequence[str] = _COMMANDS[name]
    if milliseconds:
        command = slowed(command, milliseconds)
    return partial(_fresh, project, command)


def _fresh(project: Path, command: Sequence[str]) -> float:
    """Run on a database as it was at the beginning; the seconds."""
    _clear(project)
    return timed(command, project)


def _counted(project: Path, name: str) -> int:
    _clear(project)
    return fsyncs(_COMMANDS[name], project)


def _clear(project: Path) -> None:
    for path in project.glob("app.db*"):
        path.unlink()
    shutil.rmtree(project / "backups", ignore_errors=True)
    if (project / "first.db").exists():
        shutil.copy(project / "first.db", project / "app.db")
