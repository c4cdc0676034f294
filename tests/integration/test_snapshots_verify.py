"""S03: a snapshot that is not what was taken is found, named, and never offered."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from orchctl.errors import Refused, UsageError
from orchctl.snapshots.catalog import Catalog
from orchctl.snapshots.manifest import Snapshot
from orchctl.snapshots.restore import restore
from orchctl.snapshots.take import take
from orchctl.snapshots.verify import verify
from tests.support.sqlite_files import bytes_beside, make, ordinary_user, reachable_folder, run_sql


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return make(tmp_path / "app.db", "wal")


@pytest.fixture
def catalog(database: Path) -> Catalog:
    return Catalog.beside(database)


@pytest.fixture
def snapshot(database: Path, catalog: Catalog) -> Snapshot:
    return take(database, catalog.directory, reason="manual")


@pytest.mark.parametrize("full", [False, True])
def test_a_good_one_is_verified_and_left_as_it_was(
    full: bool, snapshot: Snapshot, catalog: Catalog
) -> None:
    content = snapshot.path.read_bytes()
    result = verify(snapshot, full=full)
    assert (result.ok, result.problems, result.recorded, result.full) == (True, (), True, full)
    assert catalog.list() == (replace(snapshot, status="verified"),)
    assert snapshot.path.read_bytes() == content
    assert len(list(catalog.directory.iterdir())) == 2


def flip_a_bit(snapshot: Snapshot) -> None:
    content = bytearray(snapshot.path.read_bytes())
    place = content.index(b"x" * 300) + 100
    content[place] ^= 1
    snapshot.path.write_bytes(content)


def truncate(snapshot: Snapshot) -> None:
    os.truncate(snapshot.path, snapshot.size - 4096)


def lengthen(snapshot: Snapshot) -> None:
    with snapshot.path.open("ab") as stream:
        stream.write(b"\0")


def empty(snapshot: Snapshot) -> None:
    os.truncate(snapshot.path, 0)


def write_into(snapshot: Snapshot) -> None:
    run_sql(snapshot.path, "UPDATE parent SET name = 'P1' WHERE id = 1")


def lose_the_file(snapshot: Snapshot) -> None:
    snapshot.path.unlink()


def lose_the_manifest(snapshot: Snapshot) -> None:
    snapshot.manifest.unlink()


def spoil_the_manifest(snapshot: Snapshot) -> None:
    snapshot.manifest.write_text(snapshot.manifest.read_text()[:100])


def swap_the_manifest(snapshot: Snapshot) -> None:
    content = json.loads(snapshot.manifest.read_text())
    content["id"] = "20200101T000000-000"
    snapshot.manifest.write_text(json.dumps(content))


def retype_the_manifest(snapshot: Snapshot) -> None:
    content = json.loads(snapshot.manifest.read_text())
    content["row_counts"] = ["parent"]
    snapshot.manifest.write_text(json.dumps(content))


SEEN_AT_ONCE = {
    truncate: "bytes instead of",
    lengthen: "bytes instead of",
    empty: "0 bytes instead of",
    lose_the_file: "its file is missing",
    lose_the_manifest: "it has no manifest",
    spoil_the_manifest: "its manifest is unreadable",
    swap_the_manifest: "its manifest is that of 20200101T000000-000",
    retype_the_manifest: "its manifest is unreadable",
}


@pytest.mark.parametrize(("spoil", "note"), SEEN_AT_ONCE.items())
def test_s03_what_the_list_sees(
    spoil: Callable[[Snapshot], None],
    note: str,
    snapshot: Snapshot,
    catalog: Catalog,
    database: Path,
) -> None:
    spoil(snapshot)
    (found,) = catalog.list()
    assert found.id == snapshot.id
    assert found.status == "damaged"
    assert note in found.note
    refused_everywhere(found, catalog, database)
    result = verify(found)
    assert not result.ok
    assert result.problems


@pytest.mark.parametrize("spoil", [flip_a_bit, write_into])
def test_s03_what_only_the_hash_sees(
    spoil: Callable[[Snapshot], None], snapshot: Snapshot, catalog: Catalog, database: Path
) -> None:
    spoil(snapshot)
    with closing(sqlite3.connect(snapshot.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert catalog.list()[0].status == "complete"
    before = bytes_beside(database)
    with pytest.raises(Refused) as caught:
        restore(snapshot, database, timeout=1)
    assert caught.value.code == "snapshot-damaged"
    assert "sha256" in caught.value.message
    assert bytes_beside(database) == before
    result = verify(snapshot)
    assert not result.ok
    assert result.recorded
    (found,) = catalog.list()
    assert found.status == "damaged"
    assert "sha256" in found.note
    refused_everywhere(found, catalog, database)


def refused_everywhere(found: Snapshot, catalog: Catalog, database: Path) -> None:
    assert not found.usable
    assert catalog.latest() is None
    with pytest.raises(UsageError):
        catalog.get("latest")
    before = bytes_beside(database)
    with pytest.raises(Refused) as caught:
        restore(found, database, timeout=1)
    assert caught.value.code == "snapshot-damaged"
    assert caught.value.exit_code == 5
    assert bytes_beside(database) == before


def test_a_corrupt_page_that_was_copied_along_is_found(tmp_path: Path) -> None:
    """The copy is faithful to what it copied: the hash fits, the content doesn't."""
    database = make(tmp_path / "app.db")
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'parent_id)', 'id)') "
            "WHERE name = 'ix_child_parent'"
        )
    result = verify(take(database, tmp_path / "backups", reason="manual"))
    assert not result.ok
    assert "ix_child_parent" in result.problems[0]
    assert result.snapshot.status == "damaged"


