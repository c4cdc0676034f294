"""Whether there is nothing to do, answered without Alembic when the files alone prove it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.snapshots.catalog import default_directory
from orchctl.upgrade.mark import find_mark
from orchctl.upgrade.patience import STEP, patiently
from orchctl.upgrade.target import find_database

if TYPE_CHECKING:
    from orchctl.chain.graph import Graph
    from orchctl.config import Settings


def static_chain(settings: Settings) -> Graph | None:
    """The chain as its files state it; None unless every file is understood without running it."""
    from orchctl.chain.graph import Graph
    from orchctl.chain.read import read_files

    project = settings.project
    if project is None or project.sourceless:
        return None
    files = read_files(project.version_locations, recursive=project.recursive, bodies=False)
    graph = Graph(files)
    return graph if graph.sound else None


def already_there(settings: Settings, revision: str) -> tuple[Path, tuple[str, ...]] | None:
    """The database and its heads when it provably is at `revision` already.

    Args:
        settings: The run's settings.
        revision: The target as typed; only `head` and `heads` can be answered here.

    Returns:
        None when there is something to do, or when only running Alembic can tell.
    """
    if revision not in ("head", "heads") or settings.url is None:
        return None
    database = find_database(settings, by_text=True)
    if not database.proven or database.file is None or not database.file.is_file():
        return None
    graph = static_chain(settings)
    if graph is None or not graph.heads or (revision == "head" and len(graph.heads) != 1):
        return None
    file, table = database.file, database.version_table
    directory = settings.snapshot_directory or default_directory(file)
    if find_mark(directory, file) is not None:  # a killed run: its stamp proves nothing
        return None
    heads = patiently(lambda: heads_of(file, table, timeout=STEP), settings.lock_timeout)
    return (file, heads) if set(heads) == set(graph.effective_heads) else None


def heads_of(file: Path, version_table: str, *, timeout: float = 5.0) -> tuple[str, ...]:
    """The revisions a database is stamped with, sorted; none where there is no such table.

    Args:
        file: The database; need not exist.
        version_table: Name of Alembic's table.
        timeout: Seconds to wait for a lock.

    Raises:
        Refused: It is not a database, or can't be read.
    """
    from orchctl.database.failure import explain
    from orchctl.database.inspect import stamped
    from orchctl.database.open import ask

    if not file.exists():
        return ()
    try:
        question = lambda connection, _: stamped(connection, version_table)  # noqa: E731
        return ask(file, question, timeout=timeout) or ()
    except sqlite3.Error as error:
        raise explain(error, file, doing="read") from error
