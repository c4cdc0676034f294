"""A parent that is gone: git's history tells whether it was renamed or deleted, and when."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from orchctl.chain.project import ChainPlace
from orchctl.chain.rules import verify
from orchctl.chain.vanished import with_history
from tests.support.chains import Link, write
from tests.support.repositories import GitRepository


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository.make(tmp_path / "repository")
    write(made.folder / "versions", [Link("0aa1"), Link("0bb2", ("0aa1",))])
    made.commit("two revisions")
    return made


def suggestion(repository: GitRepository) -> str | None:
    place = ChainPlace((repository.folder / "versions",))
    found = verify(place.read(), place.locations).findings
    (missing,) = (one for one in with_history(found, place) if one.rule == "C06")
    return missing.suggestion


def test_an_id_that_was_renamed_with_its_file(repository: GitRepository) -> None:
    old = repository.folder / "versions" / "0aa1_step.py"
    new = old.with_name("77f0_step.py")
    new.write_text(old.read_text().replace("0aa1", "77f0"))
    old.unlink()
    repository.commit("another id")
    said = suggestion(repository)
    assert said is not None
    assert said.startswith("77f0: commit ")
    assert said.endswith("of 2024-05-01, Ann renamed 0aa1 to it, in 77f0_step.py")


def test_an_id_that_was_renamed_in_place(repository: GitRepository) -> None:
    file = repository.folder / "versions" / "0aa1_step.py"
    file.write_text(file.read_text().replace("0aa1", "77f0"))
    repository.commit("another id")
    assert (suggestion(repository) or "").startswith("77f0: commit ")


def test_a_file_that_was_deleted(repository: GitRepository) -> None:
    (repository.folder / "versions" / "0aa1_step.py").unlink()
    repository.commit("tidy up")
    said = suggestion(repository)
    assert said is not None
    assert "deleted 0aa1_step.py: git checkout" in said
    command = said.partition(": ")[2].partition(" brings")[0]
    repository.git(*command.split()[1:])
    assert (repository.folder / "versions" / "0aa1_step.py").is_file()


def test_the_command_works_from_anywhere_and_with_blanks(tmp_path: Path) -> None:
    made = GitRepository.make(tmp_path / "repository")
    folder = write(made.folder / "my app" / "versions", [Link("0aa1"), Link("0bb2", ("0aa1",))])
    made.commit("two revisions")
    (folder / "0aa1_step.py").unlink()
    made.commit("tidy up")
    place = ChainPlace((folder,))
    found = verify(place.read(), place.locations).findings
    (missing,) = (one for one in with_history(found, place) if one.rule == "C06")
    command = (missing.suggestion or "").partition(": ")[2].partition(" brings")[0]
    subprocess.run(shlex.split(command), cwd=folder, check=True, capture_output=True)
    assert (folder / "0aa1_step.py").is_file()


@pytest.mark.parametrize("id_", ["\0", "\ud800", "x" * 200_000])
def test_what_no_command_line_can_hold_is_not_asked_of_git(
    repository: GitRepository, id_: str
) -> None:
    file = repository.folder / "versions" / "0bb2_step.py"
    file.write_text(file.read_text().replace("= '0aa1'", f"= {id_!r}"))
    assert "renamed" not in (suggestion(repository) or "")


def test_a_git_that_may_not_be_run_hides_no_finding(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository.folder / "versions" / "0aa1_step.py").unlink()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text("")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "Bring the file of 0aa1 back" in (suggestion(repository) or "")


def test_without_git_the_suggestion_is_as_it_was(tmp_path: Path) -> None:
    place = ChainPlace((write(tmp_path / "versions", [Link("0bb2", ("0aa1",))]),))
    found = verify(place.read(), place.locations).findings
    assert with_history(found, place) == list(found)
