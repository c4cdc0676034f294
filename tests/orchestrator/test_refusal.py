"""The service starts on a database at its own revision, and on no other; it says why in a line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from llm_orchestrator.revision import DatabaseRefused, require_head
from tests.support.machine import as_nobody
from tests.support.migration_chain import execute, upgrade
from tests.support.orchestrator import ADMIN, Service, command, copied, environment, running
from tests.support.processes import holding
from tests.support.sqlite_files import reachable_folder


def refusal(database: Path) -> str:
    """The line with which a database is refused."""
    with pytest.raises(DatabaseRefused) as refused:
        require_head(database, 1)
    text = str(refused.value)
    assert "\n" not in text
    return text


def start(database: Path, word: str, prefix: tuple[str, ...] = ()) -> str:
    """Start where it must not get far; return the one line that it leaves."""
    run = subprocess.run(
        [*prefix, *command(word)],
        env=environment(database, PORT="0"),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 3, run.stdout + run.stderr
    assert run.stderr.count("\n") == 1, run.stderr
    return run.stderr


@pytest.mark.parametrize("word", ["serve", "check-config"])
def test_the_commands_refuse_with_one_line(tmp_path: Path, word: str) -> None:
    upgrade(tmp_path / "x.db", "003")
    before = (tmp_path / "x.db").read_bytes()
    assert start(tmp_path / "x.db", word) == (
        f"llm-orchestrator: {tmp_path}/x.db is at revision 003, this release needs 004: "
        "type `orchctl upgrade`\n"
    )
    assert (tmp_path / "x.db").read_bytes() == before


def test_no_file(tmp_path: Path) -> None:
    text = refusal(tmp_path / "none.db")
    assert f"{tmp_path}/none.db does not exist: type `orchctl upgrade` to make it" in text
    assert not (tmp_path / "none.db").exists()


def test_no_folder(tmp_path: Path) -> None:
    assert f"there is no folder {tmp_path}/gone" in refusal(tmp_path / "gone" / "x.db")


def test_a_folder(tmp_path: Path) -> None:
    assert "is no file" in refusal(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    assert "has no tables yet: type `orchctl upgrade`" in refusal(tmp_path / "x.db")
    assert (tmp_path / "x.db").read_bytes() == b""


def test_somebody_elses_tables(tmp_path: Path) -> None:
    execute(tmp_path / "x.db", "CREATE TABLE t (x)")
    before = (tmp_path / "x.db").read_bytes()
    assert "no migration made them: see `orchctl status`" in refusal(tmp_path / "x.db")
    assert (tmp_path / "x.db").read_bytes() == before


def test_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database, but long enough to look at" * 100)
    assert "is no SQLite database" in refusal(tmp_path / "x.db")


@pytest.mark.parametrize("revision", ["005", "8f2c1d"])
def test_an_unknown_revision(database: Path, revision: str) -> None:
    execute(database, f"UPDATE alembic_version SET version_num = '{revision}'")
    text = refusal(database)
    assert f"is at revision {revision}, which release" in text
    assert "`orchctl rollback`" in text


def test_several_revisions(database: Path) -> None:
    execute(database, "INSERT INTO alembic_version VALUES ('003')")
    assert "has several revisions (003, 004)" in refusal(database)


def test_a_stamp_that_was_taken_away(database: Path) -> None:
    execute(database, "DELETE FROM alembic_version")
    assert "has tables but no revision" in refusal(database)


def test_what_may_not_be_written(template: Path) -> None:
    with reachable_folder() as folder:
        database = copied(template, folder / "data")
        database.chmod(0o444)
        database.parent.chmod(0o555)
        try:
            text = start(database, "serve", as_nobody())
        finally:
            database.parent.chmod(0o755)
    assert "or its folder is read-only: the service must be able to write there" in text


def test_a_locked_database(database: Path) -> None:
    with holding(database, "PRAGMA journal_mode = DELETE", "BEGIN EXCLUSIVE"):
        assert "is locked by another process" in refusal(database)


def test_a_writer_does_not_keep_it_from_starting(database: Path) -> None:
    with (
        holding(database, "PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE"),
        running(database) as service,
        service.client() as client,
    ):
        assert client.get("/readyz").status_code == 200


def test_readiness_follows_the_database(database: Path) -> None:
    def ready(service: Service) -> tuple[int, str | None]:
        with service.client() as client:
            answer = client.get("/readyz")
            assert client.get("/health").status_code == 200
            assert client.get("/healthz").status_code == 200
            return answer.status_code, answer.json()["reason"]

    with running(database) as service:
        assert ready(service) == (200, None)
        execute(database, "UPDATE alembic_version SET version_num = '003'")
        assert ready(service) == (503, "older-revision")
        execute(database, "UPDATE alembic_version SET version_num = '005'")
        assert ready(service) == (503, "unknown-revision")
        with service.client(**ADMIN) as client:
            health = client.get("/api/admin/health")
            assert health.status_code == 503
            assert health.json()["status"] == "unhealthy"
            assert health.json()["database_status"] == "unknown-revision"
        execute(database, "UPDATE alembic_version SET version_num = '004'")
        assert ready(service) == (200, None)
        database.rename(database.with_suffix(".away"))
        assert ready(service) == (503, "missing")
        assert not database.exists()
        database.with_suffix(".away").rename(database)
        assert ready(service) == (200, None)
