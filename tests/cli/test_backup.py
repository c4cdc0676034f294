"""`orchctl backup …` as it is typed."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchctl.deploy.record import Deployment, begin
from tests.support.preloaded import orchctl
from tests.support.projects import Project, clean_environment
from tests.support.sqlite_files import HOLD, bytes_beside, dump, make, process, run_sql, scalar


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        return json.loads(self.err)["error"]


@dataclass
class Shell:
    project: Project

    def __call__(self, *words: str, code: int = 0) -> Answer:
        done = orchctl(self.project, *words)
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return make(tmp_path / "app.db", "wal")


@pytest.fixture
def shell(database: Path) -> Shell:
    return Shell(Project(database.parent))


def taken(shell: Shell, *words: str) -> str:
    identifier: str = shell("backup", "create", "--json", *words).json["snapshot"]["id"]
    return identifier


def test_create_list_show(shell: Shell, database: Path) -> None:
    answer = shell("backup", "create")
    identifier = answer.out.split()[0]
    assert str(database.parent / "backups") in answer.out
    assert identifier in shell("backup", "list").out
    shown = shell("backup", "show", identifier).out
    for text in ("manual", "complete", "002", "parent 50", "wal"):
        assert text in shown


def test_list_keeps_its_contract(shell: Shell) -> None:
    assert shell("backup", "list", "--json").json["snapshots"] == []
    first, second = taken(shell), taken(shell, "--reason", "scheduled")
    listed = shell("backup", "list", "--json").json["snapshots"]
    assert [one["id"] for one in listed] == [first, second]
    assert [one["reason"] for one in listed] == ["manual", "scheduled"]
    one = listed[0]
    assert one["heads"] == ["002"]
    assert one["size"] == Path(one["path"]).stat().st_size
    assert len(one["sha256"]) == 64
    assert one["status"] == "complete"
    assert one["created_at"].endswith("Z")


def test_json_before_the_command_is_the_same(shell: Shell) -> None:
    taken(shell)
    assert shell("--json", "backup", "list").json == shell("backup", "list", "--json").json


def test_an_empty_list_says_where_it_looked(shell: Shell) -> None:
    assert "backups" in shell("backup", "list").out


def test_create_and_verify_in_one(shell: Shell) -> None:
    assert shell("backup", "create", "--verify", "--json").json["snapshot"]["status"] == "verified"


def test_a_reason_that_orchctl_keeps_for_itself(shell: Shell) -> None:
    answer = shell("backup", "create", "--reason", "pre-upgrade", code=2)
    assert "--reason manual" in answer.err


def test_another_directory(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "orchctl.toml").write_text('snapshot-directory = "elsewhere"\n')
    identifier = taken(shell)
    assert len(list((tmp_path / "elsewhere").glob(f"*{identifier}*"))) == 2
    assert identifier in shell("backup", "list").out


@pytest.mark.parametrize("full", [[], ["--full"]])
def test_verify(shell: Shell, full: list[str]) -> None:
    identifier = taken(shell)
    assert identifier in shell("backup", "verify", *full).out
    answer = shell("backup", "verify", identifier, *full, "--json").json
    assert answer["ok"]
    (one,) = answer["verifications"]
    assert (one["id"], one["ok"], one["status"]) == (identifier, True, "verified")
    assert one["problems"] == []


def test_s03_a_flipped_bit_is_a_negative_answer(shell: Shell, tmp_path: Path) -> None:
    good, bad = taken(shell), taken(shell)
    (path,) = (tmp_path / "backups").glob(f"*{bad}.snapshot")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    answer = shell("backup", "verify", "--json", code=1).json
    assert [one["ok"] for one in answer["verifications"]] == [True, False]
    assert "damaged" in shell("backup", "list").out
    assert shell("backup", "show", "latest", "--json").json["id"] == good
    before = bytes_beside(tmp_path / "app.db")
    assert shell("--json", "backup", "restore", bad, "--yes", code=5).error["code"] == (
        "snapshot-damaged"
    )
    assert bytes_beside(tmp_path / "app.db") == before


def test_restore_puts_back_and_puts_aside(shell: Shell, database: Path) -> None:
    before, identifier = dump(database), taken(shell)
    run_sql(database, "DELETE FROM child", "INSERT INTO parent (name) VALUES ('later')")
    after = dump(database)
    answer = shell("backup", "restore", identifier, "--yes", "--json").json
    assert (answer["ok"], answer["snapshot"]["id"]) == (True, identifier)
    assert (answer["way"], answer["confirmed"]) == ("overwritten", True)
    assert dump(database) == before
    listed = shell("backup", "list", "--json").json["snapshots"]
    assert [one["reason"] for one in listed] == ["manual", "pre-rollback"]
    assert listed[1]["id"] == answer["put_aside"]["id"]
    shell("backup", "restore", answer["put_aside"]["id"], "--yes")
    assert dump(database) == after


def test_restore_of_a_database_that_is_gone(shell: Shell, database: Path) -> None:
    before, identifier = dump(database), taken(shell)
    database.unlink()
    answer = shell("backup", "restore", identifier, "--yes", "--json").json
    assert (answer["way"], answer["put_aside"]) == ("created", None)
    assert dump(database) == before


def test_restore_of_a_database_that_is_ruined(shell: Shell, database: Path) -> None:
    before, identifier = dump(database), taken(shell)
    database.write_bytes(b"hello" * 1000)
    answer = shell("backup", "restore", identifier, "--yes")
    assert "damaged file is kept as" in answer.out
    assert dump(database) == before


def test_restore_asks_nobody_where_nobody_is(shell: Shell, database: Path) -> None:
    identifier = taken(shell)
    before = bytes_beside(database)
    error = shell("--json", "backup", "restore", identifier, code=5).error
    assert error["code"] == "needs-yes"
    assert "--yes" in error["hint"]
    assert bytes_beside(database) == before


@pytest.mark.parametrize(("typed", "code", "rows"), [("y\n", 0, 50), ("n\n", 5, 51), ("\n", 5, 51)])
def test_restore_asks_on_a_terminal(
    typed: str, code: int, rows: int, shell: Shell, database: Path
) -> None:
    identifier = taken(shell)
    run_sql(database, "INSERT INTO parent (name) VALUES ('later')")
    words = ["backup", "restore", identifier]
    shown, ended = on_a_terminal(words, database.parent, typed)
    assert ended == code
    assert "Go on? [y/N]" in shown
    assert scalar(database, "SELECT count(*) FROM parent") == rows


def on_a_terminal(words: list[str], folder: Path, typed: str) -> tuple[str, int]:
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "orchctl", *words],
        cwd=folder,
        env=clean_environment(),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    os.write(master, typed.encode())
    shown = b""
    while True:
        ready, _, _ = select.select([master], [], [], 60)
        assert ready, shown
        try:
            piece = os.read(master, 4096)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    return shown.decode(errors="replace"), child.wait()


def test_restore_waits_for_orchctls_lock_and_names_the_holder(shell: Shell, database: Path) -> None:
    identifier = taken(shell)
    program = """
    import sys
    from pathlib import Path
    from orchctl.database.lock import hold
    with hold(Path(sys.argv[1]), timeout=1, purpose="upgrade to head"):
        print("ready", flush=True)
        sys.stdin.read()
    """
    with process(program, database) as holder:
        assert holder.line() == "ready"
        words = ("backup", "restore", identifier, "--yes", "--lock-timeout", "200ms")
        answer = shell(*words, code=4)
        assert f"process {holder.pid}" in answer.err
        assert "upgrade to head" in answer.err


def test_restore_waits_for_a_writer(shell: Shell, database: Path) -> None:
    identifier = taken(shell)
    with process(HOLD, database, "BEGIN IMMEDIATE") as holder:
        assert holder.line() == "ready"
        words = ("--json", "backup", "restore", identifier, "--yes", "--lock-timeout", "200ms")
        error = shell(*words, code=4).error
    assert error["code"] == "database-locked"


def test_prune_shows_the_reasons_and_removes(shell: Shell) -> None:
    ids = [taken(shell) for _ in range(4)]
    shell("backup", "pin", ids[0])
    dry = shell("backup", "prune", "--keep-last", "1", "--dry-run")
    for text in ("pinned", "last", "no rule keeps it", "Nothing was removed"):
        assert text in dry.out
    assert len(shell("backup", "list", "--json").json["snapshots"]) == 4
    answer = shell("backup", "prune", "--keep-last", "1", "--json").json
    assert sorted(answer["removed"]) == ids[1:3]
    assert answer["freed"] > 0
    kept = {one["id"]: one["reasons"] for one in answer["decisions"] if one["keep"]}
    assert kept == {ids[0]: ["pinned"], ids[3]: ["last", "newest complete"]}
    listed = shell("backup", "list", "--json").json["snapshots"]
    assert [one["id"] for one in listed] == [ids[0], ids[3]]


def test_prune_with_the_settings_rules(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "orchctl.toml").write_text(
        "keep-last = 2\nkeep-daily = 0\nkeep-weekly = 0\nkeep-monthly = 0\n"
    )
    ids = [taken(shell) for _ in range(4)]
    assert sorted(shell("backup", "prune", "--json").json["removed"]) == ids[:2]


def test_pin_and_unpin(shell: Shell) -> None:
    identifier = taken(shell)
    assert "is pinned" in shell("backup", "pin", identifier).out
    assert "pinned" in shell("backup", "list").out
    assert shell("backup", "show", identifier, "--json").json["pinned"] is True
    assert "is not pinned" in shell("backup", "pin", identifier, "--remove").out
    assert shell("backup", "show", identifier, "--json").json["pinned"] is False


@pytest.mark.parametrize("command", ["show", "restore", "pin", "verify"])
def test_an_unknown_snapshot(command: str, shell: Shell) -> None:
    identifier = taken(shell)
    error = shell("--json", "backup", command, "20200101T000000-000", code=2).error
    assert error["code"] == "unknown-snapshot"
    assert identifier in error["hint"]


def test_snapshots_of_a_database_that_moved(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "orchctl.toml").write_text('snapshot-directory = "all"\n')
    identifier = taken(shell)
    before = dump(tmp_path / "app.db")
    (tmp_path / "app.db").unlink()
    (tmp_path / "new").mkdir()
    elsewhere = ("--url", "sqlite:///new/app.db")
    assert shell(*elsewhere, "backup", "list", "--json").json["snapshots"] == []
    listed = shell(*elsewhere, "backup", "list", "--all", "--json").json["snapshots"]
    assert [one["id"] for one in listed] == [identifier]
    shell(*elsewhere, "backup", "restore", identifier, "--all", "--yes")
    assert dump(tmp_path / "new" / "app.db") == before


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"hello\n", "not-a-database"), (b"", None), (None, "database-missing")],
)
def test_create_from_what_is_no_database(
    content: bytes | None, code: str | None, tmp_path: Path
) -> None:
    shell = Shell(Project(tmp_path))
    if content is not None:
        (tmp_path / "app.db").write_bytes(content)
    if code is None:
        assert shell("backup", "create", "--json").json["ok"]
        return
    error = shell("--json", "backup", "create", code=5).error
    assert error["code"] == code
    assert error["hint"]
    assert list((tmp_path / "backups").glob("*")) == []


def test_another_database_than_sqlite_is_told_in_one_line(tmp_path: Path) -> None:
    answer = Shell(Project(tmp_path))(
        "--url", "postgresql://u:hunter2@h/d", "backup", "list", code=3
    )
    assert "needs a SQLite file" in answer.err
    assert "hunter2" not in answer.err


def test_help_names_every_command(shell: Shell) -> None:
    text = shell("backup", "--help").out
    for command in ("create", "list", "show", "verify", "restore", "prune", "pin"):
        assert command in text


def test_s06_prune_keeps_what_a_rollback_of_the_last_upgrade_needs(begun: Project) -> None:
    shell = Shell(begun)
    needed = shell("upgrade", "--json").json["snapshot"]["id"]
    for _ in range(3):
        taken(shell)
    shell("backup", "verify")
    answer = shell("backup", "prune", "--keep-last", "1", "--json").json
    reasons = {one["id"]: one["reasons"] for one in answer["decisions"]}
    assert "needed" in reasons[needed]
    shell("rollback", "--accept-data-loss")
    shell("backup", "create")
    shell("backup", "prune", "--keep-last", "1")
    listed = shell("backup", "list", "--json").json["snapshots"]
    assert needed not in [one["id"] for one in listed]


def test_a_restore_is_in_the_journal(begun: Project) -> None:
    shell = Shell(begun)
    identifier = taken(shell)
    shell("backup", "restore", identifier, "--yes")
    lines = (begun.folder / "backups" / "journal.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert (last["event"], last["restored"]) == ("restore", identifier)
    assert last["ok"]


def test_what_cannot_be_read_is_not_written_over_by_pin(shell: Shell, tmp_path: Path) -> None:
    identifier = taken(shell)
    (manifest,) = (tmp_path / "backups").glob("*.json")
    torn = manifest.read_bytes()[:-20]
    manifest.write_bytes(torn)
    error = shell("--json", "backup", "pin", identifier, code=5).error
    assert error["code"] == "snapshot-unusable"
    assert manifest.read_bytes() == torn


def test_a_journal_that_cannot_be_written_to_makes_no_restore_a_bug(
    shell: Shell, database: Path
) -> None:
    before, identifier = dump(database), taken(shell)
    run_sql(database, "INSERT INTO parent (name) VALUES ('later')")
    (database.parent / "backups" / "journal.jsonl").mkdir()
    answer = shell("backup", "restore", identifier, "--yes")
    assert "warning: the restore is done, but not in the journal" in answer.err
    assert dump(database) == before


def test_a_journal_that_cannot_be_read_is_told(shell: Shell, database: Path) -> None:
    for _ in range(2):
        taken(shell)
    (database.parent / "backups" / "journal.jsonl").mkdir()
    error = shell("--json", "backup", "prune", "--keep-last", "1", code=5).error
    assert error["code"] == "cannot-open"
    assert len(shell("backup", "list", "--json").json["snapshots"]) == 2


def test_s06_prune_keeps_the_snapshot_of_a_deploy(shell: Shell, database: Path) -> None:
    needed = taken(shell)
    for _ in range(2):
        taken(shell)
    record_of_a_deploy(database, needed)
    answer = shell("backup", "prune", "--keep-last", "1", "--json").json
    kept = {one["id"]: one["reasons"] for one in answer["decisions"] if one["keep"]}
    assert kept[needed] == ["needed"]


def record_of_a_deploy(database: Path, snapshot: str) -> None:
    """The record of a deploy that was killed once it had taken its snapshot."""
    began = Deployment(
        "20260101T000000", "docker:web", str(database), "alembic_version", (), "head", "w:2", "id",
        (), stage="upgrading", snapshot=snapshot,
    )  # fmt: skip
    begin(began)
