"""Projects from PyPI whose chain starts from an empty SQLite file: how each runs its migrations."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.project_environments import Environment
from tests.support.projects import clean_environment

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
        environment: The name of the environment that it is installed in.
        versions: The folder with its revisions, from site-packages.
        options: The main section of its ini file; `{versions}` stands for that folder.
        section: The name of that section.
        env_py: An env.py of ours in front of the project's own, where that needs an application.
        variables: Environment variables its env.py reads; `{folder}` stands for the run's folder.
        halfway: The revision at which rows are put in.
        rows: The rows, as SQL.
        version_table: Alembic's table.
    """

    name: str
    environment: str
    versions: str
    options: str
    halfway: str
    rows: str
    section: str = "alembic"
    env_py: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    version_table: str = "alembic_version"


OPTUNA = PublicProject(
    # Stock env.py with batch mode; the URL stands in the ini file.
    name="optuna",
    environment="sqlalchemy-2.1",
    versions="optuna/storages/_rdb/alembic/versions",
    options="script_location = optuna:storages/_rdb/alembic\nsqlalchemy.url = sqlite:///app.db",
    halfway="v2.6.0.a",
    rows="""
    INSERT INTO studies VALUES (1, 'first'), (2, 'second');
    INSERT INTO study_directions VALUES (1, 'MINIMIZE', 1, 0), (2, 'MAXIMIZE', 2, 0);
    INSERT INTO trials VALUES
      (1, 1, 'COMPLETE', '2022-01-01 00:00:00', '2022-01-01 00:01:00', 0),
      (2, 1, 'RUNNING', '2022-01-01 00:02:00', NULL, 1);
    INSERT INTO trial_params VALUES
      (1, 1, 'x', 0.25, '{"name": "UniformDistribution", "attributes": {"low": 0.0, "high": 1.0}}');
    INSERT INTO trial_values VALUES (1, 1, 0.5, 0);
    INSERT INTO trial_intermediate_values VALUES (1, 1, 0, 0.75), (2, 1, 1, 0.5);
    INSERT INTO trial_user_attributes VALUES (1, 1, 'note', '"kept"');
    """,
)

I_HATE_MONEY = PublicProject(
    # Flask-Migrate: env.py asks the current application for URL and metadata. The application's
    # own factory upgrades its database by itself, so the application here is a bare one.
    name="ihatemoney",
    environment="sqlalchemy-2.0",
    versions="ihatemoney/migrations/versions",
    options="script_location = %(here)s/migrations\nversion_locations = {versions}",
    env_py="""
import runpy
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate
from ihatemoney.models import db

app = Flask("ihatemoney")
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{Path('app.db').absolute()}"
db.init_app(app)
Migrate(app, db)
with app.app_context():
    runpy.run_path(str(Path(app.root_path) / "migrations" / "env.py"))
""",
    halfway="6c6fb2b7f229",
    rows="""
    INSERT INTO project VALUES ('trip', 'Trip', 'pbkdf2:sha256:1$a$b', 'a@example.org');
    INSERT INTO person VALUES (1, 'trip', 'Ann', 1, 1.0), (2, 'trip', 'Bob', 1, 2.0);
    INSERT INTO bill VALUES (1, 1, 10.5, '2020-01-01', 'food', NULL, '2020-01-01', NULL),
      (2, 2, 20.0, '2020-01-02', 'fuel', NULL, '2020-01-02', 'https://example.org');
    INSERT INTO billowers VALUES (1, 1), (1, 2), (2, 1);
    """,
)

QUETZ = PublicProject(
    # env.py computes its URL, and never closes its connection; the chain has a merge.
    name="quetz",
    environment="sqlalchemy-2.0",
    versions="quetz/migrations/versions",
    options="script_location = quetz:migrations\n"
    "version_locations = {versions}\nsqlalchemy.url = sqlite:///app.db",
    halfway="98c04a65df4a",
    rows="""
    INSERT INTO users VALUES (x'01', 'ann', 'owner'), (x'02', 'bob', 'member');
    INSERT INTO profiles VALUES ('Ann', 'https://example.org/ann.png', x'01');
    INSERT INTO api_keys VALUES ('key', 'for tests', 0, x'01', x'01');
    INSERT INTO channels VALUES ('main', 'the channel', 0, NULL, NULL, NULL, 10, NULL);
    INSERT INTO channel_members VALUES ('main', x'01', 'owner');
    INSERT INTO packages VALUES ('tool', 'main', 'a tool', 'tool', '{}');
    INSERT INTO package_members VALUES ('main', 'tool', x'02', 'member');
    INSERT INTO package_versions VALUES (x'0a', 'main', 'tool', 'TARBZ2', 'noarch', '1.0', 'h0', 0,
      0, 'tool-1.0-h0.tar.bz2', '{}', x'01', '2021-01-01 00:00:00', '2021-01-01 00:00:00', 10, 3);
    INSERT INTO channel_mirrors VALUES (x'0b', 'main', 'https://mirror.example.org', NULL);
    """,
)

SKYPILOT = PublicProject(
    # One ini file with a section for each database; the version table's name is one of its options.
    # autocommit_block() in nearly every revision, and some that swallow "duplicate column".
    name="skypilot",
    environment="sqlalchemy-2.1",
    versions="sky/schemas/db/global_user_state",
    section="state_db",
    options="script_location = sky:schemas/db\nversion_locations = {versions}\n"
    "version_table = alembic_version_state_db\nsqlalchemy.url = sqlite:///app.db",
    variables={"HOME": "{folder}"},
    halfway="010",
    rows="""
    INSERT INTO users (id, name) VALUES ('u1', 'ann');
    INSERT INTO clusters (name, status, handle, user_hash) VALUES ('c1', 'UP', x'00ff', 'u1'),
      ('c2', 'STOPPED', NULL, 'u1');
    INSERT INTO storage (name, status) VALUES ('bucket', 'READY');
    INSERT INTO cluster_history (cluster_hash, name, num_nodes) VALUES ('h1', 'c1', 2);
    """,
    version_table="alembic_version_state_db",
)

AIM = PublicProject(
    # env.py makes an engine of its own from an environment variable.
    name="aim",
    environment="sqlalchemy-2.0",
    versions="aim/storage/migrations/versions",
    options="script_location = aim:storage/migrations\nversion_locations = {versions}",
    variables={"AIM_RUN_META_DATA_DB_URL": "sqlite:///app.db", "HOME": "{folder}"},
    halfway="3c4f22db7a46",
    rows="""
    INSERT INTO experiment VALUES (1, 'e-1', 'baseline', '2022-01-01', '2022-01-01', 0);
    INSERT INTO tag VALUES (1, 't-1', 'good', '#0f0', '2022-01-01', '2022-01-01', 0, 'kept');
    INSERT INTO run VALUES (1, 'h1', 'run', 'first', 0, '2022-01-01', '2022-01-01', 1, NULL);
    INSERT INTO run_tag VALUES (1, 1);
    """,
)

# Aim has no wheels for Python 3.13 and later.
PROJECTS = (OPTUNA, I_HATE_MONEY, QUETZ, SKYPILOT, *([AIM] if sys.version_info < (3, 13) else []))


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
            timeout=120,
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
    return Checkout(project, environment, folder)
