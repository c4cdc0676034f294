"""Which database a command works on: what the settings say, held against what env.py opens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.config import masked_url
from orchctl.database.location import is_sqlite, locate
from orchctl.errors import ConfigurationError

if TYPE_CHECKING:
    from orchctl.chain.environment import EnvironmentFacts
    from orchctl.config import Settings


@dataclass(frozen=True)
class Database:
    """The database of a run.

    Attributes:
        url: Its URL, password included; mask before showing.
        file: The SQLite file; None on any other database.
        version_table: Alembic's table where env.py states it plainly, else its default name.
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


def find_database(settings: Settings) -> Database:
    """The database that the settings name, or else the one that env.py opens.

    When the settings name none, env.py is run up to `context.configure()` to learn it. A named one
    that env.py does not provably use is checked when env.py runs, before the first statement.

    Raises:
        ConfigurationError: No project, or no database can be found.
    """
    facts = environment_facts(settings)
    table = (facts.version_table if facts else None) or "alembic_version"
    if settings.url is not None:
        proven = facts is None or facts.url_from_configuration
        if not is_sqlite(settings.url):
            return Database(settings.url, None, table, proven)
        return Database(settings.url, locate(settings.url, settings.folder), table, proven)
    settings.require_project()
    from orchctl.upgrade.environment import learn_target

    target = learn_target(settings)
    if target.file is None and is_sqlite(target.url):
        locate(target.url, settings.folder)  # says what is wrong with it: in memory
    return Database(target.url, target.file, table, True)


def verified_database(settings: Settings) -> Database:
    """As `find_database`, and sure: env.py is asked when the settings alone prove nothing.

    Raises:
        ConfigurationError: No project, or no database can be found.
        Refused: env.py opens another database than the one named.
    """
    database = find_database(settings)
    if database.proven or settings.project is None:
        return database
    from orchctl.upgrade.environment import learn_target
    from orchctl.upgrade.failure import same_file, wrong_database

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
    return database


def environment_facts(settings: Settings) -> EnvironmentFacts | None:
    """What env.py's text says about its URL and version table; None without a project."""
    if settings.project is None:
        return None
    from orchctl.chain.environment import read_environment

    return read_environment(settings.project.script_location / "env.py")
