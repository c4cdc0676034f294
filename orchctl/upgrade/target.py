"""Which database a command works on: what the settings say, held against what env.py opens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.config import masked_url
from orchctl.database.inspect import VERSION_TABLE
from orchctl.database.location import is_sqlite, locate
from orchctl.errors import ConfigurationError, OrchctlError, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchctl.chain.environment import EnvironmentFacts
    from orchctl.config import Settings
    from orchctl.upgrade.environment import Target


@dataclass(frozen=True)
class Database:
    """The database of a run.

    Attributes:
        url: Its URL, password included; mask before showing.
        file: The SQLite file; None on any other database.
        version_table: Alembic's table, as env.py states or computes it.
        proven: Whether env.py provably opens this one; if not, the run itself checks.
        further_tables: The other version tables that env.py uses in it in the same run.
    """

    url: str
    file: Path | None
    version_table: str
    proven: bool
    further_tables: tuple[str, ...] = ()

    def require_file(self, purpose: str) -> Path:
        """The file, or one line saying that this command needs one.

        Raises:
            ConfigurationError: The database is not SQLite.
        """
        if self.file is None:
            raise ConfigurationError(
                f"{purpose} needs a SQLite file, and {masked_url(self.url)} is none",
                code="not-sqlite",
                hint="upgrade, downgrade, stamp, history, heads, merge, verify-chain and --sql "
                "work on every database",
            )
        return self.file


def find_database(settings: Settings, *, by_text: bool = False) -> Database:
    """The database that the settings name, or else the one that env.py opens.

    When the settings name none, env.py is run up to `context.configure()` to learn it, and so it
    is when its text doesn't say which table the version is in. A named one that env.py does not
    provably use is checked when env.py runs, before the first statement.

    Args:
        settings: The run's settings.
        by_text: Don't run env.py for the version table: a database whose table is computed then
            counts as unproven.

    Raises:
        ConfigurationError: No project, or no database can be found.
    """
    if settings.url is None:
        return _opened_database(settings)
    facts = environment_facts(settings)
    proven = facts is None or facts.url_from_configuration
    table = facts.version_table if facts is not None else VERSION_TABLE
    if not is_sqlite(settings.url):
        return Database(settings.url, None, table or VERSION_TABLE, proven)
    file = locate(settings.url, settings.folder)
    if table is None and by_text:
        return Database(settings.url, file, VERSION_TABLE, False)
    return Database(settings.url, file, table or _computed_table(settings), proven)


def find_databases(settings: Settings) -> tuple[Database, ...]:
    """As `find_database`, for what works on every database that env.py goes through.

    Where env.py may go through several (Alembic's multidb template), it is run to see them all;
    each must be one that the configuration lists, if that lists their URLs.

    Raises:
        ConfigurationError: No project, or no database can be found; several, not all SQLite.
        Refused: `several-databases`: the settings name one of several. `wrong-database`.
    """
    targets = _several(settings)
    if len(targets) > 1 and _is_named(settings):
        raise one_of_several(targets, f"{settings.origins['url']} names one")
    return (_all(settings, targets) if targets else ()) or (find_database(settings),)


def _all(settings: Settings, targets: tuple[Target, ...]) -> tuple[Database, ...]:
    """Every database, checked; nothing where there is but one, with one version table."""
    if settings.require_project().databases or len(targets) > 1:
        _require_listed(settings, targets)
    if sum(len(target.version_tables) for target in targets) < 2:
        return ()
    found = tuple(_as_database(settings, target) for target in targets)
    for one in found:
        one.require_file("A run over several databases")
    return found


def _several(settings: Settings) -> tuple[Target, ...]:
    """What env.py opens, where that may be more than one; empty where it surely is one."""
    facts = environment_facts(settings)
    if settings.project is None or facts is None:
        return ()
    if settings.url and facts.url_from_configuration and facts.version_table:
        return ()
    if not (settings.project.databases or facts.several):
        return ()
    from orchctl.upgrade.learning import learn_targets

    return learn_targets(settings)


def _is_named(settings: Settings) -> bool:
    """Whether somebody named a database for this run, and not just for the application."""
    origin = str(settings.origins["url"])
    by_project = settings.project is not None and origin.startswith(f"{settings.project.file} ")
    return bool(settings.url) and origin != "environment DATABASE_URL" and not by_project


def one_of_several(targets: Iterable[Target], what: str) -> Refused:
    """The refusal of what can't be done with one of several databases, or with all of them."""
    urls = [masked_url(target.url) for target in targets]
    return Refused(
        f"env.py goes through {len(urls)} databases ({', '.join(urls)}), and {what}",
        code="several-databases",
        state="Nothing was changed",
        hint="status, current, rollback and backup take one of them by --url; upgrade, downgrade, "
        "stamp and rehearse take all of them, without --url",
        details={"databases": urls},
    )


def _require_listed(settings: Settings, targets: Iterable[Target]) -> None:
    """Refuse a database that the configuration doesn't list, where it lists them with URLs."""
    project = settings.require_project()
    urls = [url for _, url in project.databases]
    if not urls and settings.url is not None:
        urls = [settings.url]
    if not urls or None in urls:
        return
    files = [locate(url, settings.folder) for url in urls if url and is_sqlite(url)]
    from orchctl.upgrade.failure import same_file, wrong_database

    for target in targets:
        if target.file is None and target.url in urls:
            continue
        if target.file is None or not any(same_file(target.file, file) for file in files):
            raise wrong_database(
                project.script_location / "env.py",
                " or ".join(map(str, files)),
                target.file or masked_url(target.url),
                one_of=True,
            )


def _as_database(settings: Settings, target: Target) -> Database:
    if target.file is None and is_sqlite(target.url):
        locate(target.url, settings.folder)  # says what is wrong with it: in memory
    table, *further = target.version_tables
    return Database(target.url, target.file, table, True, tuple(further))


def _opened_database(settings: Settings) -> Database:
    """The database that env.py opens by itself."""
    settings.require_project()
    from orchctl.upgrade.learning import learn_target

    targets = _several(settings)
    if len(targets) > 1:
        raise one_of_several(targets, "this works on one")
    return _as_database(settings, targets[0] if targets else learn_target(settings))


def _computed_table(settings: Settings) -> str:
    """The version table as env.py computes it; Alembic's own name where env.py fails.

    A snapshot can be taken without env.py; what can't do without fails on it by itself.
    """
    from orchctl.upgrade.learning import learn_target

    try:
        return learn_target(settings).version_table
    except OrchctlError:
        return VERSION_TABLE


def verified_database(settings: Settings) -> Database:
    """As `find_database`, and sure: env.py is asked when the settings alone prove nothing.

    Raises:
        ConfigurationError: No project, or no database can be found.
        Refused: env.py opens another database than the one named.
    """
    database = find_database(settings, by_text=True)
    if database.proven or settings.project is None:
        return database
    from orchctl.upgrade.failure import same_file, wrong_database
    from orchctl.upgrade.learning import learn_target

    targets = _several(settings)
    opened = targets[0] if targets else learn_target(settings)
    for target in targets:
        if target.file and database.file and same_file(target.file, database.file):
            opened = target
    env_py = settings.project.script_location / "env.py"
    if database.file is None or opened.file is None:
        if opened.file is database.file:
            return database
        raise wrong_database(
            env_py, masked_url(database.url), opened.file or masked_url(opened.url)
        )
    if not same_file(opened.file, database.file):
        raise wrong_database(env_py, database.file, opened.file)
    table, *further = opened.version_tables
    return replace(database, version_table=table, further_tables=tuple(further))


def find_databases_or_named(settings: Settings) -> tuple[Database, ...]:
    """As `find_databases`, or just the one that the settings name.

    For what works on files without env.py.
    """
    return (find_database(settings),) if _is_named(settings) else find_databases(settings)


def verified_databases(settings: Settings) -> tuple[Database, ...]:
    """As `verified_database`, of all that env.py goes through, or the one that the settings name.

    For what only looks at the files.
    """
    targets = () if _is_named(settings) else _several(settings)
    return (_all(settings, targets) if targets else ()) or (verified_database(settings),)


def environment_facts(settings: Settings) -> EnvironmentFacts | None:
    """What env.py's text says about its URL and version table; None without a project."""
    if settings.project is None:
        return None
    from orchctl.chain.environment import read_environment

    return read_environment(settings.project.script_location / "env.py")
