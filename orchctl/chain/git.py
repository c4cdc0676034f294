"""What git knows of the files of a chain: other trees, and who brought a file in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchctl.errors import UsageError

# Seconds; a repository on a slow disk, not a hung credential prompt.
_PATIENCE = 60.0


@dataclass(frozen=True)
class Commit:
    """Who brought something in.

    Attributes:
        id: Its abbreviated hash.
        date: The author's date, YYYY-MM-DD.
        author: The author's name.
    """

    id: str
    date: str
    author: str

    def __str__(self) -> str:
        return f"commit {self.id} of {self.date}, {self.author}"


@dataclass(frozen=True)
class Repository:
    """A git work tree.

    Attributes:
        folder: Its top folder, links resolved.
    """

    folder: Path

    @classmethod
    def of(cls, path: Path) -> Repository:
        """The repository that a folder is in.

        Raises:
            UsageError: It is in none, or there is no git.
        """
        try:
            found = _git(path, "rev-parse", "--show-toplevel")
        except FileNotFoundError as error:
            raise UsageError("git is not installed", code="no-git") from error
        if found.returncode:
            raise UsageError(
                f"{path} is in no git repository",
                code="no-repository",
                hint=_said(found),
            )
        return cls(Path(found.stdout.decode().rstrip("\n")).resolve())

    def commit(self, ref: str) -> str:
        """The full hash of the commit that a name stands for.

        Raises:
            UsageError: There is none.
        """
        found = _git(self.folder, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        if found.returncode or ref.startswith("-"):
            raise UsageError(
                f"git knows no commit {ref}",
                code="no-such-commit",
                hint="git fetch origin brings the others' branches; then it is origin/BRANCH",
            )
        return found.stdout.decode().strip()

    def merge_base(self, one: str, other: str) -> str:
        """The commit that two commits have in common.

        Raises:
            UsageError: There is none here; so it is in a shallow clone.
        """
        found = _git(self.folder, "merge-base", one, other)
        if found.returncode:
            raise UsageError(
                f"git finds no common ancestor of {one[:12]} and {other}",
                code="no-merge-base",
                hint="In a shallow clone: git fetch --unshallow (fetch-depth: 0 in CI)",
            )
        return found.stdout.decode().strip()

    def tree(self, commit: str, folders: Iterable[str]) -> dict[str, str]:
        """The files of a commit in some folders, by path from the top, with their object ids."""
        words = ("ls-tree", "-r", "-z", "--full-tree", commit, "--", *folders)
        found = _git(self.folder, *words)
        entries = [entry for entry in os.fsdecode(found.stdout).split("\0") if entry]
        parted = [entry.partition("\t") for entry in entries]
        return {path: head.split()[2] for head, _, path in parted if head.split()[1] == "blob"}

    def object_ids(self, paths: Sequence[str]) -> dict[str, str]:
        """The ids that files of the work tree would have as objects.

        Files that vanish meanwhile, and those after them, have none; nor has a name of two lines.
        """
        asked = [path for path in paths if "\n" not in path]
        stdin = os.fsencode("".join(f"{path}\n" for path in asked))
        found = _git(self.folder, "hash-object", "--stdin-paths", stdin=stdin)
        return dict(zip(asked, found.stdout.decode().split(), strict=False))

    def contents(self, objects: Iterable[str]) -> dict[str, bytes]:
        """The bytes of objects, by id."""
        asked = "".join(f"{one}\n" for one in dict.fromkeys(objects))
        found = _git(self.folder, "cat-file", "--batch", stdin=asked.encode()).stdout
        contents, start = {}, 0
        while start < len(found):
            end = found.index(b"\n", start)
            id_, _, size = found[start:end].decode().split()
            contents[id_] = found[end + 1 : end + 1 + int(size)]
            start = end + 1 + int(size) + 1
        return contents

    def last_change(self, commit: str, path: str) -> Commit | None:
        """The last commit that changed a file; None when it isn't in that history."""
        found = _git(self.folder, "log", "-1", "--format=%h%x00%as%x00%an", commit, "--", path)
        parts = found.stdout.decode("utf-8", "replace").rstrip("\n").split("\0")
        return Commit(*parts) if len(parts) == 3 else None

    def last_match(self, pattern: str, folders: Sequence[str]) -> tuple[Commit, str] | None:
        """The last commit that added or took away a line, with the commit's full hash.

        Args:
            pattern: An extended regular expression.
            folders: Where, from the top of the repository.
        """
        words = ("-c", "grep.patternType=extended", "log", "-1", "--no-merges", f"-G{pattern}")
        found = _git(self.folder, *words, "--format=%h%x00%as%x00%an%x00%H", "--", *folders)
        parts = found.stdout.decode("utf-8", "replace").rstrip("\n").split("\0")
        return (Commit(*parts[:3]), parts[3]) if len(parts) == 4 else None

    def files_with(self, pattern: str, commit: str, folders: Sequence[str]) -> list[str]:
        """The files of a commit with a line that an extended regular expression matches."""
        words = ("grep", "-l", "-z", "-E", "-e", pattern, commit, "--", *folders)
        found = os.fsdecode(_git(self.folder, *words).stdout).split("\0")
        return [one.partition(":")[2] for one in found if one]

    def renames(self, commit: str, folders: Iterable[str]) -> Mapping[str, str | None]:
        """What a commit did to files of some folders: each old path with its new one, or None."""
        words = ("show", "--format=", "--name-status", "-z", "-M", commit, "--", *folders)
        fields = os.fsdecode(_git(self.folder, *words).stdout).split("\0")
        found: dict[str, str | None] = {}
        place = 0
        while place < len(fields) - 1:
            status = fields[place].strip()
            if status.startswith(("R", "C")):
                found[fields[place + 1]] = fields[place + 2]
                place += 3
            else:
                path = fields[place + 1]
                found[path] = None if status == "D" else path
                place += 2
        return found

    def path_of(self, path: Path) -> str | None:
        """A file's path from the top of the repository; None when it is outside."""
        whole = Path(os.path.realpath(path))  # Path.resolve() fails at a link to itself
        return (
            whole.relative_to(self.folder).as_posix() if whole.is_relative_to(self.folder) else None
        )


def _git(folder: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["git", "-c", "core.quotePath=false", *words],
        cwd=folder,
        input=stdin,
        capture_output=True,
        check=False,
        timeout=_PATIENCE,
    )


def _said(found: subprocess.CompletedProcess[bytes]) -> str:
    lines = found.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "git said nothing"
