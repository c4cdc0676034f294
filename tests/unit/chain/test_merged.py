"""C15: two branches that are each sound, held together as git would; real repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchctl.chain.findings import Finding
from orchctl.chain.git import Repository
from orchctl.chain.merged import broken_once_merged, merged_chain
from orchctl.chain.project import ChainPlace
from orchctl.errors import UsageError
from tests.support.chains import Link, write
from tests.support.repositories import GitRepository


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository.make(tmp_path / "repository")
    write(versions(made), [Link("001"), Link("002", ("001",))])
    made.commit("two revisions")
    return made


def versions(repository: GitRepository) -> Path:
    return repository.folder / "migrations" / "versions"


def check(repository: GitRepository, ref: str = "main") -> list[Finding]:
    place = ChainPlace((versions(repository),))
    files, at = place.read(), Repository.of(versions(repository))
    return list(broken_once_merged(at, place, files, merged_chain(at, place, files, ref), ref))


def branches(repository: GitRepository, ours: list[Link], theirs: list[Link]) -> None:
    """One more commit on main, and another on the branch that is checked out."""
    repository.branch("feature")
    repository.switch("main")
    write(versions(repository), theirs)
    repository.commit("theirs")
    repository.switch("feature")
    write(versions(repository), ours)
    repository.commit("ours")


def test_two_heads_that_only_meet_in_the_merge(repository: GitRepository) -> None:
    branches(repository, [Link("0aa", ("002",))], [Link("0bb", ("002",))])
    (finding,) = check(repository)
    assert (finding.rule, finding.severity) == ("C15", "error")
    assert finding.message.startswith("Once merged with main: C04, 2 heads: 0aa in 0aa_step.py, ")
    assert "of 2024-05-01, Ann" in finding.message
    assert finding.suggestion == "After the merge: orchctl merge 0aa 0bb -m '…'"
    repository.git("merge", "-q", "-m", "merge", "main")
    assert check(repository) == []  # now it is this tree's own fault, and C04's


def test_what_is_not_committed_counts_too(repository: GitRepository) -> None:
    repository.branch("feature")
    repository.switch("main")
    write(versions(repository), [Link("0bb", ("002",))])
    repository.commit("theirs")
    repository.switch("feature")
    write(versions(repository), [Link("0aa", ("002",))])
    (finding,) = check(repository)
    assert "0aa in 0aa_step.py, not committed yet" in finding.message


def test_the_same_id_twice(repository: GitRepository) -> None:
    repository.branch("feature")
    repository.switch("main")
    write(versions(repository), [Link("003", ("002",))])
    (versions(repository) / "003_step.py").rename(versions(repository) / "003_theirs.py")
    repository.commit("theirs")
    repository.switch("feature")
    write(versions(repository), [Link("003", ("002",))])
    repository.commit("ours")
    (finding,) = check(repository)
    assert finding.message.startswith("Once merged with main: C02, The id '003' is already")


def test_a_parent_that_the_other_side_removed(repository: GitRepository) -> None:
    repository.branch("feature")
    repository.switch("main")
    (versions(repository) / "002_step.py").unlink()
    repository.commit("theirs")
    repository.switch("feature")
    write(versions(repository), [Link("003", ("002",))])
    repository.commit("ours")
    assert [one.message.split(",")[0] for one in check(repository)] == [
        "Once merged with main: C06"
    ]


def test_one_side_alone_may_change_anything(repository: GitRepository) -> None:
    branches(repository, [Link("003", ("002",))], [Link("002", ("001",), ("label",))])
    assert check(repository) == []


def test_a_file_changed_on_both_sides(repository: GitRepository) -> None:
    branches(repository, [Link("002", ("001",), ("ours",))], [Link("002", ("001",), ("theirs",))])
    (finding,) = check(repository)
    assert (finding.severity, finding.path) == ("warning", versions(repository) / "002_step.py")
    assert repository.git("merge", "main", check=False).returncode == 1


def test_both_sides_changed_a_file_in_ways_that_git_puts_together(
    repository: GitRepository,
) -> None:
    """Theirs has another parent, ours another upgrade(): once merged there are two heads."""
    file = write(versions(repository), [Link("003", ("002",))]) / "003_step.py"
    repository.commit("a third")
    repository.branch("feature")
    file.write_text(file.read_text().replace("pass", "op.execute('')"))
    repository.commit("ours")
    repository.switch("main")
    text = file.read_text()
    file.write_text(text.replace("down_revision = '002'", "down_revision = '001'"))
    assert file.read_text() != text
    repository.commit("theirs")
    repository.switch("feature")
    (finding,) = check(repository)
    assert finding.message.startswith("Once merged with main: C04, 2 heads: ")
    repository.git("merge", "-q", "-m", "merge", "main")
    assert check(repository) == []


def test_a_file_that_is_gone_there_and_changed_here(repository: GitRepository) -> None:
    repository.branch("feature")
    repository.switch("main")
    (versions(repository) / "002_step.py").unlink()
    repository.commit("theirs")
    repository.switch("feature")
    write(versions(repository), [Link("002", ("001",), ("ours",))])
    repository.commit("ours")
    (finding,) = check(repository)
    assert (finding.severity, finding.path) == ("warning", versions(repository) / "002_step.py")
    assert repository.git("merge", "main", check=False).returncode == 1


@pytest.mark.parametrize("renamed_here", [True, False])
def test_a_file_renamed_on_one_side_and_changed_on_the_other(
    repository: GitRepository, renamed_here: bool
) -> None:
    """git follows it; one revision is not two of the same id."""
    file = versions(repository) / "002_step.py"
    for branch, renames in (("feature", renamed_here), ("theirs", not renamed_here)):
        repository.branch(branch)
        if renames:
            file.rename(file.with_name("002_other.py"))
        else:
            file.write_text(file.read_text().replace("pass", "op.execute('')"))
        repository.commit(branch)
    repository.switch("feature")
    assert check(repository, "theirs") == []
    repository.git("merge", "-q", "-m", "merge", "theirs")
    assert [one.name for one in versions(repository).glob("002*")] == ["002_other.py"]


def test_a_hook_of_a_linked_work_tree(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git tells it where the repository is; with that alone, each folder is the top of one."""
    branches(repository, [Link("0aa", ("002",))], [Link("0bb", ("002",))])
    repository.switch("main")
    linked = GitRepository(tmp_path / "linked")
    repository.git("worktree", "add", "-q", str(linked.folder), "feature")
    monkeypatch.setenv("GIT_DIR", str(repository.folder / ".git" / "worktrees" / "linked"))
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index")
    (finding,) = check(linked)
    assert finding.message.startswith("Once merged with main: C04, 2 heads: ")


