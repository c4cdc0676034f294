"""Each hazard bites as soon as its guard is taken out: so the tests of the hazards can fail.

| hazard | the guard that is taken out here | what happens then |
|---|---|---|
| H01 | the rollback of a failed run | half of the revisions stay |
| H02 | foreign keys off before BEGIN | ON DELETE CASCADE deletes the children |
| H03 | foreign keys off before BEGIN | ON DELETE SET NULL unlinks them |
| H04 | commits of revisions put off | what came before a failure stays |
| H05 | commits of revisions put off | a kill leaves a state between |
| H06 | orchctl's lock | each replica takes a snapshot and rehearses |
| H07 | SQLite's recovery on the full disk | the journal goes on filling it |
| H08 | the retries for the write lock | a live writer fails the run |
| H09 | the comparison of the two files | another database is migrated, without a snapshot |
| H10 | the question to a fresh connection | exit 0, and nothing happened |
| H11 | the refusal of what no transaction holds | silently left out |
| H12 | the proof | rows are gone, exit 0 |
| H13 | the comparison of schemas | triggers are gone, exit 0 |
| H14 | commits of env.py put off | transaction_per_migration leaves half |
| H15 | the answer from the files alone | Alembic and every revision are loaded for nothing |
| H16 | the chain's manifest in journal and snapshots | nobody knows where the revision is from |
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import alembic
import pytest

from tests.hazards import test_h02, test_h09, test_h12, test_h13
from tests.hazards.test_h08 import _project as written_to
from tests.hazards.test_h08 import _writing as writing
from tests.support.env_shapes import SHAPES, STOCK
from tests.support.machine import mounted
from tests.support.preloaded import orchctl, start
from tests.support.processes import wait_until
from tests.support.projects import Project, dump, execute, query

TABLE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("x"))'
TABLE = TABLE.replace('"x"', '"x", sa.Text')
INSERT = 'op.execute("INSERT INTO t (id) VALUES (1)")'
FAILS = 'op.execute("INSERT INTO nowhere VALUES (1)")'

# What stands for a guard that is not there, executed in orchctl's process before it begins.
KEEPS_EVERYTHING = """
from orchctl.upgrade.connection import GuardedConnection as Guard
finish = Guard.finish
Guard.finish = lambda self, *, keep: finish(self, keep=True)
"""
COMMITS_AT_ONCE = """
from orchctl.upgrade.connection import GuardedConnection as Guard
def commit(self):
    for sql in ("COMMIT", "BEGIN IMMEDIATE", "SAVEPOINT orchctl_commit"):
        self.control(sql)
Guard.commit = commit
"""
KEYS_ON = """
import orchctl.upgrade.file_transaction as module
def begin(real, *_):
    real.execute("PRAGMA foreign_keys=ON").close()
    real.execute("BEGIN IMMEDIATE").close()
module.begin = begin
"""
NO_LOCK = """
import contextlib, orchctl.database.lock as module
module.hold = lambda *_, **__: contextlib.nullcontext()
"""
NO_RECOVERY = "import orchctl.upgrade.file_run as module; module.recover = lambda file: None"
ONE_TRY = "import orchctl.upgrade.write_lock as m; m._retried = lambda action, *_: action()"
ANY_FILE = "import orchctl.upgrade.transaction as module; module.same_file = lambda *_: True"
NEVER_COMMITS = """
from orchctl.upgrade.connection import GuardedConnection as Guard
finish = Guard.finish
def finish_without(self, *, keep):
    finish(self, keep=False)
    self.state = type(self.state).COMMITTED if keep else self.state
Guard.finish = finish_without
"""
UNCONFIRMED = "import orchctl.upgrade.file_run as module; module.confirm = lambda *_: None"
REFUSES_NOTHING = """
from orchctl.upgrade.transaction import Transaction
Transaction._refuse = lambda *_: None
"""
ANY_LOSS = "import orchctl.upgrade.safekeeping as m; m.undeclared = lambda *_, **__: ()"
NO_SCHEMA = """
from orchctl.upgrade.safekeeping import Safekeeping
Safekeeping._schema_losses = lambda *_: ((), ())
"""
NO_FILES_ALONE = "import orchctl.upgrade.at_head as m; m.already_there = lambda *_: None"
NOTES_LOADING = """
import sys
def heard(event, arguments):
    if event == "exec" and "001_step" in str(getattr(arguments[0], "co_filename", "")):
        open("loaded", "a").close()
