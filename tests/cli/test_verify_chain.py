"""`orchctl verify-chain`: real processes on real folders and databases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import projects
from tests.support.projects import Project, clean_environment
from tests.support.repositories import GitRepository

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    table = "op.create_table('users', sa.Column('id', sa.Integer))"
    made.add("001", table, "op.drop_table('users')", name="001_initial.py")
    made.add("002", name="002_more.py")
    made.add("003", name="003_last.py")
    return made


def break_parent(project: Project) -> Path:
    """The case of the field: 002's parent is named by its file."""
    path = project.folder / "migrations/versions/002_more.py"
    text = path.read_text()
    path.write_text(text.replace("down_revision = '001'", "down_revision = '001_initial'"))
    return path


def data(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_chain_that_is_right(project: Project) -> None:
    done = project.orchctl("verify-chain")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "3 revisions, 1 head (003), no findings\n"


def test_the_field_case(project: Project) -> None:
    path = break_parent(project)
    line = path.read_text().splitlines().index("down_revision = '001_initial'") + 1
    done = project.orchctl("verify-chain")
    assert done.returncode == 1
    assert done.stdout == (
        f"migrations/versions/002_more.py:{line}: C01 error: down_revision names the file "
        "'001_initial'; the revision in it is '001'\n"
        "    down_revision = '001_initial'\n"
        "    Alembic: KeyError: '001_initial'\n"
        "    suggestion: 001\n"
        "3 revisions, 1 head (003), 1 error\n"
    )
    assert done.stderr == "--fix mends 1 of them\n"
    assert "KeyError: '001_initial'" in project.alembic("heads").stderr


@pytest.mark.parametrize("words", [("--json",), ("--format", "json")])
def test_the_json_contract(project: Project, words: tuple[str, ...]) -> None:
    path = break_parent(project)
    done = project.orchctl("verify-chain", *words)
    assert (done.returncode, done.stderr) == (1, "")
    found = data(done)
    assert (found["ok"], found["revisions"]) == (False, ["001", "002", "003"])
    assert (found["heads"], found["bases"]) == (["003"], ["001"])
    (finding,) = found["findings"]
    assert finding["rule"] == "C01"
    assert finding["severity"] == "error"
    assert finding["path"] == "migrations/versions/002_more.py"
    assert path.read_text().splitlines()[finding["line"] - 1] == "down_revision = '001_initial'"
    assert (finding["revision"], finding["suggestion"]) == ("002", "001")
    assert data(project.orchctl("--json", "verify-chain")) == found


def test_what_fix_does_not_mend_is_not_offered(project: Project) -> None:
    path = break_parent(project)
    path.write_text(path.read_text().replace("= '001_initial'", "= '001_' 'initial'"))
    for words in ((), ("--fix",)):
        done = project.orchctl("verify-chain", "--select", "C01", *words)
        assert (done.returncode, done.stderr) == (1, ""), words


def test_fix_mends_just_that(project: Project) -> None:
    path = break_parent(project)
    path.chmod(0o640)
    broken = path.read_bytes()
    others = {one: one.read_bytes() for one in path.parent.iterdir() if one != path}
    shown = project.orchctl("verify-chain", "--fix", "--dry-run")
    assert shown.returncode == 1
    assert "-down_revision = '001_initial'\n+down_revision = '001'\n" in shown.stdout
    assert path.read_bytes() == broken
    done = project.orchctl("verify-chain", "--fix")
    assert done.returncode == 0
    assert "002_more.py:12: C01 mended" in done.stdout
    assert done.stdout.endswith("3 revisions, 1 head (003), no findings\n")
    assert path.read_bytes() == broken.replace(b"'001_initial'", b"'001'")
    assert path.stat().st_mode & 0o777 == 0o640
    assert {one: one.read_bytes() for one in others} == others
    assert project.alembic("upgrade", "head").returncode == 0
    again = project.orchctl("verify-chain", "--fix")
    assert (again.returncode, again.stdout) == (0, "3 revisions, 1 head (003), no findings\n")


def test_fix_in_json(project: Project) -> None:
    break_parent(project)
    shown = data(project.orchctl("verify-chain", "--fix", "--dry-run", "--json"))
    assert (shown["ok"], shown["edits"][0]["applied"]) == (False, False)
    done = data(project.orchctl("verify-chain", "--fix", "--json"))
    assert (done["ok"], done["findings"]) == (True, [])
    (edit,) = done["edits"]
    assert (edit["path"], edit["applied"]) == ("migrations/versions/002_more.py", True)
    assert "+down_revision = '001'" in edit["diff"]


@pytest.mark.parametrize("path", ["migrations/versions", "migrations", "alembic.ini", "."])
def test_a_path_instead_of_the_settings(project: Project, path: str, tmp_path: Path) -> None:
    break_parent(project)
    done = project.orchctl("verify-chain", path, "--json")
    assert [one["rule"] for one in data(done)["findings"]] == ["C01"]
    # From elsewhere, without any project of one's own.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = project.folder / path
    done = run(elsewhere, "verify-chain", str(target), "--json")
    (finding,) = data(done)["findings"]
    assert finding["path"] == str(project.folder / "migrations/versions/002_more.py")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return projects.run("orchctl", words, folder, clean_environment())


def test_this_repositorys_own_chain() -> None:
    done = run(ROOT, "verify-chain", "migrations/versions")
    assert (done.returncode, done.stdout) == (0, "4 revisions, 1 head (004), no findings\n")


USAGE = {
    "gone": (("verify-chain", "nowhere"), 2, "nowhere does not exist"),
    "a file": (("verify-chain", "app.txt"), 2, "neither a folder nor an ini file"),
    "a dry run that writes": (
        ("verify-chain", "--fix", "--dry-run", "--lock"),
        2,
        "--dry-run writes nothing, --lock does",
    ),
    "dry-run alone": (("verify-chain", "--dry-run"), 2, "--dry-run goes with --fix"),
    "unknown format": (("verify-chain", "--format", "xml"), 2, "'--format': 'xml' is not one of"),
    "no such database": (("verify-chain", "--db", "gone.db"), 3, "no database"),
    "no database at all": (("verify-chain", "--db", "sqlite://"), 3, "memory"),
}


@pytest.mark.parametrize(("words", "code", "text"), USAGE.values(), ids=list(USAGE))
def test_wrong_use(project: Project, words: tuple[str, ...], code: int, text: str) -> None:
    (project.folder / "app.txt").write_text("")
    done = project.orchctl(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    error = json.loads(project.orchctl("--json", *words).stderr)["error"]
    assert error["exit_code"] == code
    assert error["hint"]


def test_no_project(tmp_path: Path) -> None:
    done = run(tmp_path, "verify-chain")
    assert done.returncode == 3
    assert "No alembic.ini" in done.stderr


def test_nothing_of_the_project_is_run(project: Project) -> None:
    """Revision files and env.py that would shout are only read; Alembic is not even loaded."""
    versions = project.folder / "migrations/versions"
    (versions / "002_more.py").write_text(
        "import no_such_module\nprint('shout')\nrevision = '002'\ndown_revision = '001'\n"
    )
    project.set_env("raise SystemExit('shout')")
    before = sorted(project.folder.rglob("*"))
    program = (
        "import sys; from orchctl.cli.boundary import run; code = run(['verify-chain']); "
        "heavy = {'alembic', 'sqlalchemy', 'docker', 'kubernetes', 'rich'} & sys.modules.keys(); "
        "sys.exit(code or (f'loaded {heavy}' if heavy else 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=project.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "shout" not in done.stdout
    assert sorted(project.folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("url", "found"), [(None, ["L10"]), ("sqlite:///x.db", ["L10"]), ("postgresql://db/x", [])]
)
def test_what_sqlite_lacks_is_no_error_of_another_database(
    tmp_path: Path, url: str | None, found: list[str]
) -> None:
    project = Project(tmp_path / "project", url=url)
    project.add("001", "op.alter_column('users', 'name', type_=sa.Text())", "raise ValueError")
    done = project.orchctl("verify-chain", "--json")
    assert [one["rule"] for one in json.loads(done.stdout)["findings"]] == found
    assert done.returncode == bool(found)


@pytest.mark.parametrize(
    ("line", "code"),
    [("| head -1", 1), ("--graph html | true", 1), ("--select C17 | true", 0), ("> /dev/full", 6)],
)
def test_the_verdict_does_not_depend_on_the_reader(project: Project, line: str, code: int) -> None:
    for path in (project.folder / "migrations/versions").iterdir():
        path.write_text(path.read_text().replace("down_revision = '", "down_revision = 'x"))
    command = f"set -o pipefail; {sys.executable} -m orchctl verify-chain {line}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=project.folder,
        env=clean_environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert (done.returncode, "bug" in done.stderr) == (code, False), done.stderr


def test_of_compiled_code_no_line_is_shown(project: Project) -> None:
    versions = project.folder / "migrations/versions"
    (versions / "004.pyc").write_bytes(b"\xa7\r\r\n code")
    ini = project.folder / "alembic.ini"
    ini.write_text(ini.read_text() + "sourceless = true\n")
    done = project.orchctl("verify-chain", "--select", "C08")
    assert done.stdout.splitlines()[1].startswith("    suggestion: Keep the .py file beside it")


def test_an_empty_base_is_no_branch(project: Project) -> None:
    GitRepository.make(project.folder)
    done = project.orchctl("verify-chain", "--base", "")
    assert (done.returncode, done.stdout) == (2, "")


# What --frozen and its like look for is named by a rule, too.
@pytest.mark.parametrize("option", ["--frozen", "--base=main", "--db=app.db"])
def test_an_option_whose_rule_is_not_selected(project: Project, option: str) -> None:
    done = project.orchctl("verify-chain", "--select", "L", option)
    assert (done.returncode, done.stdout) == (2, "")
    assert "which is not selected" in done.stderr


# -- whatever lies in the folder -------------------------------------------------------------


def test_junk_never_brings_it_down(project: Project) -> None:
    versions = project.folder / "migrations/versions"
    (versions / "a.py").write_bytes(os.urandom(100_000))
    (versions / "b.py").write_text(f"x = '{'y' * 1_000_000}'; (\n")
    (versions / "c.py").write_text("(" * 100_000)
    (versions / "d.py").write_text("revision = 'd'\ndown_revision = " + "-" * 100_000 + "1")
    (versions / "e.py").write_text("\n".join(" " * n + "if x:" for n in range(200)))
    (versions / "f.py").symlink_to("nowhere")
    (versions / "g.py").mkdir()
    (versions / "h.py").write_text("revision = '\udc80'", errors="surrogateescape")
    os.mkfifo(versions / "i.py")
    for words in ((), ("--json",), ("--fix",)):
        done = project.orchctl("verify-chain", *words)
        assert done.returncode == 1
        assert done.stderr == ""
        assert len(done.stdout) < 20_000
    found = data(project.orchctl("verify-chain", "--json"))
    assert {"001", "002", "003"} <= set(found["revisions"])
    named = {Path(one["path"]).name for one in found["findings"]}
    assert named >= {"a.py", "b.py", "c.py", "e.py", "h.py", "i.py"}


def test_nothing_in_a_file_reaches_the_terminal_as_a_command(project: Project) -> None:
    versions = project.folder / "migrations/versions"
    text = "revision = '\x1b[31m'; down_revision = 'a\x07b'  # \x9b1m\n"
    (versions / "z\x1b[2J.py").write_text(text)
    done = project.orchctl("verify-chain")
    assert done.returncode == 1
    assert "C06" in done.stdout
    assert all(one.isprintable() for line in done.stdout.splitlines() for one in line)


def test_a_long_chain(tmp_path: Path) -> None:
    versions = tmp_path / "versions"
    versions.mkdir()
    for number in range(1500):
        parent = repr(f"r{number - 1}") if number else "None"
        text = f"revision = 'r{number}'\ndown_revision = {parent}\n"
        (versions / f"r{number}.py").write_text(text)
    done = run(tmp_path, "verify-chain", "versions")
    assert done.stdout == "1500 revisions, 1 head (r1499), no findings\n"
    (versions / "r0.py").write_text("revision = 'r0'\ndown_revision = 'r1499'\n")
    done = run(tmp_path, "verify-chain", "versions")
    assert done.returncode == 1
    assert "r0 → r1499 → r1498 → r1497 → r1496 → … 1490 more …" in done.stdout


def test_lock_and_frozen(project: Project) -> None:
    assert project.orchctl("verify-chain", "--frozen").returncode == 3
    done = project.orchctl("verify-chain", "--lock")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "migrations/chain.lock: 3 added (001, 002, 003)"
    assert project.orchctl("verify-chain", "--frozen").returncode == 0
    path = project.folder / "migrations/versions/002_more.py"
    path.write_text(path.read_text().replace("pass", "op.execute('SELECT 1')", 1))
    done = project.orchctl("verify-chain", "--frozen", "--format", "json", "--select", "C")
    assert done.returncode == 1
    (finding,) = data(done)["findings"]
    assert (finding["rule"], finding["revision"]) == ("C13", "002")
    locked = data(project.orchctl("verify-chain", "--lock", "--json"))["lock"]
    assert locked == {
        "path": "migrations/chain.lock",
        "added": [],
        "changed": ["002"],
        "removed": [],
    }


def test_a_broken_chain_is_not_locked(project: Project) -> None:
    break_parent(project)
    done = project.orchctl("verify-chain", "--lock")
    assert done.returncode == 5
    assert "A broken chain is not locked" in done.stderr
    assert not (project.folder / "migrations/chain.lock").exists()


def test_lock_and_frozen_exclude_each_other(project: Project) -> None:
    assert project.orchctl("verify-chain", "--lock", "--frozen").returncode == 2


def test_fix_mends_the_docstring_with_the_code(project: Project) -> None:
    path = break_parent(project)
    header = '"""More.\n\nRevision ID: 002\nRevises: {}\n"""\n'
    code = path.read_text()

    def write(parent: str) -> bytes:
        path.write_text(header.format(parent) + code)
        return path.read_bytes()

    before = write("001_initial")
    right = before.replace(b"001_initial", b"001")
    shown = project.orchctl("verify-chain", "--fix", "--dry-run")
    assert "-Revises: 001_initial\n+Revises: 001\n" in shown.stdout
    assert "+down_revision = '001'\n" in shown.stdout
    assert path.read_bytes() == before
    done = project.orchctl("verify-chain", "--fix")
    assert (done.returncode, path.read_bytes()) == (0, right)
    assert "002_more.py:17: C01 mended\n" in done.stdout
    assert "002_more.py:4: C12 mended\n" in done.stdout
    assert done.stdout.endswith("3 revisions, 1 head (003), no findings\n")
    # Only what is looked for is mended.
    before = write("7777")
    assert project.orchctl("verify-chain", "--fix", "--select", "C01").returncode == 0
    assert path.read_bytes() == before.replace(b"'001_initial'", b"'001'")
    before = write("7777")
    assert project.orchctl("verify-chain", "--fix", "--ignore", "C01").returncode == 0
    assert path.read_bytes() == before.replace(b"7777", b"001")


@pytest.mark.parametrize("words", [("--format", "github"), ("--graph", "mermaid")])
def test_what_is_written_is_said_beside_what_a_machine_reads(
    project: Project, words: tuple[str, ...]
) -> None:
    break_parent(project)
    place = "migrations/versions/002_more.py:12: C01"
    shown = project.orchctl("verify-chain", "--fix", "--dry-run", *words)
    assert (shown.returncode, shown.stderr) == (1, f"{place} would be mended\n")
    done = project.orchctl("verify-chain", "--fix", "--lock", *words)
    assert done.returncode == 0
    assert done.stderr == f"{place} mended\nmigrations/chain.lock written\n"
    assert "mended" not in done.stdout
