"""Revision files, read without running them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from orchctl.chain.contents import read_contents, read_data
from orchctl.chain.parse import parse
from orchctl.chain.problem import Problem
from orchctl.chain.revision_file import RevisionFile


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
        contents = read_contents(version_locations, recursive=recursive, sourceless=sourceless)
        return tuple(_read(Path(one.name), one.data, bodies=bodies) for one in contents)


def read_file(path: Path, *, bodies: bool = True) -> tuple[RevisionFile, bytes]:
    """One revision file, and its bytes; empty where they cannot be read.

    Args:
        path: The file.
        bodies: See `read_files`.
    """
    data = read_data(str(path))
    return _read(path, data, bodies=bodies), data if isinstance(data, bytes) else b""


def _read(path: Path, data: bytes | Problem, *, bodies: bool) -> RevisionFile:
    if isinstance(data, Problem):
        return RevisionFile.unreadable(path, data)
    return parse(path, data, bodies=bodies)
