"""The verdict out of the cache: whatever became of the files, it is that of looking anew."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchctl.chain.cache import FOLDER, ChainCache, encode
from orchctl.chain.check import judge
from orchctl.chain.contents import Content
from orchctl.chain.examine import examine
from orchctl.chain.findings import ChainReport, Finding, Replacement
from orchctl.chain.ignores import Ignore
from orchctl.chain.lint.rules import LINT_RULES
from orchctl.chain.project import ChainPlace
from orchctl.chain.rules import RULES
from orchctl.chain.selection import Selection, select
from orchctl.chain.titles import ELSEWHERE, LINT, rule_titles
from orchctl.chain.tokens import Token
from orchctl.chain.verdict import Verdict, packed, unpacked
from orchctl.cli.chain_findings import ChainCheck, Sources
from orchctl.config import load
from tests.support.chains import Link, write

KNOWN = [one.id for one in rule_titles()]
# What a file of the chain may become.
BODIES = (
    "def upgrade():\n    op.drop_table('users')\n",
    "def upgrade():\n    op.drop_table('users')  # orchctl: ignore[L02] meant\n",
    "def upgrade():\n    op.drop_table('others')  # orchctl: ignore\n",
    "def upgrade():\n    op.add_column('t', sa.Column('c', sa.Text, nullable=False))\n",
    "def upgrade():\n    op.create_foreign_key(None, 't', 'u', ['c'], ['id'])\n",
    "def upgrade(:\n",
    "x = 'é'\n",
    "down_revision = ids[0]\n",
    "depends_on = 'nothing'\n",
    "branch_labels = 'label'\n",
)


@pytest.fixture(autouse=True)
def short_chains() -> Iterator[None]:
    """Chains of any length are kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ChainCache.__init__.__kwdefaults__, "least", 0)
        yield


def chain(folder: Path, count: int = 8) -> Path:
    links = [Link(f"a{n}", (f"a{n - 1}",) if n else ()) for n in range(count)]
    write(folder / "versions", links)
    return folder


def check(folder: Path, *select_: str, cached: bool = True) -> ChainCheck:
    run = load({}, {}, folder)
    selection = select(KNOWN, run.verify, selected=select_, folder=folder)
    place = ChainPlace((folder / "versions",))
    return ChainCheck(place, selection, Sources(cached=cached), run)


def warm(folder: Path, *select_: str) -> ChainReport:
    return check(folder, *select_).report()


def fresh(folder: Path, *select_: str) -> ChainReport:
    return check(folder, *select_, cached=False).report()


def verdict_file(folder: Path) -> Path:
    (path,) = (folder / FOLDER).glob("verdict-*.json")
    return path


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """From now on, looking at a file fails."""

    def examined(*_: object, **__: object) -> None:
        raise AssertionError("looked at the files")

    monkeypatch.setattr("orchctl.chain.examine.examine", examined)
    return monkeypatch


def test_every_rule_has_a_title() -> None:
    known = [*(rule.id for rule in RULES), *(rule.id for rule in LINT_RULES), *ELSEWHERE]
    assert sorted(known) == KNOWN
    assert {rule.id for rule in LINT_RULES} == LINT


