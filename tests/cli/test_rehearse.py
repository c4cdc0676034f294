"""`orchctl rehearse`: the upgrade on a copy, and what it tells of the live run."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import field_database
from tests.support.branched import CHAIN, PLAIN_ENV, write_links
from tests.support.env_shapes import SHAPES
from tests.support.failures import refused
from tests.support.preloaded import orchctl
from tests.support.processes import wait_until
from tests.support.projects import Project, execute, query

ROOT = Path(__file__).parents[2]
FIRST = """
op.create_table("p", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text),
                sa.Column("old", sa.Text))
op.create_table("gone", sa.Column("id", sa.Integer, primary_key=True))
op.create_index("p_name", "p", ["name"])
op.execute("CREATE TRIGGER p_audit AFTER INSERT ON p BEGIN SELECT 1; END")
"""
SECOND = """
op.execute("INSERT INTO p (id, name) VALUES (10, 'ten')")
op.execute("UPDATE p SET name = upper(name) WHERE id < 3")
op.execute("DELETE FROM p WHERE id = 4")
op.drop_index("p_name", "p")
with op.batch_alter_table("p") as batch:
    batch.add_column(sa.Column("n", sa.Integer, sa.CheckConstraint("n > 0", name="positive")))
    batch.drop_column("old")
op.create_index("p_upper", "p", [sa.text("upper(name)")])
op.drop_table("gone")
op.create_table("fresh", sa.Column("id", sa.Integer, primary_key=True))
op.execute("INSERT INTO fresh VALUES (1), (2)")
"""
WRITER = """
import os, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("PRAGMA journal_mode=WAL")
written = 0
while True:
    connection.execute("INSERT INTO p (name) VALUES ('live')")
    written += 1
    open(sys.argv[2] + ".new", "w").write(str(written))
    os.replace(sys.argv[2] + ".new", sys.argv[2])  # it is killed at any moment
    time.sleep(float(sys.argv[3]))
"""
FILES = """
import hashlib, pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*")):
    if "__pycache__" in path.parts:  # Python's own
        continue
    whole = path.is_file() and not path.name.endswith("-shm")
    print(path, hashlib.sha256(path.read_bytes()).hexdigest() if whole else "")
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.add("001", FIRST)
    assert orchctl(project, "upgrade").returncode == 0
    rows = ", ".join(f"({n}, 'n{n}', NULL)" for n in range(1, 6))
    execute(project.database, f"INSERT INTO p VALUES {rows}")
    return project


def _rehearsed(project: Project, *words: str, **keywords: Any) -> dict[str, Any]:
    done = orchctl(project, "rehearse", "--json", *words, **keywords)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _files(folder: Path) -> str:
    """Every file of a folder with its hash, read in a process that holds no connection."""
    words = [sys.executable, "-c", FILES, folder]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


# -- what it tells --------------------------------------------------------------------------------


def test_rows_by_table(project: Project) -> None:
    project.add("002", SECOND)
    found = _rehearsed(project, "--allow-loss", "p")
    rows = {one.pop("table"): tuple(one.values()) for one in found["tables"]}
    #                 before after inserted deleted updated
    assert rows == {
        "p": (5, 5, 1, 1, 2),
        "gone": (0, None, 0, 0, 0),
        "fresh": (None, 2, 2, 0, 0),
    }
    assert (found["from"], found["to"], found["proof"]) == ("001", "002", "full")
    assert found["put_back"] == ["trigger p_audit"]
    assert found["declared_losses"] == ["p: 1 rows are gone (first keys: 4)"]


def test_schema_difference(project: Project) -> None:
    project.add("002", SECOND)
    found = _rehearsed(project, "--allow-loss", "p")["schema"]
    assert {(one["kind"], one["table"], one["name"]) for one in found} == {
        ("table", "fresh", None),
        ("table", "gone", None),
        ("column", "p", "n"),
        ("column", "p", "old"),
        ("check", "p", "positive"),
        ("index", "p", "p_name"),
        ("index", "p", "p_upper"),
    }
    index = next(one for one in found if one["name"] == "p_upper")
    assert (index["before"], index["after"]) == (None, "(upper(name))")


