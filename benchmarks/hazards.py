"""`python -m benchmarks.hazards [--write]`: every hazard, plain Alembic and orchctl side by side.

Each case is built twice, run with `alembic upgrade head` and with `orchctl upgrade`, and looked at
afterwards. What stands in docs/hazards.md was seen, not typed.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.env_shapes import SHAPES, STOCK
from tests.support.projects import Project, clean_environment, execute, query

PAGE = Path(__file__).resolve().parents[1] / "docs" / "hazards.md"
TOOLS = {"plain Alembic": ("alembic", "upgrade", "head"), "orchctl": ("orchctl", "upgrade")}
FAMILY = """
op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
op.create_table(
    "child",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.Integer, sa.ForeignKey("parent.id", ondelete="{action}")),
)
"""
PEOPLE = (
    "INSERT INTO parent VALUES (1, 'a'), (2, 'b');INSERT INTO child VALUES (1, 1), (2, 1), (3, 2);"
)
REBUILD = """
with op.batch_alter_table("parent") as batch:
    batch.alter_column("name", type_=sa.String(50))
"""


@dataclass(frozen=True)
class Case:
    """One hazard.

    Attributes:
        id: As in the tests.
        hazard: What goes wrong.
        build: Makes the project in a folder.
        run: Runs the tool on it; what it exited with, as text.
        look: What is in the database afterwards, as text.
    """

    id: str
    hazard: str
    build: Callable[[Path], Project]
    look: Callable[[Project], str]
    run: Callable[[Project, tuple[str, ...]], str]


def start(project: Project, words: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=project.folder,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def once(project: Project, words: tuple[str, ...]) -> str:
    return f"exit {start(project, words).wait()}"


def five_at_once(project: Project, words: tuple[str, ...]) -> str:
    codes = [process.wait() for process in [start(project, words) for _ in range(5)]]
    return f"{codes.count(0)} of 5 exit 0"


def killed(project: Project, words: tuple[str, ...]) -> str:
    """kill -9 at 20 random moments, each followed by the next run."""
    pristine, chance = project.database.read_bytes(), random.Random(3)
    before = project.dump()
    began = time.monotonic()
    assert start(project, words).wait() == 0
    whole, after = time.monotonic() - began, project.dump()
    between = stuck = 0
    for _ in range(20):
        for path in project.folder.glob("app.db*"):
            path.unlink()
        project.database.write_bytes(pristine)
        process = start(project, words)
        time.sleep(chance.uniform(0.4, 1.0) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
        between += project.dump() not in (before, after)
        stuck += start(project, words).wait() != 0
    return f"{between} of 20 left between states; {stuck} of 20 next runs failed"


def family(action: str, body: str, *, env: str = STOCK) -> Callable[[Path], Project]:
    def build(folder: Path) -> Project:
        project = Project(folder)
        project.add("001", FAMILY.format(action=action))
        assert project.alembic("upgrade", "head").returncode == 0
        execute(project.database, PEOPLE)
        project.set_env(env)
        project.add("002", body)
        return project

    return build


def slow_family(folder: Path) -> Project:
    project = family("CASCADE", REBUILD)(folder)
    for n in range(3, 8):
        column = f'batch.add_column(sa.Column("c{n}", sa.Integer))'
        project.add(
            f"{n:03}",
            f'import time\nwith op.batch_alter_table("parent") as batch:\n    {column}\n'
            "time.sleep(0.05)",
        )
    return project


def unguarded(folder: Path) -> Project:
    project = family("CASCADE", REBUILD)(folder)
    execute(
        project.database,
        "CREATE INDEX lower_name ON parent (lower(name));"
        "CREATE TRIGGER t AFTER INSERT ON parent BEGIN SELECT 1; END;",
    )
    return project


def heads(project: Project) -> str:
    try:
        return "at " + (", ".join(project.heads()) or "base")
    except sqlite3.OperationalError:
        return "at base"


def count(table: str) -> Callable[[Project], str]:
    def look(project: Project) -> str:
        (rows,) = query(project.database, f"SELECT count(*) FROM {table}")[0]
        return f"{heads(project)}; {rows} rows in {table}"

    return look


def tables(project: Project) -> str:
    rows = query(project.database, "SELECT name FROM sqlite_schema WHERE type = 'table'")
    return f"{heads(project)}; tables {', '.join(sorted(row[0] for row in rows))}"


def links(project: Project) -> str:
    (rows,) = query(project.database, "SELECT count(*) FROM child WHERE parent_id IS NULL")[0]
    return f"{heads(project)}; {rows} links of 3 nulled"


def extras(project: Project) -> str:
    rows = query(
        project.database,
        "SELECT name FROM sqlite_schema WHERE sql LIKE '%lower%' OR type = 'trigger'",
    )
    return f"{heads(project)}; of trigger and expression index {len(rows)} of 2 left"


def values(project: Project) -> str:
    rows = query(project.database, "SELECT name FROM parent ORDER BY id")
    return f"{heads(project)}; names {[row[0] for row in rows]}"


TWO_STEPS = 'op.execute("CREATE TABLE one (id)")\nop.execute("INSERT INTO nowhere VALUES (1)")'
COMMITS = 'op.execute("DELETE FROM child WHERE id = 3")\nop.get_bind().commit()\n'
COMMITS += 'op.execute("INSERT INTO nowhere VALUES (1)")'
CAST = REBUILD.replace("sa.String(50)", "sa.Integer")

CASES = (
    Case("H01", "a revision fails half-way", family("CASCADE", TWO_STEPS), tables, once),
    Case(
        "H02",
        "a parent table with CASCADE children is rebuilt, foreign_keys=ON",
        family("CASCADE", REBUILD, env=SHAPES["application-engine"]),
        count("child"),
        once,
    ),
    Case(
        "H03",
        "the same with SET NULL",
        family("SET NULL", REBUILD, env=SHAPES["application-engine"]),
        links,
        once,
    ),
    Case(
        "H04",
        "a revision commits, then fails",
        family("CASCADE", COMMITS),
        count("child"),
        once,
    ),
    Case("H05", "kill -9 at a random moment", slow_family, count("child"), killed),
    Case("H06", "five replicas upgrade at once", slow_family, count("child"), five_at_once),
    Case(
        "H10",
        "env.py autobegins before configure()",
        family(
            "CASCADE",
            "op.execute(\"INSERT INTO parent VALUES (3, 'c')\")",
            env=SHAPES["autobegin-before-configure"],
        ),
        count("parent"),
        once,
    ),
    Case(
        "H12",
        "a revision deletes rows it doesn't declare",
        family("CASCADE", 'op.execute("DELETE FROM child")'),
        count("child"),
        once,
    ),
    Case("H12", "a type change casts text to 0", family("CASCADE", CAST), values, once),
    Case("H13", "a rebuild drops a trigger and an expression index", unguarded, extras, once),
    Case(
        "H14",
        "env.py swallows errors",
        family("CASCADE", TWO_STEPS, env=SHAPES["swallows-errors"]),
        tables,
        once,
    ),
)


def main() -> None:
    rows = []
    for case in CASES:
        seen = []
        for words in TOOLS.values():
            with tempfile.TemporaryDirectory() as folder:
                project = case.build(Path(folder) / "project")
                told = case.run(project, words)
                seen.append(f"{told}; {case.look(project)}")
        rows.append((case.id, case.hazard, *seen))
        print(" | ".join(rows[-1]), flush=True)
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(rows), encoding="utf-8")


def page(rows: list[tuple[str, ...]]) -> str:
    lines = [
        "# Hazards, side by side",
        "",
        "What each left behind. Written by `python -m benchmarks.hazards --write`; every case has",
        "a test of its own in `tests/hazards/`.",
        "",
        f"| id | hazard | {' | '.join(TOOLS)} |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    os.environ.pop("DATABASE_URL", None)
    main()
