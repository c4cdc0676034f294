"""One transaction, whatever env.py looks like, through and with a failure at the end."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchctl.config import load
from orchctl.errors import ConfigurationError, UpgradeFailed
from orchctl.upgrade.outcome import Hooks, Outcome, Participant
from orchctl.upgrade.transaction import Transaction
from tests.support.env_shapes import SHAPES, STOCK, url_for
from tests.support.projects import Project, bytes_of, execute, query

# Some of them leave connections to the garbage collector, of which Python 3.13 warns.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What an env.py left behind goes while that is still expected, not in somebody else's test."""
    yield
    gc.collect()


PARENT = """
op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
op.create_table(
    "child",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.Integer, sa.ForeignKey("parent.id", ondelete="CASCADE")),
)
"""
REBUILD = """
with op.batch_alter_table("parent") as batch:
    batch.alter_column("name", new_column_name="title")
op.execute("INSERT INTO parent (id, title) VALUES (100, 'new')")
"""


def _project(tmp_path: Path, shape: str) -> Project:
    project = Project(tmp_path / "project", url=url_for(shape), env=SHAPES[shape])
    project.add("001", PARENT)
    return project


def _run(
    project: Project, monkeypatch: pytest.MonkeyPatch, *, instead: Path | None = None
) -> Outcome:
    monkeypatch.chdir(project.folder)
    settings = load({}, {}, project.folder)
    hooks = Hooks(locked=lambda *_: None, step=lambda _: None, check=lambda *_: None)
    part = Participant(project.database, hooks, instead)
    return Transaction(settings, [part], "upgrade", "head").run()[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_reaches_head_with_all_rows(
    tmp_path: Path, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = _project(tmp_path, shape)
    outcome = _run(project, monkeypatch)
    assert outcome.after == ("001",)
    execute(
        project.database,
        "INSERT INTO parent VALUES (1, 'a'), (2, 'b'); INSERT INTO child VALUES (1, 1), (2, 2);",
    )
    project.add("002", REBUILD)
    outcome = _run(project, monkeypatch)
    assert [step.revision for step in outcome.applied] == ["002"]
    assert project.heads() == ["002"]
    assert query(project.database, "SELECT * FROM child") == [(1, 1), (2, 2)]
    assert query(project.database, "SELECT count(*) FROM parent") == [(3,)]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_as_before_after_a_failure_in_the_last_revision(
    tmp_path: Path, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = _project(tmp_path, shape)
    _run(project, monkeypatch)
    execute(project.database, "INSERT INTO parent VALUES (1, 'a'); INSERT INTO child VALUES (1, 1)")
    before = project.dump()
    project.add("002", REBUILD)
    project.add("003", 'op.execute("CREATE TABLE extra (id)")\nop.execute("SELECT * FROM nowhere")')
    with pytest.raises(UpgradeFailed) as caught:
        _run(project, monkeypatch)
    assert caught.value.details["revision"] == "003"
    assert "no such table: nowhere" in caught.value.message
    assert project.dump() == before


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_runs_on_another_file_without_touching_its_own(
    tmp_path: Path, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = _project(tmp_path, shape)
    _run(project, monkeypatch)
    before = bytes_of(project.database)
    copy = tmp_path / "copy.db"
    copy.write_bytes(project.database.read_bytes())
    project.add("002", REBUILD)
    assert _run(project, monkeypatch, instead=copy).after == ("002",)
    assert query(copy, "SELECT id, title FROM parent") == [(100, "new")]
    assert bytes_of(project.database) == before


def test_an_env_that_chooses_the_revisions_itself_is_refused(tmp_path: Path) -> None:
    env = STOCK.replace("context.configure(", "context.configure(fn=lambda heads, context: [], ", 2)
    assert env != STOCK
    project = Project(tmp_path / "project", env=env)
    project.add("001", PARENT)
    done = project.orchctl("upgrade")
    assert done.returncode == 5, done.stderr
    assert "`fn` of its own" in done.stderr
    assert not project.database.exists()


def test_an_env_that_fails_after_the_revisions_leaves_everything_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = _project(tmp_path, "fails-at-the-end")
    _run(project, monkeypatch)
    before = project.dump()
    project.add("002", REBUILD)
    (project.folder / "fail").touch()
    with pytest.raises(ConfigurationError, match="after everything"):
        _run(project, monkeypatch)
    assert project.dump() == before


ENGINE = """
engine = op.get_bind().engine
assert "seen" in sa.inspect(engine).get_table_names()
with engine.begin() as second:
    second.execute(sa.text("INSERT INTO seen VALUES (1)"))
with engine.connect() as third:
    third.execute(sa.text("INSERT INTO seen VALUES (2)"))
    third.commit()
"""


@pytest.mark.parametrize("shape", SHAPES)
def test_a_revision_that_goes_through_the_engine_sees_and_stays_in_the_run(
    tmp_path: Path, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = _project(tmp_path, shape)
    project.add("002", 'op.execute("CREATE TABLE seen (id INTEGER)")')
    project.add("003", ENGINE)
    _run(project, monkeypatch)
    assert query(project.database, "SELECT id FROM seen ORDER BY id") == [(1,), (2,)]
    before = project.dump()
    project.add("004", ENGINE)
    project.add("005", 'op.execute("SELECT * FROM nowhere")')
    with pytest.raises(UpgradeFailed):
        _run(project, monkeypatch)
    assert project.dump() == before


def test_an_env_py_that_names_the_folders_of_the_revisions_is_told_not_believed_at_head(
    tmp_path: Path,
) -> None:
    """Prefect's does; without its folders the chain is empty, and every database is at its head."""
    project = Project(tmp_path / "project", env=SHAPES["stock"])
    elsewhere = project.folder / "elsewhere"
    named = f"context.script.version_locations = [{str(elsewhere)!r}]\n"
    project.set_env(SHAPES["stock"].replace("config = ", named + "config = ", 1))
    project.add("001", PARENT).rename(elsewhere.mkdir() or elsewhere / "001.py")
    refused = project.orchctl("upgrade")
    assert refused.returncode == 3
    assert f"version_locations = {elsewhere}" in refused.stderr
    ini = project.folder / "alembic.ini"
    ini.write_text(f"{ini.read_text()}\nversion_locations = {elsewhere}\n")
    done = project.orchctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert project.heads() == ["001"]
