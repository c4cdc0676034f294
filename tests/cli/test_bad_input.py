"""What people type, name or leave lying about wrongly: an exit code and a hint for each."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path

import pytest

from tests.support.env_shapes import STOCK
from tests.support.failures import json_error, refused, told
from tests.support.machine import as_nobody
from tests.support.preloaded import orchctl, start
from tests.support.processes import holding
from tests.support.projects import Project, bytes_of, clean_environment, execute, query

PASSWORD = "hunter2-s3cret"


# -- the project ----------------------------------------------------------------------------------


def test_no_alembic_ini(tmp_path: Path, project: Project) -> None:
    project.folder = tmp_path
    error = refused(
        project, "upgrade", exit_code=3, code="config-not-found", says="No alembic.ini", hint="-c "
    )
    assert str(tmp_path) in error["message"]
    refused(project, "-c", "nowhere.ini", "upgrade", exit_code=3, code="config-not-found")


def test_unknown_revision(project: Project) -> None:
    refused(
        project,
        "upgrade",
        "zzzz",
        exit_code=2,
        code="unknown-revision",
        says="'zzzz'",
        hint="orchctl history",
    )


def test_no_revision_where_a_variable_was_empty(project: Project) -> None:
    refused(project, "upgrade", "", exit_code=2, code="unknown-revision", says="empty")


def test_ambiguous_revision(project: Project) -> None:
    error = refused(
        project,
        "upgrade",
        "aaaa",
        exit_code=2,
        code="ambiguous-revision",
        says="'aaaa'",
        hint="more of it",
    )
    assert "aaaa01" in error["message"]
    assert "aaaa02" in error["message"]


def test_head_of_two_heads(project: Project) -> None:
    project.add("bbbb03", down="aaaa02")
    project.add("cccc03", down="aaaa02")
    refused(
        project,
        "upgrade",
        "head",
        exit_code=2,
        code="several-heads",
        says="bbbb03, cccc03",
        hint="orchctl merge",
    )
    assert not project.database.exists()
    assert orchctl(project, "upgrade", "heads").returncode == 0


@pytest.mark.parametrize("target", ["-7", "aaaa02-3", "--nonsense"])
def test_downgrade_to_where_there_is_nothing(begun: Project, target: str) -> None:
    refused(begun, "downgrade", "--yes", target, exit_code=2, code="unknown-revision")


def test_downgrade_takes_a_relative_revision(begun: Project) -> None:
    done = orchctl(begun, "downgrade", "-1", "--yes")
    assert done.returncode == 0, done.stderr
    assert begun.heads() == []


def test_unknown_option_and_command(project: Project) -> None:
    refused(
        project, "upgrade", "--bakcup", exit_code=2, code="usage", hint="orchctl upgrade --help"
    )
    refused(project, "upgrad", exit_code=2, code="usage", hint="orchctl --help")
    refused(project, "downgrade", exit_code=2, code="usage", hint="orchctl downgrade --help")


def test_revision_with_a_syntax_error(begun: Project) -> None:
    path = begun.add("aaaa03")
    path.write_text(path.read_text() + "\n\ndef broken(:\n")
    before = bytes_of(begun.database)
    refused(
        begun,
        "upgrade",
        exit_code=5,
        code="broken-chain",
        says="aaaa03_step.py",
        hint="verify-chain",
    )
    assert bytes_of(begun.database) == before


# -- env.py ---------------------------------------------------------------------------------------

ENV_FAILURES = {
    "imports-what-is-not-there": (
        "import no_such_module_anywhere\n",
        3,
        "env-import",
        "no_such_module_anywhere",
    ),
    "raises": ("raise RuntimeError('the moon is full')\n", 3, "env-failed", "the moon is full"),
    "exits": ("raise SystemExit(0)\n", 3, "env-failed", "SystemExit"),
    "is-no-python": ("def (:\n", 3, "env-failed", "SyntaxError"),
    "does-nothing": ("pass\n", 6, "env-ran-nothing", "never ran the migrations"),
    "only-configures": (
        STOCK.replace("context.run_migrations()", "pass"),
        6,
        "env-ran-nothing",
        "never ran the migrations",
    ),
}


@pytest.mark.parametrize("name", ENV_FAILURES)
def test_env_py_that(begun: Project, name: str) -> None:
    text, exit_code, code, says = ENV_FAILURES[name]
    begun.set_env(text)
    before = begun.dump()
    error = refused(begun, "upgrade", exit_code=exit_code, code=code, says=says)
    assert "env.py" in error["message"]
    assert error["hint"]
    assert begun.dump() == before
    assert begun.heads() == ["aaaa01"]


@pytest.mark.parametrize("name", ["raises", "does-nothing", "exits"])
def test_env_py_that_fails_leaves_no_file_behind(project: Project, name: str) -> None:
    project.set_env(ENV_FAILURES[name][0])
    assert orchctl(project, "upgrade").returncode in (3, 6)
    assert not project.database.exists()


def test_no_url_and_an_env_py_that_never_configures(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", url=None, env="pass\n")
    project.add("aaaa01")
    refused(project, "upgrade", exit_code=3, code="env-without-connection", hint="--url")


# -- the database ---------------------------------------------------------------------------------


def test_a_text_file(project: Project) -> None:
    project.database.write_text("Dear diary, today I was not a database.\n" * 100)
    before = bytes_of(project.database)
    refused(
        project, "upgrade", exit_code=5, code="not-a-database", says="app.db is not", hint="URL"
    )
    refused(project, "status", exit_code=5, code="not-a-database")
    assert bytes_of(project.database) == before


@pytest.mark.parametrize("kept", [40, 5000])
def test_a_truncated_database(begun: Project, kept: int) -> None:
    execute(begun.database, "INSERT INTO t (x) VALUES (randomblob(100000))")
    with begun.database.open("r+b") as file:
        file.truncate(kept)
    before = bytes_of(begun.database)
    error = refused(
        begun, "upgrade", exit_code=5, code="database-damaged" if kept > 100 else "not-a-database"
    )
    assert error["hint"]
    assert bytes_of(begun.database) == before


def test_a_file_of_zero_bytes_is_an_empty_database(project: Project) -> None:
    project.database.touch()
    assert orchctl(project, "upgrade").returncode == 0
    assert project.heads() == ["aaaa02"]


def test_a_file_of_zero_bytes_is_still_there_after_a_failure(project: Project) -> None:
    project.add("aaaa03", "raise RuntimeError")
    project.database.touch()
    assert orchctl(project, "upgrade").returncode == 6
    assert project.database.read_bytes() == b""


def test_a_directory(project: Project) -> None:
    project.database.mkdir()
    error = refused(project, "upgrade", exit_code=5, code="cannot-open", says="not a file")
    assert error["hint"]


def test_a_missing_parent_directory(project: Project) -> None:
    url = "sqlite:///not/there/app.db"
    for command in ("upgrade", "status"):
        refused(
            project,
            "--url",
            url,
            command,
            exit_code=5,
            code="no-directory",
            says="not/there",
            hint=f"mkdir -p {project.folder}/not/there",
        )
    assert not (project.folder / "not").exists()


def test_a_database_in_memory(project: Project) -> None:
    refused(project, "--url", "sqlite://", "upgrade", exit_code=3, code="in-memory")


@pytest.fixture
def public(begun: Project) -> Iterator[Project]:
    """The project where every user can get at it; pytest keeps its own folders closed."""
    with tempfile.TemporaryDirectory(prefix="orchctl-public-") as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(begun.folder, Path(folder) / "project")
        moved = copy(begun)
        moved.folder = Path(folder) / "project"
        yield moved
        moved.folder.chmod(0o755)


def _nobody(project: Project, command: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*front: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*as_nobody(), sys.executable, "-m", "orchctl", *front, command],
            cwd=project.folder,
            env=clean_environment() | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )

    return run


def test_a_directory_that_may_not_be_written(public: Project) -> None:
    public.database.chmod(0o666)
    public.folder.chmod(0o555)
    before = bytes_of(public.database)
    told(
        _nobody(public, "upgrade"),
        exit_code=5,
        code="not-writable",
        says=str(public.folder),
        hint="ch",
    )
    assert bytes_of(public.database) == before


def test_a_new_database_in_a_directory_that_may_not_be_written(public: Project) -> None:
    public.database.unlink()
    public.folder.chmod(0o555)
    told(
        _nobody(public, "upgrade"),
        exit_code=5,
        code="not-writable",
        says=str(public.folder),
        hint="ch",
    )
    done = _nobody(public, "status")()
    assert done.returncode == 0, done.stderr
    assert "not there yet" in done.stdout
    assert not public.database.exists()


def test_a_file_that_may_not_be_written(public: Project) -> None:
    public.folder.chmod(0o777)
    public.database.chmod(0o444)
    before = bytes_of(public.database)
    told(
        _nobody(public, "upgrade"), exit_code=5, code="not-writable", says="no right to", hint="ch"
    )
    assert bytes_of(public.database) == before


# -- locks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_locked_database(begun: Project, mode: str, lock: str) -> None:
    query(begun.database, f"PRAGMA journal_mode={mode}")
    before = begun.dump()
    with holding(begun.database, lock) as other:
        error = refused(
            begun,
            "upgrade",
            "--lock-timeout",
            "1s",
            exit_code=4,
            code="database-locked",
            says=f"process {other.pid} (",
            hint="--lock-timeout",
        )
        assert "sqlite3" in error["message"]  # its command line
        assert error["details"]["holders"][0]["pid"] == other.pid
    assert begun.dump() == before
    assert orchctl(begun, "upgrade").returncode == 0


def test_a_reader_that_keeps_the_commit_waiting(begun: Project) -> None:
    before = begun.dump()
    with holding(begun.database, "BEGIN", "SELECT * FROM t") as other:
        done = orchctl(begun, "upgrade", "--lock-timeout", "1s", "--json")
        error = json_error(done, 4)
        assert f"process {other.pid} (" in error["message"]
        assert begun.dump() == before
    assert orchctl(begun, "upgrade").returncode == 0


def test_another_orchctl(begun: Project) -> None:
    begun.add("aaaa03", "import pathlib, time\npathlib.Path('running').touch()\ntime.sleep(60)")
    other = start(begun, "upgrade", "--no-rehearse")
    try:
        while not (begun.folder / "running").exists():
            time.sleep(0.01)
        error = refused(
            begun,
            "upgrade",
            "--lock-timeout",
            "200ms",
            exit_code=4,
            code="lock-held",
            says=f"process {other.pid} (",
            hint="--lock-timeout",
        )
        assert "upgrade to head" in error["message"]
        status = orchctl(begun, "status")
        assert f"process {other.pid}" in status.stdout
    finally:
        other.send_signal(signal.SIGKILL)
        other.finished()
    assert begun.heads() == ["aaaa01"]


# -- secrets --------------------------------------------------------------------------------------

URLS = [
    f"postgresql://bob:{PASSWORD}@localhost/db",
    f"postgresql+psycopg2://bob:{PASSWORD}@localhost:port/db",
    f"sqlite://bob:{PASSWORD}@localhost/db",
    f"sqlite+pysqlcipher://:{PASSWORD}@/app.db",
    f"sqlite:///app.db?password={PASSWORD}&uri=maybe",
    f"nonsense://:{PASSWORD}@host",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("words", [("--debug", "upgrade"), ("--json", "status")])
def test_a_password_is_never_shown(project: Project, url: str, words: tuple[str, ...]) -> None:
    done = orchctl(project, "--url", url, *words)
    assert done.returncode == 3, done.stderr
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("flag", ["--debug", "--json", "--quiet"])
def test_a_password_in_what_env_py_raises_is_never_shown(project: Project, flag: str) -> None:
    url = f"postgresql://bob:{PASSWORD}@one/x"
    project.set_env(f"raise RuntimeError('no {url} and no {url.replace('one', 'two')} either')")
    done = orchctl(project, flag, "upgrade")
    assert done.returncode == 3
    assert "either" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_config_show_masks(project: Project) -> None:
    for words in ([], ["--json"]):
        done = orchctl(project, "config", "show", *words, env={"DATABASE_URL": URLS[0]})
        assert "postgresql://bob:***@localhost/db" in done.stdout
        assert PASSWORD not in done.stdout + done.stderr


# -- settings -------------------------------------------------------------------------------------


def test_an_unknown_setting(project: Project) -> None:
    (project.folder / "orchctl.toml").write_text('lock-timeuot = "5s"\n')
    refused(
        project,
        "upgrade",
        exit_code=3,
        code="unknown-setting",
        says="lock-timeuot",
        hint="lock-timeout?",
    )


def test_a_file_that_is_no_toml(project: Project) -> None:
    (project.folder / "orchctl.toml").write_text("lock-timeout: 5s\n")
    refused(project, "upgrade", exit_code=3, code="config-unreadable", says="orchctl.toml")


@pytest.mark.parametrize("value", ["soon", "-5s", "5 parsecs", ""])
def test_a_bad_duration(project: Project, value: str) -> None:
    refused(
        project,
        "upgrade",
        "--lock-timeout",
        value,
        exit_code=3,
        code="bad-setting",
        says="--lock-timeout",
        hint="duration",
    )


def test_a_bad_duration_in_the_environment(project: Project) -> None:
    refused(
        project,
        "upgrade",
        env={"ORCHCTL_LOCK_TIMEOUT": "soon"},
        exit_code=3,
        code="bad-setting",
        says="ORCHCTL_LOCK_TIMEOUT",
        hint="duration",
    )


def test_a_misspelt_variable(project: Project) -> None:
    refused(
        project,
        "upgrade",
        env={"ORCHCTL_LOCK_TIMOUT": "5s"},
        exit_code=3,
        code="unknown-setting",
        says="ORCHCTL_LOCK_TIMOUT",
        hint="ORCHCTL_LOCK_TIMEOUT",
    )


# -- output ---------------------------------------------------------------------------------------


def test_json_before_and_after_the_command(begun: Project) -> None:
    before = orchctl(begun, "--json", "status")
    after = orchctl(begun, "status", "--json")
    assert before.stdout == after.stdout
    assert before.stdout.startswith("{")
    for words in (["--json", "upgrade", "zzzz"], ["upgrade", "zzzz", "--json"]):
        assert json_error(orchctl(begun, *words), 2)["code"] == "unknown-revision"
    for words in (["--json", "upgrade", "--nope"], ["upgrade", "--nope", "--json"]):
        assert json_error(orchctl(begun, *words), 2)["code"] == "usage"


def _shell(project: Project, line: str) -> subprocess.CompletedProcess[str]:
    """A line for bash, `orchctl` in it standing for this one."""
    orchctl_ = f'orchctl() {{ "{sys.executable}" -m orchctl "$@"; }}; set -o pipefail; '
    return subprocess.run(
        ["bash", "-c", orchctl_ + line],
        cwd=project.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_reader_of_stdout_that_goes_away(project: Project) -> None:
    for number in range(3, 200):
        project.add(f"aaaa{number:02}")
    done = _shell(project, "orchctl history -v | head -1")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("reader", ["true", "head -1"])
def test_a_reader_of_the_progress_that_goes_away_stops_no_upgrade(
    begun: Project, reader: str
) -> None:
    done = _shell(begun, f"orchctl upgrade 2>&1 | {reader}")
    assert done.returncode == 0, done.stderr
    assert begun.heads() == ["aaaa02"]
    assert orchctl(begun, "rollback").returncode == 0  # it is in the journal, too
    assert begun.heads() == ["aaaa01"]


def test_a_failure_keeps_its_exit_code_when_nobody_reads_it(begun: Project) -> None:
    assert _shell(begun, "orchctl upgrade zzzz 2>&1 | true").returncode == 2
    assert _shell(begun, "orchctl --debug upgrade zzzz 2>&1 | true").returncode == 2


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(begun: Project, closed: str) -> None:
    done = _shell(begun, f"orchctl upgrade {closed}")
    assert done.returncode == 0, done.stderr
    assert begun.heads() == ["aaaa02"]
    assert query(begun.database, "PRAGMA integrity_check") == [("ok",)]
    assert _shell(begun, f"orchctl upgrade zzzz {closed}").returncode == 2


def test_sql_of_a_revision_that_needs_the_database(project: Project) -> None:
    project.add(
        "aaaa03",
        'with op.batch_alter_table("t") as batch:\n    batch.alter_column("x", nullable=False)',
    )
    error = refused(
        project, "upgrade", "--sql", exit_code=2, code="no-offline-sql", hint="orchctl rehearse"
    )
    assert "history" not in error["hint"]


@pytest.mark.parametrize("url", ["app.db", "/srv/app.db", "sqlite:/app.db"])
def test_a_path_where_a_url_should_be(begun: Project, url: str) -> None:
    hint = "sqlite:///" if url.startswith("sqlite") else f"sqlite:///{url}"
    for words in (("status",), ("upgrade",)):
        refused(begun, "--url", url, *words, exit_code=3, code="bad-url", says=url, hint=hint)


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    program = "import os, sys; os.rmdir(os.getcwd()); from orchctl.__main__ import main; main()"
    for words in (["status"], ["--json", "upgrade"]):
        folder = tmp_path / "gone"
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", program, *words], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 3, done.stderr
        assert "working folder is not there" in done.stderr


def test_what_flask_migrate_leaves_to_flask_is_told(project: Project) -> None:
    """Its ini lies beside env.py and names no folder, and its env.py asks the application."""
    folder = project.folder / "migrations"
    ini = folder / "alembic.ini"
    ini.write_text("[alembic]\n")
    words = ("-c", str(ini), "status")
    hint = "script_location = %(here)s"
    error = refused(project, *words, exit_code=3, code="no-script-location", hint=hint)
    assert error["hint"].endswith(hint)
    text = "Working outside of application context."
    project.set_env(f"raise RuntimeError({text!r})")
    refused(project, "upgrade", exit_code=3, code="env-failed", says=text, hint="app_context()")


def test_sql_of_a_downgrade_without_its_beginning(project: Project) -> None:
    hint = "orchctl downgrade FROM:base --sql"
    refused(project, "downgrade", "base", "--sql", exit_code=2, code="usage", hint=hint)


def test_a_database_that_was_made_without_its_revisions(project: Project) -> None:
    """The way out is a stamp, not another revision."""
    execute(project.database, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
    error = refused(
        project, "upgrade", exit_code=6, code="upgrade-failed", says="already exists", hint="stamp"
    )
    assert "orchctl doctor" in error["hint"]
    assert orchctl(project, "stamp", "aaaa01").returncode == 0
    assert orchctl(project, "upgrade").returncode == 0
