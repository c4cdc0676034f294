"""What is held against a chain besides its own files: databases, the lockfile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchctl.errors import ConfigurationError, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchctl.chain.findings import Finding
    from orchctl.chain.lockfile import LockChange
    from orchctl.chain.project import ChainPlace
    from orchctl.chain.revision_file import RevisionFile
    from orchctl.config import Settings


def about_lockfile(place: ChainPlace, files: Sequence[RevisionFile]) -> list[Finding]:
    """C13: what is not as the lockfile says.

    Raises:
        ConfigurationError: There is no lockfile, or it is none.
    """
    from orchctl.chain.graph import Graph
    from orchctl.chain.lockfile import frozen, read_lock

    return list(frozen(Graph.of(files), place.lockfile, read_lock(place.lockfile)))


def about_merge(place: ChainPlace, files: Sequence[RevisionFile], ref: str) -> list[Finding]:
    """C15: what breaks once this tree is merged with another branch.

    Raises:
        UsageError: No git, no repository, no such branch, nothing in common with it.
    """
    from orchctl.chain.git import Repository
    from orchctl.chain.merged import broken_once_merged, merged_chain

    repository = Repository.of(place.locations[0])
    merged = merged_chain(repository, place, files, ref)
    return list(broken_once_merged(repository, place, files, merged, ref))


def write_lockfile(place: ChainPlace, files: Sequence[RevisionFile]) -> tuple[Path, LockChange]:
    """Lock the chain as it is.

    Raises:
        Refused: It is broken.
        ConfigurationError: The file cannot be written.
    """
    from orchctl.chain.graph import Graph
    from orchctl.chain.lockfile import locked_now, write_lock

    graph = Graph.of(files)
    if not graph.sound:
        raise Refused(
            "A broken chain is not locked",
            code="broken-chain",
            state=f"{place.lockfile} is as before",
            hint="orchctl verify-chain says what is broken",
        )
    return place.lockfile, write_lock(place.lockfile, locked_now(graph))


def about_databases(
    urls: Sequence[str], place: ChainPlace, files: Sequence[RevisionFile], settings: Settings
) -> list[Finding]:
    """C16: databases whose stamp does not fit the chain.

    Args:
        urls: The databases: URLs or paths.
        place: Where the chain is.
        files: Its files.
        settings: The run's settings.

    Raises:
        ConfigurationError: There is no such database.
    """
    if not urls:
        return []
    from orchctl.chain.environment import DEFAULT_VERSION_TABLE, read_environment
    from orchctl.chain.graph import Graph
    from orchctl.chain.stamp import Stamp, check_stamp, created_tables
    from orchctl.config import masked_url
    from orchctl.database.inspect import inspect
    from orchctl.database.location import locate

    stated = read_environment(place.env_py).version_table if place.env_py else None
    table = stated or DEFAULT_VERSION_TABLE
    graph, created = Graph.of(files), created_tables(files)
    findings: list[Finding] = []
    for url in urls:
        # A bare path is what people type.
        file = locate(url if "://" in url else f"sqlite:///{url}", settings.folder)
        facts = inspect(file, version_table=table)
        if not facts.exists:
            raise ConfigurationError(
                f"There is no database {file}",
                code="database-not-found",
                hint=f"--db {masked_url(url)} must name one that exists",
            )
        tables = tuple(name for name in facts.tables if name != table)
        stamp = Stamp(str(file), facts.heads, facts.has_version_table, tables, table)
        findings += check_stamp(graph, stamp, created)
    return findings
