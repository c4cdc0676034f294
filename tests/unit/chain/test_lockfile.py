"""chain.lock: what counts as a change, what is found, and that git stops two branches at it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from orchctl.chain.findings import Finding
from orchctl.chain.fingerprint import fingerprint
from orchctl.chain.graph import Graph
from orchctl.chain.lockfile import frozen, locked_now, read_lock, write_lock
from orchctl.chain.parse import parse
from orchctl.chain.read import read_files
from orchctl.errors import ConfigurationError
from tests.support.chains import Link, sound_chains, write
from tests.support.repositories import GitRepository

CODE = '''"""Users.

Revision ID: 001
Revises:
"""
from alembic import op
import sqlalchemy as sa

revision = "001"
down_revision = None


def upgrade():
    op.create_table("users", sa.Column("id", sa.Integer, primary_key=True))


def downgrade():
    op.drop_table("users")
'''


def mark(text: str) -> str | None:
    return fingerprint(parse(Path("001.py"), text.encode()), text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"users", sa', '\n        "users",\n        sa'),
        ('"users"', "'users'"),
        ("def downgrade", "# why\ndef downgrade"),
        ('"""Users.', '"""Other words.'),
        ("def upgrade():", 'def upgrade():\n    """Says so."""'),
        ('revision = "001"', 'revision: str = "001"'),
        ("import sqlalchemy as sa", "import sqlalchemy as sa\nfrom typing import Union"),
        ("down_revision = None", 'down_revision = "000"'),  # the lock's line has it
    ],
)
def test_what_is_no_edit(old: str, new: str) -> None:
    changed = CODE.replace(old, new)
    assert changed != CODE
    assert mark(changed) == mark(CODE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"users", sa', '"people", sa'),
        ("sa.Integer", "sa.BigInteger"),
        ("primary_key=True", "primary_key=1"),
        ('    op.drop_table("users")', "    pass"),
        ("down_revision = None", 'down_revision = None\nbranch_labels = "x"'),
        ("down_revision = None", 'down_revision = None\ndepends_on = "000"'),
    ],
)
def test_what_is_an_edit(old: str, new: str) -> None:
    changed = CODE.replace(old, new)
    assert changed != CODE
    assert mark(changed) != mark(CODE)


def test_what_early_releases_of_python_3_12_put_in_f_strings_is_no_edit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`f"{x:{y}}"` has an empty text behind {y} in 3.12.1, and in no release before or since."""
    code = CODE + 'NAME = f"{len(revision):{4}}"\n'
    before, parse_now = mark(code), ast.parse

    def parse_then(text: str) -> ast.Module:
        tree = parse_now(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                node.values.append(ast.Constant(""))
        return tree

    monkeypatch.setattr(ast, "parse", parse_then)
    assert mark(code) == before


def test_code_as_deep_as_it_likes() -> None:
    assert mark(CODE + "x = " + " + ".join(["1"] * 5_000)) != mark(CODE)
    assert mark("def (") is None


def chain(folder: Path, *links: Link) -> Graph:
    return Graph.of(read_files([write(folder / "versions", links)]))


def check(folder: Path, graph: Graph) -> list[Finding]:
    lock = folder / "chain.lock"
    return list(frozen(graph, lock, read_lock(lock)))


def locked(folder: Path, *links: Link) -> Path:
    write_lock(folder / "chain.lock", locked_now(chain(folder, *links)))
    return folder / "versions"


def test_the_same_chain_has_no_finding(tmp_path: Path) -> None:
    locked(tmp_path, Link("001"), Link("002", ("001",)))
    assert check(tmp_path, chain(tmp_path, Link("001"), Link("002", ("001",)))) == []


def test_edited_reparented_removed_and_new(tmp_path: Path) -> None:
    links = [Link("001"), Link("002", ("001",)), Link("003", ("002",)), Link("004", ("003",))]
    versions = locked(tmp_path, *links)
    first = versions / "001_step.py"
    first.write_text(first.read_text().replace("pass", "op.execute('')", 1))
    (versions / "003_step.py").unlink()
    graph = chain(tmp_path, Link("002"), Link("004", ("002",)), Link("005", ("004",)))
    found = {one.revision: one.message for one in check(tmp_path, graph)}
    assert found == {
        "001": "001 was edited after it was locked",
        "002": "002 was locked as following 001, and now follows nothing",
        "003": "The locked revision 003 is gone",
        "004": "004 was locked as following 003, and now follows 002",
        "005": "005 is not in chain.lock",
    }
    assert {one.severity for one in check(tmp_path, graph)} == {"error"}


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(links=sound_chains())
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, links: list[Link]
) -> None:
    folder = tmp_path_factory.mktemp("lock")
    graph = chain(folder, *links)
    write_lock(folder / "chain.lock", locked_now(graph))
    kept = read_lock(folder / "chain.lock")
    assert [(one.revision, one.parents) for one in kept] == [
        (one.revision, one.parents) for one in locked_now(graph)
    ]
    assert [one.revision for one in kept] == list(graph.order())
    assert check(folder, graph) == []


