"""Git repositories for tests."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GitRepository:
    """A work tree with a branch `main`."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> GitRepository:
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder)
        made.git("init", "-q", "-b", "main")
        return made

    def git(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
        return subprocess.run(
            ["git", *identity, *words], cwd=self.folder, capture_output=True, text=True, check=check
        )

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "-q", "--date", "2024-05-01T12:00:00", "-m", message)

    def branch(self, name: str, start: str = "main") -> None:
        self.git("checkout", "-q", "-b", name, start)

    def switch(self, name: str) -> None:
        self.git("checkout", "-q", name)
