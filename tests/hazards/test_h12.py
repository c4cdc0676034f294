"""H12: a revision deletes or blanks data that it doesn't declare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.projects import Project, execute, query

CREATE = """
op.create_table(
    "parent",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("number", sa.Text),
)
op.create_table(
    "child",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.Integer, sa.ForeignKey("parent.id")),
)
op.create_table("loose", sa.Column("a", sa.Text), sa.Column("b", sa.Integer))
op.create_table("keyed", sa.Column("code", sa.String(9), primary_key=True), sa.Column("v", sa.Text))
"""
ROWS = """
INSERT INTO parent VALUES (1, 'one', '2024-01-02'), (2, 'two', '12abc'), (3, NULL, '7');
INSERT INTO child VALUES (10, 1), (20, 2), (30, NULL);
INSERT INTO loose VALUES ('x', 1), ('x', 1), ('y', 2);
INSERT INTO keyed VALUES ('k1', 'v1'), ('k2', 'v2');
"""

CAST = """
with op.batch_alter_table("parent") as batch:
    batch.alter_column("number", type_=sa.Integer)
"""
TRIGGER = """
op.execute("CREATE TRIGGER t AFTER INSERT ON loose BEGIN "
           "UPDATE parent SET name = 'gone' WHERE id = 1; END")
op.execute("INSERT INTO loose VALUES ('z', 3)")
"""

LOSSES = {
    "rows": ('op.execute("DELETE FROM parent WHERE id = 3")', "parent", 1, ["3"]),
    "all rows": ('op.execute("DELETE FROM child")', "child", 3, ["10", "20", "30"]),
    "nulled": ('op.execute("UPDATE parent SET name = NULL WHERE id = 1")', "parent.name", 1, ["1"]),
    "emptied": ("op.execute(\"UPDATE parent SET name = ''\")", "parent.name", 2, ["1", "2"]),
    "link": (
        'op.execute("UPDATE child SET parent_id = NULL WHERE id = 20")',
        "child.parent_id",
        1,
        ["20"],
    ),
    "cast": (
        CAST,
        "parent.number",
        2,
        ["1", "2"],
    ),
    "column": ('op.drop_column("parent", "name")', "parent.name", 2, []),
    "table": ('op.drop_table("keyed")', "keyed", 2, []),
    "without key": ("op.execute(\"DELETE FROM loose WHERE a = 'y'\")", "loose", 1, ["3"]),
    "text key": ("op.execute(\"DELETE FROM keyed WHERE code = 'k2'\")", "keyed", 1, ["k2"]),
    "by trigger": (
        TRIGGER,
        "parent.name",
        1,
        ["1"],
    ),
}

KEPT = {
    "update": 'op.execute("UPDATE parent SET name = upper(name)")',
    "filled": "op.execute(\"UPDATE parent SET name = 'none' WHERE name IS NULL\")",
    "insert": "op.execute(\"INSERT INTO keyed VALUES ('k3', 'v3')\")",
    "rename column": 'op.alter_column("parent", "name", new_column_name="title")',
    "rename column by batch": (
        'with op.batch_alter_table("parent") as batch:\n'
        '    batch.alter_column("name", new_column_name="title")'
    ),
    "rename table": 'op.rename_table("keyed", "key_values")',
    "moved to a table": (
        'op.execute("CREATE TABLE names (parent_id INTEGER PRIMARY KEY, name TEXT)")\n'
        'op.execute("INSERT INTO names SELECT id, name FROM parent")\n'
        'op.drop_column("parent", "name")'
    ),
    "rebuilt without a key": (
        'with op.batch_alter_table("loose") as batch:\n'
        '    batch.alter_column("b", type_=sa.BigInteger)'
    ),
    "clean cast": (
        "op.execute(\"UPDATE parent SET number = '5' WHERE number <> '7'\")\n"
        'with op.batch_alter_table("parent") as batch:\n'
        '    batch.alter_column("number", type_=sa.Integer)'
    ),
    "empty column": (
        'op.add_column("keyed", sa.Column("e", sa.Text))\nop.drop_column("keyed", "e")'
    ),
}


def _project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.add("001", CREATE)
    assert project.orchctl("upgrade").returncode == 0
    execute(project.database, ROWS)
    return project


@pytest.mark.parametrize("case", LOSSES)
def test_h12_undeclared_loss_stops_the_run_and_names_what_would_declare_it(
    tmp_path: Path, case: str
) -> None:
    body, place, rows, keys = LOSSES[case]
    project = _project(tmp_path)
    project.add("002", body)
    before = project.dump()
    refused = project.orchctl("upgrade", "--json")
    assert refused.returncode == 5, refused.stderr
    error = json.loads(refused.stderr)["error"]
    assert error["code"] == "data-loss"
    (loss,) = error["details"]["losses"]
    assert (loss["place"], loss["rows"], loss["keys"]) == (place, rows, keys)
    assert f"--allow-loss {place}" in error["hint"]
    assert project.dump() == before
    allowed = project.orchctl("upgrade", "--allow-loss", place)
    assert allowed.returncode == 0, allowed.stderr
    assert project.heads() == ["002"]


@pytest.mark.parametrize("case", KEPT)
def test_h12_ordinary_data_migrations_pass_undisturbed(tmp_path: Path, case: str) -> None:
    project = _project(tmp_path)
    project.add("002", KEPT[case])
    done = project.orchctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert project.heads() == ["002"]


def test_h12_a_declaration_in_the_revision_lets_it_through(tmp_path: Path) -> None:
    project = _project(tmp_path)
    path = project.add("002", 'op.drop_column("parent", "name")')
    path.write_text(path.read_text() + '\n\norchctl_allow_loss = {"parent.name"}\n')
    assert project.orchctl("upgrade").returncode == 0
    assert "name" not in [row[1] for row in query(project.database, "PRAGMA table_info(parent)")]


def test_h12_without_a_snapshot_the_proof_counts_and_in_wal_mode_compares(tmp_path: Path) -> None:
    project = _project(tmp_path)
    project.add("002", 'op.execute("UPDATE parent SET name = NULL")')
    execute(project.database, "PRAGMA journal_mode=WAL")
    refused = project.orchctl("upgrade", "--no-backup", "--json")
    assert json.loads(refused.stderr)["error"]["code"] == "data-loss"
    execute(project.database, "PRAGMA journal_mode=DELETE")
    project.add("003", 'op.execute("DELETE FROM keyed")')
    refused = project.orchctl("upgrade", "--no-backup", "--json", "--allow-loss", "parent")
    (loss,) = json.loads(refused.stderr)["error"]["details"]["losses"]
    assert (loss["place"], loss["rows"]) == ("keyed", 2)
