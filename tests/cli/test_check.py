"""check: whether models and database differ, told without writing anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import answers
from tests.support.branched import ASYNC_ENV, LAYOUTS, PLAIN_ENV
from tests.support.env_shapes import SHAPES
from tests.support.modelled import GROWN, MODELS, error_of, modelled, with_models
from tests.support.projects import Project, bytes_of, execute
from tests.support.sqlite_files import HOLD, process


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return modelled(tmp_path / "project")


@pytest.fixture
def grown(project: Project) -> Project:
    """Its models are ahead of the database."""
    (project.folder / "models.py").write_text(MODELS + GROWN)
    return project


def test_check_of_models_and_database_that_agree(project: Project) -> None:
    before = bytes_of(project.database)
    done = project.orchctl("check")
    assert (done.returncode, done.stdout) == (0, "No new upgrade operations detected.\n")
    assert json.loads(project.orchctl("check", "--json").stdout) == {"ok": True, "operations": []}
    assert project.alembic("check").returncode == 0
    assert bytes_of(project.database) == before


@pytest.mark.parametrize("env", [PLAIN_ENV, ASYNC_ENV], ids=["sync", "async"])
@pytest.mark.parametrize("left_behind", [True, False])
def test_check_leaves_a_wal_as_it_is(project: Project, env: str, left_behind: bool) -> None:
    """Also one with a killed process's rows, which the last one to close would move."""
    if env == ASYNC_ENV:
        ini = project.folder / "alembic.ini"
        ini.write_text(ini.read_text().replace("sqlite:///", "sqlite+aiosqlite:///"))
    project.set_env(with_models(env))
    execute(project.database, "PRAGMA journal_mode=WAL")
    if left_behind:
        with process(HOLD, project.database, "INSERT INTO users VALUES (1, 'Ada')") as holder:
            assert holder.line() == "ready"
            holder.kill()
    before = bytes_of(project.database)
    assert ("app.db-wal" in before) == left_behind
    done = project.orchctl("check")
    assert done.returncode == 0, done.stderr
    after = bytes_of(project.database)
    for each in (before, after):
        each.pop("app.db-shm", None)  # an index of the WAL, rebuilt by every reader
    assert after == before


def test_check_names_what_differs(grown: Project) -> None:
    before = bytes_of(grown.database)
    execute(grown.database, "CREATE TABLE gone (id INTEGER PRIMARY KEY, x TEXT)")
    execute(grown.database, "CREATE INDEX ix_gone ON gone (x)")
    before = bytes_of(grown.database)
    done = grown.orchctl("check", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["ok"] is False
    told = {
        (one["operation"], one["table"], one["name"]): one["text"] for one in found["operations"]
    }
    assert told == {
        ("add_table", "posts", None): "add table posts",
        ("remove_table", "gone", None): "remove table gone",
        ("remove_index", "gone", "ix_gone"): "remove index ix_gone on gone (x)",
        ("add_column", "users", "email"): "add column users.email TEXT",
        ("add_index", "users", "ix_users_email"): "add index ix_users_email on users (email)",
        ("modify_type", "users", "name"): ("modify type of users.name: VARCHAR(50) -> VARCHAR(80)"),
        ("modify_nullable", "users", "name"): "modify nullable of users.name: False -> True",
    }
    assert error_of(done)["code"] == "drift"
    assert "7 new upgrade operations" in error_of(done)["message"]
    shown = grown.orchctl("check")
    assert sorted(shown.stdout.splitlines()) == sorted(told.values())
    assert "orchctl revision --autogenerate" in shown.stderr
    assert grown.alembic("check").returncode != 0
    assert bytes_of(grown.database) == before


def test_check_of_constraints_and_defaults(project: Project) -> None:
    project.set_env(with_models(PLAIN_ENV, ", compare_server_default=True"))
    (project.folder / "models.py").write_text(
        MODELS.replace(
            "nullable=False),\n",
            "nullable=False, server_default='nobody'),\n"
            "    sa.Column('boss', sa.ForeignKey('users.id', name='fk_boss')),\n"
            "    sa.UniqueConstraint('name', name='uq_name'),\n",
        )
    )
    found = json.loads(project.orchctl("check", "--json").stdout)["operations"]
    told = {one["operation"]: one["text"] for one in found}
    assert told["add_constraint"] == "add constraint uq_name on users (name)"
    assert told["add_fk"] == "add fk fk_boss on users (boss)"
    assert told["modify_default"] == "modify default of users.name: None -> nobody"


def test_check_before_head(grown: Project) -> None:
    grown.add("aaaa02")
    done = grown.orchctl("check", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert (error_of(done)["code"], error_of(done)["hint"]) == ("not-at-head", "orchctl upgrade")


def test_check_of_a_database_that_does_not_exist(project: Project) -> None:
    project.database.unlink()
    done = project.orchctl("check", "--json")
    assert (done.returncode, error_of(done)["code"]) == (1, "not-at-head")
    assert not project.database.exists()


def test_check_of_a_database_ahead_of_the_chain(project: Project) -> None:
    execute(project.database, "UPDATE alembic_version SET version_num = 'future1'")
    done = project.orchctl("check", "--json")
    assert (done.returncode, error_of(done)["code"]) == (5, "unknown-to-chain")


def test_an_env_py_that_swallows_errors_cannot_turn_a_no_into_a_yes(project: Project) -> None:
    project.add("aaaa02")
    project.set_env(with_models(SHAPES["swallows-errors"]))
    done = project.orchctl("check", "--json")
    assert (done.returncode, error_of(done)["code"]) == (1, "not-at-head")


def test_check_without_models(project: Project) -> None:
    project.set_env(PLAIN_ENV)
    done = project.orchctl("check", "--json")
    assert (done.returncode, error_of(done)["code"]) == (3, "no-models")


def test_an_env_py_that_never_runs_migrations(project: Project) -> None:
    project.set_env(with_models(PLAIN_ENV).replace("context.run_migrations()", "pass"))
    done = project.orchctl("check", "--json")
    assert (done.returncode, error_of(done)["code"]) == (3, "env-without-run")


def test_an_env_py_that_opens_another_database(project: Project) -> None:
    execute(project.folder / "other.db", "CREATE TABLE t (x)")
    project.set_env(
        with_models(PLAIN_ENV).replace(
            "connectable = ",
            "config.set_main_option('sqlalchemy.url', 'sqlite:///other.db')\n    connectable = ",
        )
    )
    for words in (["check"], ["revision", "--autogenerate"]):
        done = project.orchctl(*words, "--json")
        assert (done.returncode, error_of(done)["code"]) == (5, "wrong-database")


def test_a_failing_env_py(project: Project) -> None:
    project.set_env("import nowhere_to_be_found\n" + PLAIN_ENV)
    done = project.orchctl("check", "--json")
    assert (done.returncode, error_of(done)["code"]) == (3, "env-import")


def test_check_needs_a_server_where_the_database_is_on_one(tmp_path: Path) -> None:
    LAYOUTS["elsewhere"](tmp_path)
    done = answers.orchctl(tmp_path, [["check"]])[0]
    assert done.code == 3
    assert "secret" not in done.stdout + done.stderr
