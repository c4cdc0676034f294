"""Everything that the rules need to know of each file, read in one go."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from orchctl.chain.cache import ChainCache, encode
from orchctl.chain.contents import Content
from orchctl.chain.examined import Examined, examine_file, packed, unpacked
from orchctl.chain.ignores import Ignore
from orchctl.chain.lint.file_lint import FileLint
from orchctl.chain.problem import Problem
from orchctl.chain.project import ChainPlace
from orchctl.chain.revision_file import RevisionFile
from orchctl.chain.workers import at_work, usable

# A process costs about what fifty files do; less than that for each is not worth its start.
_FEWEST = 150


@dataclass(frozen=True)
class Examination:
    """A chain's files, looked at.

    Attributes:
        files: What each says of its place in the chain, in Alembic's order.
        lints: What the lint rules need, by file; empty when nobody asked for it.
        ignores: The ignore comments, of the files that have some.
        lasting: Whether the same bytes will always show the same: not where Python refused some,
            or nearly, which may be for want of memory.
    """

    files: tuple[RevisionFile, ...]
    lints: Mapping[Path, FileLint]
    ignores: Mapping[Path, tuple[Ignore, ...]]
    lasting: bool = True


class _Todo(NamedTuple):
    """A file that is not in the cache: which one of all, and what is in it."""

    place: int
    path: Path
    data: bytes
    key: str


def examine(
    place: ChainPlace,
    *,
    lint: bool,
    cache: ChainCache | None = None,
    processes: int | None = None,
    contents: Sequence[Content] | None = None,
) -> Examination:
    """Look at the files of a chain.

    Args:
        place: Where they are.
        lint: Whether the functions' code is looked at too.
        cache: What is known of their contents; renewed.
        processes: How many work on it; None for what the machine has, where that is quicker.
        contents: What is in them, where they have been read.

    Raises:
        ConfigurationError: A folder that exists cannot be listed.
    """
    if contents is None:
        contents = place.contents()
    if cache is not None and len(contents) < cache.least:
        cache = None
    with warnings.catch_warnings():
        # Compiling warns about things like "\d" in somebody's docstring: not our business.
        warnings.simplefilter("ignore")
        examined = _examined(contents, lint, processes, cache)
    return Examination(
        tuple(one.file for one in examined),
        {one.file.path: one.lint for one in examined if one.lint is not None},
        {one.file.path: one.ignores for one in examined if one.ignores},
        lasting=all(_is_lasting(one, lint) for one in examined),
    )


def _is_lasting(one: Examined, lint: bool) -> bool:
    """Whether the same bytes always show the same, all that was asked for."""
    return not one.refused and (one.lint is not None or not lint)


def _examined(
    contents: Sequence[Content], lint: bool, processes: int | None, cache: ChainCache | None
) -> list[Examined]:
    """Each file, in this order: as the cache knows it, or looked at."""
    found: list[Examined | None] = []
    todo: list[_Todo] = []
    for one in contents:
        path, data = Path(one.name), one.data
        if isinstance(data, Problem):
            found.append(Examined(RevisionFile.unreadable(path, data)))
            continue
        key = (one.key or "") if cache is not None else ""
        known = _known(cache, key, path, lint) if cache is not None else None
        if known is None:
            todo.append(_Todo(len(found), path, data, key))
        found.append(known)
    for which, examined, text in _looked_at(todo, lint, processes, texts=cache is not None):
        found[which.place] = examined
        if cache is not None and _is_lasting(examined, lint):
            cache.put(which.key, text)
    if cache is not None:
        cache.write()
    return [one for one in found if one is not None]


def _known(cache: ChainCache, key: str, path: Path, lint: bool) -> Examined | None:
    """What the cache knows of a file, if it knows all that is asked."""
    lists = cache.get(key)
    try:
        found = unpacked(path, lists) if lists is not None else None
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        return None
    if found is None or (lint and found.lint is None):
        return None
    return found if lint else found._replace(lint=None)


def _looked_at(
    todo: Sequence[_Todo], lint: bool, processes: int | None, *, texts: bool
) -> Iterator[tuple[_Todo, Examined, str]]:
    """Look at these files, in several processes where there are enough of them."""
    if not todo:
        return
    count = min(processes or max(1, min(usable(), len(todo) // _FEWEST)), len(todo))
    shares = [todo[start::count] for start in range(count)]
    tasks = [partial(_look, share, lint) for share in shares[1:]]
    with at_work(tasks) as workers:
        for one in shares[0]:
            examined = examine_file(one.path, one.data, lint=lint)
            yield one, examined, encode(packed(examined)) if texts else ""
        for share, worker in zip(shares[1:], workers, strict=True):
            lines = worker.result() if worker is not None else None
            # Its share is done here when it came to harm.
            texts_of = (lines or _look(share, lint)).split("\n")
            known = json.loads(f"[{','.join(texts_of)}]")
            for one, lists, text in zip(share, known, texts_of, strict=True):
                yield one, unpacked(one.path, lists), text


def _look(share: Sequence[_Todo], lint: bool) -> str:
    """Look at these files: a line of JSON each."""
    return "\n".join(encode(packed(examine_file(one.path, one.data, lint=lint))) for one in share)
