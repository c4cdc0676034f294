"""What the lint rules say of Alembic and SQLite, tried with both on real files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from orchctl.chain.lint.rules import LINT_RULES
from tests.support.linted import found, linted, revision
from tests.support.projects import Project, execute, query
from tests.support.rule_examples import example, write_example

RULES = [rule.id for rule in LINT_RULES]
OLDER = sqlite3.sqlite_version_info < (3, 53)


def config(project: Project) -> Config:
    made = Config(project.folder / "alembic.ini")
    made.set_main_option("sqlalchemy.url", f"sqlite:///{project.database}")
    return made


def at_first(folder: Path, rule: str, kind: str) -> Project:
    """The example's chain, its database at 001 with a row in each table."""
    project = Project(folder / kind)
    write_example(project.folder / "migrations" / "versions", example(rule, kind))
    command.upgrade(config(project), "001")
    execute(project.database, "INSERT INTO users (name) VALUES ('Ann')")
    if rule == "L05":
        execute(project.database, "INSERT INTO posts (author) VALUES (1)")
    return project


@pytest.fixture
def enforced() -> Iterator[None]:
    """Every connection with foreign_keys=ON, as many applications have it."""

    def switch_on(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys=ON")

    sa.event.listen(Engine, "connect", switch_on)
    yield
    sa.event.remove(Engine, "connect", switch_on)


@pytest.mark.parametrize("rule", RULES)
def test_the_right_example_upgrades(rule: str, tmp_path: Path, enforced: None) -> None:
    project = at_first(tmp_path, rule, "Right")
    command.upgrade(config(project), "head")
    assert project.heads() == ["002"]
    if rule == "L05":
        assert query(project.database, "SELECT author FROM posts") == [(1,)]


FAILING = {
    "L03": "Cannot add a NOT NULL column with default value NULL",
    "L04": "Cannot add a column with non-constant default",
    "L06": "Constraint must have a name",
    "L10": 'near "ALTER": syntax error',
    "L13": "unexpected keyword argument 'else_'",
}


@pytest.mark.parametrize("rule", FAILING)
def test_the_wrong_example_fails_with_these_words(rule: str, tmp_path: Path) -> None:
    project = at_first(tmp_path, rule, "Wrong")
    with pytest.raises((sa.exc.OperationalError, ValueError, TypeError), match=FAILING[rule]):
        command.upgrade(config(project), "head")
    assert project.heads() == ["001"]


def test_l01_the_version_is_not_stored(tmp_path: Path) -> None:
    project = at_first(tmp_path, "L01", "Wrong")
    command.upgrade(config(project), "head")
    assert project.heads() == ["001"]


def test_l02_the_data_is_gone(tmp_path: Path) -> None:
    project = at_first(tmp_path, "L02", "Wrong")
    command.upgrade(config(project), "head")
    command.downgrade(config(project), "001")
    assert query(project.database, "SELECT name FROM users") == [(None,)]


def test_l05_the_children_are_gone(tmp_path: Path, enforced: None) -> None:
    project = at_first(tmp_path, "L05", "Wrong")
    command.upgrade(config(project), "head")
    assert query(project.database, "SELECT * FROM posts") == []
    assert query(project.database, "SELECT name FROM users") == [("Ann",)]


def test_l07_the_table_is_still_there(tmp_path: Path) -> None:
    project = at_first(tmp_path, "L07", "Wrong")
    command.upgrade(config(project), "head")
    command.downgrade(config(project), "001")
    with pytest.raises(sa.exc.OperationalError, match="already exists"):
        command.upgrade(config(project), "head")


def test_l08_the_model_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "models.py").write_text(
        "import sqlalchemy as sa\nfrom sqlalchemy.orm import declarative_base\n"
        "class User(declarative_base()):\n    __tablename__ = 'users'\n"
        "    id = sa.Column(sa.Integer, primary_key=True)\n    name = sa.Column(sa.Text)\n"
        "    email = sa.Column(sa.Text, onupdate='none')  # of revision 003\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    project = at_first(tmp_path, "L08", "Wrong")
    with pytest.raises(sa.exc.OperationalError, match="no such column"):
        command.upgrade(config(project), "head")


def test_l09_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = at_first(tmp_path, "L09", "Wrong")
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'fetchall'"):
        command.upgrade(config(project), "head", sql=True)
    command.upgrade(config(project), "head")
    assert project.heads() == ["002"]


def test_l11_the_revision_counts_as_done(tmp_path: Path) -> None:
    project = at_first(tmp_path, "L11", "Wrong")
    execute(project.database, "DROP TABLE users")
    command.upgrade(config(project), "head")
    assert project.heads() == ["002"]


def test_l12_it_is_ignored_in_a_transaction(tmp_path: Path) -> None:
    project = at_first(tmp_path, "L12", "Wrong")
    (path,) = (project.folder / "migrations" / "versions").glob("002_*.py")
    check = "    assert op.get_bind().execute(sa.text('PRAGMA foreign_keys')).scalar() == 0\n"
    path.write_text(path.read_text().replace("\ndef downgrade", f"{check}\ndef downgrade"))
    command.upgrade(config(project), "head")


# -- single calls ---------------------------------------------------------------------------------


@pytest.fixture
def op(tmp_path: Path) -> Iterator[Operations]:
    """Operations on a file with a table `users` that has a row."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
        connection.exec_driver_sql("INSERT INTO users VALUES (1, 'Ann')")
        connection.commit()
        yield Operations(MigrationContext.configure(connection))
    engine.dispose()


CONSTRAINT = "No support for ALTER of constraints in SQLite dialect"
LACKING = [
    ("op.alter_column('users', 'name', server_default='a')", 'near "ALTER": syntax error'),
    ("op.alter_column('users', 'name', comment='a')", "can't render element of type"),
    ("op.create_unique_constraint('u', 'users', ['name'])", CONSTRAINT),
    ("op.create_primary_key('u', 'users', ['name'])", CONSTRAINT),
    ("op.create_check_constraint('u', 'users', 'name > 1')", CONSTRAINT),
    ("op.create_foreign_key('u', 'users', 'users', ['name'], ['id'])", CONSTRAINT),
    ("op.drop_constraint('u', 'users', type_='unique')", CONSTRAINT),
    ("op.add_column('users', sa.Column('a', sa.Text, sa.ForeignKey('users.id')))", CONSTRAINT),
    ("op.add_column('users', sa.Column('a', sa.Text, unique=True))", CONSTRAINT),
    ("op.execute('ALTER TABLE users ALTER COLUMN name TYPE text')", "syntax error"),
    ("op.execute('ALTER TABLE users ADD CONSTRAINT u UNIQUE (name)')", "syntax error"),
    ("op.execute('ALTER TABLE users ADD COLUMN IF NOT EXISTS a TEXT')", "syntax error"),
    ("op.execute('ALTER TABLE IF EXISTS users RENAME TO people')", "syntax error"),
    ("op.execute('ALTER INDEX a RENAME TO b')", "syntax error"),
    ("op.execute(\"ALTER TYPE a ADD VALUE 'b'\")", "syntax error"),
]


@pytest.mark.parametrize(("call", "words"), LACKING)
def test_l10_what_is_an_error_fails(op: Operations, call: str, words: str) -> None:
    assert [one[0] for one in found("L10", call)] == ["error"]
    failures = (sa.exc.OperationalError, sa.exc.CompileError, NotImplementedError)
    with pytest.raises(failures, match=words):
        exec(call, {"op": op, "sa": sa})


NEWER = [
    "op.alter_column('users', 'name', nullable=False)",
    "op.execute('ALTER TABLE users ADD CONSTRAINT c CHECK (id > 0)')",
]


@pytest.mark.parametrize("call", NEWER)
def test_l10_what_newer_sqlite_has_is_a_warning(op: Operations, call: str) -> None:
    assert [one[0] for one in found("L10", call)] == ["warning"]
    if OLDER:
        with pytest.raises(sa.exc.OperationalError, match="syntax error"):
            exec(call, {"op": op, "sa": sa})
    else:
        exec(call, {"op": op, "sa": sa})


WORKING = [
    "op.alter_column('users', 'name', new_column_name='label')",
    "op.alter_column('users', 'name', existing_type=sa.Text())",
    "op.add_column('users', sa.Column('a', sa.Text, unique=True, index=True))",
    (
        "op.add_column('users', sa.Column('a', sa.Text, sa.ForeignKey('users.id')), "
        "inline_references=True)"
    ),
    "op.execute('ALTER TABLE users RENAME name TO label')",
    "op.add_column('users', sa.Column('a', sa.Integer, server_default=sa.text('(-1)')))",
    "op.add_column('users', sa.Column('a', sa.Text, server_default=sa.text(\"'it''s'\")))",
    "op.add_column('users', sa.Column('a', sa.Boolean, nullable=False, server_default=sa.true()))",
    "op.execute('ALTER TABLE users ADD a INTEGER NOT NULL DEFAULT 0')",
]


@pytest.mark.parametrize("call", WORKING)
def test_what_is_let_be_works(op: Operations, call: str) -> None:
    assert [one.rule for one in linted(revision(call)) if one.rule in ("L03", "L04", "L10")] == []
    exec(call, {"op": op, "sa": sa})


def test_l01_a_session_on_the_connection_commits_nothing(op: Operations) -> None:
    connection = op.get_bind()
    with connection.begin() as transaction:
        session = Session(bind=connection)
        session.execute(sa.text("DELETE FROM users"))
        session.commit()
        transaction.rollback()
    assert connection.execute(sa.text("SELECT count(*) FROM users")).scalar() == 1
