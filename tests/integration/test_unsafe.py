"""`--unsafe REV`: what no transaction can hold, run between two, and undone by the snapshot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.env_shapes import SHAPES, url_for
from tests.support.preloaded import Run, start
from tests.support.projects import Project, execute, query

OWN_ENGINE = """
engine = sa.create_engine("sqlite:///app.db", connect_args={"timeout": 0.2})
with engine.begin() as own:
    own.execute(sa.text("INSERT INTO t VALUES (9)"))
"""
RAW = """
import contextlib, sqlite3
with contextlib.closing(sqlite3.connect("app.db")) as own:
    own.execute("INSERT INTO t VALUES (9)")
    own.commit()
"""
ATTACH = """
op.execute("ATTACH DATABASE 'other.db' AS other")
op.execute("CREATE TABLE other.moved AS SELECT * FROM t")
op.execute("DETACH other")
"""
KINDS = {
    "attach": ATTACH,
    "attach and leave": ATTACH.replace('op.execute("DETACH other")', ""),
    "vacuum": 'op.execute("VACUUM")',
    "vacuum after commit": 'op.execute("COMMIT")\nop.execute("VACUUM")\nop.execute("BEGIN")',
    "vacuum in a block": 'with op.get_context().autocommit_block():\n    op.execute("VACUUM")',
    "vacuum into": "op.execute(\"VACUUM INTO 'copy.db'\")",
    "journal_mode": 'op.execute("PRAGMA journal_mode=WAL")',
    "foreign_keys": 'op.execute("PRAGMA foreign_keys=ON")',
    "own engine": OWN_ENGINE,
    "raw": RAW,
    "sys.exit": "import sys\nsys.exit(0)",
}
FAIL = 'op.execute("INSERT INTO nowhere VALUES (1)")'
SLEEP = "import time\nopen('reached', 'a').close()\ntime.sleep(60)"


def _project(tmp_path: Path, shape: str = "stock") -> Project:
    project = Project(tmp_path / "project", env=SHAPES[shape], url=url_for(shape))
    project.add("001", 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))')
    assert project.orchctl("upgrade").returncode == 0
    execute(project.database, "INSERT INTO t VALUES (1), (2)")
    project.add("002", 'op.create_table("two", sa.Column("id", sa.Integer, primary_key=True))')
    return project


def _error(process: subprocess.CompletedProcess[str]) -> dict[str, object]:
    return json.loads(process.stderr)["error"]


@pytest.mark.parametrize("kind", KINDS)
def test_goes_through(tmp_path: Path, kind: str) -> None:
    project = _project(tmp_path)
    project.add("003", 'op.execute("INSERT INTO two VALUES (3)")\n' + KINDS[kind])
    project.add("004", 'op.execute("INSERT INTO t VALUES (4)")')
    done = project.orchctl("upgrade", "--unsafe", "003")
    assert done.returncode == 0, done.stderr
    assert "003 runs outside the transaction" in done.stderr
    assert "did nothing" not in done.stderr
    assert ("Not rehearsed" in done.stderr) == (kind in _BEYOND), done.stderr
    assert project.heads() == ["004"]
    assert query(project.database, "SELECT id FROM two") == [(3,)]
    rows = {row[0] for row in query(project.database, "SELECT id FROM t")}
    assert rows - {9} == {1, 2, 4}
    assert (9 in rows) == (kind in ("own engine", "raw"))
    again = project.orchctl("upgrade", "--unsafe", "003")
    assert again.returncode == 0, again.stderr
    if kind.startswith("attach"):
        assert query(project.folder / "other.db", "SELECT id FROM moved") == [(1,), (2,)]


_BEYOND = ("attach", "attach and leave", "vacuum into", "raw")


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_goes_through_any_env(tmp_path: Path, shape: str) -> None:
    project = _project(tmp_path, shape)
    project.add("003", 'op.execute("INSERT INTO two VALUES (3)")\nop.execute("VACUUM")')
    project.add("004", FAIL)
    before = project.dump()
    failed = project.orchctl("upgrade", "--unsafe", "003", "--no-rehearse")
    assert failed.returncode == 7, failed.stderr
    assert project.dump() == before
    done = project.orchctl("upgrade", "003", "--unsafe", "003")
    assert done.returncode == 0, done.stderr
    assert query(project.database, "SELECT id FROM two") == [(3,)]


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("where", ["in it", "later", "proof", "exit"])
@pytest.mark.parametrize("kind", ["vacuum", "own engine", "journal_mode"])
def test_a_failure_puts_the_snapshot_back(tmp_path: Path, kind: str, where: str, mode: str) -> None:
    project = _project(tmp_path)
    execute(project.database, f"PRAGMA journal_mode={mode}")
    bodies = {
        "in it": [KINDS[kind] + "\n" + FAIL],
        "exit": [KINDS[kind] + "\nimport sys; sys.exit('no')"],
        "later": [KINDS[kind], FAIL],
        "proof": [KINDS[kind], 'op.execute("DELETE FROM t WHERE id = 1")'],
    }[where]
    for number, body in enumerate(bodies, start=3):
        project.add(f"{number:03}", body)
    before = project.dump()
    failed = project.orchctl("upgrade", "--unsafe", "003", "--no-rehearse", "--json")
    assert failed.returncode == 7, failed.stderr
    error = _error(failed)
    assert error["code"] == "upgrade-restored"
    snapshot, kept = error["details"]["snapshot"], error["details"]["kept"]
    assert error["state"] == (
        f"Snapshot {snapshot} was put back; what was there until then is snapshot {kept}"
    )
    assert project.dump() == before
    assert query(project.database, "PRAGMA journal_mode") == [(mode,)]
    # The run's story is told and over: the next one starts as if nothing had been.
    again = project.orchctl("upgrade", "002")
    assert again.returncode == 0, again.stderr
    assert "killed" not in again.stderr


def test_what_fails_before_it_is_as_ever(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("003", FAIL)
    project.add("004", 'op.execute("VACUUM")')
    before = project.dump()
    failed = project.orchctl("upgrade", "--unsafe", "004")
    assert failed.returncode == 6
    assert project.dump() == before


def test_the_part_before_is_proven_before_it_is_committed(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("003", 'op.execute("DELETE FROM t")')
    project.add("004", 'op.execute("VACUUM")')
    before = project.dump()
    refused = project.orchctl("upgrade", "--unsafe", "004", "--no-rehearse", "--json")
    assert refused.returncode == 5
    assert _error(refused)["code"] == "data-loss"
    assert project.dump() == before


def test_a_rehearsal_stops_what_fails_there(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("003", 'op.execute("VACUUM")\n' + OWN_ENGINE + FAIL)
    before = project.dump()
    assert project.orchctl("upgrade", "--unsafe", "003").returncode == 6
    rehearsed = project.orchctl("rehearse", "--unsafe", "003")
    assert rehearsed.returncode == 6, rehearsed.stderr
    assert project.dump() == before
    assert project.orchctl("rehearse", "002", "--unsafe", "003").returncode == 0


@pytest.mark.parametrize("beyond", _BEYOND)
def test_a_rehearsal_does_nothing_beyond_its_copy(tmp_path: Path, beyond: str) -> None:
    project = _project(tmp_path)
    project.add("003", KINDS[beyond])
    before = project.dump()
    refused = project.orchctl("rehearse", "--unsafe", "003", "--json")
    assert refused.returncode == 5, refused.stderr
    assert _error(refused)["code"] == "not-rehearsable"
    assert project.dump() == before
    assert not (project.folder / "other.db").exists()
    assert not (project.folder / "copy.db").exists()


def test_an_own_engine_is_rehearsed_on_the_copy(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("003", OWN_ENGINE)
    before = project.dump()
    rehearsed = project.orchctl("rehearse", "--unsafe", "003", "--json")
    assert rehearsed.returncode == 0, rehearsed.stderr
    tables = {one["table"]: one for one in json.loads(rehearsed.stdout)["tables"]}
    assert tables["t"]["inserted"] == 1
    assert project.dump() == before


def test_what_an_own_engine_loses_is_found(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("003", OWN_ENGINE.replace("INSERT INTO t VALUES (9)", "DELETE FROM t"))
    before = project.dump()
    failed = project.orchctl("upgrade", "--unsafe", "003", "--no-rehearse", "--json")
    assert failed.returncode == 7, failed.stderr
    assert _error(failed)["details"]["failure"] == "data-loss"
    assert project.dump() == before


def test_a_table_without_a_key_is_the_same_after_vacuum(tmp_path: Path) -> None:
    project = _project(tmp_path)
    execute(
        project.database,
        "CREATE TABLE log (line TEXT); INSERT INTO log VALUES ('a'), ('b'), ('c');"
        "DELETE FROM log WHERE line = 'a'",
    )
    project.add("003", 'op.execute("VACUUM")')
    done = project.orchctl("upgrade", "--unsafe", "003")
    assert done.returncode == 0, done.stderr
    assert query(project.database, "SELECT line FROM log") == [("b",), ("c",)]


def test_no_snapshot_no_unsafe(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("003", 'op.execute("VACUUM")')
    before = project.dump()
    refused = project.orchctl("upgrade", "--unsafe", "003", "--no-backup", "--json")
    assert refused.returncode == 5
    assert _error(refused)["code"] == "unsafe-without-snapshot"
    assert project.dump() == before
    # Nothing of it in this run: nothing to refuse.
    assert project.orchctl("upgrade", "002", "--unsafe", "003", "--no-backup").returncode == 0


def test_ids(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("003", "pass")
    unknown = project.orchctl("upgrade", "--unsafe", "nonesuch", "--json")
    assert unknown.returncode == 2
    assert _error(unknown)["code"] == "unknown-revision"
    assert project.orchctl("upgrade", "--unsafe", "base").returncode == 2
    plan = project.orchctl("upgrade", "--unsafe", "003", "--dry-run", "--json")
    assert json.loads(plan.stdout)["unsafe"] == ["003"]
    idle = project.orchctl("upgrade", "002", "--unsafe", "001", "--unsafe", "003")
    assert idle.returncode == 0
    assert "--unsafe 001: nothing to do for it" in idle.stderr
    assert "--unsafe 003: nothing to do for it" in idle.stderr
    superfluous = project.orchctl("upgrade", "--unsafe", "003")
    assert superfluous.returncode == 0
    assert "003 did nothing that needs --unsafe" in superfluous.stderr


def test_a_database_that_is_not_there_yet(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("003", 'op.execute("VACUUM")')
    last = project.add("004", FAIL)
    project.database.unlink()
    failed = project.orchctl("upgrade", "--unsafe", "003")
    assert failed.returncode == 7, failed.stderr
    assert query(project.database, "SELECT * FROM sqlite_schema") == []
    last.unlink()
    done = project.orchctl("upgrade", "--unsafe", "003")
    assert done.returncode == 0, done.stderr
    assert project.heads() == ["003"]


def test_downgrade(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("003", downgrade='op.execute("VACUUM")')
    assert project.orchctl("upgrade").returncode == 0
    refused = project.orchctl("downgrade", "002")
    assert refused.returncode == 5
    assert "orchctl downgrade --unsafe 003" in refused.stderr
    done = project.orchctl("downgrade", "002", "--unsafe", "003")
    assert done.returncode == 0, done.stderr
    assert project.heads() == ["002"]


def test_several_of_them(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("003", 'op.execute("VACUUM")')
    project.add("004", 'op.execute("PRAGMA journal_mode=WAL")')
    project.add("005", 'op.execute("INSERT INTO two VALUES (5)")')
    last = project.add("006", 'op.execute("VACUUM")\n' + FAIL)
    flags = [word for name in ("003", "004", "006") for word in ("--unsafe", name)]
    before = project.dump()
    failed = project.orchctl("upgrade", *flags, "--no-rehearse")
    assert failed.returncode == 7, failed.stderr
    assert project.dump() == before
    last.unlink()
    done = project.orchctl("upgrade", *flags[:4])
    assert done.returncode == 0, done.stderr
    assert query(project.database, "SELECT id FROM two") == [(5,)]
    back = project.orchctl("rollback")
    assert back.returncode == 0, back.stderr
    assert project.dump() == before


# -- others, signals, kill -9 ---------------------------------------------------------------------


def _start(project: Project, *words: str) -> Run:
    process = start(project, "upgrade", "--no-rehearse", *words)
    deadline = time.monotonic() + 60
    while not (project.folder / "reached").exists():
        assert process.poll() is None, process.stderr()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["in it", "later"])
def test_a_signal_puts_the_snapshot_back(tmp_path: Path, where: str, number: int) -> None:
    project = _project(tmp_path)
    vacuum = 'op.execute("VACUUM")\n'
    project.add("003", vacuum + (SLEEP if where == "in it" else ""))
    project.add("004", SLEEP)
    before = project.dump()
    process = _start(project, "--unsafe", "003")
    process.send_signal(number)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 7, told
    assert "was put back" in told
    assert project.dump() == before


@pytest.mark.parametrize("where", ["in it", "later"])
def test_what_others_wrote_meanwhile_is_kept(tmp_path: Path, where: str) -> None:
    project = _project(tmp_path)
    wait = "import os, time\nopen('reached', 'a').close()\n"
    wait += "while not os.path.exists('go'):\n    time.sleep(0.01)\n"
    project.add("003", 'op.execute("VACUUM")\n' + wait + (FAIL if where == "in it" else ""))
    project.add("004", FAIL)
    before = project.dump()
    process = _start(project, "--unsafe", "003")
    execute(project.database, "INSERT INTO t VALUES (77)")
    (project.folder / "go").touch()
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 7, told
    assert project.dump() == before
    kept = json.loads(project.orchctl("backup", "list", "--json").stdout)["snapshots"]
    (aside,) = [one for one in kept if one["reason"] == "pre-rollback"]
    assert aside["id"] in told
    assert query(Path(aside["path"]), "SELECT id FROM t WHERE id = 77") == [(77,)]


@pytest.mark.parametrize("where", ["in it", "last step", "later"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_killed_inside(tmp_path: Path, mode: str, where: str) -> None:
    project = _project(tmp_path)
    execute(project.database, f"PRAGMA journal_mode={mode}")
    insert = 'op.execute("INSERT INTO two VALUES (3)")\nop.execute("VACUUM")\n'
    path = project.add("003", insert + ("" if where == "later" else SLEEP))
    later = None if where == "last step" else project.add("004", SLEEP)
    before = project.dump()
    process = _start(project, "--unsafe", "003")
    process.kill()
    process.communicate()
    assert query(project.database, "SELECT id FROM two") == [(3,)]
    for file in (path, *([later] if later else ())):
        file.write_text(file.read_text().replace("time.sleep(60)", "pass"))
    plan = project.orchctl("upgrade", "--dry-run")
    assert "was killed" in plan.stderr
    assert query(project.database, "SELECT id FROM two") == [(3,)]
    # Back it goes, even where the run that finds it then does nothing of its own.
    first = project.orchctl("upgrade", "001")
    assert first.returncode == 0, first.stderr
    assert "was killed" in first.stderr
    assert project.dump() == before
    done = project.orchctl("upgrade", "--unsafe", "003")
    assert done.returncode == 0, done.stderr
    assert "killed" not in done.stderr
    assert query(project.database, "SELECT id FROM two") == [(3,)]


def test_killed_when_it_looks_finished(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("003", 'op.execute("VACUUM")\n' + SLEEP)
    before = project.dump()
    process = _start(project, "--unsafe", "003")
    process.kill()
    process.communicate()
    execute(project.database, "UPDATE alembic_version SET version_num = '003'")
    again = project.orchctl("upgrade", "003")
    assert "was killed" in again.stderr
    assert again.returncode == 5, again.stderr  # 003 without --unsafe
    assert project.dump() == before


def test_killed_and_its_snapshot_is_gone(tmp_path: Path) -> None:
    project = _project(tmp_path)
    assert project.orchctl("backup", "create").returncode == 0
    path = project.add("003", 'op.execute("VACUUM")\n' + SLEEP)
    process = _start(project, "--unsafe", "003")
    process.kill()
    process.communicate()
    present = project.dump()
    newest = max((project.folder / "backups").glob("*.snapshot"), key=os.path.getmtime)
    newest.unlink()
    path.write_text(path.read_text().replace("time.sleep(60)", "pass"))
    refused = project.orchctl("upgrade", "--json")
    assert refused.returncode == 5, refused.stderr
    assert _error(refused)["code"] == "unsafe-killed"
    assert project.dump() == present
    other = min((project.folder / "backups").glob("*.snapshot"), key=os.path.getmtime)
    id_ = other.name.removeprefix("app.db.").removesuffix(".snapshot")
    back = project.orchctl("rollback", "--to", id_, "--accept-data-loss")
    assert back.returncode == 0, back.stderr
    assert project.orchctl("upgrade", "--unsafe", "003").returncode == 0


def test_rollback_after_a_kill_knows_the_snapshot(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("003", 'op.execute("VACUUM")\n' + SLEEP)
    before = project.dump()
    process = _start(project, "--unsafe", "003")
    process.kill()
    process.communicate()
    back = project.orchctl("rollback", "--accept-data-loss")
    assert back.returncode == 0, back.stderr
    assert project.dump() == before
    again = project.orchctl("upgrade", "002")
    assert again.returncode == 0, again.stderr
    assert "killed" not in again.stderr