sys.addaudithook(heard)
"""
NO_MANIFEST = """
import orchctl.upgrade.file_run as run, orchctl.upgrade.starting_point as point
run.chain_manifest = point.chain_manifest = lambda *_: None
"""


def _project(tmp_path: Path, *bodies: str, env: str = STOCK) -> Project:
    """A project at its first revision, others pending."""
    project = Project(tmp_path / "project", env=env)
    project.add("001", TABLE)
    assert orchctl(project, "upgrade").returncode == 0
    for number, body in enumerate(bodies, 2):
        project.add(f"{number:03}", body)
    return project


def test_h01_without_the_rollback_half_of_it_stays(tmp_path: Path) -> None:
    project = _project(tmp_path, INSERT, FAILS)
    orchctl(project, "upgrade", "--no-rehearse", prelude=KEEPS_EVERYTHING + UNCONFIRMED)
    assert query(project.database, "SELECT id FROM t") == [(1,)]


@pytest.mark.parametrize(
    ("action", "left"), [("CASCADE", []), ("SET NULL", [(1, None), (2, None), (3, None)])]
)
def test_h02_h03_with_foreign_keys_on_children_go_and_links_too(
    tmp_path: Path, action: str, left: list[tuple]
) -> None:
    project = test_h02.project_with(tmp_path, action)
    done = orchctl(project, "upgrade", "--proof", "off", prelude=KEYS_ON)
    assert done.returncode == 0, done.stderr
    assert query(project.database, "SELECT * FROM child") == left


def test_h04_a_commit_that_is_not_put_off_keeps_half(tmp_path: Path) -> None:
    project = _project(tmp_path, INSERT + "\nop.get_bind().commit()\n" + FAILS)
    before = project.dump()
    assert orchctl(project, "upgrade", "--no-rehearse", prelude=COMMITS_AT_ONCE).returncode == 6
    assert project.dump() != before
    assert project.heads() == ["001"]


def test_h05_a_commit_that_is_not_put_off_survives_the_kill(tmp_path: Path) -> None:
    kill = "import os\nos.kill(os.getpid(), 9)"
    project = _project(tmp_path, f"{INSERT}\nop.get_bind().commit()\n{kill}")
    died = orchctl(project, "upgrade", "--no-rehearse", prelude=COMMITS_AT_ONCE)
    assert died.returncode == -signal.SIGKILL
    assert query(project.database, "SELECT id FROM t") == [(1,)]
    assert project.heads() == ["001"]


@pytest.mark.parametrize("guard", ["", NO_LOCK], ids=["locked", "taken out"])
def test_h06_without_the_lock_each_takes_a_snapshot(tmp_path: Path, guard: str) -> None:
    wait = 'import os, time\nopen("reached", "a").close()\n'
    wait += 'while not os.path.exists("go"): time.sleep(0.01)'
    project = _project(tmp_path, wait)

    seen: set[str] = set()

    def snapshots() -> int:
        # Without the lock, the second also takes the first for dead, and may clear up after it.
        seen.update(path.name for path in (project.folder / "backups").glob("*.json"))
        return len(seen)

    first = start(project, "upgrade", "--no-rehearse", prelude=guard)
    wait_until((project.folder / "reached").exists)
    second = start(project, "upgrade", prelude=guard)
    wait_until(lambda: snapshots() == 2 if guard else "Waiting for" in second.stderr())
    assert snapshots() == (2 if guard else 1)
    (project.folder / "go").touch()
    assert [run.finished().returncode for run in (first, second)] == [0, 0]


@pytest.mark.parametrize("guard", ["", NO_RECOVERY], ids=["recovered", "taken out"])
def test_h07_without_the_recovery_the_disk_stays_full(tmp_path: Path, guard: str) -> None:
    with mounted(tmp_path / "disk", "size=16m") as disk:
        project = Project(tmp_path / "project", url=f"sqlite:///{disk}/app.db")
        project.add("001", TABLE)
        assert orchctl(project, "upgrade").returncode == 0
        execute(disk / "app.db", "INSERT INTO t (x) VALUES (zeroblob(1000000))")
        project.add("002", 'op.execute("INSERT INTO t (x) VALUES (zeroblob(30000000))")')
        failed = orchctl(project, "upgrade", "--no-rehearse", prelude=guard)
        assert failed.returncode == 6, failed.stderr
        full = shutil.disk_usage(disk).free < 5_000_000
        assert full is bool(guard)


def test_h08_with_one_try_a_writer_fails_the_run(tmp_path: Path) -> None:
    project = written_to(tmp_path, "wal")
    with writing(project, 600):
        assert orchctl(project, "upgrade", "--lock-timeout", "3s").returncode == 4
        failed = orchctl(project, "upgrade", "--lock-timeout", "3s", prelude=ONE_TRY)
        assert "waited 3s" not in failed.stderr
        assert failed.returncode != 0


def test_h09_without_the_comparison_another_database_is_migrated(tmp_path: Path) -> None:
    project = test_h09._project(tmp_path, "sqlite:///app.db")
    other = project.folder / "other.db"
    before = dump(other)
    orchctl(project, "upgrade", prelude=ANY_FILE)
    assert dump(other) != before
    assert list((project.folder / "backups").glob("other.db*")) == []


def test_h10_unconfirmed_a_run_that_did_nothing_is_done(tmp_path: Path) -> None:
    project = _project(tmp_path, INSERT)
    words = ("upgrade", "--no-rehearse", "--no-backup")
    assert orchctl(project, *words, prelude=NEVER_COMMITS).returncode == 6
    done = orchctl(project, *words, prelude=NEVER_COMMITS + UNCONFIRMED)
    assert done.returncode == 0, done.stderr
    assert query(project.database, "SELECT * FROM t") == []


def test_h11_unrefused_a_pragma_is_left_out_in_silence(tmp_path: Path) -> None:
    project = _project(tmp_path, 'op.execute("PRAGMA journal_mode=WAL")')
    done = orchctl(project, "upgrade", prelude=REFUSES_NOTHING)
    assert done.returncode == 0, done.stderr
    assert query(project.database, "PRAGMA journal_mode") == [("delete",)]


def test_h12_without_the_proof_rows_are_gone(tmp_path: Path) -> None:
    project = test_h12._project(tmp_path)
    project.add("002", test_h12.LOSSES["all rows"][0])
    assert orchctl(project, "upgrade").returncode == 5
    assert orchctl(project, "upgrade", prelude=ANY_LOSS).returncode == 0
    assert query(project.database, "SELECT * FROM child") == []


def test_h13_without_the_comparison_triggers_are_gone(tmp_path: Path) -> None:
    project = test_h13._project(tmp_path)
    project.add("002", test_h13.REBUILD.format("q"))
    assert orchctl(project, "upgrade", prelude=NO_SCHEMA).returncode == 0
    triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
    assert query(project.database, triggers) == []


def test_h14_transaction_per_migration_keeps_half(tmp_path: Path) -> None:
    env = SHAPES["transactional-ddl-on-per-migration"]
    project = _project(tmp_path, INSERT, FAILS, env=env)
    failed = orchctl(project, "upgrade", "--no-rehearse", prelude=COMMITS_AT_ONCE)
    assert failed.returncode == 6
    assert project.heads() == ["002"]


@pytest.mark.parametrize("guard", ["", NO_FILES_ALONE], ids=["by the files", "taken out"])
def test_h15_without_the_short_way_revisions_are_loaded(tmp_path: Path, guard: str) -> None:
    template = Path(alembic.__file__).parent / "templates" / "generic" / "env.py"
    env = template.read_text().replace("fileConfig(config.config_file_name)", "pass")
    project = _project(tmp_path, env=env)
    done = orchctl(project, "upgrade", prelude=guard + NOTES_LOADING)
    assert "nothing to do" in done.stdout
    assert (project.folder / "loaded").exists() is bool(guard)


@pytest.mark.parametrize("guard", ["", NO_MANIFEST], ids=["told", "taken out"])
def test_h16_without_the_manifest_nobody_knows_the_revision(tmp_path: Path, guard: str) -> None:
    project = _project(tmp_path, INSERT)
    assert orchctl(project, "upgrade", prelude=guard).returncode == 0
    (project.folder / "migrations" / "versions" / "002_step.py").unlink()
    refused = orchctl(project, "upgrade")
    assert refused.returncode == 5
    assert ("a chain of 2 revisions up to 002" in refused.stderr) is not bool(guard)
