"""`orchctl doctor` on real files that are really broken; mounts are in test_doctor_mounts.py."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchctl.doctor.content import judge_options, judge_version
from tests.support.preloaded import orchctl
from tests.support.processes import wait_until
from tests.support.projects import Project, bytes_of, execute, query
from tests.support.sqlite_files import (
    HOLD,
    NOBODY,
    leave_hot_journal,
    leave_wal,
    process,
    run_sql,
)

PARENT = """
op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
op.create_table("child", sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.Integer, sa.ForeignKey("parent.id")), sa.Column("body", sa.Text))
"""
ROWS = """
op.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
    "INSERT INTO child (body) SELECT printf('%0400d', i) FROM n")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a database at head and a verified snapshot, made once."""
    project = Project(tmp_path_factory.mktemp("made") / "project")
    project.add("aaaa01", PARENT, "op.drop_table('child')\nop.drop_table('parent')")
    project.add("aaaa02", ROWS, "op.execute('DELETE FROM child')")
    for words in (("upgrade",), ("backup", "create"), ("backup", "verify")):
        done = orchctl(project, *words)
        assert done.returncode == 0, done.stderr
    return project.folder


@pytest.fixture
def healthy(made: Path, tmp_path: Path) -> Project:
    project = object.__new__(Project)
    project.folder = tmp_path / "project"
    project.revisions = ["aaaa01", "aaaa02"]
    shutil.copytree(made, project.folder)
    return project


def examined(project: Project, *words: str, code: int | None = None) -> dict[str, Any]:
    done = orchctl(project, "doctor", "--json", *words)
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    errors = [one for one in answer["findings"] if one["level"] == "error"]
    assert done.returncode == (1 if errors else 0), done.stdout
    assert answer["ok"] is not bool(errors)
    if code is not None:
        assert done.returncode == code, done.stdout
    return dict(answer)


def levels(answer: dict[str, Any]) -> dict[str, str]:
    return {one["id"]: one["level"] for one in answer["findings"]}


def only(answer: dict[str, Any], id_: str) -> dict[str, Any]:
    (one,) = [one for one in answer["findings"] if one["id"] == id_]
    return dict(one)


def undone(answer: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["why"] for one in answer["checks"] if not one["done"]}


def test_a_healthy_database_has_notes_at_most(healthy: Project) -> None:
    before = bytes_of(healthy.database)
    answer = examined(healthy, "--full", code=0)
    assert set(levels(answer).values()) == {"note"}
    assert undone(answer) == {}
    assert bytes_of(healthy.database) == before
    told = orchctl(healthy, "doctor").stdout
    assert "0 errors, 0 warnings" in told
    assert "14 checks done\n" in told


@pytest.mark.parametrize(
    "leave",
    [leave_wal, leave_hot_journal, lambda path: path.write_bytes(b"no database" * 99)],
    ids=["wal", "hot journal", "damaged"],
)
def test_nothing_is_changed_without_fix(healthy: Project, leave: Any) -> None:
    leave(healthy.database)
    before = {path: path.stat() for path in healthy.folder.iterdir()}
    contents = bytes_of(healthy.database)
    examined(healthy, "--full")
    assert bytes_of(healthy.database) == contents
    after = {path: path.stat() for path in healthy.folder.iterdir()}
    assert [*after] == [*before]
    for path, facts in before.items():
        assert after[path].st_mtime_ns == facts.st_mtime_ns, path


# -- the files ---------------------------------------------------------------------------------


def test_no_database_yet_is_a_note(healthy: Project) -> None:
    healthy.database.unlink()
    assert levels(examined(healthy, code=0))["no-database"] == "note"


def test_a_journal_without_its_database(healthy: Project) -> None:
    leave_wal(healthy.database)
    healthy.database.unlink()
    finding = only(examined(healthy, code=1), "orphan-sidecars")
    assert "app.db-wal" in finding["what"]


def test_a_missing_directory(healthy: Project) -> None:
    found = orchctl(healthy, "--url", "sqlite:///gone/app.db", "doctor", "--json")
    answer = json.loads(found.stdout)
    assert found.returncode == 1
    finding = only(answer, "no-directory")
    assert finding["command"] == f"mkdir -p {healthy.folder / 'gone'}"


def test_a_directory_where_the_file_should_be(healthy: Project) -> None:
    healthy.database.unlink()
    healthy.database.mkdir()
    assert only(examined(healthy, code=1), "not-a-file")["command"] == f"rmdir {healthy.database}"


@pytest.mark.parametrize("name", ["app.db", "app.db-journal", "app.db-wal", "loop"])
def test_what_would_be_waited_for_for_ever_is_not_opened(healthy: Project, name: str) -> None:
    path = healthy.folder / name.replace("loop", "app.db")
    path.unlink(missing_ok=True)
    path.symlink_to(path.name) if name == "loop" else os.mkfifo(path)
    answer = examined(healthy, "--fix", "--bundle", "case.tgz", code=1)
    assert only(answer, "not-a-file")["what"] == f"{path} is no regular file"
    assert {"opening", "content", "stamp", "schema", "runs"} <= set(undone(answer))


def test_two_names_and_everybody_may_write(healthy: Project) -> None:
    os.link(healthy.database, healthy.folder / "other.db")
    healthy.database.chmod(0o666)
    found = levels(examined(healthy))
    assert found["hard-links"] == "warning"
    assert found["world-writable"] == "warning"


def test_not_a_database_at_all(healthy: Project) -> None:
    healthy.database.write_bytes(b"no database" * 99)
    answer = examined(healthy, code=1)
    assert "not-a-database" in only(answer, "cannot-open")["evidence"]
    # What can't be done without opening it says so; the rest is done.
    assert set(undone(answer)) == {"content", "stamp", "schema", "runs"}
    assert "no-snapshot" not in levels(answer)


def test_a_damaged_page(healthy: Project) -> None:
    with healthy.database.open("r+b") as stream:
        stream.seek(-3000, os.SEEK_END)
        stream.write(b"\xff" * 2000)
    finding = only(examined(healthy, code=1), "damaged")
    assert finding["evidence"][0].startswith("PRAGMA quick_check")
    assert finding["command"] == "orchctl backup restore latest"


def test_sidecars_of_another_user_are_given_back(healthy: Project) -> None:
    leave_wal(healthy.database)
    healthy.folder.chmod(0o755)
    os.chown(healthy.database, NOBODY, NOBODY)
    os.chown(healthy.folder, NOBODY, NOBODY)
    finding = [
        one for one in examined(healthy, code=1)["findings"] if one["id"] == "foreign-sidecar"
    ]
    assert {one["what"].rpartition(" ")[2] for one in finding} == {"app.db-wal", "app.db-shm"}
    assert all(f"uid {NOBODY}, the database's owner" in one["what"] for one in finding)
    rows = query(healthy.database, "SELECT count(*) FROM child")

    leave_wal(healthy.database)
    for path in healthy.folder.glob("app.db-*"):
        os.chown(path, 0, 0)
        path.chmod(0o400)
    answer = examined(healthy, "--fix", code=0)
    assert {one["id"] for one in answer["fixed"] if one["done"]} == {"foreign-sidecar", "wal-left"}
    assert "foreign-sidecar" not in levels(answer)
    for path in healthy.folder.glob("app.db*"):
        if not path.name.endswith("-lock"):
            facts = path.stat()
            assert (facts.st_uid, facts.st_mode & 0o777) == (NOBODY, 0o644), path
    assert query(healthy.database, "SELECT count(*) FROM child") == rows


def test_a_link_in_place_of_a_sidecar_is_not_followed(healthy: Project, tmp_path: Path) -> None:
    leave_wal(healthy.database)
    other = tmp_path / "other"
    other.write_text("somebody else's")
    os.chown(healthy.database, NOBODY, NOBODY)
    shm = healthy.folder / "app.db-shm"
    shm.unlink()
    os.link(other, shm)
    answer = examined(healthy, "--fix")
    assert not [one for one in answer["fixed"] if one["id"] == "foreign-sidecar" and one["done"]]
    assert other.stat().st_uid == 0


def test_a_directory_its_owner_can_t_write_to(healthy: Project) -> None:
    os.chown(healthy.database, NOBODY, NOBODY)
    healthy.folder.chmod(0o755)
    finding = only(examined(healthy, code=1), "directory-not-writable")
    assert finding["command"] == f"sudo chown {NOBODY} {healthy.folder}"


def test_a_database_its_owner_can_t_write_to(healthy: Project) -> None:
    os.chown(healthy.database, NOBODY, NOBODY)
    os.chown(healthy.folder, NOBODY, NOBODY)
    healthy.database.chmod(0o444)
    finding = only(examined(healthy, code=1), "database-not-writable")
    assert finding["command"] == f"chmod u+rw {healthy.database}"


# -- journals ----------------------------------------------------------------------------------


def test_a_wal_that_was_left_is_taken_in(healthy: Project) -> None:
    leave_wal(healthy.database)
    assert levels(examined(healthy, code=0))["wal-left"] == "warning"
    answer = examined(healthy, "--fix", code=0)
    assert [one["id"] for one in answer["fixed"]] == ["wal-left"]
    assert "wal-left" not in levels(answer)
    assert query(healthy.database, "SELECT count(*) FROM parent") == [(1,)]


def test_a_hot_journal_is_undone(healthy: Project) -> None:
    before = query(healthy.database, "SELECT id, body FROM child")
    leave_hot_journal(healthy.database)
    assert levels(examined(healthy, code=0))["hot-journal"] == "warning"
    answer = examined(healthy, "--fix", code=0)
    assert answer["fixed"][0]["done"] is True
    assert "hot-journal" not in levels(answer)
    assert query(healthy.database, "SELECT id, body FROM child") == before


def test_a_foreign_wal_is_not_taken_in(healthy: Project, tmp_path: Path) -> None:
    """Somebody copied a database over one that had a WAL."""
    run_sql(healthy.database, "PRAGMA journal_mode=WAL")
    good = healthy.database.read_bytes()
    # Pages of another table layout, of a database that is smaller.
    other = tmp_path / "app.db"
    run_sql(other, "PRAGMA journal_mode=WAL", "CREATE TABLE parent (name)")
    leave_wal(other)
    shutil.copy(f"{other}-wal", f"{healthy.database}-wal")
    answer = examined(healthy, "--fix", code=1)
    (told,) = [one for one in answer["fixed"] if one["id"] == "wal-left"]
    assert told["done"] is False
    assert "another database" in told["told"]
    assert healthy.database.read_bytes() == good
    assert Path(f"{healthy.database}-wal").exists()


def test_a_wal_in_use_is_left_alone(healthy: Project) -> None:
    statements = "PRAGMA journal_mode=WAL;INSERT INTO parent (name) VALUES ('x')"
    with process(HOLD, healthy.database, statements) as holder:
        assert holder.line() == "ready"
        found = levels(examined(healthy, "--fix", code=0))
        assert "wal-left" not in found
        assert found["held"] == "note"


# -- processes ---------------------------------------------------------------------------------


def test_who_holds_it(healthy: Project) -> None:
    with process(HOLD, healthy.database, "BEGIN IMMEDIATE") as holder:
        assert holder.line() == "ready"
        finding = only(examined(healthy, code=0), "held")
        assert f"process {holder.pid} (" in finding["evidence"][0]


def test_a_deleted_database_that_a_process_still_has(healthy: Project) -> None:
    statements = "PRAGMA journal_mode=WAL;INSERT INTO parent (name) VALUES ('rescued')"
    with process(HOLD, healthy.database, statements) as holder:
        assert holder.line() == "ready"
        copy = healthy.folder / "other.db"
        shutil.copy(healthy.database, copy)
        for path in healthy.folder.glob("app.db*"):
            path.unlink()
        copy.rename(healthy.database)
        finding = only(examined(healthy, code=1), "deleted-but-open")
        assert f"Process {holder.pid} " in finding["what"]
        # What it says to type gets the rows back.
        subprocess.run(finding["command"], shell=True, check=True)
        rescued = healthy.folder / "app.db.rescued"
        Path(f"{healthy.folder}/app.db-wal.rescued").rename(f"{rescued}-wal")
        assert query(rescued, "SELECT name FROM parent") == [("rescued",)]


def test_a_file_of_the_same_name_elsewhere_is_none_of_ours(
    healthy: Project, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere" / "app.db"
    elsewhere.parent.mkdir()
    run_sql(elsewhere, "CREATE TABLE t (x)")
    with process(HOLD, elsewhere, "BEGIN; SELECT * FROM t") as holder:
        assert holder.line() == "ready"
        elsewhere.unlink()
        assert "deleted-but-open" not in levels(examined(healthy))


LOSE_LOCKS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL").fetchall()
connection.execute("INSERT INTO parent (name) VALUES ('x')")
if sys.argv[2] == "lose":
    open(sys.argv[1], "rb").close()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("way", ["lose", "keep"])
def test_locks_that_were_dropped_by_closing_the_file(healthy: Project, way: str) -> None:
    with process(LOSE_LOCKS, healthy.database, way) as holder:
        assert holder.line() == "ready"
        found = levels(examined(healthy))
        assert ("locks-dropped" in found) is (way == "lose")


# -- the chain and the schema ------------------------------------------------------------------


def test_behind_the_chain(healthy: Project) -> None:
    healthy.add("aaaa03", "op.add_column('parent', sa.Column('y', sa.Text))")
    finding = only(examined(healthy, code=0), "pending")
    assert finding["command"].endswith(" upgrade")


def test_a_revision_that_is_not_in_the_chain(healthy: Project) -> None:
    execute(healthy.database, "UPDATE alembic_version SET version_num = 'ffff99'")
    answer = examined(healthy, code=1)
    assert "'ffff99'" in only(answer, "wrong-stamp")["what"]
    assert "ffff99" in undone(answer)["schema"]


def test_a_revision_that_ran_but_was_not_stamped(healthy: Project) -> None:
    """003 of the field: the DDL is done, the version table says 002."""
    healthy.add("aaaa03", "op.add_column('parent', sa.Column('y', sa.Text))")
    execute(healthy.database, "ALTER TABLE parent ADD COLUMN y TEXT")
    finding = only(examined(healthy, code=1), "schema-differs")
    assert finding["command"] == "orchctl stamp aaaa03"
    done = orchctl(healthy, *finding["command"].split()[1:])
    assert done.returncode == 0, done.stderr
    assert "schema-differs" not in levels(examined(healthy, code=0))


def test_a_table_that_is_missing_and_one_that_is_more(healthy: Project) -> None:
    execute(healthy.database, "CREATE TABLE more (x)")
    assert levels(examined(healthy, code=0))["schema-differs"] == "warning"
    execute(healthy.database, "DROP TABLE parent")
    assert levels(examined(healthy, code=1))["schema-differs"] == "error"


def test_a_broken_chain(healthy: Project) -> None:
    healthy.add("aaaa04", down="aaaa02_step")
    answer = examined(healthy, code=1)
    assert "C" in only(answer, "chain-broken")["evidence"][0]


def test_leftovers_of_batch_mode(healthy: Project) -> None:
    execute(healthy.database, "CREATE TABLE _alembic_tmp_parent (id INTEGER)")
    assert only(examined(healthy), "leftover-tables")["level"] == "warning"
    execute(healthy.database, "DROP TABLE parent")
    finding = only(examined(healthy, code=1), "leftover-tables")
    assert "RENAME TO" in finding["command"]


def test_foreign_keys_are_looked_at_with_full(healthy: Project) -> None:
    execute(healthy.database, "INSERT INTO child (parent_id) VALUES (99)")
    assert "foreign-key-violations" not in levels(examined(healthy))
    assert only(examined(healthy, "--full"), "foreign-key-violations")["evidence"] == ["child: 1"]


def test_without_a_project_the_file_is_looked_at_all_the_same(
    healthy: Project, tmp_path: Path
) -> None:
    shutil.rmtree(healthy.folder / "migrations")
    (healthy.folder / "alembic.ini").unlink()
    leave_wal(healthy.database)
    done = orchctl(healthy, "--url", f"sqlite:///{healthy.database}", "doctor", "--json")
    answer = json.loads(done.stdout)
    assert "wal-left" in levels(answer)
    assert {"chain", "stamp", "schema"} <= set(undone(answer))


def test_an_env_py_that_fails_keeps_nothing_else_from_being_looked_at(healthy: Project) -> None:
    healthy.set_env("raise RuntimeError('no such setting')")
    url = f"sqlite:///{healthy.database}"
    done = orchctl(healthy, "--url", url, "doctor", "--json")
    answer = json.loads(done.stdout)
    assert "held" not in levels(answer)
    assert "rollback-journal" in levels(answer)


# -- runs and snapshots ------------------------------------------------------------------------


def test_leftovers_of_killed_runs_are_removed(healthy: Project) -> None:
    (healthy.folder / ".orchctl-rehearsal-dead").mkdir()
    (healthy.folder / ".orchctl-rehearsal-dead" / "copy.db").write_text("rows")
    snapshots = healthy.folder / "backups"
    (snapshots / "app.db.20240101T000000-000.partial").write_text("half")
    found = levels(examined(healthy, code=0))
    assert found["stale-rehearsal"] == found["snapshot-unfinished"] == "note"
    answer = examined(healthy, "--fix", code=0)
    assert {one["id"] for one in answer["fixed"] if one["done"]} == {
        "stale-rehearsal",
        "snapshot-unfinished",
    }
    assert not list(healthy.folder.glob(".orchctl-rehearsal-*"))
    assert not list(snapshots.glob("*.partial"))


def test_old_unverified_and_damaged_snapshots(healthy: Project) -> None:
    snapshots = healthy.folder / "backups"
    (manifest,) = snapshots.glob("*.json")
    content = json.loads(manifest.read_text())
    content |= {"created_at": "2024-01-01T00:00:00+00:00", "status": "complete"}
    manifest.write_text(json.dumps(content))
    found = levels(examined(healthy, code=0))
    assert found["snapshot-old"] == "warning"
    assert found["snapshot-unverified"] == found["snapshots-same-disk"] == "note"
    (file,) = snapshots.glob("*.snapshot")
    file.write_bytes(b"short")
    found = levels(examined(healthy, code=0))
    assert found["snapshot-damaged"] == found["no-snapshot"] == "warning"


def test_a_killed_run(healthy: Project) -> None:
    line = {
        "began": "upgrade",
        "database": str(healthy.database),
        "before": ["aaaa02"],
        "target": "head",
        "pid": 1,
        "at": "2024-01-01T00:00:00+00:00",
    }
    with (healthy.folder / "backups" / "journal.jsonl").open("a") as stream:
        stream.write(json.dumps(line) + "\n")
    assert "was killed" in only(examined(healthy, code=0), "killed-run")["what"]


# -- the command -------------------------------------------------------------------------------


def test_an_unknown_database_is_a_question_of_configuration(tmp_path: Path) -> None:
    project = object.__new__(Project)
    project.folder = tmp_path
    assert orchctl(project, "doctor").returncode == 3


def test_text_names_the_finding_the_evidence_and_the_command(healthy: Project) -> None:
    leave_wal(healthy.database)
    told = orchctl(healthy, "doctor", "--fix").stdout
    assert re.search(r"^mended wal-left: SQLite took in app.db-wal", told)
    leave_wal(healthy.database)
    told = orchctl(healthy, "doctor").stdout
    assert re.search(
        r"^warning   wal-left: .*\n +\S+app.db-wal has \d+ bytes\n +-> sqlite3", told, re.M
    )


def test_what_is_given_up_while_waiting_for_another_orchctl(healthy: Project) -> None:
    leave_wal(healthy.database)
    code = (
        "import sys, pathlib\nfrom orchctl.database import lock\n"
        "with lock.hold(pathlib.Path(sys.argv[1]), timeout=0, purpose='tests'):\n"
        "    print('ready', flush=True)\n    sys.stdin.read()\n"
    )
    with process(code, healthy.database) as holder:
        assert holder.line() == "ready"
        done = orchctl(healthy, "doctor", "--fix", "--json", env={"ORCHCTL_LOCK_TIMEOUT": "100ms"})
        answer = json.loads(done.stdout)
        assert levels(answer)["locked-by-orchctl"] == "note"
        assert answer["fixed"][0]["done"] is False
        assert f"process {holder.pid}" in answer["fixed"][0]["told"]
    wait_until(lambda: "locked-by-orchctl" not in levels(examined(healthy)), "the lock is free")


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("3.6.23", False),
        ("3.7.0", True),
        ("3.40.1", True),
        ("3.44.5", True),
        ("3.44.6", False),
        ("3.45.0", True),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.53.1", False),
    ],
)
def test_which_sqlite_has_the_wal_reset_bug(version: str, found: bool) -> None:
    both = [[*judge_version(version, wal=wal, where="its")] for wal in (True, False)]
    told = [one.level for findings in both for one in findings if one.id == "wal-reset-bug"]
    assert told == (["warning", "note"] if found else [])


def test_a_wal_that_grows_without_end(healthy: Project) -> None:
    """A reader that never ends keeps the WAL from being taken in."""
    Path(f"{healthy.database}-wal").write_bytes(b"")
    os.truncate(f"{healthy.database}-wal", 65 << 20)
    with process(HOLD, healthy.database, "BEGIN; SELECT * FROM parent") as reader:
        assert reader.line() == "ready"
        assert levels(examined(healthy))["wal-large"] == "warning"


@pytest.mark.parametrize(
    ("option", "found"), [("DEFAULT_SYNCHRONOUS=0", True), ("DEFAULT_WAL_SYNCHRONOUS=1", False)]
)
def test_a_build_that_does_not_wait_for_the_disk(option: str, found: bool) -> None:
    ids = [one.id for one in judge_options(["THREADSAFE=1", option])]
    assert ids == (["synchronous-off"] if found else [])
