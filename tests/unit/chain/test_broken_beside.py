"""Random sound chains, broken one way at a time against what stands beside them.

A lockfile (C13), no files (C14), another branch (C15), a database (C16), ignore comments (I01,
I02): every break is found, and what is sound has no error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchctl.chain.check import check
from orchctl.chain.examine import examine
from orchctl.chain.findings import Finding
from orchctl.chain.git import Repository
from orchctl.chain.graph import Graph
from orchctl.chain.lockfile import frozen, locked_now, read_lock, write_lock
from orchctl.chain.merged import broken_once_merged, merged_chain
from orchctl.chain.project import ChainPlace
from orchctl.chain.read import read_files
from orchctl.chain.selection import Selection
from orchctl.chain.stamp import Stamp, check_stamp
from orchctl.chain.titles import rule_titles
from tests.support.chains import Link, sound_chains, write
from tests.support.repositories import GitRepository

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
# Each example is a repository, and some twenty runs of git.
GIT = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
Folders = pytest.TempPathFactory


# -- the lockfile ----------------------------------------------------------------------------


def locked(folder: Path, links: Sequence[Link]) -> Path:
    versions = write(folder / "versions", links)
    write_lock(folder / "chain.lock", locked_now(Graph.of(read_files([versions]))))
    return versions


def against_lock(versions: Path) -> list[Finding]:
    lock = versions.parent / "chain.lock"
    return list(frozen(Graph.of(read_files([versions])), lock, read_lock(lock)))


def told(findings: list[Finding]) -> list[tuple[str, str, str | None]]:
    return [(one.rule, one.severity, one.revision) for one in findings]


EDITS = {
    "another statement": ("pass", "op.execute('')"),
    "one more": ("    pass\n", "    pass\n    pass\n"),
    "another downgrade": ("def downgrade():\n    pass", "def downgrade():\n    raise SystemExit"),
    "a helper": ("def upgrade", "def helper():\n    pass\n\n\ndef upgrade"),
    "another label": ("branch_labels = ", "branch_labels = ('new1', 'new2') or "),
    "a constant": ("def upgrade", "RATE = 3\n\n\ndef upgrade"),
}


@QUICK
@given(data=st.data(), links=sound_chains(most=8))
def test_c13_one_edited(data: st.DataObject, links: list[Link], tmp_path_factory: Folders) -> None:
    versions = locked(tmp_path_factory.mktemp("lock"), links)
    assert against_lock(versions) == []
    link = data.draw(st.sampled_from(links))
    old, new = data.draw(st.sampled_from([*EDITS.values()]))
    path = versions / f"{link.id}_step.py"
    changed = path.read_text().replace(old, new, 1)
    if "new1" in new:  # a value that is no plain literal would be computed, and so not compared
        changed = path.read_text().replace("branch_labels = ", "branch_labels = 'new1'  # ", 1)
    path.write_text(changed)
    assert told(against_lock(versions)) == [("C13", "error", link.id)]


@QUICK
@given(data=st.data(), links=sound_chains(most=8))
def test_c13_one_removed(data: st.DataObject, links: list[Link], tmp_path_factory: Folders) -> None:
    versions = locked(tmp_path_factory.mktemp("lock"), links)
    link = data.draw(st.sampled_from(links))
    (versions / f"{link.id}_step.py").unlink()
    (finding,) = against_lock(versions)
    assert told([finding]) == [("C13", "error", link.id)]
    assert finding.path == versions.parent / "chain.lock"


@QUICK
@given(data=st.data(), links=sound_chains(most=8))
def test_c13_one_with_other_parents(
    data: st.DataObject, links: list[Link], tmp_path_factory: Folders
) -> None:
    versions = locked(tmp_path_factory.mktemp("lock"), links)
    link = data.draw(st.sampled_from(links))
    others = st.lists(st.sampled_from([one.id for one in links]), max_size=2, unique=True)
    parents = tuple(data.draw(others.filter(lambda ids: sorted(ids) != sorted(link.parents))))
    write(versions, [replace(link, parents=parents)])
    (finding,) = against_lock(versions)
    assert told([finding]) == [("C13", "error", link.id)]
    assert "was locked as following" in finding.message


@QUICK
@given(data=st.data(), links=sound_chains(most=8))
def test_c13_the_lock_is_behind(
    data: st.DataObject, links: list[Link], tmp_path_factory: Folders
) -> None:
    versions = locked(tmp_path_factory.mktemp("lock"), links)
    parent = data.draw(st.sampled_from([one.id for one in links]))
    write(versions, [Link("new9", (parent,))])
    (finding,) = against_lock(versions)
    assert told([finding]) == [("C13", "error", "new9")]
    assert finding.suggestion
    assert "--lock" in finding.suggestion


SAME = [
    ("'", '"'),
    ("\n", "\r\n"),
    ("pass", "pass  # why"),
    ("def ", "# why\n\ndef "),
    ("    pass", "        pass"),
    (" = None", " : str | None  =  None"),
    ("def upgrade():", "def upgrade() :"),
    ("Step", "Other words for step"),
    ("revision = ", "revision: str = "),
    ("from alembic import op\n", "\nfrom alembic import  op\n\n"),
]


@QUICK
@given(data=st.data(), links=sound_chains(most=8))
def test_c13_formatting_alone_is_no_finding(
    data: st.DataObject, links: list[Link], tmp_path_factory: Folders
) -> None:
    versions = locked(tmp_path_factory.mktemp("lock"), links)
    for link in data.draw(st.lists(st.sampled_from(links), unique=True)):
        path = versions / f"{link.id}_step.py"
        text = path.read_text()
        for old, new in data.draw(st.lists(st.sampled_from(SAME), unique=True)):
            text = text.replace(old, new)
        path.write_text(text, newline="")
    assert against_lock(versions) == []


# -- another branch --------------------------------------------------------------------------


def lines(prefix: str) -> st.SearchStrategy[list[Link]]:
    """One to three revisions in a row, the first without its parent."""
    return st.integers(1, 3).map(
        lambda n: [Link(f"{prefix}{i}", (f"{prefix}{i - 1}",) if i else ()) for i in range(n)]
    )


def started(folder: Path, links: list[Link]) -> tuple[GitRepository, Path, list[str]]:
    """A repository with a chain on main; its folder of revisions and its heads."""
    repository = GitRepository.make(folder / "repository")
    versions = write(repository.folder / "migrations" / "versions", links)
    repository.commit("the chain")
    return repository, versions, list(Graph.of(read_files([versions])).heads)


def once_merged(
    repository: GitRepository, versions: Path, ours: dict[str, str], theirs: dict[str, str]
) -> list[Finding]:
    """What is found on a branch with the files `ours`, after main got `theirs`."""
    repository.branch("feature")
    for branch, texts_there in (("main", theirs), ("feature", ours)):
        repository.switch(branch)
        for name, text in texts_there.items():
            (versions / name).write_text(text)
        repository.commit(branch)
    place, at = ChainPlace((versions,)), Repository.of(versions)
    files = place.read()
    return list(
        broken_once_merged(at, place, files, merged_chain(at, place, files, "main"), "main")
    )


def texts(links: list[Link]) -> dict[str, str]:
    return {f"{link.id}_step.py": link.text for link in links}


def upon(parent: str, links: list[Link]) -> list[Link]:
    first, *rest = links
    return [replace(first, parents=(parent,)), *rest]


ONE_LINE = st.integers(1, 5).map(
    lambda n: [Link(f"r{i}", (f"r{i - 1}",) if i else ()) for i in range(n)]
)


@GIT
@given(data=st.data(), links=ONE_LINE, ours=lines("our"), theirs=lines("the"))
def test_c15_heads_that_only_meet_once_merged(
    data: st.DataObject,
    links: list[Link],
    ours: list[Link],
    theirs: list[Link],
    tmp_path_factory: Folders,
) -> None:
    repository, versions, (head,) = started(tmp_path_factory.mktemp("merge"), links)
    (finding,) = once_merged(
        repository, versions, texts(upon(head, ours)), texts(upon(head, theirs))
    )
    assert (finding.rule, finding.severity) == ("C15", "error")
    tops = {ours[-1].id, theirs[-1].id}
    assert finding.suggestion
    assert set(finding.suggestion.split("orchctl merge ")[1].split(" -m ")[0].split()) == tops
    for top in tops:
        assert f"{top} in {top}_step.py, commit " in finding.message
    assert finding.message.count("of 2024-05-01, Ann") == 2


@GIT
@given(
    links=ONE_LINE, ours=lines("our"), theirs=lines("the"), twice=st.sampled_from(["C02", "C10"])
)
def test_c15_names_that_only_meet_once_merged(
    links: list[Link], ours: list[Link], theirs: list[Link], twice: str, tmp_path_factory: Folders
) -> None:
    repository, versions, (head,) = started(tmp_path_factory.mktemp("merge"), links)
    ours, theirs = upon(head, ours), upon(head, theirs)
    if twice == "C10":
        ours[0], theirs[0] = (replace(one[0], labels=("same1",)) for one in (ours, theirs))
    mine, other = texts(ours), texts(theirs)
    if twice == "C02":  # in files of other names: git sees no conflict
        one = f"revision = '{theirs[-1].id}'"
        name = f"{theirs[-1].id}_step.py"
        other[name] = other[name].replace(one, f"revision = '{ours[-1].id}'")
    found = once_merged(repository, versions, mine, other)
    assert {(one.rule, one.severity) for one in found} == {("C15", "error")}
    assert any(f": {twice}, " in one.message for one in found)


@GIT
@given(data=st.data(), links=sound_chains(most=5), new=lines("new"), side=st.booleans())
def test_c15_what_one_side_adds_breaks_nothing(
    data: st.DataObject,
    links: list[Link],
    new: list[Link],
    side: bool,
    tmp_path_factory: Folders,
) -> None:
    repository, versions, heads = started(tmp_path_factory.mktemp("merge"), links)
    added = upon(data.draw(st.sampled_from(heads)), new)
    changed = replace(data.draw(st.sampled_from(links)), labels=("late9",))
    ours, theirs = (added, [changed]) if side else ([changed], added)
    found = once_merged(repository, versions, texts(ours), texts(theirs))
    assert [one for one in found if one.severity == "error"] == []


# -- a database ------------------------------------------------------------------------------


def stamped(links: list[Link], *ids: str, tables: tuple[str, ...] = ("users",)) -> list[Finding]:
    graph = Graph.of(link.file for link in links)
    return list(check_stamp(graph, Stamp("app.db", ids, True, tables), ("users",)))


@QUICK
@given(data=st.data(), links=sound_chains(most=8))
def test_c16_stamps(data: st.DataObject, links: list[Link]) -> None:
    graph = Graph.of(link.file for link in links)
    assert stamped(links, *graph.effective_heads) == []
    one = data.draw(st.sampled_from(links)).id
    assert [found for found in stamped(links, one) if found.severity == "error"] == []
    # A revision that is gone, beside sound ones or alone.
    beside = data.draw(st.sampled_from([(), (one,)]))
    found = stamped(links, *beside, "gone")
    assert ("C16", "error", "gone") in told(found)
    # Two stamps, one of which contains the other.
    above = sorted(graph.descendants([one]) - {one})
    if above:
        other = data.draw(st.sampled_from(above))
        assert {found.severity for found in stamped(links, one, other)} & {"error", "warning"}
    # Tables, and nothing that says how they came there.
    assert [found.rule for found in stamped(links)] == ["C16"]
    assert stamped(links)[0].severity in ("error", "warning")


# -- files and comments ----------------------------------------------------------------------


@QUICK
@given(data=st.data(), links=sound_chains(most=6))
def test_i01_and_i02_a_comment_that_does_nothing(
    data: st.DataObject, links: list[Link], tmp_path_factory: Folders
) -> None:
    versions = write(tmp_path_factory.mktemp("ignores") / "versions", links)
    link = data.draw(st.sampled_from(links))
    comment, rule = data.draw(
        st.sampled_from(
            [
                ("# orchctl: ignore[L02] moved to the archive", "I02"),
                ("# orchctl: ignore[C06] for now", "I02"),
                ("# orchctl: ignore moved", "I01"),
                ("# orchctl: ignore[L99] moved", "I02"),
            ]
        )
    )
    path = versions / f"{link.id}_step.py"
    before = rules_of(versions)
    path.write_text(path.read_text().replace("    pass", f"    pass  {comment}", 1))
    assert rules_of(versions) == sorted([*before, rule])


def test_c14_the_last_file_gone(tmp_path: Path) -> None:
    versions = write(tmp_path / "versions", [Link("a1")])
    assert rules_of(versions) == []
    (versions / "a1_step.py").unlink()
    assert rules_of(versions) == ["C14"]


def rules_of(versions: Path) -> list[str]:
    place = ChainPlace((versions,))
    selection = Selection(frozenset(rule.id for rule in rule_titles()))
    return sorted(one.rule for one in check(place, examine(place, lint=True), selection).findings)
