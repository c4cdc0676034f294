"""H04: a commit inside a revision, in every way that real chains write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.env_shapes import SHAPES, url_for
from tests.support.projects import Project, query

COMMITS = {
    "bind.commit": "op.get_bind().commit()",
    "session.commit": """
from sqlalchemy.orm import Session
session = Session(bind=op.get_bind())
session.execute(sa.text("INSERT INTO t VALUES (20)"))
session.commit()
""",
    "op.execute": 'op.execute("COMMIT")',
    "commit and begin": 'op.execute("COMMIT")\nop.execute("BEGIN")',
    "end": 'op.execute(" -- why\\n end transaction ")',
    "executescript": 'op.get_bind().connection.executescript("INSERT INTO t VALUES (20); COMMIT;")',
    "autocommit_block": """
with op.get_context().autocommit_block():
    op.execute("INSERT INTO t VALUES (20)")
""",
    "begin_nested": """
with op.get_bind().begin_nested():
    op.execute("INSERT INTO t VALUES (20)")
""",
    "raw commit": "op.get_bind().connection.commit()",
    "driver commit": "op.get_bind().connection.dbapi_connection.commit()",
    "isolation level": 'op.get_bind().connection.dbapi_connection.isolation_level = "IMMEDIATE"',
}
BODY = 'op.execute("INSERT INTO t VALUES (1)")\n{}\nop.execute("INSERT INTO t VALUES (2)")'
SYNC_ONLY = {"executescript", "raw commit", "driver commit", "isolation level"}


def _project(tmp_path: Path, shape: str) -> Project:
    project = Project(tmp_path / "project", env=SHAPES[shape], url=url_for(shape))
    project.add("001", 'op.create_table("t", sa.Column("id", sa.Integer))')
    assert project.orchctl("upgrade").returncode == 0
    return project


CASES = [("stock", commit) for commit in COMMITS] + [
    ("async", commit) for commit in COMMITS if commit not in SYNC_ONLY
]


@pytest.mark.parametrize(("shape", "commit"), CASES, ids=[" ".join(case) for case in CASES])
def test_h04_the_run_stays_one_unit(tmp_path: Path, shape: str, commit: str) -> None:
    project = _project(tmp_path, shape)
    project.add("002", BODY.format(COMMITS[commit].strip()))
    failing = project.add("003", 'op.execute("INSERT INTO nowhere VALUES (1)")')
    before = project.dump()
    failed = project.orchctl("upgrade")
    assert failed.returncode == 6, failed.stderr
    assert "Revision 003" in failed.stderr
    assert project.dump() == before
    failing.unlink()
    done = project.orchctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert project.heads() == ["002"]
    rows = [row[0] for row in query(project.database, "SELECT id FROM t ORDER BY id")]
    assert rows in ([1, 2], [1, 2, 20])


def test_h04_a_rollback_inside_a_revision_undoes_what_came_after_its_last_commit(
    tmp_path: Path,
) -> None:
    project = _project(tmp_path, "stock")
    body = """
op.execute("INSERT INTO t VALUES (1)")
op.get_bind().commit()
op.execute("INSERT INTO t VALUES (2)")
op.get_bind().rollback()
op.execute("INSERT INTO t VALUES (3)")
"""
    project.add("002", body)
    assert project.orchctl("upgrade").returncode == 0
    assert query(project.database, "SELECT id FROM t") == [(1,), (3,)]


@pytest.mark.parametrize("first", ["COMMIT", "BEGIN", "PRAGMA foreign_keys=OFF"])
def test_h04_several_statements_at_once_are_refused_as_ever_not_dropped(
    tmp_path: Path, first: str
) -> None:
    project = _project(tmp_path, "stock")
    project.add("002", f'op.execute("{first}; INSERT INTO t VALUES (1)")')
    before = project.dump()
    failed = project.orchctl("upgrade")
    assert failed.returncode == 6
    assert "one statement at a time" in failed.stderr
    assert project.dump() == before
    project.revisions.remove("002")
    project.add("002", f'op.execute("{first}; -- and no more")')
    assert project.orchctl("upgrade").returncode == 0