def test_space_is_what_a_live_run_really_needs(project: Project) -> None:
    execute(project.database, "UPDATE p SET name = zeroblob(2000000); PRAGMA journal_mode=WAL")
    project.add("002", "op.execute(\"UPDATE p SET name = name || 'x'\")")
    found = _rehearsed(project)
    log = project.folder / "app.db-wal"
    with _reader(project.database):
        assert orchctl(project, "upgrade", "--no-backup").returncode == 0
        live = log.stat().st_size
    assert found["space"]["journal"] == pytest.approx(live, rel=0.05)
    assert found["space"]["snapshot"] == found["size_before"] > 10_000_000
    (place,) = found["space"]["places"]
    assert place["needed"] >= found["size_before"] + live
    assert place["needed"] == found["space_needed"] < place["free"]


@contextmanager
def _reader(database: Path) -> Iterator[None]:
    """A process that has the database open: the log stays after everybody else is gone."""
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
    code += "c.execute('SELECT 1 FROM p').fetchall(); print('open', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.communicate()


def test_the_estimate_is_the_sum_of_what_was_measured(project: Project) -> None:
    project.add("002", SECOND)
    estimate = _rehearsed(project, "--allow-loss", "p")["estimate"]
    parts = ("snapshot", "rehearsal", "run", "sync", "checks")
    assert estimate["seconds"] == pytest.approx(sum(estimate[f"{n}_seconds"] for n in parts), 0.1)
    assert estimate["locked_seconds"] == pytest.approx(
        estimate["run_seconds"] + estimate["sync_seconds"], abs=0.002
    )
    assert estimate["rehearsal_seconds"] > 0
    alone = _rehearsed(project, "--allow-loss", "p", env={"ORCHCTL_BACKUP": "false"})["estimate"]
    assert (alone["snapshot_seconds"], alone["rehearsal_seconds"]) == (0, 0)


def test_the_text_says_the_same(project: Project) -> None:
    project.add("002", SECOND)
    done = orchctl(project, "rehearse", "--allow-loss", "p")
    assert done.returncode == 0, done.stderr
    for line in (
        "002       step 002",
        "p      5           1         2        1",
        "fresh  new, 2      2         0        0",
        "gone   0, dropped  0         0        0",
        "-  column  p.old",
        "Put back, dropped by a table rebuild: trigger p_audit",
        "Declared loss: p: 1 rows are gone",
        "space  ",
        "time   about ",
        "app.db: 001 -> 002 (1 revision) went through; the file is untouched",
    ):
        assert line in done.stdout


def test_undeclared_loss_is_the_verdict(project: Project) -> None:
    project.add("002", SECOND)
    refused(project, "rehearse", exit_code=5, code="data-loss", hint="--allow-loss p")


def test_the_field_database(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "examples" / "demo"))
    from run import build_project

    build_project(tmp_path)
    database = tmp_path / "data" / "llm_orchestrator.db"
    database.unlink()
    field_database.build(database, "001")
    before = _files(tmp_path)
    project = Project.__new__(Project)
    project.folder = tmp_path
    found = _rehearsed(project)
    assert [one["revision"] for one in found["revisions"]] == ["002", "003", "004"]
    assert ("-", "providers.config") in {
        ("-" if one["after"] is None else "", f"{one['table']}.{one['name']}")
        for one in found["schema"]
    }
    assert _files(tmp_path) == before


def test_upgrade_tells_it_in_one_line(project: Project) -> None:
    project.add("002", SECOND)
    done = orchctl(project, "upgrade", "--allow-loss", "p")
    assert "2 tables written" not in done.stderr
    assert "; 1 table written, rows: 1 added, 2 changed, 1 removed" in done.stderr


# -- the live file --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("words", [(), ("--round-trip",), ("--run", "exit 3")], ids=str)
def test_no_byte_of_the_project_changes(
    project: Project, mode: str, words: tuple[str, ...]
) -> None:
    execute(project.database, f"PRAGMA journal_mode={mode}")
    project.add("002", 'op.add_column("p", sa.Column("n", sa.Integer))', 'op.drop_column("p", "n")')
    _rehearsed_once(project)
    before = _files(project.folder)
    done = orchctl(project, "rehearse", *words)
    assert done.returncode == (1 if words[:1] == ("--run",) else 0), done.stderr
    assert _files(project.folder) == before


def _rehearsed_once(project: Project) -> None:
    """Python compiles env.py and the revisions."""
    assert orchctl(project, "rehearse").returncode == 0


def test_an_open_write_ahead_log_stays_as_it_is(project: Project) -> None:
    project.add("002", 'op.add_column("p", sa.Column("n", sa.Integer))')
    _rehearsed_once(project)
    with _writing(project, pause=3600) as writer:
        before = _files(project.folder)
        assert "app.db-wal" in before
        found = _rehearsed(project)
        assert found["tables"] == [
            {
                "table": "p",
                "rows_before": 6,
                "rows_after": 6,
                "inserted": 0,
                "deleted": 0,
                "updated": 0,
            }
        ]
        assert _files(project.folder) == before
        assert writer.poll() is None