class Chain:
    """A chain that somebody works on.

    Args:
        folder: Where it is.
        data: What happens to it.
    """

    def __init__(self, folder: Path, data: st.DataObject) -> None:
        self._folder = chain(folder)
        self._versions = folder / "versions"
        self._data = data
        self._kept = 0

    def change(self) -> None:
        """Let something happen to it."""
        ways = (self.edit, self.rename, self.remove, self.add, self.swap, self.keep, self.bring)
        self._data.draw(st.sampled_from(ways))()

    def _file(self) -> Path:
        return self._data.draw(st.sampled_from(sorted(self._versions.glob("*.py"))))

    def edit(self) -> None:
        """The same size, the same time: only the bytes tell."""
        path = self._file()
        about = path.stat()
        text, body = path.read_text(), self._data.draw(st.sampled_from(BODIES))
        path.write_text(text.partition("\n\n# odd\n")[0] + "\n\n# odd\n" + body)
        padding = about.st_size - path.stat().st_size
        path.write_bytes(path.read_bytes() + b"#" * max(padding, 0))
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))

    def rename(self) -> None:
        path = self._file()
        path.rename(path.with_name(self._data.draw(st.sampled_from(("z.py", "beef.py", "0.py")))))

    def remove(self) -> None:
        if len(list(self._versions.glob("*.py"))) > 1:
            self._file().unlink()

    def add(self) -> None:
        id_ = self._data.draw(st.sampled_from(("a1", "b1", "b2")))
        write(self._versions, [Link(id_, ("a0",))])

    def swap(self) -> None:
        one, other = self._file(), self._file()
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)

    def keep(self) -> None:
        """Another branch's cache, for later."""
        if (self._folder / FOLDER).exists():
            self._kept += 1
            shutil.copytree(self._folder / FOLDER, self._folder / f"kept{self._kept}")

    def bring(self) -> None:
        if self._kept:
            number = self._data.draw(st.integers(1, self._kept))
            shutil.rmtree(self._folder / FOLDER)
            shutil.copytree(self._folder / f"kept{number}", self._folder / FOLDER)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_was_changed_it_is_that_of_looking_anew(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("chain")
    chain_ = Chain(folder, data)
    for _ in range(data.draw(st.integers(1, 8))):
        chain_.change()
        rules = data.draw(st.sampled_from(((), ("C",), ("L", "I"))))
        expected = fresh(folder, *rules)
        assert warm(folder, *rules) == expected  # makes it, unless it is there
        assert warm(folder, *rules) == expected  # uses it


def test_unchanged_files_are_not_looked_at_again(
    tmp_path: Path, untouched: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as before:
        before.setattr("orchctl.chain.examine.examine", examine)
        chain(tmp_path)
        write(tmp_path / "versions", [Link("b", ("a3_step",)), Link("c", ("a3",))])
        expected = warm(tmp_path)
    assert len(expected.findings) > 1
    assert warm(tmp_path) == expected
    assert warm(tmp_path, "C") == fresh_of(expected, "C")


def test_packed_and_unpacked_nothing_is_lost() -> None:
    path = Path("/versions/a.py")
    mending = Replacement(path, Token("a", 1, 2, 3, 4, True), "b", header=True)
    finding = Finding("C01", "error", "…", path, 1, 2, "a", "b", "KeyError", mending, "c")
    for one in (finding, mending):
        # What is added to them later must be here too.
        assert all(getattr(one, field.name) != field.default for field in fields(one))
    comment = Ignore(1, 2, (1, 2), ("L02",), "meant")
    findings = (finding, Finding("C04", "error", "…"))
    verdict = Verdict(("a", "b"), ("b",), ("a",), findings, {path: (comment,)})
    contents = [Content("/versions/0.py", b""), Content(str(path), b"")]
    sent = json.loads(encode(packed(verdict, contents)))
    assert unpacked(sent, contents) == verdict


def fresh_of(report: ChainReport, start: str) -> ChainReport:
    found = tuple(one for one in report.findings if one.rule.startswith(start))
    return ChainReport(report.revisions, report.heads, report.bases, found)


def test_what_is_known_without_the_code_does_not_answer_for_it(tmp_path: Path) -> None:
    path = chain(tmp_path) / "versions" / "a3_step.py"
    path.write_text(path.read_text() + BODIES[0])
    assert not warm(tmp_path, "C").findings
    assert warm(tmp_path) == fresh(tmp_path)
    assert warm(tmp_path).findings


def test_it_moves_with_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = chain(tmp_path / "a") / "versions" / "a3_step.py"
    path.write_text(path.read_text() + BODIES[0])
    warm(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    expected = fresh(tmp_path / "b")
    monkeypatch.setattr("orchctl.chain.examine.examine", None)
    assert warm(tmp_path / "b") == expected
    assert expected.findings[0].path == tmp_path / "b" / "versions" / "a3_step.py"


@pytest.mark.parametrize("content", [b"def upgrade(:\n", b"\xff\n", b"", None])
def test_what_python_refuses_is_asked_of_python_each_time(
    tmp_path: Path, content: bytes | None
) -> None:
    chain(tmp_path)
    path = tmp_path / "versions" / "odd.py"
    if content is None:
        path.symlink_to("nothing.py")
    else:
        path.write_bytes(content)
    assert warm(tmp_path) == fresh(tmp_path)
    assert not list((tmp_path / FOLDER).glob("verdict-*.json"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_one_is_passed_over(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = chain(tmp_path_factory.mktemp("chain"))
    write(folder / "versions", [Link("b", ("a3_step",))])
    expected = warm(folder)
    path = verdict_file(folder)
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole)))
    instead = data.draw(st.binary(max_size=8))
    rest = data.draw(st.sampled_from([b"", whole[place + 1 :], whole[place:]]))
    path.write_bytes(whole[:place] + instead + rest)
    assert warm(folder) == expected
    assert path.read_bytes() == whole


def forge(folder: Path, lists: object) -> None:
    """Write something else in the place of the verdict, otherwise as ours would be."""
    contents = ChainPlace((folder / "versions",)).contents()
    ChainCache(folder).put_verdict(contents, lists, lint=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "lists",
    [
        None,
        {},
        [],
        1,
        [[], [], [], [[]], []],
        [[], [], [], [["C01", "error", "…", 99, 1, 1, None, None, None, None, None]], []],
        [[], [], [], [], [[0, 1]]],
    ],
)
def test_one_of_another_shape_is_passed_over(tmp_path: Path, lists: object) -> None:
    chain(tmp_path)
    expected = warm(tmp_path)
    forge(tmp_path, lists)
    assert warm(tmp_path) == expected


def test_one_from_another_users_hand_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = chain(tmp_path / "other")
    sound = check(other)
    lists = packed(
        judge(sound.place, examine(sound.place, lint=True)), ChainPlace.contents(sound.place)
    )
    folder = chain(tmp_path / "own")
    write(folder / "versions", [Link("b", ("missing",))])
    expected = warm(folder)
    forge(folder, lists)
    assert warm(folder).ok  # it would do harm
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert warm(folder) == expected


def test_it_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        warm(chain(tmp_path))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o022 for path in (tmp_path / FOLDER).glob("*.json")} == {0}


def test_what_a_killed_run_left_is_swept_away(tmp_path: Path) -> None:
    folder = chain(tmp_path)
    (folder / FOLDER).mkdir()
    old, new = (folder / FOLDER / f"chain-x.{number}.new" for number in (1, 2))
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (0, 0))
    warm(folder)
    assert not old.exists()
    assert new.exists()  # another run may be writing it


def test_excluded_paths_and_levels_are_no_part_of_it(tmp_path: Path) -> None:
    path = chain(tmp_path) / "versions" / "a3_step.py"
    path.write_text(path.read_text() + BODIES[0])
    (found,) = warm(tmp_path, "L02").findings
    one = check(tmp_path)
    one.selection = Selection(frozenset(KNOWN), exclude=("versions/a3*",), folder=tmp_path)
    assert found.rule not in [other.rule for other in one.report().findings]
    one.selection = Selection(frozenset(["L02"]), {"L02": "note"})
    assert [other.severity for other in one.report().findings] == ["note"]
