"""The hazards, each as a project that can be built again and again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import hazard_runs as runs
from tests.support.env_shapes import SHAPES, STOCK
from tests.support.projects import Project, execute

_FAMILY = """
CREATE TABLE parent (id INTEGER NOT NULL, name TEXT, PRIMARY KEY (id));
CREATE TABLE child (id INTEGER NOT NULL, parent_id INTEGER, PRIMARY KEY (id),
    FOREIGN KEY(parent_id) REFERENCES parent (id) ON DELETE {action});
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO parent VALUES (1, 'a'), (2, 'b');
INSERT INTO child VALUES (1, 1), (2, 1), (3, 2);
INSERT INTO alembic_version VALUES ('001');
"""
_FIRST = """
op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
op.create_table(
    "child",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.Integer, sa.ForeignKey("parent.id", ondelete="{action}")),
)
"""


@dataclass(frozen=True)
class Case:
    """One hazard.

    Attributes:
        id: As in the tests.
        hazard: What goes wrong.
        build: Makes the project in a folder.
        look: What is in the database afterwards, as text.
        run: Runs a tool on it; what it exited with, as text.
        small_disk: Whether the project wants its folder `disk` to be a file system of 16 MB.
    """

    id: str
    hazard: str
    build: Callable[[Path], Project]
    look: runs.Look
    run: Callable[[Project, runs.Words], str] = runs.once
    small_disk: bool = False

    @property
    def quick(self) -> bool:
        """Whether it is one run on any disk."""
        return self.run in (runs.once, runs.telling) and not self.small_disk


def family(
    body: str, *, action: str = "CASCADE", env: str = STOCK, more: str = "", url: str = ""
) -> Callable[[Path], Project]:
    """A parent table with children at revision 001, and a revision 002.

    Args:
        body: What 002 does.
        action: ON DELETE of the children.
        env: The text of env.py.
        more: SQL that adds to the database at 001.
        url: The database's URL, if not the usual one.
    """

    def build(folder: Path) -> Project:
        project = Project(folder, url=url or "sqlite:///app.db", env=env)
        project.add("001", _FIRST.format(action=action))
        project.add("002", body)
        execute(project.database, _FAMILY.format(action=action) + more)
        return project

    return build


class _OnDisk(Project):
    @property
    def database(self) -> Path:
        return self.folder / "disk" / "app.db"


def _on_small_disk(folder: Path) -> Project:
    project = _OnDisk(folder, url="sqlite:///disk/app.db")
    project.add("001", _FIRST.format(action="CASCADE"))
    project.add("002", 'op.execute("CREATE TABLE one (x)")\n' + _MUCH)
    execute(project.database, _FAMILY.format(action="CASCADE"))
    return project


def _slow(folder: Path) -> Project:
    project = family(ADD.format(2), more="PRAGMA journal_mode=WAL;")(folder)
    for number in range(3, 8):
        project.add(f"{number:03}", f"import time\n{ADD.format(number)}\ntime.sleep(0.05)")
    return project


def _together(folder: Path) -> Project:
    project = _slow(folder)
    project.set_env(_BARRIER + STOCK)
    return project


# However long each of them takes to start, five processes go on at one moment (or after 10 s).
_BARRIER = """
import pathlib, time
pathlib.Path(f"ready-{time.time_ns()}").touch()
deadline = time.monotonic() + 10
while len(list(pathlib.Path().glob("ready-*"))) < 5 and time.monotonic() < deadline:
    time.sleep(0.001)
"""


def _elsewhere(folder: Path) -> Project:
    opened = 'create_engine("sqlite:///other.db")'
    named = 'create_engine(config.get_main_option("sqlalchemy.url"))'
    env = SHAPES["own-create-engine"].replace(named, opened)
    project = family('op.execute("CREATE TABLE one (id)")', env=env)(folder)
    execute(folder / "other.db", _FAMILY.format(action="CASCADE"))
    return project


def _at_head(folder: Path) -> Project:
    mark = '\nopen("ran", "w").close()\n'
    project = family("pass", env=STOCK + mark)(folder)
    execute(project.database, "UPDATE alembic_version SET version_num = '002'")
    return project


def _ahead(folder: Path) -> Project:
    project = family('op.execute("CREATE TABLE one (id)")')(folder)
    assert project.orchctl("upgrade").returncode == 0
    (folder / "migrations" / "versions" / "002_step.py").unlink()
    return project


ADD = 'with op.batch_alter_table("parent", recreate="always") as batch:\n'
ADD += '    batch.add_column(sa.Column("c{}", sa.Integer))'
REBUILD = 'with op.batch_alter_table("parent") as batch:\n'
REBUILD += '    batch.alter_column("name", type_=sa.String(50))'
CAST = REBUILD.replace("sa.String(50)", "sa.Integer")
REKEYED = REBUILD.replace('"parent"', '"n"').replace('"name"', '"w"')
TWO_STEPS = 'op.execute("CREATE TABLE one (id)")\nop.execute("INSERT INTO nowhere VALUES (1)")'
COMMITS = 'op.execute("DELETE FROM child WHERE id = 3")\nop.get_bind().commit()\n'
COMMITS += 'op.execute("INSERT INTO nowhere VALUES (1)")'
ATTACHES = """
with op.get_context().autocommit_block():
    op.execute("ATTACH 'other.db' AS other")
