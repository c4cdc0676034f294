"""Several version tables in one file: each chain has its own, and only its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.env_shapes import SHAPES
from tests.support.preloaded import orchctl
from tests.support.projects import Project, execute, query

_CONFIGURE = "context.configure(connection=connection, target_metadata=target_metadata"
NAMED = SHAPES["stock"].replace(
    _CONFIGURE, _CONFIGURE + ', version_table=config.get_main_option("version_table")'
)
TWICE = SHAPES["stock"].replace(
    """    with engine(poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            context.run_migrations()
""",
    """    for table in ("alembic_version_a", "alembic_version_b"):
        with engine(poolclass=pool.NullPool).connect() as connection:
            context.configure(connection=connection, version_table=table)
            with context.begin_transaction():
                context.run_migrations()
""",
)
TABLE = 'op.execute("CREATE TABLE IF NOT EXISTS {name} (id INTEGER PRIMARY KEY, x TEXT)")'


def _two_chains(tmp_path: Path) -> tuple[Project, Project]:
    """Two script folders and two sections of one ini, over one file."""
    a = Project(tmp_path / "project", env=NAMED)
    a.add("a1", TABLE.format(name="of_a"), 'op.execute("DROP TABLE of_a")')
    b = Project(tmp_path / "other", env=NAMED)
    b.add("b1", TABLE.format(name="of_b"), 'op.execute("DROP TABLE of_b")')
    (b.folder / "migrations").rename(a.folder / "migrations_b")
    ini = a.folder / "alembic.ini"
    section = "\nversion_table = alembic_version_{0}\n[b]\n" + ini.read_text().partition("\n")[2]
    text = ini.read_text().rstrip() + section.format("a").replace("/migrations", "/migrations_b")
    ini.write_text(text.rstrip() + "\nversion_table = alembic_version_b\n")
    return a, b


def test_two_sections_over_one_file(tmp_path: Path) -> None:
    project, _ = _two_chains(tmp_path)
    assert orchctl(project, "upgrade").returncode == 0
    done = orchctl(project, "-n", "b", "upgrade")
    assert done.returncode == 0, done.stderr
    assert project.heads("alembic_version_a") == ["a1"]
    assert project.heads("alembic_version_b") == ["b1"]
    for section, head in (("alembic", "a1"), ("b", "b1")):
        told = json.loads(orchctl(project, "-n", section, "status", "--json").stdout)
        assert told["revisions"] == [head]
        assert told["pending"] == []
        current = orchctl(project, "-n", section, "current", "--check-heads")
        assert current.returncode == 0, current.stderr
    execute(project.database, "INSERT INTO of_b VALUES (1, 'b'); INSERT INTO of_a VALUES (1, 'a')")
    down = orchctl(project, "-n", "b", "downgrade", "base", "--yes")
    assert down.returncode == 0, down.stderr
    assert project.heads("alembic_version_a") == ["a1"]
    assert query(project.database, "SELECT * FROM of_a") == [(1, "a")]


def test_a_rollback_of_one_chain_does_not_take_the_other_one_back_unasked(tmp_path: Path) -> None:
    project, _ = _two_chains(tmp_path)
    execute(project.database, "CREATE TABLE mine (id)")
    assert orchctl(project, "upgrade").returncode == 0
    assert orchctl(project, "-n", "b", "upgrade").returncode == 0
    refused = orchctl(project, "rollback")  # chain b ran since
    assert refused.returncode == 5, refused.stdout
    assert "was written to since" in refused.stderr
    back = orchctl(project, "-n", "b", "rollback")
    assert back.returncode == 0, back.stderr
    assert project.heads("alembic_version_a") == ["a1"]
    back = orchctl(project, "rollback")
    assert back.returncode == 0, back.stderr
    assert query(project.database, "SELECT name FROM sqlite_schema") == [("mine",)]


def test_one_run_with_two_version_tables(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", env=TWICE)
    assert "alembic_version_b" in (project.folder / "migrations" / "env.py").read_text()
    project.add("001", TABLE.format(name="t"))
    done = orchctl(project, "upgrade")
    assert done.returncode == 0, done.stderr
    project.add("002", TABLE.format(name="u") + "\nop.execute(\"INSERT INTO u (x) VALUES ('u')\")")
    told = json.loads(orchctl(project, "status", "--json").stdout)["databases"]
    assert [(one["version_table"], one["revisions"]) for one in told] == [
        ("alembic_version_a", ["001"]),
        ("alembic_version_b", ["001"]),
    ]
    done = orchctl(project, "upgrade")
    assert done.returncode == 0, done.stderr
    assert project.heads("alembic_version_a") == project.heads("alembic_version_b") == ["002"]
    assert query(project.database, "SELECT count(*) FROM u") == [(2,)]
    assert orchctl(project, "rollback").returncode == 0
    assert project.heads("alembic_version_a") == project.heads("alembic_version_b") == ["001"]


def test_only_the_second_of_two_version_tables_is_behind(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", env=TWICE)
    project.add("001", TABLE.format(name="t"))
    assert orchctl(project, "upgrade").returncode == 0
    execute(project.database, "DELETE FROM alembic_version_b")
    before = project.dump()
    project.add("002", 'op.execute("SELECT * FROM nowhere")')
    assert orchctl(project, "upgrade").returncode == 6
    assert project.dump() == before
    assert orchctl(project, "upgrade", "001").returncode == 0
    assert project.heads("alembic_version_b") == ["001"]


@pytest.mark.parametrize("option", ['version_table_schema="main"', 'version_table="my versions"'])
def test_a_version_table_elsewhere(tmp_path: Path, option: str) -> None:
    env = SHAPES["stock"].replace(_CONFIGURE, f"{_CONFIGURE}, {option}")
    project = Project(tmp_path / "project", env=env)
    project.add("001", TABLE.format(name="t"), 'op.execute("DROP TABLE t")')
    assert orchctl(project, "upgrade").returncode == 0
    project.add("002", TABLE.format(name="u"), 'op.execute("DROP TABLE u")')
    assert json.loads(orchctl(project, "current", "--json").stdout)["revisions"] == ["001"]
    for words in (("upgrade",), ("rollback",), ("upgrade",), ("downgrade", "-1", "--yes")):
        done = orchctl(project, *words)
        assert done.returncode == 0, (words, done.stderr)
    status = json.loads(orchctl(project, "status", "--json").stdout)
    assert status["revisions"] == ["001"]
    assert [one["revision"] for one in status["pending"]] == ["002"]
    assert orchctl(project, "stamp", "001").returncode == 0
