"""H01: a revision fails at its third statement."""

from __future__ import annotations

from pathlib import Path

from tests.support.projects import Project, execute

CREATE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))'
FAILS = """
op.execute("CREATE TABLE one (id INTEGER)")
op.execute("INSERT INTO t (id) VALUES (77)")
op.execute("INSERT INTO nowhere VALUES (1)")
"""


def test_h01_everything_is_back_and_the_next_run_just_works(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.add("001", CREATE)
    assert project.orchctl("upgrade").returncode == 0
    execute(project.database, "INSERT INTO t VALUES (1), (2)")
    before = project.dump()
    project.add("002", 'op.add_column("t", sa.Column("x", sa.Text))')
    broken = project.add("003", FAILS)
    failed = project.orchctl("upgrade")
    assert failed.returncode == 6
    for word in ("Revision 003", "003_step.py:", "no such table: nowhere", "INSERT INTO nowhere"):
        assert word in failed.stderr
    assert project.dump() == before
    assert failed.stderr.count("error:") == 1
    broken.write_text(broken.read_text().replace("nowhere VALUES", "one VALUES"))
    assert project.orchctl("upgrade").returncode == 0
    assert project.heads() == ["003"]


def test_h01_a_first_run_that_fails_leaves_no_file(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.add("001", FAILS)
    assert project.orchctl("upgrade").returncode == 6
    assert not project.database.exists()


def test_h01_with_every_revision_that_could_be_the_one(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    paths = [project.add(f"{n:03}", f'op.execute("CREATE TABLE t{n} (id)")') for n in range(1, 5)]
    for path in paths:
        text = path.read_text()
        path.write_text(text.replace('    op.execute("', '    op.execute("SYNTAX ', 1))
        assert project.orchctl("upgrade").returncode == 6
        assert not project.database.exists()
        path.write_text(text)
    assert project.orchctl("upgrade").returncode == 0