op.execute("CREATE TABLE other.log (id)")
op.execute("INSERT INTO other.log VALUES (1)")
op.get_bind().commit()
op.execute("INSERT INTO nowhere VALUES (1)")
"""
SWITCHES = """
with op.get_context().autocommit_block():
    op.execute("PRAGMA foreign_keys=ON")
op.drop_table("parent")
"""
_MUCH = 'op.execute("INSERT INTO one VALUES (zeroblob(30000000))")'
GUARDED = """
CREATE INDEX lower_name ON parent (lower(name));
CREATE TRIGGER t AFTER INSERT ON parent BEGIN SELECT 1; END;
"""
UNREFLECTED = """
CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, w TEXT COLLATE NOCASE CHECK (w <> ''));
"""
SEARCHED = """
CREATE TABLE n (k TEXT PRIMARY KEY, w TEXT);
CREATE VIRTUAL TABLE ft USING fts5(w, content=n);
INSERT INTO n VALUES ('a', 'alpha'), ('b', 'beta'), ('c', 'gamma'); DELETE FROM n WHERE k = 'a';
INSERT INTO ft (ft) VALUES ('rebuild');
"""
FOREIGN_KEYS_ON = SHAPES["application-engine"]

CASES = (
    Case("H01", "a revision fails half-way", family(TWO_STEPS), runs.tables),
    Case(
        "H02",
        "a parent table with CASCADE children is rebuilt, foreign_keys=ON",
        family(REBUILD, env=FOREIGN_KEYS_ON),
        runs.count("child"),
    ),
    Case(
        "H03",
        "the same with SET NULL",
        family(REBUILD, action="SET NULL", env=FOREIGN_KEYS_ON),
        runs.links,
    ),
    Case("H04", "a revision commits, then fails", family(COMMITS), runs.count("child")),
    Case("H05", "kill -9 at a random moment", _slow, runs.count("child"), runs.killed),
    Case(
        "H06",
        "five replicas at once",
        _together,
        runs.count("child"),
        runs.five_at_once,
    ),
    Case("H07", "the disk is full", _on_small_disk, runs.tables, small_disk=True),
    Case(
        "H08",
        "a live writer",
        family(REBUILD, more="PRAGMA journal_mode=WAL;"),
        runs.count("child"),
        runs.beside_a_writer,
    ),
    Case("H09", "env.py opens another database than the URL's", _elsewhere, runs.other),
    Case(
        "H10",
        "env.py autobegins before configure()",
        family(
            "op.execute(\"INSERT INTO parent VALUES (3, 'c')\")",
            env=SHAPES["autobegin-before-configure"],
        ),
        runs.count("parent"),
    ),
    Case("H11", "ATTACH, writes there, then fails", family(ATTACHES), runs.attached),
    Case("H11", "foreign_keys=ON, then DROP TABLE", family(SWITCHES), runs.count("child")),
    Case(
        "H12",
        "deletes rows it doesn't declare",
        family('op.execute("DELETE FROM child")'),
        runs.count("child"),
    ),
    Case("H12", "a type change casts text to 0", family(CAST), runs.names),
    Case(
        "H13",
        "a rebuild loses a trigger and an expression index",
        family(REBUILD, more=GUARDED),
        runs.words_left("TRIGGER", "lower(name)"),
    ),
    Case(
        "H13",
        "a rebuild loses CHECK, collation, AUTOINCREMENT",
        family(REKEYED, more=UNREFLECTED),
        runs.words_left("CHECK", "NOCASE", "AUTOINCREMENT"),
    ),
    Case(
        "H13",
        "a rebuild changes the rowids of a full-text index",
        family(REKEYED, more=SEARCHED),
        runs.search,
    ),
    *(
        Case("H14", f"fails half-way; {title}", family(TWO_STEPS, env=SHAPES[shape]), runs.tables)
        for shape, title in (
            ("swallows-errors", "env.py swallows errors"),
            ("begin-recipe", "BEGIN recipe of its own"),
            ("transaction-per-migration", "transaction_per_migration"),
            ("autocommit", "AUTOCOMMIT"),
        )
    ),
    Case(
        "H14",
        "fails half-way; async env.py",
        family(TWO_STEPS, env=SHAPES["async"], url="sqlite+aiosqlite:///app.db"),
        runs.tables,
    ),
    Case("H15", "the database is at head already", _at_head, runs.env_runs),
    Case("H16", "the database is ahead of the code", _ahead, runs.heads, runs.telling),
)
