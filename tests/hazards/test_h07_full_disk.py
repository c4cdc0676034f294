"""H07: the disk is full, in each phase of an upgrade."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.env_shapes import SHAPES, STOCK
from tests.support.failures import json_error, refused
from tests.support.machine import mounted
from tests.support.preloaded import orchctl
from tests.support.projects import Project, clean_environment, dump, execute, query

TABLE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("x"))'
TABLE = TABLE.replace('"x"', '"x", sa.LargeBinary')
ROW = 'op.execute("INSERT INTO t (x) VALUES (zeroblob(1000))")'
MUCH = 'op.execute("INSERT INTO t (x) VALUES (zeroblob(30000000))")'
FILL = """
import contextlib, os
with contextlib.suppress(OSError), open({place!r} + "/filler", "wb", buffering=0) as filler:
    while True:
        filler.write(bytes(1 << 16))
"""
MODES = ["delete", "wal"]
REHEARSALS = ["--rehearse", "--no-rehearse"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB."""
    with mounted(tmp_path / "disk", "size=16m") as place:
        yield place


@pytest.fixture
def make(tmp_path: Path, disk: Path) -> Callable[..., Project]:
    """Makes a project whose database, of so many bytes, is on the small disk."""

    def made(size: int, revision: str = ROW, *, mode: str = "delete") -> Project:
        project = _Elsewhere(tmp_path / "project", url=f"sqlite:///{disk}/app.db")
        project.add("001", TABLE)
        assert orchctl(project, "upgrade").returncode == 0
        query(project.database, f"PRAGMA journal_mode={mode}")
        execute(project.database, f"INSERT INTO t (x) VALUES (zeroblob({size}))")
        project.add("002", revision)
        return project

    return made


class _Elsewhere(Project):
    @property
    def database(self) -> Path:
        return Path((self.url or "").removeprefix("sqlite:///"))


def _files(place: Path) -> set[str]:
    names = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    return names - {"app.db-wal", "app.db-shm", "backups/journal.jsonl"}


@pytest.mark.parametrize("rehearse", REHEARSALS)
@pytest.mark.parametrize("mode", MODES)
def test_h07_no_room_for_the_snapshot(
    make: Callable[..., Project], mode: str, rehearse: str
) -> None:
    project = make(9_000_000, mode=mode)
    before = dump(project.database)
    error = refused(project, "upgrade", rehearse, exit_code=5, code="no-space", hint="Free some")
    assert error["details"]["free"] < error["details"]["needed"]
    assert dump(project.database) == before
    assert _files(project.database.parent) == {"app.db", "app.db.orchctl-lock"}


@pytest.mark.parametrize("rehearse", REHEARSALS)
@pytest.mark.parametrize("mode", MODES)
def test_h07_no_room_for_the_upgrade(
    make: Callable[..., Project], mode: str, rehearse: str
) -> None:
    """It is a revision that writes more than anybody could foresee."""
    project = make(1_000_000, MUCH, mode=mode)
    before = dump(project.database)
    error = refused(project, "upgrade", rehearse, exit_code=6, code="disk-full", hint="Free some")
    assert "002" in error["message"]
    assert "as before" in error["state"]
    assert not project.database.with_name("app.db-journal").exists()
    assert project.database.stat().st_size < 2_000_000
    _works_with_room(project, before)


@pytest.mark.parametrize("mode", MODES)
def test_h07_full_just_before_the_snapshot(make: Callable[..., Project], mode: str) -> None:
    """After the preflight: the disk fills while the lock is waited for."""
    project = make(2_000_000, mode=mode)
    before = dump(project.database)
    project.set_env(FILL.format(place=str(project.database.parent)) + STOCK)
    done = orchctl(project, "upgrade", "--no-rehearse")
    assert done.returncode == 5 if mode == "delete" else 6, done.stderr
    assert "Free some space" in done.stderr
    _works_with_room(project, before)


