"""`pytest --orchctl`: real runs of pytest on real projects."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchctl.chain.titles import rule_titles
from orchctl.pytest_plugin import GROUPS
from tests.support.projects import Project, clean_environment, execute
from tests.support.repositories import GitRepository

# These load for two seconds whatever the tests are.
WITHOUT = [word for name in ("schemathesis", "hypothesispytest") for word in ("-p", f"no:{name}")]
ALL = ["chain: files", "chain: graph", "chain: ids", "lint", "ignore comments"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    table = "op.create_table('users', sa.Column('id', sa.Integer))"
    made.add("001", table, "op.drop_table('users')", name="001_initial.py")
    made.add("002", name="002_more.py")
    (made.folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (made.folder / "test_own.py").write_text("def test_own():\n    pass\n")
    return made


def run(project: Project, *words: str, folder: str = ".") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *WITHOUT, "-p", "no:cacheprovider", "-W", "error", *words],
        cwd=project.folder / folder,
        env=clean_environment() | {"PYTEST_ADDOPTS": "", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def break_parent(project: Project) -> None:
    path = project.folder / "migrations/versions/002_more.py"
    text = path.read_text()
    path.write_text(text.replace("down_revision = '001'", "down_revision = '001_initial'"))


def verdicts(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return dict(re.findall(r"^orchctl::(.+?) (PASSED|FAILED) ", done.stdout, re.MULTILINE))


def test_every_rule_is_in_one_group() -> None:
    for rule in rule_titles():
        groups = [name for name, starts in GROUPS.items() if rule.id.startswith(starts)]
        assert len(groups) == 1, rule.id


def test_without_the_option_nothing_is_different(project: Project) -> None:
    break_parent(project)
    done = run(project, "-v")
    assert done.returncode == 0, done.stdout
    assert "orchctl" not in done.stdout.replace("plugins: ", "").partition("collected")[2]
    assert "1 passed" in done.stdout


def test_a_sound_chain_beside_the_projects_own_tests(project: Project) -> None:
    done = run(project, "--orchctl", "-v")
    assert done.returncode == 0, done.stdout
    assert verdicts(done) == dict.fromkeys(ALL, "PASSED")
    assert f"collected {len(ALL) + 1} items" in done.stdout
    assert f"{len(ALL) + 1} passed" in done.stdout


def test_a_broken_chain_fails_one_test_and_shows_what_verify_chain_shows(project: Project) -> None:
    break_parent(project)
    done = run(project, "--orchctl", "-v", "-m", "orchctl")
    assert done.returncode == 1
    assert verdicts(done) == dict.fromkeys(ALL, "PASSED") | {"chain: files": "FAILED"}
    assert "1 deselected" in done.stdout
    shown = project.orchctl("verify-chain", "--select", "C01").stdout.splitlines()
    assert shown[0].startswith("migrations/versions/002_more.py:12: C01 error: ")
    assert "\n".join(shown[:4]) in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (("--orchctl-path", "migrations/versions"), "."),
        (("--orchctl-path", "../migrations"), "sub"),
        ((), "sub"),
    ],
)
def test_the_chain_is_found_from_anywhere(
    project: Project, words: tuple[str, ...], folder: str
) -> None:
    break_parent(project)
    (project.folder / "sub").mkdir()
    done = run(project, "--orchctl", "-q", "-k", "files", *words, folder=folder)
    assert done.returncode == 1, done.stdout
    assert "migrations/versions/002_more.py:12: C01 error: " in done.stdout


def test_the_settings_choose_the_rules(project: Project) -> None:
    (project.folder / "orchctl.toml").write_text(
        '[verify]\nselect = ["C01", "L"]\nignore = ["L"]\nlevels = {C01 = "note"}\n'
    )
    break_parent(project)
    done = run(project, "--orchctl", "-v", "-rA", "-m", "orchctl")
    assert verdicts(done) == {"chain: files": "PASSED"}
    assert "migrations/versions/002_more.py:12: C01 note: " in done.stdout


def test_the_lockfile_counts_where_there_is_one(project: Project) -> None:
    assert project.orchctl("verify-chain", "--lock").returncode == 0
    assert verdicts(run(project, "--orchctl", "-v"))["lockfile"] == "PASSED"
    path = project.folder / "migrations/versions/002_more.py"
    path.write_text(path.read_text().replace("pass", "op.execute('SELECT 1')", 1))
    done = run(project, "--orchctl", "-v")
    assert verdicts(done)["lockfile"] == "FAILED"
    assert "C13 error" in done.stdout
    (project.folder / "migrations/chain.lock").write_text("nonsense\n")
    done = run(project, "--orchctl", "-v")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout


def test_the_tree_as_it_will_be_once_merged(project: Project) -> None:
    (project.folder / ".gitignore").write_text("__pycache__\n.orchctl_cache\n")
    repository = GitRepository.make(project.folder)
    repository.commit("two revisions")
    repository.branch("feature")
    repository.switch("main")
    project.add("0bb", name="0bb_theirs.py", down="002")
    repository.commit("theirs")
    repository.switch("feature")
    project.add("0aa", name="0aa_ours.py", down="002")
    repository.commit("ours")
    assert "merged tree" not in verdicts(run(project, "--orchctl", "-v"))
    sound = run(project, "--orchctl", "-v", "--orchctl-base", "HEAD")
    assert verdicts(sound) == dict.fromkeys([*ALL, "merged tree"], "PASSED")
    done = run(project, "--orchctl", "-v", "--orchctl-base", "main", "-k", "merged")
    assert done.returncode == 1
    assert verdicts(done) == {"merged tree": "FAILED"}
    assert "C15 error: Once merged with main: C04, 2 heads: " in done.stdout
    assert "orchctl merge 0aa 0bb -m" in done.stdout
    gone = run(project, "--orchctl", "--orchctl-base", "nowhere")
    assert gone.returncode == 1
    assert "git knows no commit nowhere" in gone.stdout
    assert "Traceback" not in gone.stdout


def test_databases_are_held_against_the_chain(project: Project) -> None:
    for name, id_ in (("good", "002"), ("bad", "9f3c")):
        execute(
            project.folder / f"{name}.db",
            "CREATE TABLE alembic_version (version_num TEXT);"
            f"INSERT INTO alembic_version VALUES ('{id_}')",
        )
    words = ("--orchctl", "-v", "-k", "databases", "--orchctl-db", "sqlite:///good.db")
    assert verdicts(run(project, *words)) == {"databases": "PASSED"}
    done = run(project, *words, "--orchctl-db", "bad.db")
    assert verdicts(done) == {"databases": "FAILED"}
    assert "bad.db is at revision '9f3c', which this chain does not have" in done.stdout
    gone = run(project, *words, "--orchctl-db", "gone.db")
    assert (gone.returncode, "Traceback" in gone.stdout) == (1, False)
    assert "There is no database" in gone.stdout


@pytest.mark.parametrize("word", ["path", "base", "db"])
def test_an_option_without_the_first_one_is_told(project: Project, word: str) -> None:
    done = run(project, f"--orchctl-{word}", "x")
    assert done.returncode == 4
    assert f"--orchctl-{word} goes with --orchctl" in done.stderr


def test_no_project_is_one_line(project: Project) -> None:
    (project.folder / "alembic.ini").unlink()
    done = run(project, "--orchctl")
    assert done.returncode == 2
    assert "No alembic.ini" in done.stdout
    assert "Traceback" not in done.stdout


def test_in_parallel(project: Project) -> None:
    break_parent(project)
    done = run(project, "--orchctl", "-n", "2", "-v")
    assert done.returncode == 1
    assert f"1 failed, {len(ALL)} passed" in done.stdout


def test_it_costs_nothing_without_the_option(project: Project) -> None:
    """What pytest imports at its start: this one module, and nothing through it."""
    program = (
        "import json, sys, pytest\n"
        "code = pytest.main(['-q', '-p', 'no:cacheprovider', *sys.argv[1:]])\n"
        "names = [one for one in sys.modules if one.partition('.')[0] in\n"
        "         ('orchctl', 'alembic', 'sqlalchemy', 'typer', 'rich', 'sqlite3')]\n"
        "print(json.dumps([int(code), sorted(names)]))\n"
    )

    def imported(*words: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", program, *WITHOUT, *words],
            cwd=project.folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        code, names = json.loads(done.stdout.splitlines()[-1])
        assert code == 0, done.stdout
        return names

    assert imported() == ["orchctl", "orchctl.pytest_plugin"]
    given = {name.partition(".")[0] for name in imported("--orchctl")}
    assert not given & {"alembic", "sqlalchemy", "rich"}
