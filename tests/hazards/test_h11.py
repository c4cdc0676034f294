"""H11: a revision turns foreign_keys on, changes journal_mode, ATTACHes, VACUUMs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.projects import Project, query

FORBIDDEN = {
    "foreign_keys": "PRAGMA foreign_keys=ON",
    "foreign_keys call": "pragma main.foreign_keys(1)",
    "journal_mode": "PRAGMA journal_mode = WAL",
    "attach": "ATTACH DATABASE 'other.db' AS other",
    "detach": "DETACH other",
    "vacuum": "VACUUM",
    "vacuum into": "/* why */ VACUUM INTO 'copy.db'",
}


OWN_ENGINE = """
engine = sa.create_engine("sqlite:///app.db", connect_args={"timeout": 0.2})
with engine.begin() as own:
    own.execute(sa.text("INSERT INTO t VALUES (9)"))
"""


def _project(tmp_path: Path, body: str) -> Project:
    project = Project(tmp_path / "project")
    project.add("001", 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))')
    assert project.orchctl("upgrade").returncode == 0
    project.add("002", f"op.execute('INSERT INTO t VALUES (1)')\n{body}")
    return project


@pytest.mark.parametrize("case", FORBIDDEN)
def test_h11_refused_by_revision_line_and_statement(tmp_path: Path, case: str) -> None:
    statement = FORBIDDEN[case]
    project = _project(tmp_path, f"op.execute({statement!r})")
    before = project.dump()
    refused = project.orchctl("upgrade", "--json")
    assert refused.returncode == 5, refused.stderr
    error = json.loads(refused.stderr)["error"]
    assert error["code"] == "outside-transaction"
    assert error["details"]["revision"] == "002"
    assert error["details"]["line"] == 19
    assert error["details"]["statement"] == statement
    assert error["hint"]
    assert project.dump() == before
    assert not (project.folder / "other.db").exists()


def test_h11_what_reaches_sqlite_around_the_guard_is_denied_there(tmp_path: Path) -> None:
    body = "op.get_bind().connection.dbapi_connection.real.execute('COMMIT')"
    project = _project(tmp_path, body)
    before = project.dump()
    failed = project.orchctl("upgrade")
    assert failed.returncode == 6
    assert "not authorized" in failed.stderr
    assert project.dump() == before


def test_h11_sys_exit_and_a_second_writer_are_refused(tmp_path: Path) -> None:
    for number, body in enumerate(("import sys\nsys.exit(0)", OWN_ENGINE)):
        project = _project(tmp_path / str(number), body)
        before = project.dump()
        refused = project.orchctl("upgrade", "--no-rehearse")
        assert refused.returncode == 5, refused.stderr
        assert "Revision 002" in refused.stderr
        assert project.dump() == before


def test_h11_the_usual_pair_around_a_batch_is_allowed(tmp_path: Path) -> None:
    project = _project(
        tmp_path,
        "op.execute('PRAGMA foreign_keys=OFF')\n"
        "with op.batch_alter_table('t') as batch:\n"
        "    batch.add_column(sa.Column('x', sa.Integer))\n"
        "op.execute('PRAGMA foreign_keys=ON')",
    )
    done = project.orchctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert query(project.database, "SELECT id FROM t") == [(1,)]
