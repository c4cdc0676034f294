"""H05: what became of a run that was killed, told by whoever looks next."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.support.preloaded import orchctl, start
from tests.support.projects import Project, execute

TABLE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))'
COLUMN = 'op.add_column("t", sa.Column("x", sa.Text))'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One whose database is a revision behind."""
    made = Project(tmp_path / "project")
    made.add("001", TABLE)
    assert orchctl(made, "upgrade").returncode == 0
    execute(made.database, "INSERT INTO t VALUES (1)")
    made.add("002", COLUMN)
    return made


def _killed_at(project: Project, tmp_path: Path, boundary: str, after: str = "") -> None:
    """Kill an upgrade just before its last boundary of that name (or the next one behind)."""
    pristine, log = tmp_path / "pristine", tmp_path / "log"
    shutil.copytree(project.folder, pristine)
    assert start(project, "upgrade", log=log).finished().returncode == 0
    shutil.rmtree(project.folder)
    shutil.copytree(pristine, project.folder)
    names = log.read_text().splitlines()
    number = len(names) - 1 - names[::-1].index(boundary)
    if after:
        number = names.index(after, number)
    died = start(project, "upgrade", dies_at=number).finished()
    assert died.returncode == -signal.SIGKILL


def _status(project: Project) -> dict:
    return json.loads(orchctl(project, "--json", "status").stdout)


def test_h05_killed_before_its_commit(project: Project, tmp_path: Path) -> None:
    before = project.dump()
    _killed_at(project, tmp_path, "COMMIT")
    story = _status(project)["killed_run"]
    assert (story["direction"], story["from"], story["to"]) == ("upgrade", ["001"], "head")
    assert story["committed"] is False
    assert (project.folder / "backups" / f"app.db.{story['snapshot']}.snapshot").is_file()
    told = f"(pid {story['pid']}) was killed or lost its disk before its commit; "
    told += "the database is as before, at 001"
    assert told in orchctl(project, "status").stdout
    assert project.dump() == before
    done = orchctl(project, "upgrade")
    assert done.returncode == 0
    assert f"warning: the upgrade of {story['began_at'][:10]}" in done.stderr
    assert told in done.stderr
    assert _status(project)["killed_run"] is None
    assert "killed" not in orchctl(project, "status").stdout


def test_h05_killed_right_after_its_commit(project: Project, tmp_path: Path) -> None:
    before = project.dump()
    _killed_at(project, tmp_path, "COMMIT", after="open journal.jsonl")
    assert _status(project)["killed_run"]["committed"] is True
    done = orchctl(project, "upgrade")
    assert done.returncode == 0
    assert "was killed or lost its disk right after its commit: done, at 002" in done.stderr
    assert "nothing to do" in done.stdout
    assert _status(project)["killed_run"] is None
    assert "killed" not in orchctl(project, "upgrade").stderr
    assert orchctl(project, "rollback", "--accept-data-loss").returncode == 0
    assert project.dump() == before


def test_h05_a_run_that_lives_is_not_told_dead(project: Project) -> None:
    project.add("003", 'open("reached", "a").close()\nimport time\ntime.sleep(60)')
    running = start(project, "upgrade", "--no-rehearse")
    while not (project.folder / "reached").exists():
        assert running.alive()
    found = _status(project)
    assert found["lock_holder"]
    assert found["killed_run"] is None
    running.send_signal(signal.SIGKILL)
    running.finished()
    assert _status(project)["killed_run"]["committed"] is False


def test_h05_a_run_that_failed_was_not_killed(project: Project) -> None:
    project.add("003", 'op.execute("INSERT INTO nowhere VALUES (1)")')
    for words in ((), ("--no-rehearse",), ("--no-backup",)):
        assert orchctl(project, "upgrade", *words).returncode == 6
        assert _status(project)["killed_run"] is None


def test_h05_a_line_that_a_full_disk_cut_off_spoils_no_other(project: Project) -> None:
    journal = project.folder / "backups" / "journal.jsonl"
    with journal.open("a") as stream:
        stream.write('{"event": "upgr')
    assert orchctl(project, "upgrade").returncode == 0
    assert _status(project)["killed_run"] is None
    assert orchctl(project, "rollback").returncode == 0
