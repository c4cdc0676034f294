"""Which files are a chain's, and what is in them: bytes, nothing understood yet.

Which files count, and what their names may hold, follows Alembic 1.18 to 1.20
(alembic/script/base.py, `Script._list_py_dir` and `Script._from_path`).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from orchctl.chain.problem import Problem
from orchctl.errors import ConfigurationError

_SOURCES = re.compile(r"(?!\.\#|__init__)(.*\.py)$")
_SOURCES_AND_COMPILED = re.compile(r"(?!\.\#|__init__)(.*\.py)(c|o)?$")


class Content:
    """One file of a chain.

    Attributes:
        name: Its whole path, links resolved; text, because making a `Path` of each takes as long
            as finding them.
        data: What is in it, or why that cannot be read.
    """

    __slots__ = ("_key", "data", "name")

    def __init__(self, name: str, data: bytes | Problem) -> None:
        self.name = name
        self.data = data
        self._key: str | None = None

    @property
    def key(self) -> str | None:
        """A hash of its name, without its folder, and its bytes; None where it cannot be read."""
        if self._key is None and isinstance(self.data, bytes):
            name = os.fsencode(self.name.rpartition(os.sep)[2])
            self._key = sha256(b"%b\0%b" % (name, self.data)).hexdigest()
        return self._key


def read_contents(
    version_locations: Iterable[Path], *, recursive: bool = False, sourceless: bool = False
) -> list[Content]:
    """The revision files of these folders, each once, in Alembic's order; see `revision_paths`."""
    return [
        Content(name, read_data(name))
        for name in _names(version_locations, recursive=recursive, sourceless=sourceless)
    ]


def revision_paths(
    version_locations: Iterable[Path], *, recursive: bool = False, sourceless: bool = False
) -> Iterator[Path]:
    """The revision files of these folders, resolved, each once, in Alembic's order.

    Args:
        version_locations: The folders, in Alembic's order.
        recursive: Whether folders inside them count.
        sourceless: Whether compiled files without a source count.

    Raises:
        ConfigurationError: A folder that exists cannot be listed.
    """
    names = _names(version_locations, recursive=recursive, sourceless=sourceless)
    return map(Path, names)


def _names(
    version_locations: Iterable[Path], *, recursive: bool, sourceless: bool
) -> Iterator[str]:
    pattern = _SOURCES_AND_COMPILED if sourceless else _SOURCES
    seen: set[str] = set()
    for location in version_locations:
        for folder in _folders(location, recursive):
            for name, is_link in _listed(folder, sourceless):
                path = f"{folder}{os.sep}{name}"
                path = os.path.realpath(path) if is_link else path
                match = pattern.match(path.rpartition(os.sep)[2])
                if match is None or path in seen or _has_source(path):
                    continue
                seen.add(path)
                yield path


def is_revision_name(name: str) -> bool:
    """Whether Alembic takes a file of this name for a revision."""
    return _SOURCES.match(name) is not None


def _folders(location: Path, recursive: bool) -> Iterator[str]:
    root = os.path.realpath(location)
    if not _is_folder(root):
        return
    if not recursive:
        yield root
        return
    for folder, inside, _ in os.walk(root):
        if not folder.endswith("__pycache__"):
            yield folder
            inside.sort()


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unlistable(path, error) from error


def _unlistable(folder: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"The folder {folder} cannot be listed: {error.strerror}",
        code="versions-unreadable",
        hint=f"ls -ld {folder} shows whose it is",
    )


def _listed(folder: str, sourceless: bool) -> list[tuple[str, bool]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(
                (item.name, item.is_symlink()) for item in entries if not _leads_on(item)
            )
    except OSError as error:
        raise _unlistable(folder, error) from error
    cache = os.path.join(folder, "__pycache__")  # noqa: PTH118
    if sourceless and os.path.isdir(cache):  # noqa: PTH112
        names = {name.partition(".")[0] for name, _ in found}
        compiled = sorted(os.listdir(cache))  # noqa: PTH208
        found += [
            (os.path.join("__pycache__", name), False)  # noqa: PTH118
            for name in compiled
            if name.partition(".")[0] not in names
        ]
    return found


def _leads_on(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link to itself is a file that cannot be read
        return False


def _has_source(path: str) -> bool:
    """Whether a compiled file stands beside what Alembic prefers to it: .py, then .pyc."""
    if path.endswith(".py"):
        return False
    source = Path(path[:-1])
    return source.exists() or (path.endswith("o") and source.with_suffix(".pyc").exists())


def read_data(name: str) -> bytes | Problem:
    """A revision file's bytes, or why there are none."""
    if not name.endswith(".py"):
        return _COMPILED
    try:
        data = _regular(name)
    except FileNotFoundError:
        return _closed("it is a link to nothing")
    except OSError as error:
        return _closed(error.strerror or str(error))
    return _closed("it is not a regular file") if data is None else data


def _regular(name: str) -> bytes | None:
    """A file's bytes; None for what is no regular file."""
    # A named pipe called x.py would block for ever.
    if not stat.S_ISREG(os.stat(name).st_mode):  # noqa: PTH116
        return None
    descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        data = os.read(descriptor, _PART)
        while part := os.read(descriptor, _PART):
            data += part
    finally:
        os.close(descriptor)
    return data


# More than nearly every revision has.
_PART = 1 << 16


_COMPILED = Problem(
    "C08",
    "warning",
    "This is compiled code without its source: what it holds cannot be read here",
    suggestion="Keep the .py file beside it",
)


def _closed(reason: str) -> Problem:
    return Problem("C07", "error", f"The file cannot be read: {reason}", alembic=reason)
