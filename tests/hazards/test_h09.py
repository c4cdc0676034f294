"""H09: env.py opens another database than the one snapshotted."""

from __future__ import annotations

from pathlib import Path

from tests.support.env_shapes import SHAPES
from tests.support.projects import Project, bytes_of, execute

ELSEWHERE = SHAPES["own-create-engine"].replace(
    'create_engine(config.get_main_option("sqlalchemy.url"))', 'create_engine("sqlite:///other.db")'
)


def _project(tmp_path: Path, url: str | None) -> Project:
    project = Project(tmp_path / "project", env=ELSEWHERE, url=url)
    project.add("001", 'op.create_table("t", sa.Column("id", sa.Integer))')
    execute(project.database, "CREATE TABLE mine (id); INSERT INTO mine VALUES (1);")
    execute(project.folder / "other.db", "CREATE TABLE theirs (id); INSERT INTO theirs VALUES (1);")
    return project


def test_h09_refused_before_the_first_statement(tmp_path: Path) -> None:
    project = _project(tmp_path, "sqlite:///app.db")
    before = bytes_of(project.database), bytes_of(project.folder / "other.db")
    for words in (("upgrade",), ("upgrade", "--dry-run"), ("status",), ("rehearse",)):
        refused = project.orchctl(*words)
        assert refused.returncode == 5, (words, refused.stderr)
        assert "other.db, not" in refused.stderr
        assert "--url sqlite:///" in refused.stderr
    assert (bytes_of(project.database), bytes_of(project.folder / "other.db")) == before


def test_h09_without_a_url_the_file_that_env_opens_is_learnt_and_snapshotted(
    tmp_path: Path,
) -> None:
    project = _project(tmp_path, None)
    before = bytes_of(project.database)
    done = project.orchctl("upgrade", "--json")
    assert done.returncode == 0, done.stderr
    assert str(project.folder / "other.db") in done.stdout
    assert '"snapshot": {' in done.stdout
    assert bytes_of(project.database) == before
