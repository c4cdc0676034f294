"""What git knows of the files of a chain: other trees, and who brought a file in."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchctl.errors import TimedOut, UsageError

# Seconds; a repository on a slow disk, not a hung credential prompt.
_PATIENCE = 60.0
# What `git rev-parse --local-env-vars` lists, but for configuration. git hands hooks some of it: in
# a linked work tree it names the repository, and takes the folder that it is asked in for the top.
_LOCAL = frozenset(
    "GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_COMMON_DIR GIT_DIR GIT_GRAFT_FILE"
    " GIT_IMPLICIT_WORK_TREE GIT_INDEX_FILE GIT_INTERNAL_SUPER_PREFIX GIT_NO_REPLACE_OBJECTS"
    " GIT_OBJECT_DIRECTORY GIT_PREFIX GIT_REPLACE_REF_BASE GIT_SHALLOW_FILE GIT_WORK_TREE".split()
)
# A folder may be named [id], and anybody's configuration may colour and sign what is read here.
_PLAINLY = (
    "--literal-pathspecs",
    *("-c", "core.quotePath=false", "-c", "color.ui=false", "-c", "log.showSignature=false"),
)


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
        # git keeps no empty folders: that of the revisions may be gone.
        there = next((one for one in (path, *path.parents) if one.is_dir()), path)
        try:
            found = _git(there, "rev-parse", "--show-toplevel")
        except FileNotFoundError as error:
            raise UsageError("git is not installed", code="no-git") from error
        except OSError as error:  # or a folder of PATH that we may not look into
            told = f"git cannot be run: {error.strerror or error}"
            raise UsageError(told, code="no-git") from error
        if found.returncode:
            raise UsageError(
                f"{path} is in no git repository",
                code="no-repository",
                hint=_said(found),
            )
        return cls(Path(os.fsdecode(found.stdout).rstrip("\n")).resolve())

    def commit(self, ref: str) -> str:
        """The full hash of the commit that a name stands for.

        Raises:
            UsageError: There is none.
        """
        found = _git(self.folder, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        if found.returncode or ref.startswith("-"):
            raise UsageError(
                f"git knows no commit {ref}" if ref.strip() else "No branch is named",
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
        """The files of a commit in some folders, by path from the top, with their object ids.

        Raises:
            UsageError: They are not here, as in a clone with a filter, and can't be fetched.
        """
        words = ("ls-tree", "-r", "-z", "--full-tree", commit, "--", *folders)
        found = _git(self.folder, *words)
        if found.returncode:
            raise _lacking(f"the folders of commit {commit[:12]}", found)
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
        """The bytes of objects, by id.

        Raises:
            UsageError: Not all of them are here, as in a clone with a filter, and can't be fetched.
        """
        wanted = list(dict.fromkeys(objects))
        asked = "".join(f"{one}\n" for one in wanted)
        done = _git(self.folder, "cat-file", "--batch", stdin=asked.encode())
        found, contents, start = done.stdout, {}, 0
        while start < len(found):
            end = found.index(b"\n", start)
            id_, *about = found[start:end].decode().split()
            start = end + 1
            if len(about) == 2:
                contents[id_] = found[start : start + int(about[1])]
                start += int(about[1]) + 1
        if missing := [one for one in wanted if one not in contents]:
            told = f"{len(missing)} of the files' contents, such as {missing[0][:12]}"
            raise _lacking(told, done)
        return contents

    def merge(self, ours: bytes, base: bytes, theirs: bytes) -> bytes | None:
        """What git makes of a file that both sides changed; None where it would stop at it."""
        with tempfile.TemporaryDirectory(prefix="orchctl-merge-") as folder:
            paths = [Path(folder, name) for name in ("ours", "base", "theirs")]
            for path, data in zip(paths, (ours, base, theirs), strict=True):
                path.write_bytes(data)
            found = _git(self.folder, "merge-file", "--stdout", "--quiet", *map(str, paths))
        return found.stdout if found.returncode == 0 else None

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
        return self._renames(("show", "--format=", commit), folders)

    def renamed(self, before: str, after: str, folders: Iterable[str]) -> Mapping[str, str]:
        """The files of some folders that have another path in a later commit: old and new."""
        found = self._renames(("diff", before, after), folders)
        return {old: new for old, new in found.items() if new is not None and new != old}

    def _renames(self, words: Sequence[str], folders: Iterable[str]) -> dict[str, str | None]:
        asked = (*words, "--name-status", "-z", "-M", "--", *folders)
        fields = os.fsdecode(_git(self.folder, *asked).stdout).split("\0")
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
    try:
        return subprocess.run(
            ["git", *_PLAINLY, *words],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name not in _LOCAL},
            input=stdin,
            capture_output=True,
            check=False,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOut(
            f"git {words[0]} did not finish within {_PATIENCE:.0f} s", code="git-timeout"
        ) from error


def _lacking(what: str, found: subprocess.CompletedProcess[bytes]) -> UsageError:
    return UsageError(
        f"git lacks {what}",
        code="no-such-object",
        hint=f"git fetch --refetch brings them; git says: {_said(found)}",
    )


def _said(found: subprocess.CompletedProcess[bytes]) -> str:
    lines = found.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "git said nothing"
