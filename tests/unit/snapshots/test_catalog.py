from __future__ import annotations

from pathlib import Path

import pytest

from orchctl.errors import Refused, UsageError
from orchctl.snapshots.catalog import Catalog, default_directory
from orchctl.snapshots.take import take
from tests.support.sqlite_files import make, process


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return make(tmp_path / "app.db", rows=1)


def test_an_empty_catalog(database: Path) -> None:
    catalog = Catalog.beside(database)
    assert catalog.directory == database.parent / "backups"
    assert catalog.list() == ()
    assert catalog.latest() is None
    assert not catalog.directory.exists()


def test_the_default_is_beside_the_real_file(tmp_path: Path, database: Path) -> None:
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "app.db").symlink_to(database)
    assert default_directory(tmp_path / "link" / "app.db") == tmp_path / "backups"


def test_a_snapshot_by_its_id_its_beginning_or_as_the_latest(database: Path) -> None:
    catalog = Catalog.beside(database)
    one, two = (take(database, catalog.directory, reason="manual") for _ in range(2))
    assert catalog.list() == (one, two)
    assert catalog.get(two.id) == catalog.get("latest") == catalog.latest() == two
    with pytest.raises(UsageError) as caught:
        catalog.get(one.id[:8])
    assert caught.value.code == "ambiguous-snapshot"
    assert one.id in str(caught.value.hint)
    two.path.unlink()
    two.manifest.unlink()
    assert catalog.get(one.id[:8]) == one


def test_an_id_that_is_the_beginning_of_nothing(database: Path) -> None:
    catalog = Catalog.beside(database)
    snapshot = take(database, catalog.directory, reason="manual")
    for text in (snapshot.id[:-1] + "x", "nonsense", ""):
        with pytest.raises(UsageError) as caught:
            catalog.get(text)
        assert caught.value.code == "unknown-snapshot"
        assert caught.value.exit_code == 2
        assert snapshot.id in str(caught.value.hint)


def test_no_snapshot_at_all_says_how_to_take_one(database: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Catalog.beside(database).get("latest")
    assert "orchctl backup create" in str(caught.value.hint)


def test_pinning(database: Path) -> None:
    catalog = Catalog.beside(database)
    snapshot = take(database, catalog.directory, reason="manual")
    assert catalog.pin(snapshot.id).pinned
    assert catalog.list()[0].pinned
    assert catalog.pin(snapshot.id).pinned
    assert not catalog.unpin("latest").pinned
    assert catalog.list() == (snapshot,)


def test_changes_of_a_manifest_by_several_processes_are_all_kept(database: Path) -> None:
    catalog = Catalog.beside(database)
    snapshots = [take(database, catalog.directory, reason="manual") for _ in range(6)]
    program = """
    import sys
    from pathlib import Path
    from orchctl.snapshots.catalog import Catalog
    from orchctl.snapshots.verify import verify
    catalog = Catalog.beside(Path(sys.argv[1]))
    for snapshot in catalog.list():
        verify(snapshot) if sys.argv[2] == "verify" else catalog.pin(snapshot.id)
    """
    with process(program, database, "verify") as one, process(program, database, "pin") as two:
        assert [one.end(), two.end()] == [0, 0]
    found = catalog.list()
    assert [(one.status, one.pinned) for one in found] == [("verified", True)] * len(snapshots)


def test_databases_of_one_name_share_a_directory_without_mixing(tmp_path: Path) -> None:
    shared = tmp_path / "all-backups"
    databases = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        databases.append(make(tmp_path / name / "app.db", rows=3, revision=name))
    other = make(tmp_path / "one" / "other.db")
    taken = [take(database, shared, reason="manual") for database in (*databases, other)]
    for database, snapshot in zip((*databases, other), taken, strict=True):
        assert Catalog(shared, database).list() == (snapshot,)
        assert Catalog(shared, database).latest() == snapshot
    assert list(Catalog(shared, None).list()) == taken
    assert Catalog(shared, None).get(taken[1].id) == taken[1]


def test_a_database_in_the_directory_of_another(tmp_path: Path, database: Path) -> None:
    (tmp_path / "b").mkdir()
    second = make(tmp_path / "b" / "app.db")
    one = take(database, tmp_path / "backups", reason="manual")
    two = take(second, tmp_path / "backups", reason="manual")
    assert Catalog(tmp_path / "backups", database).list() == (one,)
    assert Catalog(tmp_path / "backups", second).list() == (two,)


def test_snapshots_move_with_their_database(tmp_path: Path) -> None:
    """The same volume is /app/data in the container and something else outside."""
    (tmp_path / "host").mkdir()
    database = make(tmp_path / "host" / "app.db")
    snapshot = take(database, tmp_path / "host" / "backups", reason="manual")
    (tmp_path / "host").rename(tmp_path / "container")
    (found,) = Catalog.beside(tmp_path / "container" / "app.db").list()
    assert found.id == snapshot.id
    assert found.usable


def test_other_files_in_the_directory_do_not_matter(database: Path) -> None:
    catalog = Catalog.beside(database)
    snapshot = take(database, catalog.directory, reason="manual")
    for name in ("journal.jsonl", "app.db", "app.db.snapshot", "notes.json", "app.db.x.snapshot"):
        (catalog.directory / name).write_text("?")
    (catalog.directory / "folder.json").mkdir()
    assert catalog.list() == (snapshot,)


def test_a_directory_that_is_a_file(tmp_path: Path, database: Path) -> None:
    (tmp_path / "backups").write_text("?")
    with pytest.raises(Refused) as caught:
        Catalog.beside(database).list()
    assert caught.value.code == "cannot-open"
    with pytest.raises(Refused):
        take(database, tmp_path / "backups", reason="manual")


def test_names_with_odd_letters(tmp_path: Path) -> None:
    database = make(tmp_path / "a b.(x) ä#%?.db")
    snapshot = take(database, tmp_path / "back ups#%?", reason="manual")
    assert Catalog(tmp_path / "back ups#%?", database).list() == (snapshot,)