def test_a_busy_writer_loses_nothing(project: Project) -> None:
    project.add("002", 'op.add_column("p", sa.Column("n", sa.Integer))', 'op.drop_column("p", "n")')
    with _writing(project, pause=0.001) as writer:
        for _ in range(3):
            _rehearsed(project, "--round-trip")
        assert writer.poll() is None
    written = int((project.folder / "written").read_text())
    assert query(project.database, "SELECT count(*) >= ? FROM p", 5 + written) == [(1,)]
    assert query(project.database, "PRAGMA integrity_check") == [("ok",)]
    assert project.heads() == ["001"]
    assert not list(project.folder.glob(".orchctl*"))


@contextmanager
def _writing(project: Project, pause: float) -> Iterator[subprocess.Popen[bytes]]:
    told = project.folder / "written"
    words = [sys.executable, "-c", WRITER, project.database, told, str(pause)]
    writer = subprocess.Popen(words)
    try:
        wait_until(lambda: told.exists() and told.read_text() != "")
        yield writer
    finally:
        writer.kill()
        writer.wait()


# -- --run ----------------------------------------------------------------------------------------

LOOK = f"""{sys.executable} -c "
import os, sqlite3
path = os.environ['DATABASE_URL'].removeprefix('sqlite:///')
print(sqlite3.connect(path).execute('SELECT version_num FROM alembic_version').fetchall())
" """


def test_run_sees_the_upgraded_copy(project: Project) -> None:
    project.add("002", "op.execute('UPDATE p SET name = name')")
    found = _rehearsed(project, "--run", LOOK)["run"]
    assert (found["exit_code"], found["output"]) == (0, "[('002',)]\n")
    done = orchctl(project, "rehearse", "--run", LOOK)
    assert "[('002',)]" in done.stderr, "stdout holds the report only"
    assert "[('002',)]" not in done.stdout
    assert project.heads() == ["001"]


def test_run_keeps_the_driver_of_the_url(project: Project) -> None:
    project.set_env(SHAPES["async"])
    url = f"sqlite+aiosqlite:///{project.database}"
    done = orchctl(project, "--url", url, "--json", "rehearse", "--run", "echo $DATABASE_URL")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"]["output"].startswith("sqlite+aiosqlite:////")


def test_orchctl_in_the_command_does_not_reach_the_real_database(project: Project) -> None:
    project.add("002", "op.execute('UPDATE p SET name = name')", "pass")
    _rehearsed_once(project)
    before = _files(project.folder)
    orchctl_there = f"{sys.executable} -m orchctl downgrade base --yes"
    for env in ({}, {"ORCHCTL_URL": f"sqlite:///{project.database}"}):
        found = _rehearsed(project, "--run", orchctl_there, env=env)["run"]
        assert "002 -> base" in found["output"]
    assert _files(project.folder) == before


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("exit 3", 3, "'exit 3' ended with 3 on the upgraded copy"),
        ("no-such-command", 127, "ended with 127 (the shell did not find a command)"),
        ("kill -9 $$", 137, "ended with 137 (signal 9)"),
        ("./env.txt", 126, "ended with 126 (it cannot be executed)"),
    ],
)
def test_run_that_fails(project: Project, command: str, code: int, says: str) -> None:
    (project.folder / "env.txt").touch()
    done = orchctl(project, "rehearse", "--json", "--run", f"{command}")
    assert (done.returncode, done.stdout) == (1, "")
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "rehearsal-command"
    assert says in error["message"]
    assert error["details"]["exit_code"] == code
    text = orchctl(project, "rehearse", "--run", command)
    assert text.returncode == 1
    assert says in text.stderr
    assert "Traceback" not in text.stderr


# -- --round-trip ---------------------------------------------------------------------------------


def test_round_trip_of_a_rebuild_with_rows(project: Project) -> None:
    body = 'with op.batch_alter_table("p") as batch:\n    batch.{}'
    project.add(
        "002",
        body.format('add_column(sa.Column("n", sa.Integer))'),
        body.format('drop_column("n")'),
    )
    project.add(
        "003", body.format('drop_column("old")'), 'op.add_column("p", sa.Column("old", sa.Text))'
    )
    found = _rehearsed(project, "--round-trip")
    assert found["round_trip"] == ["002", "003"]


