"""heads, branches, history and show: Alembic's answers, and what orchctl adds to them."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from tests.support import answers
from tests.support.branched import LAYOUTS, Link, write_links
from tests.support.projects import Project, clean_environment, execute

QUESTIONS = [
    ["heads"],
    ["heads", "-v"],
    ["heads", "--resolve-dependencies"],
    ["branches"],
    ["branches", "--verbose"],
    ["history"],
    ["history", "-v"],
    ["history", "-r", "root2:join1"],
    ["show", "root1"],
    ["show", "web"],
    ["show", "heads"],
    ["show", "last"],
    ["show", "need3"],
    ["show", "base"],
]
# fmt: off
ENDS = [
    "", "base", "head", "heads", "root2", "api2", "join1", "last1", "side1", "need3", "api",
    "web@head", "side@head", "api@heads", "side@base", "join", "roo", "nowhere", "+1", "-1", "-3",
    "root2+1", "join1-2", "last1-9", "head-1", "a@b@c", "current",
]
# fmt: on
RANGES = {"-1:current", "-3:current", "current:+1", "current:nowhere"} | {
    f"{lower}:{upper}"
    for end, other in product(ENDS, ["", "join1"])
    for lower, upper in [(end, other), (other, end)]
}
KEYS = {
    "revision",
    "down_revisions",
    "branch_labels",
    "depends_on",
    "message",
    "path",
    "create_date",
    "is_head",
    "is_base",
    "is_branch_point",
    "is_merge",
}


def stamp(project: Project, *revisions: str) -> None:
    execute(project.database, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);")
    for revision in revisions:
        execute(project.database, f"INSERT INTO alembic_version VALUES ('{revision}')")


@pytest.fixture
def branched(tmp_path: Path) -> Project:
    return LAYOUTS["stock"](tmp_path)


@pytest.fixture
def straight(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    names = ["root1", "root2", "api2", "join1", "last1"]
    parents = [None, *names]
    write_links(
        tmp_path / "migrations" / "versions",
        [Link(name, parent) for name, parent in zip(names, parents, strict=False)],
    )
    return project


# -- as Alembic ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_answers_are_alembics(tmp_path: Path, layout: str) -> None:
    LAYOUTS[layout](tmp_path)
    theirs = answers.alembic(tmp_path, QUESTIONS)
    ours = answers.orchctl(tmp_path, QUESTIONS)
    for their, our in zip(theirs, ours, strict=True):
        assert (their.code, our.code) == (0, 0), our
        assert answers.settled(our.stdout) == answers.settled(their.stdout), their.words
        assert our.stderr == ""


@pytest.mark.parametrize("chain", ["branched", "straight"])
def test_ranges_mean_what_they_mean_to_alembic(chain: str, request: pytest.FixtureRequest) -> None:
    project: Project = request.getfixturevalue(chain)
    stamp(project, "join1")
    questions = [["history", f"--rev-range={each}"] for each in sorted(RANGES)]
    theirs = answers.alembic(project.folder, questions)
    ours = answers.orchctl(project.folder, questions)
    for their, our in zip(theirs, ours, strict=True):
        if their.code == 0:
            assert our.code == 0, our
            assert answers.settled(our.stdout) == answers.settled(their.stdout), their.words
        else:
            assert our.code == 2, our
            assert "error: " in our.stderr
            assert "hint: " in our.stderr
    assert {their.code == 0 for their in theirs} == {True, False}


@pytest.mark.parametrize("stamped", [(), ("root2",), ("api2", "need1"), ("need3",)])
def test_the_current_revision_is_marked_as_by_alembic(
    branched: Project, stamped: tuple[str, ...]
) -> None:
    stamp(branched, *stamped)
    questions = [["history", "-i"], ["history", "-i", "-v"], ["history", "-r", "current:"]]
    if len(stamped) == 1:
        questions += [["history", "-r", ":current"], ["history", "-i", "-r", "-1:current"]]
        questions += [["show", "current"]]
    theirs = answers.alembic(branched.folder, questions)
    ours = answers.orchctl(branched.folder, questions)
    for their, our in zip(theirs, ours, strict=True):
        assert (our.code == 0) == (their.code == 0), (their, our)
        assert answers.settled(our.stdout) == answers.settled(their.stdout), their.words


@pytest.mark.parametrize("words", [["history"], ["show", "api2"]], ids=" ".join)
def test_a_message_that_stdout_cannot_encode(branched: Project, words: list[str]) -> None:
    shown = branched.orchctl(*words, env={"PYTHONIOENCODING": "ascii"})
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "gr?n und ??" in shown.stdout


def test_nothing_leads_up_to_an_empty_database(branched: Project) -> None:
    """Here Alembic shows the whole chain, as if everything were applied."""
    stamp(branched)
    assert branched.orchctl("history", "-r", ":current").stdout == ""
    assert json.loads(branched.orchctl("show", "current", "--json").stdout) == {"revisions": []}


def test_both_ends_of_a_range_can_be_the_current_revision(branched: Project) -> None:
    stamp(branched, "web1")
    shown = branched.orchctl("history", "-r", "current:current")
    assert shown.stdout == "root2 -> web1 (pages, web), do web1\n"


# -- from the files alone --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["heads"], ["branches"], ["history", "--graph"], ["show", "api"]]
)
def test_the_files_alone_are_enough(branched: Project, words: list[str]) -> None:
    """Neither Alembic nor the application is imported: a revision's imports don't matter."""
    file = branched.folder / "migrations" / "versions" / "root1_file.py"
    file.write_text(file.read_text().replace("from alembic import op", "import not_installed"))
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orchctl", *words],
        cwd=branched.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "orchctl.chain.graph" in modules
    assert not {"alembic", "sqlalchemy", "rich"} & modules


def test_both_ways_give_the_same_objects(tmp_path: Path) -> None:
    questions = [
        ["history", "--json"],
        ["heads", "--json"],
        ["branches", "--json"],
        ["show", "--json", "join1"],
    ]
    told = []
    for layout in ("stock", "computed-id"):
        LAYOUTS[layout](tmp_path / layout)
        found = answers.orchctl(tmp_path / layout, questions)
        told.append([one.stdout.replace(f"/{layout}/", "/") for one in found])
    static, loaded = told
    unlike = "['root', '1']"
    assert [text for text in static if unlike not in text] == static
    assert static == loaded


# -- JSON ------------------------------------------------------------------------------------------


def test_revisions_as_json(branched: Project) -> None:
    found = json.loads(branched.orchctl("--json", "history").stdout)
    assert set(found) == {"revisions"}
    revisions = {one["revision"]: one for one in found["revisions"]}
    assert len(revisions) == 12
    assert all(set(one) == KEYS for one in revisions.values())
    versions = branched.folder / "migrations" / "versions"
    assert revisions["join1"] == {
        "revision": "join1",
        "down_revisions": ["api2", "web1"],
        "branch_labels": ["api", "pages", "web"],
        "depends_on": [],
        "message": "do join1",
        "path": str(versions / "join1_file.py"),
        "create_date": "2024-01-06 10:00:00.123456",
        "is_head": False,
        "is_base": False,
        "is_branch_point": False,
        "is_merge": True,
    }
    assert revisions["need3"]["depends_on"] == ["side2"]
    assert [one for one in revisions if revisions[one]["is_branch_point"]] == ["root2"]
    assert sorted(one for one in revisions if revisions[one]["is_head"]) == [
        "last1",
        "need3",
        "side2",
    ]


def test_one_revision_as_json(branched: Project) -> None:
    found = json.loads(branched.orchctl("show", "api2", "--json").stdout)
    assert set(found) == KEYS | {"source"}
    file = branched.folder / "migrations" / "versions" / "api2_file.py"
    assert found["source"] == file.read_text(encoding="utf-8")
    assert found["message"] == "grün und 中文"


def test_several_revisions_as_json(branched: Project) -> None:
    found = json.loads(branched.orchctl("show", "heads", "--json").stdout)
    assert [one["revision"] for one in found["revisions"]] == ["last1", "need3"]


def test_the_current_one_as_json(branched: Project) -> None:
    stamp(branched, "web1")
    found = json.loads(branched.orchctl("history", "-i", "--json").stdout)
    assert found["current"] == ["web1"]


# -- the schema of a revision ----------------------------------------------------------------------


@pytest.fixture
def tabled(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.add("aaaa01", "op.execute('CREATE TABLE t (id INTEGER PRIMARY KEY)')")
    project.add(
        "aaaa02", "op.execute('ALTER TABLE t ADD COLUMN x TEXT')\nop.create_index('i', 't', ['x'])"
    )
    return project


def test_a_table_as_a_revision_leaves_it(tabled: Project) -> None:
    first = tabled.orchctl("show", "aaaa01", "--schema", "t")
    assert first.stdout == "CREATE TABLE t (id INTEGER PRIMARY KEY);\n"
    last = tabled.orchctl("show", "--schema", "T")
    assert last.stdout == (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT);\nCREATE INDEX i ON t (x);\n"
    )
    assert not tabled.database.exists()


def test_a_table_as_json(tabled: Project) -> None:
    found = json.loads(tabled.orchctl("show", "aaaa", "--schema", "t", "--json").stderr)
    assert found["error"]["code"] == "unknown-revision"
    found = json.loads(tabled.orchctl("show", "aaaa01", "--schema", "t", "--json").stdout)
    assert set(found) == KEYS | {"source", "schema"}
    assert found["schema"] == "CREATE TABLE t (id INTEGER PRIMARY KEY);\n"


def test_a_table_that_the_revision_lacks(tabled: Project) -> None:
    done = tabled.orchctl("show", "aaaa01", "--schema", "users")
    assert done.returncode == 2
    assert "hint: It has: alembic_version, t" in done.stderr


# -- what goes wrong -------------------------------------------------------------------------------


UNANSWERABLE = [
    (["show", "nowhere"], "unknown-revision", "nowhere"),
    (["show", "roo"], "unknown-revision", "roo"),
    (["show", "head"], "multiple-heads", "head"),
    (["show", "head", "--schema", "t"], "multiple-heads", "head"),
    (["history", "-r", "root1"], "bad-range", "[start]:[end]"),
    (["history", "-r", "a:b:c"], "bad-range", "[start]:[end]"),
    (["history", "-r", "web1:api1"], "bad-range", "same branch"),
    (["history", "-r", "nowhere:"], "unknown-revision", "nowhere"),
]


def test_a_question_that_has_no_answer(branched: Project) -> None:
    done = answers.orchctl(branched.folder, [[*words, "--json"] for words, _, _ in UNANSWERABLE])
    for one, (_, code, said) in zip(done, UNANSWERABLE, strict=True):
        assert (one.code, one.stdout) == (2, ""), one
        error = json.loads(one.stderr)["error"]
        assert error["code"] == code
        assert said in error["message"]
        assert error["hint"]


def test_an_abbreviation_that_several_ids_begin_with(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.add("abcd01")
    project.add("abcd02")
    done = project.orchctl("show", "abcd")
    assert done.returncode == 2
    assert "'abcd01', 'abcd02'" in done.stderr
    assert project.orchctl("show", "abcd01").returncode == 0


def test_a_database_ahead_of_the_chain(branched: Project) -> None:
    stamp(branched, "future1")
    done = branched.orchctl("show", "current")
    assert done.returncode == 5
    assert "future1" in done.stderr


def test_no_project(tmp_path: Path) -> None:
    questions = [["heads"], ["branches"], ["history"], ["show", "head"]]
    for one in answers.orchctl(tmp_path, questions):
        assert one.code == 3
        assert "No alembic.ini" in one.stderr


def test_a_broken_chain_is_refused_with_the_way_on(branched: Project) -> None:
    (branched.folder / "migrations" / "versions" / "root2_file.py").unlink()
    done = branched.orchctl("heads")
    assert done.returncode == 5
    assert "orchctl verify-chain" in done.stderr


def test_a_result_on_a_full_disk_is_no_bug(project: Project) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m orchctl history > /dev/full"],
        cwd=project.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "could not be written" in done.stderr) == (6, True), done.stderr
