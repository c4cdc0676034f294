"""Databases held against a chain (C16): their facts, gathered from wherever they are known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchctl.errors import ConfigurationError, OrchctlError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orchctl.chain.findings import Finding
    from orchctl.chain.graph import Graph
    from orchctl.chain.project import ChainPlace
    from orchctl.chain.revision_file import RevisionFile
    from orchctl.chain.stamp import SchemaMatch, Stamp
    from orchctl.config import Settings
    from orchctl.database.inspect import DatabaseFacts

# A chain longer than this is not built on a scratch file to find a revision by its schema.
_LONGEST_BUILT = 500


def about_databases(
    urls: Sequence[str], place: ChainPlace, files: Sequence[RevisionFile], settings: Settings
) -> list[Finding]:
    """C16: databases whose stamp does not fit the chain.

    Only for one with tables and no stamp is anything of the project run: its chain, on a scratch
    file, to find the revision whose schema that is.

    Args:
        urls: The databases: URLs or paths.
        place: Where the chain is.
        files: Its files.
        settings: The run's settings.

    Raises:
        ConfigurationError: There is no such database.
        Refused: It can't be read, or its snapshot directory can't.
    """
    if not urls:
        return []
    # The same file twice, by a path and by a URL, is one database.
    return _about({_file(url, settings): url for url in urls}, place, files, settings)


def about_file(
    file: Path, place: ChainPlace, files: Sequence[RevisionFile], settings: Settings
) -> list[Finding]:
    """As `about_databases`, of one that is known by its file.

    Args:
        file: The database.
        place: Where the chain is.
        files: Its files.
        settings: The run's settings.
    """
    return _about({file: str(file)}, place, files, settings)


def _about(
    named: Mapping[Path, str],
    place: ChainPlace,
    files: Sequence[RevisionFile],
    settings: Settings,
) -> list[Finding]:
    from orchctl.chain.graph import Graph
    from orchctl.chain.stamp import check_stamp, created_tables

    graph, created = Graph.of(files), created_tables(files)
    table = _version_table(place, settings)
    facts = [_facts(file, url, table) for file, url in named.items()]
    findings: list[Finding] = []
    for one in facts:
        findings += check_stamp(graph, _stamp(one, graph, table, place, settings), created)
    return findings


def _file(url: str, settings: Settings) -> Path:
    from orchctl.database.location import locate

    # A bare path is what people type.
    return locate(url if "://" in url else f"sqlite:///{url}", settings.folder)


def _facts(file: Path, url: str, table: str) -> DatabaseFacts:
    from orchctl.config import masked_url
    from orchctl.database.inspect import inspect

    facts = inspect(file, version_table=table)
    if not facts.exists:
        raise ConfigurationError(
            f"There is no database {file}",
            code="database-not-found",
            hint=f"--db {masked_url(url)} must name one that exists",
        )
    return facts


def _stamp(
    facts: DatabaseFacts, graph: Graph, table: str, place: ChainPlace, settings: Settings
) -> Stamp:
    from orchctl.chain.stamp import Stamp

    tables = tuple(name for name in facts.tables if name != table)
    stamp = Stamp(
        str(facts.path),
        facts.heads,
        facts.has_version_table,
        tables,
        table,
        together=_goes_through_several(place, settings),
    )
    if unknown := [id_ for id_ in facts.heads if id_ not in graph.revisions]:
        from orchctl.upgrade.ahead import remembered
        from orchctl.upgrade.plan import snapshot_directory

        directory = snapshot_directory(settings, facts.path)
        memory = remembered(facts.path, directory, unknown, list(graph.revisions))
        return replace(stamp, memory=memory)
    if tables and not facts.heads:
        return replace(stamp, match=_match(facts.path, graph, table, place, settings))
    return stamp


def _match(
    file: Path, graph: Graph, table: str, place: ChainPlace, settings: Settings
) -> SchemaMatch:
    """The revisions whose schema the database has, found by building the chain."""
    from orchctl.chain.stamp import SchemaMatch

    if not graph.sound:
        return SchemaMatch(obstacle="the chain is broken")
    if not _is_own(place, settings):
        return SchemaMatch(obstacle="PATH is not the chain of the settings' project")
    from orchctl.database.compare import schema_of
    from orchctl.database.open import ask
    from orchctl.upgrade.scratch import match_schema
    from orchctl.upgrade.target import find_databases

    wanted = ask(file, lambda connection, _: schema_of(connection))
    try:
        own = [one.file for one in find_databases(settings)]
    except OrchctlError as error:
        return SchemaMatch(obstacle=error.message)
    if len(own) > 1 and file not in own:
        return SchemaMatch(obstacle="env.py goes through several databases, and it is none of them")
    of = file if len(own) > 1 else None
    return match_schema(settings, wanted, ignore={table}, of=of, most=_LONGEST_BUILT)


def _version_table(place: ChainPlace, settings: Settings) -> str:
    """The name of Alembic's table; env.py is asked where it computes that name."""
    from orchctl.chain.environment import DEFAULT_VERSION_TABLE, read_environment

    if place.env_py is None or not place.env_py.is_file():  # a pipe would be waited for
        return DEFAULT_VERSION_TABLE
    stated = read_environment(place.env_py).version_table
    if stated is None and _is_own(place, settings):
        from orchctl.upgrade.scratch import version_table

        try:
            return version_table(settings)
        except OrchctlError:  # its dependencies are not here, as in CI
            return DEFAULT_VERSION_TABLE
    return stated or DEFAULT_VERSION_TABLE


def _goes_through_several(place: ChainPlace, settings: Settings) -> bool:
    """Whether env.py migrates several databases in one run, as Alembic's multidb template does."""
    from orchctl.chain.environment import read_environment

    if settings.project is not None and _is_own(place, settings) and settings.project.databases:
        return True
    return place.env_py is not None and read_environment(place.env_py).several


def _is_own(place: ChainPlace, settings: Settings) -> bool:
    """Whether the chain is that of the project that Alembic would load."""
    return settings.project is not None and settings.project.version_locations == place.locations
