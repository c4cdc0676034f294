"""One database under several names: a link, a folder that was moved, bytes that are no UTF-8."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from orchctl.upgrade.rollback import fingerprint
from tests.support.preloaded import orchctl
from tests.support.projects import Project, clean_environment, execute, query

ADD = 'op.add_column("t", sa.Column("y", sa.Text))'
DROP = 'op.drop_column("t", "y")'


def _linked(project: Project, place: Path) -> str:
    """The URL of the project's database through a link in another folder."""
    place.mkdir()
    (place / "link.db").symlink_to(project.database)
    return f"sqlite:///{place / 'link.db'}"


def test_what_was_upgraded_through_a_link_is_rolled_back_without_it(
    begun: Project, tmp_path: Path
) -> None:
    url = _linked(begun, tmp_path / "elsewhere")
    before = begun.dump()
    assert orchctl(begun, "--url", url, "upgrade").returncode == 0
    assert list((tmp_path / "elsewhere").iterdir()) == [tmp_path / "elsewhere" / "link.db"]
    done = orchctl(begun, "rollback", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["written_since"] is False
    assert begun.dump() == before


@pytest.mark.parametrize("name", ["link", "moved"])
def test_s06_prune_keeps_what_a_rollback_needs_by_whatever_name(
    begun: Project, tmp_path: Path, name: str
) -> None:
    assert orchctl(begun, "upgrade").returncode == 0
    folder, options = begun.folder, ()
    if name == "link":
        options = ("--url", _linked(begun, tmp_path / "elsewhere"))
    else:
        folder = begun.folder.rename(tmp_path / "moved")
    moved = Project.__new__(Project)
    moved.folder = folder
    for _ in range(2):
        assert orchctl(moved, *options, "backup", "create").returncode == 0
    pruned = orchctl(moved, *options, "backup", "prune", "--keep-last", "1", "--json")
    assert pruned.returncode == 0, pruned.stderr
    kept = [one for one in json.loads(pruned.stdout)["decisions"] if one["keep"]]
    assert "needed" in [reason for one in kept for reason in one["reasons"]]
    done = orchctl(moved, *options, "rollback")
    assert done.returncode == 0, done.stderr
    assert query(folder / "app.db", "SELECT version_num FROM alembic_version") == [("aaaa01",)]


def test_an_unsafe_run_that_was_killed_is_known_by_another_name(
    begun: Project, tmp_path: Path
) -> None:
    begun.add("aaaa03", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    before = begun.dump()
    words = ("upgrade", "--unsafe", "aaaa03", "--no-rehearse")
    assert orchctl(begun, *words).returncode == -9
    assert begun.heads() == ["aaaa02"]
    begun.add("aaaa03", "pass", down="aaaa02")
    url = _linked(begun, tmp_path / "elsewhere")
    done = orchctl(begun, "--url", url, "upgrade", "aaaa01")
    assert "is put back before anything else" in done.stderr
    assert begun.dump() == before


def test_a_write_into_the_wal_shows_through_a_link(begun: Project, tmp_path: Path) -> None:
    execute(begun.database, "PRAGMA journal_mode=WAL")
    _linked(begun, tmp_path / "elsewhere")
    link = tmp_path / "elsewhere" / "link.db"
    connection = sqlite3.connect(begun.database)
    before = fingerprint(link)
    connection.execute("INSERT INTO t (x) VALUES ('later')")
    connection.commit()
    assert fingerprint(link) != before
    connection.close()


def test_a_link_in_a_folder_that_nobody_may_write_to(begun: Project, tmp_path: Path) -> None:
    url = _linked(begun, tmp_path / "elsewhere")
    (tmp_path / "elsewhere").chmod(0o555)
    seen = orchctl(begun, "--url", url, "rehearse", "--json")
    assert seen.returncode == 0, seen.stderr
    assert {Path(one["folder"]) for one in json.loads(seen.stdout)["space"]["places"]} == {
        begun.folder
    }
    assert orchctl(begun, "--url", url, "upgrade").returncode == 0
    assert begun.heads() == ["aaaa02"]


def test_a_folder_whose_name_is_no_utf_8(begun: Project) -> None:
    folder = os.fsencode(begun.folder.parent) + b"/fran\xe7ais"
    begun.folder.rename(Path(os.fsdecode(folder)))
    for words in (["upgrade"], ["status"], ["rollback"], ["backup", "list", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "orchctl", *words],
            cwd=folder,
            env=clean_environment(),
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, (words, done.stderr)
    assert b"002 -> 001" in done.stderr or json.loads(done.stdout)["snapshots"]


def test_hints_name_the_database_that_they_are_about(begun: Project, tmp_path: Path) -> None:
    place = tmp_path / "with a blank"
    place.mkdir()
    begun.database.rename(place / "app.db")
    config = begun.folder / "alembic.ini"
    words = ["-c", str(config), "--url", f"sqlite:///{place / 'app.db'}"]
    done = orchctl(begun, *words, "--json", "current", "--check-heads")
    hint = json.loads(done.stderr)["error"]["hint"]
    assert done.returncode == 1
    program = f"{sys.executable} -m orchctl"
    typed = hint.replace("orchctl", program, 1)
    told = subprocess.run(
        typed, shell=True, cwd=tmp_path, env=clean_environment(), capture_output=True, timeout=60
    )
    assert told.returncode == 0, (typed, told.stderr)
    assert query(place / "app.db", "SELECT version_num FROM alembic_version") == [("aaaa02",)]


def test_what_doctor_says_to_type_is_one_word_a_path(begun: Project, tmp_path: Path) -> None:
    place = tmp_path / "with a blank"
    begun.folder.rename(place)
    begun.folder = place
    begun.database.chmod(0o666)
    found = json.loads(orchctl(begun, "doctor", "--json").stdout)["findings"]
    (command,) = [one["command"] for one in found if one["id"] == "world-writable"]
    subprocess.run(command, shell=True, check=True)
    assert begun.database.stat().st_mode & 0o777 == 0o664


@pytest.mark.parametrize("fails", [False, True])
def test_a_link_to_where_no_database_is_yet(project: Project, tmp_path: Path, fails: bool) -> None:
    """A container's app.db may lead into a volume that is still empty."""
    volume = tmp_path / "volume"
    volume.mkdir()
    project.database.symlink_to(volume / "real.db")
    assert orchctl(project, "status").returncode == 0
    assert orchctl(project, "stamp", "base").returncode == 0
    if fails:
        project.add("aaaa03", "op.execute('INSERT INTO nowhere VALUES (1)')")
    done = orchctl(project, "upgrade")
    assert done.returncode == (6 if fails else 0), done.stderr
    assert project.database.is_symlink()
    assert (volume / "real.db").exists() is not fails
    if not fails:
        assert query(volume / "real.db", "SELECT count(*) FROM t") == [(2,)]
