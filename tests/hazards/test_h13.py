"""H13: batch mode drops what it can't reflect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.projects import Project, execute, query

CREATE = '''
op.execute("""
CREATE TABLE p (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT COLLATE NOCASE,
    n INTEGER CHECK (n > 0),
    u TEXT,
    w TEXT,
    UNIQUE (u) ON CONFLICT REPLACE
)
""")
op.execute("CREATE TABLE q (id INTEGER PRIMARY KEY, name TEXT, n INTEGER, w TEXT)")
op.execute("CREATE TABLE audit (id INTEGER)")
op.execute("CREATE INDEX q_lower ON q (lower(name))")
op.execute("CREATE INDEX q_desc ON q (name DESC)")
op.execute("CREATE INDEX q_partial ON q (n) WHERE n > 3")
op.execute("CREATE TRIGGER q_audit AFTER INSERT ON q BEGIN INSERT INTO audit VALUES (new.id); END")
op.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, q_id INTEGER REFERENCES q (id) "
           "ON DELETE CASCADE, w TEXT)")
op.execute("CREATE TABLE i (id INT PRIMARY KEY, w TEXT)")
op.execute("CREATE TABLE k (a INTEGER, b INTEGER, w TEXT, UNIQUE (a, b))")
'''
REBUILD = (
    'with op.batch_alter_table("{}") as batch:\n    batch.alter_column("w", type_=sa.String(9))'
)


def _project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.add("001", CREATE)
    assert project.orchctl("upgrade").returncode == 0
    execute(
        project.database, "INSERT INTO q (name, n) VALUES ('a', 1); INSERT INTO p (n) VALUES (1)"
    )
    return project


def _schema(project: Project) -> set[tuple]:
    return set(query(project.database, "SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'q'"))


def test_h13_triggers_and_indexes_are_put_back_in_the_same_transaction(tmp_path: Path) -> None:
    project = _project(tmp_path)
    before = {row for row in _schema(project) if row[0] != "q"}
    project.add("002", REBUILD.format("q"))
    done = project.orchctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert {row for row in _schema(project) if row[0] != "q"} == before
    for thing in ("trigger q_audit", "index q_lower", "index q_desc"):
        assert f"Put back, dropped by a table rebuild: {thing}" in done.stderr
    assert query(project.database, "SELECT count(*) FROM audit") == [(1,)]


@pytest.mark.parametrize(
    ("table", "kinds"),
    [
        ("p", {"autoincrement", "collation", "check", "on-conflict"}),
        ("c", {"foreign-key"}),
        ("i", {"rowid-alias"}),
    ],
)
def test_h13_what_cannot_be_put_back_stops_the_run(
    tmp_path: Path, table: str, kinds: set[str]
) -> None:
    project = _project(tmp_path)
    project.add("002", REBUILD.format(table))
    before = project.dump()
    refused = project.orchctl("upgrade", "--json")
    assert refused.returncode == 5, refused.stderr
    error = json.loads(refused.stderr)["error"]
    assert error["code"] == "schema-loss"
    assert {loss["kind"] for loss in error["details"]["losses"]} == kinds
    assert project.dump() == before
    assert project.orchctl("upgrade", "--allow-loss", table).returncode == 0


def test_h13_a_primary_key_in_a_new_column_is_no_loss(tmp_path: Path) -> None:
    """Dagster's d9092588866f gives tables without a primary key one."""
    project = _project(tmp_path)
    execute(project.database, "CREATE TABLE kvs (key TEXT NOT NULL, value TEXT);")
    execute(project.database, "INSERT INTO kvs VALUES ('cursor', '17')")
    key = 'sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)'
    body = f'with op.batch_alter_table("kvs", recreate="always") as b:\n    b.add_column({key})'
    project.add("002", body)
    done = project.orchctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert query(project.database, "SELECT * FROM kvs") == [("cursor", "17", 1)]


def test_h13_a_dropped_column_that_takes_a_unique_with_it_is_told(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("002", 'with op.batch_alter_table("k") as batch:\n    batch.drop_column("b")')
    error = json.loads(project.orchctl("upgrade", "--json").stderr)["error"]
    assert [loss["kind"] for loss in error["details"]["losses"]] == ["unique"]


def test_h13_what_a_revision_drops_by_name_stays_dropped(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add(
        "002",
        'op.execute("DROP TRIGGER q_audit")\nop.drop_index("q_lower", "q")\n' + REBUILD.format("q"),
    )
    done = project.orchctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert {row[0] for row in _schema(project)} == {"q", "q_desc", "q_partial"}


def test_h13_a_trigger_that_no_longer_fits_stops_the_run(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add(
        "002",
        'op.execute("CREATE TABLE other (id INTEGER)")\n'
        'with op.batch_alter_table("q") as batch:\n'
        '    batch.alter_column("name", new_column_name="title")',
    )
    refused = project.orchctl("upgrade", "--json")
    error = json.loads(refused.stderr)["error"]
    assert error["code"] == "schema-loss"
    assert "q_lower" in error["message"]
