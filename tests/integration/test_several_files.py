"""Alembic's multidb template: every file as before or after, and all of them together."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.multidb import MultiProject, populated
from tests.support.preloaded import orchctl, start
from tests.support.processes import holding, wait_until
from tests.support.projects import Project, bytes_of, dump, execute, query

BEFORE, AFTER = [["001"], ["001"]], [["002"], ["002"]]
READING = ("BEGIN", "SELECT * FROM sqlite_schema")


@pytest.fixture
def project(tmp_path: Path) -> MultiProject:
    return populated(tmp_path / "project")


def _journal(project: Project) -> list[dict]:
    text = (project.folder / "backups" / "journal.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("mode", ["delete", "wal", "both"])
def test_one_run_upgrades_every_file_and_one_rollback_takes_all_back(
    project: MultiProject, mode: str
) -> None:
    for number, file in enumerate(project.files):
        execute(file, f"PRAGMA journal_mode={['delete', 'wal'][mode == 'wal' or number]}")
    before = project.dumps()
    done = orchctl(project, "upgrade", "--json")
    assert done.returncode == 0, done.stderr
    assert project.stamps() == AFTER
    assert query(project.files[0], "SELECT id, name, mail FROM users") == [
        (1, "ann", None),
        (2, "bob", None),
    ]
    assert query(project.files[1], "SELECT title FROM items") == [("cup",), ("pot",), ("pan",)]
    files = json.loads(done.stdout)["databases"]
    assert [each["database"] for each in files] == list(map(str, project.files))
    assert [each["revisions"] for each in files] == [["002"], ["002"]]
    for each, old in zip(files, before, strict=True):
        assert dump(Path(each["snapshot"]["path"])) == old
    back = orchctl(project, "rollback", "--json")
    assert back.returncode == 0, back.stderr
    assert project.dumps() == before
    assert len(json.loads(back.stdout)["databases"]) == 2
    assert orchctl(project, "rollback").returncode == 5


def test_nothing_to_do(project: MultiProject) -> None:
    assert orchctl(project, "upgrade").returncode == 0
    again = orchctl(project, "upgrade")
    assert again.returncode == 0
    assert again.stdout.count("nothing to do") == 2


def test_only_one_file_has_something_to_do(project: MultiProject) -> None:
    assert orchctl(project, "upgrade").returncode == 0
    assert orchctl(project, "--url", "sqlite:///engine2.db", "rollback").returncode == 0
    assert project.stamps() == [["002"], ["001"]]
    first = project.dumps()[0]
    done = orchctl(project, "upgrade", "--json")
    assert done.returncode == 0, done.stderr
    told = [each["revisions"] for each in json.loads(done.stdout)["databases"]]
    assert told == [[], ["002"]]
    assert project.stamps() == AFTER
    assert project.dumps()[0] == first


def test_files_that_do_not_exist_yet(tmp_path: Path) -> None:
    project = MultiProject(tmp_path / "project", names=("a", "b", "c"))
    for name in project.names:
        project.add_for(f"0{name}", **{name: f'op.execute("CREATE TABLE of_{name} (id)")'})
    assert orchctl(project, "upgrade", "--dry-run").returncode == 0
    assert orchctl(project, "status").returncode == 0
    assert not any(file.exists() for file in project.files)
    done = orchctl(project, "upgrade")
    assert done.returncode == 0, done.stderr
    assert project.stamps() == [["0c"]] * 3
    assert [
        query(file, "SELECT name FROM sqlite_schema WHERE name LIKE 'of%'")
        for file in project.files
    ] == [
        [("of_a",)],
        [("of_b",)],
        [("of_c",)],
    ]


@pytest.mark.parametrize("words", [(), ("--no-rehearse",), ("--no-backup",)])
def test_a_failure_in_the_last_file_leaves_every_file_as_before(
    project: MultiProject, words: tuple[str, ...]
) -> None:
    project.add_for(
        "003",
        engine1="op.execute(\"UPDATE users SET name = 'zed'\")",
        engine2='op.execute("SELECT * FROM nowhere")',
    )
    before = project.dumps()
    failed = orchctl(project, "upgrade", "--json", *words)
    assert failed.returncode == 6, failed.stderr
    error = json.loads(failed.stderr)["error"]
    assert "no such table: nowhere" in error["message"]
    assert error["details"]["database"] == str(project.files[1])
    assert project.dumps() == before


@pytest.mark.parametrize("words", [(), ("--no-rehearse",)])
def test_undeclared_loss_in_the_second_file_leaves_the_first_as_before(
    project: MultiProject, words: tuple[str, ...]
) -> None:
    project.add_for("003", engine2='op.execute("DELETE FROM items WHERE id = 2")')
    before = project.dumps()
    refused = orchctl(project, "upgrade", *words)
    assert refused.returncode == 5
    assert f"{project.files[1]}: The run would lose data: items: 1 rows" in refused.stderr
    assert project.dumps() == before
    assert orchctl(project, "upgrade", "--allow-loss", "items", *words).returncode == 0
    assert project.stamps() == [["003"], ["003"]]


def test_a_missing_file_is_not_left_behind_empty_by_a_failure(tmp_path: Path) -> None:
    project = MultiProject(tmp_path / "project")
    project.add_for("001", engine2='op.execute("SELECT * FROM nowhere")')
    assert orchctl(project, "upgrade").returncode == 6
    assert not any(file.exists() for file in project.files)


def test_dry_run_and_rehearse_change_nothing(project: MultiProject) -> None:
    before = [bytes_of(file) for file in project.files]
    plan = orchctl(project, "upgrade", "--dry-run", "--json")
    told = json.loads(plan.stdout)
    assert told["dry_run"]
    assert [(each["database"], each["revisions"]) for each in told["databases"]] == [
        (str(file), ["002"]) for file in project.files
    ]
    rehearsed = orchctl(project, "rehearse", "--json")
    assert rehearsed.returncode == 0, rehearsed.stderr
    tables = [each["tables"][0]["table"] for each in json.loads(rehearsed.stdout)["databases"]]
    assert tables == ["users", "items"]
    assert [bytes_of(file) for file in project.files] == before


@pytest.mark.parametrize("words", [("--round-trip",), ("--run", "true"), ("--unsafe", "002")])
def test_what_a_rehearsal_does_to_one_copy_only(
    project: MultiProject, words: tuple[str, ...]
) -> None:
    refused = orchctl(project, "rehearse", *words)
    assert refused.returncode == 2
    assert "env.py goes through several" in refused.stderr


def test_downgrade_and_stamp(project: MultiProject) -> None:
    assert orchctl(project, "upgrade").returncode == 0
    differs = orchctl(project, "stamp", "001")
    assert differs.returncode == 5
    assert project.stamps() == AFTER
    stamped = orchctl(project, "stamp", "--force", "001", "--json")
    assert stamped.returncode == 0, stamped.stderr
    assert project.stamps() == BEFORE
    assert orchctl(project, "stamp", "002").returncode == 0
    assert project.stamps() == AFTER
    down = orchctl(project, "downgrade", "-1", "--yes")
    assert down.returncode == 0, down.stderr
    assert project.stamps() == BEFORE
    assert query(project.files[1], "SELECT name FROM items") == [("cup",), ("pot",), ("pan",)]


def test_looking(project: MultiProject) -> None:
    status = json.loads(orchctl(project, "status", "--json").stdout)["databases"]
    assert [each["database"] for each in status] == list(map(str, project.files))
    assert [each["pending"] for each in status] == [
        [{"revision": "002", "message": "step 002"}]
    ] * 2
    current = orchctl(project, "current", "--check-heads")
    assert current.returncode == 1
    assert current.stdout.split() == [
        "engine1.db,",
        "alembic_version:",
        "001",
        "engine2.db,",
        "alembic_version:",
        "001",
    ]
    history = orchctl(project, "history", "-i")
    assert "001 (current)" in history.stdout


# -- between the commits --------------------------------------------------------------------------


def test_killed_between_the_commits_each_file_is_whole_and_the_next_run_finishes(
    project: MultiProject,
) -> None:
    before = project.dumps()
    with holding(project.files[1], *READING):
        process = start(project, "upgrade", "--no-rehearse", "--lock-timeout", "60s")
        wait_until(lambda: _heads(project.files[0]) == ["002"], "the first commit")
        process.kill()
        process.communicate()
    assert project.stamps() == [["002"], ["001"]]
    assert project.dumps()[1] == before[1]
    done = orchctl(project, "upgrade")
    assert done.returncode == 0, done.stderr
    assert "right after its commit: done, at 002" in done.stderr
    assert "before its commit; the database is as before, at 001" in done.stderr
    assert project.stamps() == AFTER
    assert query(project.files[1], "SELECT title FROM items WHERE id = 3") == [("pan",)]
    runs = [line["run"] for line in _journal(project) if line.get("event") == "upgrade"][-2:]
    assert runs[0] == runs[1] is not None
    back = orchctl(project, "rollback", "--accept-data-loss")
    assert back.returncode == 0, back.stderr
    assert project.dumps() == before


def _heads(file: Path) -> list[str]:
    return [row[0] for row in query(file, "SELECT version_num FROM alembic_version")]


def test_a_later_commit_that_fails_puts_the_first_file_back(project: MultiProject) -> None:
    before = project.dumps()
    with holding(project.files[1], *READING):
        failed = orchctl(project, "upgrade", "--no-rehearse", "--lock-timeout", "1s")
    assert failed.returncode == 7, failed.stderr
    assert f"{project.files[1]} could not be committed after {project.files[0]}" in failed.stderr
    assert project.dumps() == before
    assert [line["ok"] for line in _journal(project)[-2:]] == [False, False]
    assert orchctl(project, "upgrade").returncode == 0
    assert project.stamps() == AFTER


@pytest.mark.parametrize(
    "words", [("--lock-timeout", "4s"), ("--lock-timeout", "4s", "--no-backup")]
)
def test_what_was_written_in_between_is_kept_and_told(
    project: MultiProject, words: tuple[str, ...]
) -> None:
    before = project.dumps()
    with holding(project.files[1], *READING):
        process = start(project, "upgrade", "--no-rehearse", "--lock-timeout", "4s", *words)
        wait_until(lambda: _heads(project.files[0]) == ["002"], "the first commit")
        if "--no-backup" not in words:
            execute(project.files[0], "INSERT INTO users (name) VALUES ('eve')")
        failed = process.finished()
    assert failed.returncode == 8, failed.stderr
    assert f"{project.files[0]} is at 002" in failed.stderr
    assert f"{project.files[1]} is at 001" in failed.stderr
    assert project.stamps() == [["002"], ["001"]]
    assert project.dumps()[1] == before[1]
    assert orchctl(project, "upgrade").returncode == 0
    assert project.stamps() == AFTER
    if "--no-backup" not in words:
        assert query(project.files[0], "SELECT name FROM users WHERE id = 3") == [("eve",)]


def test_ctrl_c_between_the_commits_does_not_part_the_files(project: MultiProject) -> None:
    with holding(project.files[1], *READING):
        process = start(project, "upgrade", "--no-rehearse", "--lock-timeout", "60s")
        wait_until(lambda: _heads(project.files[0]) == ["002"], "the first commit")
        process.send_signal(signal.SIGINT)
    done = process.finished()
    assert done.returncode == 130
    assert "done and committed" in done.stderr
    assert project.stamps() == AFTER


# -- what env.py opens ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "opened",
    [{"engine1": "other", "engine2": "other"}, {"engine1": "engine1", "engine2": "other"}],
)
def test_a_file_that_the_ini_does_not_list_is_refused_before_the_first_statement(
    project: MultiProject, opened: dict[str, str]
) -> None:
    text = project.env_py.read_text()
    changed = text.replace(
        "context.config.get_section(name, {})", '{"sqlalchemy.url": f"sqlite:///{OPENED[name]}.db"}'
    ).replace("USE_TWOPHASE = False", f"OPENED = {opened}\nUSE_TWOPHASE = False")
    assert changed != text
    project.env_py.write_text(changed)
    before = project.dumps()
    for words in (("upgrade",), ("upgrade", "--dry-run"), ("status",), ("rehearse",)):
        refused = orchctl(project, *words)
        assert refused.returncode == 5, (words, refused.stderr)
        assert "other.db, not" in refused.stderr
    assert project.dumps() == before
    assert not (project.folder / "other.db").exists()


def test_urls_that_only_env_py_knows(project: MultiProject) -> None:
    text = project.env_py.read_text()
    changed = text.replace(
        "context.config.get_section(name, {})", '{"sqlalchemy.url": f"sqlite:///{name}.db"}'
    )
    assert changed != text
    project.env_py.write_text(changed)
    project.set_ini(dict.fromkeys(project.names))
    done = orchctl(project, "upgrade")
    assert done.returncode == 0, done.stderr
    assert project.stamps() == AFTER


@pytest.mark.parametrize("command", ["upgrade", "downgrade", "stamp", "rehearse"])
def test_a_run_takes_no_single_database(project: MultiProject, command: str) -> None:
    refused = orchctl(project, "--url", "sqlite:///engine1.db", command, "001")
    assert refused.returncode == 5, refused.stderr
    assert "goes through 2 databases" in refused.stderr
    assert project.stamps() == BEFORE


def test_nothing_runs_outside_the_transaction_of_several_files(project: MultiProject) -> None:
    refused = orchctl(project, "upgrade", "--unsafe", "002")
    assert refused.returncode == 2
    assert "committed together" in refused.stderr
    assert project.stamps() == BEFORE


def test_what_needs_one_database_takes_it_by_url(project: MultiProject) -> None:
    assert orchctl(project, "backup", "create").returncode == 5
    for words in (("backup", "create"), ("status",), ("current",)):
        done = orchctl(project, "--url", "sqlite:///engine2.db", *words)
        assert done.returncode == 0, done.stderr


def test_database_url_of_the_application_is_no_choice(project: MultiProject) -> None:
    env = {"DATABASE_URL": "sqlite:///engine1.db"}
    done = orchctl(project, "upgrade", env=env)
    assert done.returncode == 0, done.stderr
    assert project.stamps() == AFTER


def test_two_phase_commit_is_told_of(project: MultiProject) -> None:
    text = project.env_py.read_text()
    project.env_py.write_text(text.replace("USE_TWOPHASE = False", "USE_TWOPHASE = True"))
    refused = orchctl(project, "upgrade")
    assert refused.returncode == 3, refused.stderr
    assert "USE_TWOPHASE = False" in refused.stderr
    assert project.stamps() == BEFORE


def test_a_server_among_the_databases_is_refused(project: MultiProject) -> None:
    project.set_ini({"engine1": "sqlite:///engine1.db", "engine2": "postgresql://nowhere/x"})
    refused = orchctl(project, "upgrade")
    assert refused.returncode == 3, refused.stderr
    assert project.stamps() == BEFORE
