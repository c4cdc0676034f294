"""Which database a command works on: what the settings say, held against what env.py opens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.config import masked_url
from orchctl.database.inspect import VERSION_TABLE
from orchctl.database.location import is_sqlite, locate
from orchctl.errors import ConfigurationError, OrchctlError

if TYPE_CHECKING:
    from orchctl.chain.environment import EnvironmentFacts
    from orchctl.config import Settings


@dataclass(frozen=True)
class Database:
    """The database of a run.

    Attributes:
        url: Its URL, password included; mask before showing.
        file: The SQLite file; None on any other database.
        version_table: Alembic's table, as env.py states or computes it.
        proven: Whether env.py provably opens this one; if not, the run itself checks.
    """

    url: str
    file: Path | None
    version_table: str
    proven: bool

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


def _opened_database(settings: Settings) -> Database:
    """The database that env.py opens by itself."""
    settings.require_project()
    from orchctl.upgrade.learning import learn_target

    target = learn_target(settings)
    if target.file is None and is_sqlite(target.url):
        locate(target.url, settings.folder)  # says what is wrong with it: in memory
    return Database(target.url, target.file, target.version_table, True)


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

    opened = learn_target(settings)
    env_py = settings.project.script_location / "env.py"
    if database.file is None or opened.file is None:
        if opened.file is database.file:
            return database
        raise wrong_database(
            env_py, masked_url(database.url), opened.file or masked_url(opened.url)
        )
    if not same_file(opened.file, database.file):
        raise wrong_database(env_py, database.file, opened.file)
    return replace(database, version_table=opened.version_table)


def environment_facts(settings: Settings) -> EnvironmentFacts | None:
    """What env.py's text says about its URL and version table; None without a project."""
    if settings.project is None:
        return None
    from orchctl.chain.environment import read_environment

    return read_environment(settings.project.script_location / "env.py")
