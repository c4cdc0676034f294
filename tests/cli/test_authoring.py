"""revision, merge and check: Alembic's files, safe for SQLite, the database never touched."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support import answers
from tests.support.branched import ASYNC_ENV, LAYOUTS, PLAIN_ENV, add_template
from tests.support.modelled import GROWN, MODELS, error_of, modelled, with_models
from tests.support.projects import Project, bytes_of, execute, query


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return modelled(tmp_path / "project")


@pytest.fixture
def grown(project: Project) -> Project:
    """Its models are ahead of the database."""
    (project.folder / "models.py").write_text(MODELS + GROWN)
    return project


def undated(path: Path) -> str:
    return re.sub(r"Create Date: .*", "Create Date:", path.read_text())


# -- revision: the same files as Alembic's ---------------------------------------------------------


@pytest.mark.parametrize("layout", ["stock", "here", "two-locations", "toml", "async", "elsewhere"])
def test_the_files_are_alembics(tmp_path: Path, layout: str) -> None:
    folders = [tmp_path / "theirs", tmp_path / "ours"]
    for folder in folders:
        LAYOUTS[layout](folder)
        add_template(folder)
    place = ["--version-path", "MORE"] if layout in ("two-locations", "toml") else []
    # fmt: off
    questions = [
        ["revision", "-m", "plain thing", "--rev-id", "n1", "--head", "last1"],
        ["revision", "--rev-id", "n2", "--head", "api2", "--splice"],
        ["revision", "-m", "a" * 60, "--rev-id", "n3", "--head", "side@head",
         "--depends-on", "api", "--depends-on", "web1"],
        ["merge", "-m", "join them", "--rev-id", "n4", "heads"],
        ["revision", "--rev-id", "n5", "--head", "base", "--branch-label", "fresh", *place],
        ["merge", "n4", "n5", "--rev-id", "n6", "--branch-label", "joined"],
        ["revision", "-m", "more", "--rev-id", "n7"],
        ["merge", "root1", "web1", "--rev-id", "n8", "--splice"],
    ]
    # fmt: on
    more = {"two-locations": "more/versions", "toml": "more"}.get(layout, "")
    told = []
    for ask, folder in zip((answers.alembic, answers.orchctl), folders, strict=True):
        asked = [[str(folder / more) if w == "MORE" else w for w in words] for words in questions]
        told.append(ask(folder, asked))
    for their, our in zip(*told, strict=True):
        assert (their.code, our.code) == (0, 0), (their, our)
        assert our.stdout.startswith("Generated "), our
    new = [
        {
            str(path.relative_to(folder)): undated(path)
            for path in sorted(folder.rglob("n[0-9]*.py"))
        }
        for folder in folders
    ]
    assert len(new[0]) == 8
    assert new[1] == new[0]


def test_a_revision_as_json(project: Project) -> None:
    done = project.orchctl("revision", "-m", "add things", "--rev-id", "bbbb02", "--json")
    assert json.loads(done.stdout) == {
        "ok": True,
        "revision": "bbbb02",
        "path": str(project.folder / "migrations" / "versions" / "bbbb02_add_things.py"),
        "down_revisions": ["aaaa01"],
        "findings": [],
    }
    assert done.stderr == ""


def test_a_merge_as_json(tmp_path: Path) -> None:
    project = LAYOUTS["elsewhere"](tmp_path)
    add_template(project.folder)
    done = project.orchctl("merge", "heads", "--rev-id", "join2", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["revision"], found["down_revisions"]) == ("join2", ["last1", "need3"])
    assert json.loads(project.orchctl("heads", "--json").stdout)["revisions"][0]["is_head"]


def test_what_a_post_write_hook_prints_stays_off_stdout(project: Project) -> None:
    hook = project.folder / "hook.sh"
    hook.write_text('#!/bin/sh\necho "formatted $1"\necho "# by a hook" >> "$1"\n')
    hook.chmod(0o755)
    with (project.folder / "alembic.ini").open("a") as ini:
        ini.write(
            "[post_write_hooks]\nhooks = own\nown.type = exec\n"
            f"own.executable = {hook}\nown.options = REVISION_SCRIPT_FILENAME\n"
        )
    done = project.orchctl("revision", "-m", "hooked", "--json")
    path = Path(json.loads(done.stdout)["path"])
    assert path.read_text().endswith("# by a hook\n")
    assert f"formatted {path}\n" in done.stderr


def test_findings_in_the_new_file_are_shown(project: Project) -> None:
    template = project.folder / "migrations" / "script.py.mako"
    template.write_text(template.read_text().replace("Revises: ${down", "Revises: zzzz99 ${down"))
    done = project.orchctl("revision", "-m", "odd")
    assert done.returncode == 0
    assert re.search(r"warning: \S+_odd\.py:\d+: C12 ", done.stderr), done.stderr
    found = json.loads(project.orchctl("revision", "-m", "odder", "--json").stdout)
    assert [one["rule"] for one in found["findings"]] == ["C12"]


def test_env_py_runs_for_the_template_where_the_project_asks(project: Project) -> None:
    ini = project.folder / "alembic.ini"
    ini.write_text(ini.read_text() + "revision_environment = true\n")
    project.set_env(with_models(PLAIN_ENV, ", template_args={'author': 'Ada'}"))
    template = project.folder / "migrations" / "script.py.mako"
    template.write_text(template.read_text() + "# written by ${author}\n")
    before = bytes_of(project.database)
    for words in (["revision"], ["merge", "heads"], ["revision", "--sql"]):
        found = json.loads(project.orchctl(*words, "--json").stdout)
        assert Path(found["path"]).read_text().endswith("# written by Ada\n")
    assert bytes_of(project.database) == before


# -- revision --autogenerate -------------------------------------------------------------------


@pytest.mark.parametrize("env", [PLAIN_ENV, ASYNC_ENV], ids=["sync", "async"])
def test_autogenerate_writes_in_batch_mode(grown: Project, env: str) -> None:
    if env == ASYNC_ENV:
        ini = grown.folder / "alembic.ini"
        ini.write_text(ini.read_text().replace("sqlite:///", "sqlite+aiosqlite:///"))
    grown.set_env(with_models(env))
    execute(grown.database, "INSERT INTO users VALUES (1, 'Ada')")
    before = bytes_of(grown.database)
    done = grown.orchctl("revision", "--autogenerate", "-m", "grow", "--json")
    assert done.returncode == 0, done.stderr
    assert bytes_of(grown.database) == before
    text = Path(json.loads(done.stdout)["path"]).read_text()
    assert "with op.batch_alter_table('users', schema=None) as batch_op:" in text
    assert "op.create_table('posts'" in text
    assert grown.orchctl("upgrade").returncode == 0
    assert query(grown.database, "SELECT * FROM users") == [(1, "Ada", None)]
    assert grown.orchctl("check").returncode == 0


@pytest.mark.parametrize("said", ["False", "True"])
def test_env_py_has_the_last_word_on_batch_mode(grown: Project, said: str) -> None:
    grown.set_env(with_models(PLAIN_ENV, f", render_as_batch={said}"))
    done = grown.orchctl("revision", "--autogenerate", "--json")
    text = Path(json.loads(done.stdout)["path"]).read_text()
    assert ("batch_alter_table" in text) == (said == "True")


def test_autogenerate_makes_no_version_table(project: Project) -> None:
    """Alembic makes it as soon as it looks at a database that has none."""
    for file in (project.folder / "migrations" / "versions").glob("*.py"):
        file.unlink()
    project.database.unlink()
    execute(project.database, "CREATE TABLE kept (id INTEGER PRIMARY KEY)")
    before = bytes_of(project.database)
    assert project.orchctl("revision", "--autogenerate", "-m", "first").returncode == 0
    assert bytes_of(project.database) == before
    assert project.orchctl("check").returncode == 1  # not at head: there is a revision now
    assert bytes_of(project.database) == before


def test_autogenerate_makes_no_database(project: Project) -> None:
    for file in (project.folder / "migrations" / "versions").glob("*.py"):
        file.unlink()
    project.database.unlink()
    done = project.orchctl("revision", "--autogenerate", "-m", "first", "--json")
    assert "op.create_table('users'" in Path(json.loads(done.stdout)["path"]).read_text()
    assert not project.database.exists()


def test_the_usual_recipe_against_empty_revisions(project: Project) -> None:
    """It asks cmd_opts.autogenerate, and then leaves no revision to be written."""
    project.set_env(
        with_models(PLAIN_ENV, ", process_revision_directives=no_empty_one").replace(
            "def run_migrations_offline",
            "def no_empty_one(context, revision, directives):\n"
            "    if getattr(config.cmd_opts, 'autogenerate', False):\n"
            "        if directives[0].upgrade_ops.is_empty():\n"
            "            directives[:] = []\n\n\n"
            "def run_migrations_offline",
        )
    )
    versions = project.folder / "migrations" / "versions"
    before = sorted(versions.glob("*.py"))
    done = project.orchctl("revision", "--autogenerate", "-m", "nothing")
    assert (done.returncode, sorted(versions.glob("*.py"))) == (0, before)
    assert done.stdout.startswith("No revision")
    found = json.loads(project.orchctl("revision", "--autogenerate", "--json").stdout)
    assert (found["ok"], found["revision"]) == (True, None)
    assert project.orchctl("check").returncode == 0


def test_autogenerate_needs_a_database_at_head(grown: Project) -> None:
    grown.add("aaaa02")
    done = grown.orchctl("revision", "--autogenerate", "--json")
    assert (done.returncode, error_of(done)["code"]) == (1, "not-at-head")
    assert error_of(done)["hint"] == "orchctl upgrade"


# -- what is not possible --------------------------------------------------------------------------


IMPOSSIBLE = [
    (["revision"], "multiple-heads"),
    (["revision", "--head", "nowhere"], "unknown-revision"),
    (["revision", "--head", "root2"], "revision-not-possible"),
    (["revision", "--head", "last1", "--rev-id", "web1"], "revision-exists"),
    (["revision", "--head", "last1", "--rev-id", "heads"], "reserved-id"),
    (["revision", "--head", "last1", "--rev-id", "a-b"], "revision-not-possible"),
    (["revision", "--head", "last1", "--version-path", "elsewhere"], "revision-not-possible"),
    (["revision", "--head", "last1", "--depends-on", "nowhere"], "unknown-revision"),
    (["revision", "--head", "last1", "--sql"], "usage"),
    (["revision", "--head", "last1", "--sql", "--autogenerate"], "usage"),
    (["merge", "nowhere", "last1"], "unknown-revision"),
    (["merge", "root1", "last1"], "revision-not-possible"),
    (["merge", "last1", "last1"], "revision-not-possible"),
    (["merge", "heads", "--rev-id", "root1"], "revision-exists"),
    (["merge"], "usage"),
]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    LAYOUTS["stock"](tmp_path)
    add_template(tmp_path)
    versions = tmp_path / "migrations" / "versions"
    before = sorted(versions.glob("*.py"))
    done = answers.orchctl(tmp_path, [[*words, "--json"] for words, _ in IMPOSSIBLE])
    for one, (_, code) in zip(done, IMPOSSIBLE, strict=True):
        assert (one.code, one.stdout) == (2, ""), one
        assert json.loads(one.stderr)["error"]["code"] == code, one
    assert sorted(versions.glob("*.py")) == before


def test_without_a_template(project: Project) -> None:
    (project.folder / "migrations" / "script.py.mako").unlink()
    for words in (["revision"], ["merge", "heads"]):
        done = project.orchctl(*words, "--json")
        assert (done.returncode, error_of(done)["code"]) == (3, "template-missing")


def test_a_template_that_fails(project: Project) -> None:
    template = project.folder / "migrations" / "script.py.mako"
    template.write_text(template.read_text() + "${nowhere.to_be_found}\n")
    done = project.orchctl("revision", "--json")
    assert (done.returncode, error_of(done)["code"]) == (3, "template-failed")
    assert len(list((project.folder / "migrations" / "versions").glob("*.py"))) == 1
