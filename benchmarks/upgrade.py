"""Whole upgrades: empty file to head, and a populated one with its snapshot first."""

from __future__ import annotations

import shutil
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
_COMMANDS = {
    _PLAIN: [ALEMBIC, "upgrade", "head"],
    _BARE: [ORCHCTL, "upgrade", "--no-backup"],
    _SAFE: [ORCHCTL, "upgrade", "--no-rehearse"],
    _FULL: [ORCHCTL, "upgrade"],
}
_TWO = (_BARE, _PLAIN)


def run(options: Options) -> Report:
    """Measure chains of 10, 300 and 2,000 revisions."""
    figures: list[Figure] = []
    figures += _lengths(options)
    figures += _with_snapshot(options)
    figures += _slow_disk(options)
    return Report(
        "upgrade",
        "Upgrades",
        "One line of revisions, each with two statements (a table, a column, a child table in "
        "turn, each with an index), and a stock env.py. Every run starts from an empty file (or, "
        "with a snapshot, from a database at the first revision) and is a process of its own. "
        "fsyncs are fsync and fdatasync calls as strace counts them; the slow disk is strace "
        "adding 1 ms to each of them, on both sides. The time that is left is Python, SQLAlchemy "
        "and SQLite at work, the same on both sides; what one transaction saves is the fsyncs.",
        tuple(figures),
        () if STRACE else ("strace is not here: no fsyncs counted, no slow disk.",),
    )


def _lengths(options: Options) -> list[Figure]:
    figures: list[Figure] = []
    for length, bound in ((10, 1.0), (300, 0.35), (30 if options.quick else 2000, 0.25)):
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
    seconds = race(sides, options.rounds)
    case = "300 revisions, empty file to head, no snapshot, each fsync 1 ms longer"
    return [Ratio(case, seconds[_BARE], _PLAIN, seconds[_PLAIN], 0.12)]


def _project(options: Options, length: int, *, populated: bool = False) -> Path:
    folder = options.folder / f"chain-{length}{'-populated' if populated else ''}"
    if not folder.exists():
        write_chain(folder, length)
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
