"""Projects from PyPI with a chain for SQLite: how each runs its migrations."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.project_environments import Environment
from tests.support.projects import clean_environment, execute

# What each project's own ini has for logging: env.py calls fileConfig().
_LOGGING = """
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = generic
[logger_root]
level = WARNING
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = generic
[formatter_generic]
format = %(levelname)s %(message)s
"""


@dataclass(frozen=True)
class PublicProject:
    """A project and its chain.

    Attributes:
        name: What the tests call it.
        package: Its distribution.
        environment: The name of the environment that it is installed in.
        versions: The folder with its revisions, from site-packages.
        options: The main section of its ini file; `{versions}` stands for that folder.
        section: The name of that section.
        env_py: An env.py of ours in front of the project's own, where that needs an application.
        variables: Environment variables its env.py reads; `{folder}` stands for the run's folder.
        halfway: The revision at which rows are put in.
        rows: The rows, as SQL.
        version_table: Alembic's table.
        start: The file in old_databases/ that the chain starts from; None: an empty database.
        commits: What commits on the way from the start besides Alembic itself, which commits
            once after each revision: all is put off.
        commits_later: The same on the way from half-way.
        lost: What goes on the way from the start and has to be declared, each with the reason.
        lost_later: The same on the way from half-way, with `rows` in.
    """

    name: str
    package: str
    environment: str
    versions: str
    options: str
    halfway: str
    rows: str
    section: str = "alembic"
    env_py: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    version_table: str = "alembic_version"
    start: str | None = None
    commits: str = ""
    commits_later: str = ""
    lost: dict[str, str] = field(default_factory=dict)
    lost_later: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkout:
    """A folder from which a project's migrations run; its database is app.db."""

    project: PublicProject
    environment: Environment
    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "app.db"

    def alembic(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Plain Alembic."""
        return self._run("alembic", words)

    def orchctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run("orchctl", words)

    def upgraded(self, *words: str, lost: Iterable[str] = ()) -> dict[str, Any]:
        """What a successful `orchctl upgrade` says."""
        done = self.orchctl("upgrade", "--json", *words, *_declared(lost))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self) -> list[str]:
        """What an upgrade without a declaration stops for."""
        run = self.orchctl("upgrade", "--json", "--no-rehearse")
        assert run.returncode == 5, run.stderr
        losses = json.loads(run.stderr)["error"]["details"]["losses"]
        return sorted({loss["place"] for loss in losses})

    def bring_half_way(self) -> None:
        """Plain Alembic to the revision in the middle, and the rows."""
        done = self.alembic("upgrade", self.project.halfway)
        assert done.returncode == 0, done.stderr
        execute(self.database, self.project.rows)

    def copy_database(self, source: Checkout) -> None:
        """Take over another checkout's database."""
        with (
            closing(sqlite3.connect(source.database)) as there,
            closing(sqlite3.connect(self.database)) as here,
        ):
            there.backup(here)

    def chain_head(self) -> str:
        """The newest revision of the chain."""
        return self.alembic("heads").stdout.split()[0]

    def heads(self) -> list[str]:
        table = self.project.version_table
        return [row[0] for row in self.query(f"SELECT version_num FROM {table}")]

    def query(self, sql: str) -> list[tuple]:
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def break_the_last_revision(self, head: str) -> None:
        """Let the head's upgrade fail after all it does; its file is a copy in this folder."""
        pattern = re.compile(rf"""^revision\s*(?::\s*\w+\s*)?=\s*['"]{re.escape(head)}['"]""", re.M)
        (path,) = (
            path
            for path in (self.folder / "versions").glob("*.py")
            if pattern.search(path.read_text())
        )
        path.write_text(path.read_text() + _FAILURE)

    def _run(self, program: str, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        variables = clean_environment() | self.environment.variables
        for name, value in self.project.variables.items():
            variables[name] = value.format(folder=self.folder)
        return subprocess.run(
            [self.environment.bin / program, "-n", self.project.section, *words],
            cwd=self.folder,
            env=variables,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )


_FAILURE = """

_whole = upgrade


def upgrade(*words, **keywords):
    _whole(*words, **keywords)
    op.execute("INSERT INTO no_such_table VALUES (1)")
"""


def check_out(project: PublicProject, environment: Environment, folder: Path) -> Checkout:
    """Write what is needed to run a project's migrations from a folder.

    The revisions are a copy, so that a test can break one.
    """
    folder.mkdir()
    source = environment.site_packages / project.versions
    shutil.copytree(source, folder / "versions", ignore=shutil.ignore_patterns("__pycache__"))
    options = project.options.format(versions="%(here)s/versions")
    if "version_locations" not in options:
        options += "\nversion_locations = %(here)s/versions"
    ini = f"[{project.section}]\n{options}\npath_separator = newline\n{_LOGGING}"
    (folder / "alembic.ini").write_text(ini)
    if project.env_py:
        (folder / "migrations").mkdir()
        (folder / "migrations" / "env.py").write_text(project.env_py)
    checkout = Checkout(project, environment, folder)
    if project.start:
        execute(checkout.database, old_database(project.start))
    return checkout


def commits_inside(told: dict[str, Any]) -> int:
    """How many commits a run put off, beyond the one that Alembic makes after each revision.

    Args:
        told: What `orchctl upgrade --json` said.
    """
    return max(0, told["deferred_commits"] - len(told["revisions"]))


def _declared(lost: Iterable[str]) -> list[str]:
    return [word for place in lost for word in ("--allow-loss", place)]


def old_database(name: str) -> str:
    """The SQL of a database as an old version of a project left it; the file says which."""
    return (Path(__file__).with_name("old_databases") / name).read_text()