@pytest.mark.parametrize(
    ("up", "down", "fault"),
    [
        (
            'op.execute("UPDATE p SET name = NULL")',
            "pass",
            "p.name: 5 values turned to NULL (first keys: 1",
        ),
        ('op.add_column("p", sa.Column("n", sa.Integer))', "pass", "column p.n is new: INTEGER"),
        ('op.execute("DELETE FROM p WHERE id > 3")', "pass", "2 rows of p are gone"),
        ('op.execute("INSERT INTO p (name) VALUES (1)")', "pass", "1 row of p are new"),
        ('op.execute("UPDATE p SET name = id")', "pass", "p.name: 5 values changed (first keys: 1"),
        ('op.drop_index("p_name", "p")', "pass", "index p.p_name is gone: (name)"),
        ("op.execute('DROP TRIGGER p_audit')", "pass", "trigger p.p_audit is gone"),
        ("pass", "raise NotImplementedError", "its downgrade fails"),
        (
            'op.execute("UPDATE p SET name = NULL")',
            "op.execute('CREATE TABLE IF NOT EXISTS extra (id)')",
            "table extra is new",
        ),
        ('op.create_table("n", sa.Column("id", sa.Integer))', "pass", "it does not go up again"),
        (
            "op.execute(f'UPDATE p SET old = {__import__(\"time\").time_ns()}')",
            "op.execute('UPDATE p SET old = NULL')",
            "up again, p.old: 5 values changed",
        ),
    ],
)
def test_round_trip_names_what_does_not_come_back(
    project: Project, up: str, down: str, fault: str
) -> None:
    project.add("002", up, down)
    project.add("003")
    words = ("rehearse", "--round-trip", "--allow-loss", "p")
    done = orchctl(project, *words, "--json")
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "round-trip"
    assert list(error["details"]["revisions"]) == ["002"], "003 is tried too, and comes back"
    assert fault in "; ".join(error["details"]["revisions"]["002"])
    text = orchctl(project, *words)
    assert "warning: Revision 002 does not come back: " in text.stderr
    assert fault in text.stderr
    assert "Revision 003 up, down and up again" in text.stderr


def test_round_trip_of_branches_and_merges(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", env=PLAIN_ENV)
    write_links(project.folder / "migrations" / "versions")
    execute(project.database, "CREATE TABLE t (id)")
    found = _rehearsed(project, "heads", "--round-trip")
    assert sorted(found["round_trip"]) == sorted(link.id for link in CHAIN)


# -- wrong input ----------------------------------------------------------------------------------


def test_unknown_revision(project: Project) -> None:
    refused(project, "rehearse", "nope", exit_code=2, code="unknown-revision", hint="history")


def test_a_revision_that_fails(project: Project) -> None:
    project.add("002", 'op.execute("INSERT INTO nowhere VALUES (1)")')
    before = hashlib.sha256(project.database.read_bytes()).hexdigest()
    refused(project, "rehearse", exit_code=6, code="upgrade-failed", says="002")
    assert hashlib.sha256(project.database.read_bytes()).hexdigest() == before


def test_nothing_pending(project: Project) -> None:
    found = _rehearsed(project)
    assert (found["from"], found["to"], found["revisions"]) == ("001", "001", [])
    done = orchctl(project, "rehearse", "--round-trip")
    assert done.stdout == "app.db is at 001 already; nothing to rehearse\n"
    assert _rehearsed(project, "--run", "true")["run"]["exit_code"] == 0


def test_no_database_yet(project: Project) -> None:
    path = project.folder / "migrations" / "versions" / "001_step.py"
    path.write_text(path.read_text().replace("pass", "op.drop_table('p'); op.drop_table('gone')"))
    project.database.unlink()
    files = _files(project.folder)
    found = _rehearsed(project, "--round-trip")
    assert (found["from"], found["to"], found["size_before"]) == (None, "001", 0)
    assert [one["table"] for one in found["tables"]] == ["gone", "p"]
    assert found["space"]["snapshot"] == 0
    assert "which is not there yet" in orchctl(project, "rehearse").stderr
    assert "app.db\n" not in files
    assert not project.database.exists()


def test_ctrl_c_leaves_no_copy(project: Project) -> None:
    from signal import SIGINT

    from tests.support.preloaded import start

    running = start(project, "rehearse", "--run", "sleep 30")
    wait_until(lambda: "Running sleep 30" in running.stderr())
    time.sleep(0.1)
    running.send_signal(SIGINT)
    assert running.finished().returncode == 130
    assert not list(project.folder.glob(".orchctl*"))
