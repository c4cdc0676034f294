"""Whom the doctor looks at: one database, and who shall be able to use it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database.header import read_header
from orchctl.database.open import odd_file

if TYPE_CHECKING:
    from orchctl.config import Settings


@dataclass(frozen=True)
class User:
    """Somebody who uses the database.

    Attributes:
        uid: User id.
        gids: Group ids.
        who: As the text says it: `uid 1000, the database's owner`.
        present: Whether it is the user of this process.
    """

    uid: int
    gids: frozenset[int]
    who: str
    present: bool = False

    def may(self, path: Path, wanted: int) -> bool:
        """Whether the user has rights on a path itself (not on the way to it).

        Args:
            path: A file or directory that exists.
            wanted: `os.R_OK`, `os.W_OK`, `os.X_OK`, added up.
        """
        if self.present:  # the kernel knows about ACLs and capabilities, too
            return os.access(path, wanted, effective_ids=True)
        facts = path.stat()
        if self.uid == 0:
            return True
        if facts.st_uid == self.uid:
            bits = facts.st_mode >> 6
        elif facts.st_gid in self.gids:
            bits = facts.st_mode >> 3
        else:
            bits = facts.st_mode
        return bits & wanted == wanted


@dataclass(frozen=True)
class Subject:
    """A database to examine.

    Attributes:
        settings: The run's settings.
        file: The database, as the settings name it.
        version_table: Name of Alembic's table.
        full: Whether checks may take long.
    """

    settings: Settings
    file: Path
    version_table: str
    full: bool = False

    @property
    def real(self) -> Path:
        """The file, symbolic links followed: SQLite keeps its sidecars beside that one."""
        return Path(os.path.realpath(self.file))

    @property
    def odd(self) -> Path | None:
        """What is no regular file where one should be: SQLite would wait for a pipe for ever."""
        return odd_file(self.file)

    @property
    def wal(self) -> bool:
        """Whether the file says that it is in WAL mode; not where it can't be read."""
        try:
            header = read_header(self.real) if self.real.is_file() else None
        except OSError:
            return False
        return header is not None and header.wal


def present_user() -> User:
    """The user of this process."""
    uid = os.geteuid()
    return User(uid, frozenset([os.getegid(), *os.getgroups()]), f"uid {uid}", present=True)