def test_links_that_were_broken_before_are_told_but_are_no_damage(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    run_sql(database, "INSERT INTO child (id, parent_id) VALUES (9999, 12345)")
    result = verify(take(database, tmp_path / "backups", reason="manual"))
    assert result.ok
    assert result.foreign_keys == {("child", 9999, "parent", 0)}


def test_verified_again_after_a_passing_trouble(snapshot: Snapshot, catalog: Catalog) -> None:
    content = snapshot.path.read_bytes()
    flip_a_bit(snapshot)
    assert verify(snapshot).snapshot.status == "damaged"
    snapshot.path.write_bytes(content)
    result = verify(catalog.list()[0])
    assert result.ok
    assert catalog.list()[0].status == "verified"
    assert catalog.list()[0].note == ""


def test_a_manifest_that_may_not_be_written_is_no_reason_not_to_verify() -> None:
    with reachable_folder() as folder:
        database = make(folder / "app.db")
        snapshot = take(database, folder / "backups", reason="manual")
        snapshot.path.chmod(0o644)
        snapshot.manifest.chmod(0o644)
        (folder / "backups").chmod(0o555)
        with ordinary_user():
            result = verify(snapshot)
        assert (result.ok, result.recorded) == (True, False)
        assert Catalog.beside(database).list()[0].status == "complete"


def test_a_newer_orchctls_snapshot_spoils_nothing_but_itself(
    snapshot: Snapshot, catalog: Catalog, database: Path
) -> None:
    content = json.loads(snapshot.manifest.read_text())
    snapshot.manifest.write_text(json.dumps({"format": 2, "id": {"other": content["id"]}}))
    older = take(database, catalog.directory, reason="manual")
    newer, known = catalog.list()
    assert newer.status == "damaged"
    assert "newer orchctl" in newer.note
    assert known == older
    assert catalog.latest() == older
    for use in (
        lambda: catalog.get(snapshot.id),
        lambda: verify(newer),
        lambda: restore(newer, database, timeout=1),
        lambda: catalog.pin(snapshot.id),
    ):
        with pytest.raises(Refused) as caught:
            use()
        assert caught.value.code == "snapshot-format"
        assert str(snapshot.path) in str(caught.value.hint)
    assert json.loads(snapshot.manifest.read_text())["format"] == 2


def test_progress_of_the_hash(snapshot: Snapshot) -> None:
    told: list[tuple[int, int]] = []
    verify(snapshot, progress=lambda *pair: told.append(pair))
    assert told[-1] == (snapshot.size, snapshot.size)
