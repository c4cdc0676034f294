"""Which files are a chain's, and what is in them: bytes, nothing understood yet.

Which files count, and what their names may hold, follows Alembic 1.18 to 1.20
(alembic/script/base.py, `Script._list_py_dir` and `Script._from_path`).
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchctl.chain.problem import Problem
from orchctl.chain.regular_file import MOST_BYTES, read_regular
from orchctl.errors import ConfigurationError, typed

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
            # As long to import as ten files take; those few are not looked up.
            from hashlib import sha256

            name = os.fsencode(self.name.rpartition(os.sep)[2])
            self._key = sha256(b"%b\0%b" % (name, self.data)).hexdigest()
        return self._key


def read_contents(
    version_locations: Iterable[Path], *, recursive: bool = False, sourceless: bool = False
) -> Iterator[Content]:
    """What is in the revision files of these folders, each once, in Alembic's order.

    Links whose names are those of revisions, and their files' names are not, come last.

    Args:
        version_locations: The folders, in Alembic's order.
        recursive: Whether folders inside them count.
        sourceless: Whether compiled files without a source count.

    Raises:
        ConfigurationError: A folder that exists cannot be listed.
    """
    strays: list[str] = []
    for name in _names(version_locations, recursive, sourceless, strays):
        yield Content(name, read_data(name))
    for name in strays:
        yield Content(name, _stray(name))


def revision_paths(
    version_locations: Iterable[Path], *, recursive: bool = False, sourceless: bool = False
) -> Iterator[Path]:
    """The revision files of these folders, resolved; see `read_contents`."""
    return map(Path, _names(version_locations, recursive, sourceless, []))


def _names(
    version_locations: Iterable[Path], recursive: bool, sourceless: bool, strays: list[str]
) -> Iterator[str]:
    pattern = _SOURCES_AND_COMPILED if sourceless else _SOURCES
    seen: set[str] = set()
    for location in version_locations:
        for folder in _folders(location, recursive):
            for name, is_link in _listed(folder, sourceless):
                path = f"{folder}{os.sep}{name}"
                path = os.path.realpath(path) if is_link else path
                match = pattern.match(path.rpartition(os.sep)[2])
                if match is None and is_link and pattern.match(name):
                    strays.append(f"{folder}{os.sep}{name}")
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
    for folder, inside, _ in os.walk(root, onerror=_refuse):
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


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # gone while its parent was looked through
        raise _unlistable(error.filename, error) from error


def _unlistable(folder: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"The folder {folder} cannot be listed: {error.strerror}",
        code="versions-unreadable",
        hint=f"ls -ld {typed(folder)} shows whose it is",
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
        return read_regular(name)
    except FileNotFoundError:
        return _closed("it is gone, or a link to nothing", "No such file or directory")
    except OSError as error:
        if error.errno == errno.EFBIG:
            return _LARGE
        said = error.strerror or str(error)
        return _closed(said, None if error.errno == errno.EINVAL else said)


_LARGE = Problem(
    "C07",
    "warning",
    f"The file is larger than {MOST_BYTES >> 20} MiB: it is not read here",
    suggestion="Keep data in a file of its own, beside the revision",
    alembic="nothing, when Python has the memory to compile it",
)
_COMPILED = Problem(
    "C08",
    "warning",
    "This is compiled code without its source: what it holds cannot be read here",
    suggestion="Keep the .py file beside it",
)


def _closed(reason: str, alembic: str | None) -> Problem:
    return Problem("C07", "error", f"The file cannot be read: {reason}", alembic=alembic)


def _stray(path: str) -> Problem:
    """What there is to say of a link that looks like a revision, and is none to Alembic."""
    name = os.path.realpath(path).rpartition(os.sep)[2]
    return Problem(
        "C07",
        "warning",
        f"This is a link to {name!r}: Alembic goes by that name, and takes it for no revision",
        suggestion="Let it lead to a file whose name ends in .py, or take it away",
        alembic="nothing: it passes over it",
    )