def test_all_revisions_gone(repository: GitRepository) -> None:
    """git keeps no empty folder, and whoever asks for the merged tree is not told to install it."""
    repository.branch("feature")
    for file in versions(repository).iterdir():
        file.unlink()
    versions(repository).rmdir()
    assert check(repository) == []


def test_wrong_input_is_one_line(repository: GitRepository, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="git knows no commit nowhere"):
        check(repository, "nowhere")
    with pytest.raises(UsageError, match="is in no git repository"):
        Repository.of(tmp_path)


def test_a_shallow_clone_says_how_to_deepen_it(repository: GitRepository, tmp_path: Path) -> None:
    branches(repository, [Link("0aa", ("002",))], [Link("0bb", ("002",))])
    source = f"file://{repository.folder}"
    shallow = GitRepository(tmp_path / "shallow")
    repository.git("clone", "-q", "--depth", "1", "--no-single-branch", source, str(shallow.folder))
    with pytest.raises(UsageError) as caught:
        check(shallow, "origin/main")
    assert "fetch-depth: 0" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("left_out", "told"),
    [("blob:none", "git lacks 1 of the files' contents"), ("tree:0", "git lacks the folders of")],
)
def test_a_clone_without_contents_and_without_its_origin(
    repository: GitRepository, tmp_path: Path, left_out: str, told: str
) -> None:
    branches(repository, [Link("0aa", ("002",))], [Link("0bb", ("002",))])
    repository.git("config", "uploadpack.allowFilter", "true")
    partial = GitRepository(tmp_path / "partial")
    source = f"file://{repository.folder}"
    repository.git("clone", "-q", f"--filter={left_out}", source, str(partial.folder))
    repository.folder.rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=told):
        check(partial, "origin/main")


def test_heads_that_were_there_before_are_not_the_merges_fault(repository: GitRepository) -> None:
    write(versions(repository), [Link("00x", ("001",))])
    repository.commit("two heads")
    branches(repository, [Link("0aa", ("002",))], [Link("002", ("001",), ("label",))])
    assert check(repository) == []
    branches_again = [Link("0bb", ("001",))]
    repository.switch("main")
    write(versions(repository), branches_again)
    repository.commit("a third")
    repository.switch("feature")
    (finding,) = check(repository)
    assert "C04, 3 heads: " in finding.message
