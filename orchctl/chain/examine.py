"""Everything that the rules need to know of each file, read in one go."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchctl.chain.ignores import Ignore, ignores_of
from orchctl.chain.lint.file_lint import FileLint
from orchctl.chain.project import ChainPlace
from orchctl.chain.read import read_file, revision_paths
from orchctl.chain.revision_file import RevisionFile
from orchctl.chain.source import decode


@dataclass(frozen=True)
class Examination:
    """A chain's files, looked at.

    Attributes:
        files: What each says of its place in the chain, in Alembic's order.
        lints: What the lint rules need, by file; empty when nobody asked for it.
        ignores: The ignore comments, of the files that have some.
    """

    files: tuple[RevisionFile, ...]
    lints: Mapping[Path, FileLint]
    ignores: Mapping[Path, tuple[Ignore, ...]]


def examine(place: ChainPlace, *, lint: bool) -> Examination:
    """Read the files of a chain.

    Args:
        place: Where they are.
        lint: Whether the functions' code is looked at too.

    Raises:
        ConfigurationError: A folder that exists cannot be listed.
    """
    from orchctl.chain.lint.lint_file import lint_file

    files: list[RevisionFile] = []
    lints: dict[Path, FileLint] = {}
    ignores: dict[Path, tuple[Ignore, ...]] = {}
    with warnings.catch_warnings():
        # Compiling warns about things like "\d" in somebody's docstring: not our business.
        warnings.simplefilter("ignore")
        for path in revision_paths(
            place.locations, recursive=place.recursive, sourceless=place.sourceless
        ):
            file, data = read_file(path)
            files.append(file)
            if lint and data and not _is_broken(file):
                lints[path] = lint_file(path, decode(data).text, file.revision)
            if b"orchctl" in data and (comments := ignores_of(decode(data).text)):
                ignores[path] = comments
    return Examination(tuple(files), lints, ignores)


def _is_broken(file: RevisionFile) -> bool:
    return any(problem.rule == "C07" for problem in file.problems)