@pytest.mark.parametrize("rehearse", REHEARSALS)
def test_h07_no_room_in_the_middle_of_the_snapshot(tmp_path: Path, rehearse: str) -> None:
    """Every file may become 2 MB large: the limit comes while the copy is being written."""
    project = Project(tmp_path / "project")
    project.add("001", TABLE)
    assert orchctl(project, "upgrade").returncode == 0
    execute(project.database, "INSERT INTO t (x) VALUES (zeroblob(5000000))")
    project.add("002", ROW)
    before = project.dump()
    done = subprocess.run(
        ["bash", "-c", f'ulimit -f 2000; exec "{sys.executable}" -m orchctl upgrade {rehearse}'],
        cwd=project.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 6, done.stderr
    assert "snapshot" in done.stderr
    assert "Traceback" not in done.stderr
    names = _files(project.folder / "backups")
    assert not [name for name in names if "app.db" in name]
    _works_with_room(project, before)


@pytest.mark.parametrize("mode", MODES)
def test_h07_full_at_the_commit(make: Callable[..., Project], mode: str) -> None:
    project = make(1_000_000, MUCH.replace("30000000", "1000000"), mode=mode)
    before = dump(project.database)
    project.set_env(STOCK + FILL.format(place=str(project.database.parent)))
    error = json_error(orchctl(project, "--json", "upgrade", "--no-rehearse"), 6)
    assert error["code"] == "disk-full"
    _works_with_room(project, before)


def test_h07_full_after_the_commit(make: Callable[..., Project]) -> None:
    """The upgrade is done, confirmed, and can be rolled back once there is room again."""
    project = make(1_000_000)
    fill = FILL.format(place=str(project.database.parent))
    project.set_env(SHAPES["async"] + fill)
    url = f"sqlite+aiosqlite:///{project.database}"
    done = orchctl(project, "--url", url, "upgrade", "--no-rehearse")
    assert done.returncode == 0, done.stderr
    assert query(project.database, "SELECT version_num FROM alembic_version") == [("002",)]
    (project.database.parent / "filler").unlink()
    project.set_env(STOCK)
    rolled_back = orchctl(project, "rollback", "--accept-data-loss")
    assert rolled_back.returncode == 0, rolled_back.stderr
    assert query(project.database, "SELECT version_num FROM alembic_version") == [("001",)]


def test_h07_no_inode_for_the_lock(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=16m", "nr_inodes=4") as place:
        project = _Elsewhere(tmp_path / "project", url=f"sqlite:///{place}/app.db")
        project.add("001", TABLE)
        for number in range(3):
            (place / f"taken-{number}").touch()
        refused(project, "upgrade", exit_code=6, code="disk-full", hint="Free some")
        assert not project.database.exists()


def test_h07_snapshots_on_a_small_disk_of_their_own(tmp_path: Path, disk: Path) -> None:
    project = Project(tmp_path / "project")
    project.add("001", TABLE)
    assert orchctl(project, "upgrade").returncode == 0
    execute(project.database, "INSERT INTO t (x) VALUES (zeroblob(17000000))")
    project.add("002", ROW)
    before = project.database.read_bytes()
    env = {"ORCHCTL_SNAPSHOT_DIRECTORY": str(disk / "snapshots")}
    error = refused(project, "upgrade", exit_code=5, code="no-space", env=env)
    assert str(disk) in error["message"]
    assert project.database.read_bytes() == before
    assert list(disk.iterdir()) == []


def _works_with_room(project: Project, before: str) -> None:
    """Everything is as before, and with some room the upgrade goes through."""
    (project.database.parent / "filler").unlink(missing_ok=True)
    assert dump(project.database) == before
    project.set_env(STOCK)
    project.revisions.remove("002")
    project.add("002", ROW)
    done = orchctl(project, "upgrade")
    assert done.returncode == 0, done.stderr
    assert query(project.database, "PRAGMA integrity_check") == [("ok",)]