@pytest.mark.parametrize("id_", ["a b", "-", "#1", "ä", "a,b", "%41", "100%"])
def test_odd_ids_survive(tmp_path: Path, id_: str) -> None:
    text = f"revision = {id_!r}\ndown_revision = None\n"
    (tmp_path / "a.py").write_text(text)
    (tmp_path / "b.py").write_text(f"revision = 'b1'\ndown_revision = ({id_!r}, 'a1')\n")
    graph = Graph.of(read_files([tmp_path]))
    write_lock(tmp_path / "chain.lock", locked_now(graph))
    assert {one.revision: one.parents for one in read_lock(tmp_path / "chain.lock")} == {
        id_: (),
        "b1": tuple(sorted((id_, "a1"))),
    }


def test_writing_again_says_what_changed(tmp_path: Path) -> None:
    versions = locked(tmp_path, Link("001"), Link("002", ("001",)))
    (versions / "002_step.py").unlink()
    graph = chain(tmp_path, Link("001", (), ("label",)), Link("003", ("001",)))
    change = write_lock(tmp_path / "chain.lock", locked_now(graph))
    assert (change.added, change.changed, change.removed) == (("003",), ("001",), ("002",))


def test_writing_over_a_conflict_says_what_was_edited(tmp_path: Path) -> None:
    """Whoever settles it by writing anew is told of all that differs from either side."""
    lock = locked(tmp_path, Link("001"), Link("002", ("001",))).parent / "chain.lock"
    first, second = lock.read_text().splitlines()[-2:]
    lock.write_text(f"{first}\n<<<<<<< ours\n{second}\n=======\n00b 001 1234\n>>>>>>> theirs\n")
    graph = chain(tmp_path, Link("001", (), ("label",)), Link("002", ("001",)))
    change = write_lock(lock, locked_now(graph))
    assert (change.added, change.changed, change.removed) == ((), ("001",), ("00b",))


@pytest.mark.parametrize(
    "text", ["<<<<<<< ours\n", "001 -\n", "001 - a b c\n", "1 - a\n1 - b\n", b"\xff\xfe"]
)
def test_what_is_no_lockfile_is_one_line(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "chain.lock"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError, match="is no lockfile"):
        read_lock(path)
    with pytest.raises(ConfigurationError, match="There is no"):
        read_lock(tmp_path / "other.lock")


def test_two_branches_that_add_a_head_conflict_in_git(tmp_path: Path) -> None:
    repository = GitRepository.make(tmp_path)
    first = [Link("001"), Link("002", ("001",))]
    locked(tmp_path, *first)
    repository.commit("two revisions")
    for name, link in (("one", Link("00a", ("002",))), ("other", Link("00b", ("002",)))):
        repository.branch(name)
        locked(tmp_path, *first, link)
        repository.commit(name)
    merged = repository.git("merge", "one", check=False)
    assert merged.returncode == 1
    assert "CONFLICT (content): Merge conflict in chain.lock" in merged.stdout
