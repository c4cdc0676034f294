"""`orchctl rollback`: what it puts back, and what it refuses to discard."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.preloaded import start
from tests.support.processes import wait_until
from tests.support.projects import Project, execute, query

LEFT_BEHIND = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA wal_autocheckpoint=0")
connection.execute("INSERT INTO t (id) VALUES (99)")
connection.commit()
os._exit(9)
"""
READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM t").fetchone()
open(sys.argv[2], "w").close()
sys.stdin.read()
"""


def _upgraded(tmp_path: Path, mode: str = "delete") -> tuple[Project, str]:
    """A project upgraded from 001 with rows to 002, and its dump from before."""
    project = Project(tmp_path / "project")
    project.add("001", 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))')
    assert project.orchctl("upgrade").returncode == 0
    execute(project.database, f"PRAGMA journal_mode={mode}; INSERT INTO t VALUES (1), (2);")
    before = project.dump()
    project.add("002", 'op.add_column("t", sa.Column("x", sa.Text))', 'op.drop_column("t", "x")')
    assert project.orchctl("upgrade").returncode == 0
    return project, before


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_back_to_the_dump_from_before_and_a_second_one_has_nothing_to_undo(
    tmp_path: Path, mode: str
) -> None:
    project, before = _upgraded(tmp_path, mode)
    upgraded = project.dump()
    done = project.orchctl("rollback", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["from"], data["to"], data["written_since"]) == ("002", "001", False)
    assert project.dump() == before
    assert query(project.database, "PRAGMA journal_mode") == [(mode,)]
    again = project.orchctl("rollback", "--json")
    assert again.returncode == 5
    assert json.loads(again.stderr)["error"]["code"] == "nothing-to-roll-back"
    forward = project.orchctl("rollback", "--to", data["put_aside"]["id"], "--accept-data-loss")
    assert forward.returncode == 0, forward.stderr
    assert project.dump() == upgraded


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_what_was_written_since_is_told_and_not_discarded(tmp_path: Path, mode: str) -> None:
    project, before = _upgraded(tmp_path, mode)
    execute(project.database, "INSERT INTO t (id) VALUES (3), (4)")
    now = project.dump()
    refused = project.orchctl("rollback")
    assert refused.returncode == 5
    assert "t +2 rows" in refused.stderr
    assert "--accept-data-loss" in refused.stderr
    assert "--downgrade" in refused.stderr
    assert project.dump() == now
    done = json.loads(project.orchctl("rollback", "--accept-data-loss", "--json").stdout)
    assert project.dump() == before
    assert query(Path(done["put_aside"]["path"]), "SELECT count(*) FROM t") == [(4,)]


def test_a_changed_value_counts_as_well(tmp_path: Path) -> None:
    project, _ = _upgraded(tmp_path)
    execute(project.database, "UPDATE t SET x = 'later' WHERE id = 1")
    refused = project.orchctl("rollback", "--json")
    assert refused.returncode == 5
    assert json.loads(refused.stderr)["error"]["code"] == "would-discard-writes"


def test_by_downgrades_the_later_rows_stay(tmp_path: Path) -> None:
    project, _ = _upgraded(tmp_path)
    execute(project.database, "INSERT INTO t (id) VALUES (3)")
    assert project.orchctl("rollback", "--downgrade").returncode == 5  # it drops a column
    done = project.orchctl("rollback", "--downgrade", "--yes")
    assert done.returncode == 0, done.stderr
    assert project.heads() == ["001"]
    assert query(project.database, "SELECT count(*) FROM t") == [(3,)]


def test_right_with_a_wal_that_a_killed_process_left(tmp_path: Path) -> None:
    project, before = _upgraded(tmp_path, "wal")
    subprocess.run([sys.executable, "-c", LEFT_BEHIND, project.database])
    assert project.database.with_name("app.db-wal").stat().st_size
    refused = project.orchctl("rollback")
    assert refused.returncode == 5, refused.stderr
    assert "t +1 rows" in refused.stderr
    assert project.orchctl("rollback", "--accept-data-loss").returncode == 0
    assert project.dump() == before


def test_waits_for_who_has_it_open_then_exit_4(tmp_path: Path) -> None:
    project, before = _upgraded(tmp_path)
    now, ready = project.dump(), tmp_path / "ready"
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, project.database, ready], stdin=subprocess.PIPE
    )
    try:
        wait_until(ready.exists)
        held = project.orchctl("rollback", "--lock-timeout", "1s")
        assert held.returncode == 4, held.stderr
        assert str(reader.pid) in held.stderr
        assert project.dump() == now
        waiting = start(project, "rollback", "--lock-timeout", "60s")
    finally:
        reader.stdin.close()
        reader.wait()
    assert waiting.wait(timeout=60) == 0
    waiting.communicate()
    assert project.dump() == before


def test_an_unknown_and_a_damaged_snapshot(tmp_path: Path) -> None:
    project, _ = _upgraded(tmp_path)
    now = project.dump()
    assert project.orchctl("rollback", "--to", "1999").returncode == 2
    snapshots = sorted((project.folder / "backups").glob("*.snapshot"))
    data = bytearray(snapshots[-1].read_bytes())
    data[-1] ^= 1
    snapshots[-1].write_bytes(data)
    refused = project.orchctl("rollback")
    assert refused.returncode == 5, refused.stderr
    assert project.dump() == now


def test_nothing_was_ever_upgraded(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.add("001")
    execute(project.database, "CREATE TABLE t (id)")
    refused = project.orchctl("rollback", "--json")
    assert refused.returncode == 5
    assert json.loads(refused.stderr)["error"]["hint"].startswith("orchctl backup list")


def test_runs_that_fail_over_and_over_leave_one_snapshot(tmp_path: Path) -> None:
    """A container whose upgrade fails is started again and again: that must fill no disk."""
    project, _ = _upgraded(tmp_path)
    project.add("003", "op.execute('INSERT INTO nowhere VALUES (1)')")
    kept = []
    for _ in range(3):
        assert project.orchctl("upgrade").returncode == 6
        listed = json.loads(project.orchctl("backup", "list", "--json").stdout)["snapshots"]
        kept.append([one["id"] for one in listed])
    assert [len(ids) for ids in kept] == [2, 2, 2]
    assert len({ids[0] for ids in kept}) == 1
    assert len({ids[1] for ids in kept}) == 3
    assert project.orchctl("rollback").returncode == 0
    assert project.heads() == ["001"]
