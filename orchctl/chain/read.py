"""Revision files, read without running them.

Which files count, and what their names may hold, follows Alembic 1.18 to 1.20
(alembic/script/base.py, `Script._list_py_dir` and `Script._from_path`).
"""

from __future__ import annotations

import errno
import os
import re
import stat
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchctl.chain.facts import Problem
from orchctl.chain.parse import parse
from orchctl.chain.regular_file import MOST_BYTES, read_regular
from orchctl.chain.revision_file import RevisionFile
from orchctl.errors import ConfigurationError

_SOURCES = re.compile(r"(?!\.\#|__init__)(.*\.py)$")
_SOURCES_AND_COMPILED = re.compile(r"(?!\.\#|__init__)(.*\.py)(c|o)?$")


def read_files(
    version_locations: Iterable[Path],
    *,
    recursive: bool = False,
    sourceless: bool = False,
    bodies: bool = True,
) -> tuple[RevisionFile, ...]:
    """Read every revision file of a chain.

    Args:
        version_locations: The folders, in Alembic's order; those that don't exist are passed over,
            as Alembic does.
        recursive: Whether folders inside them count (`recursive_version_locations`).
        sourceless: Whether compiled files without a source count (`sourceless`).
        bodies: Whether each file is compiled whole, so that a syntax error inside `upgrade()` is
            found too. False looks only at what stands before the first function, which is all
            that the chain needs and about six times as fast.

    Returns:
        The files in the order in which Alembic loads them. A file that cannot be read or
        understood is there with its problems; it never hides the others.

    Raises:
        ConfigurationError: A folder that exists cannot be listed.
    """
    with warnings.catch_warnings():
        # Compiling warns about things like "\d" in somebody's docstring: not our business.
        warnings.simplefilter("ignore")
        strays: list[Path] = []
        paths = revision_paths(
            version_locations, recursive=recursive, sourceless=sourceless, strays=strays
        )
        files = [read_file(path, bodies=bodies)[0] for path in paths]
        return (*files, *map(stray, strays))


def revision_paths(
    version_locations: Iterable[Path],
    *,
    recursive: bool = False,
    sourceless: bool = False,
    strays: list[Path] | None = None,
) -> Iterator[Path]:
    """The revision files of these folders, resolved, each once, in Alembic's order.

    Args:
        version_locations: See `read_files`, as for the next two.
        recursive: …
        sourceless: …
        strays: Takes the links whose names are those of revisions, and their files' names are not.
    """
    pattern = _SOURCES_AND_COMPILED if sourceless else _SOURCES
    seen: set[str] = set()
    for location in version_locations:
        for folder in _folders(location, recursive):
            for name, is_link in _listed(folder, sourceless):
                path = f"{folder}{os.sep}{name}"
                path = os.path.realpath(path) if is_link else path
                match = pattern.match(path.rpartition(os.sep)[2])
                if match is None and is_link and strays is not None and pattern.match(name):
                    strays.append(Path(folder, name))
                if match is None or path in seen or _has_source(path):
                    continue
                seen.add(path)
                yield Path(path)


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


def read_file(path: Path, *, bodies: bool = True) -> tuple[RevisionFile, bytes]:
    """One revision file, and its bytes; empty where they cannot be read.

    Args:
        path: The file.
        bodies: See `read_files`.
    """
    data = read_data(path)
    if isinstance(data, Problem):
        return RevisionFile.unreadable(path, data), b""
    return parse(path, data, bodies=bodies), data


def read_data(path: Path) -> bytes | Problem:
    """A revision file's bytes, or why there are none."""
    name = str(path)
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


def stray(path: Path) -> RevisionFile:
    """What there is to say of a link that looks like a revision, and is none to Alembic."""
    name = os.path.realpath(path).rpartition(os.sep)[2]
    problem = Problem(
        "C07",
        "warning",
        f"This is a link to {name!r}: Alembic goes by that name, and takes it for no revision",
        suggestion="Let it lead to a file whose name ends in .py, or take it away",
        alembic="nothing: it passes over it",
    )
    return RevisionFile.unreadable(path, problem)
