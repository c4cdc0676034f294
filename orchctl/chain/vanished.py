"""What became of a revision that is named and no longer there: git's history knows."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from orchctl.chain.findings import Finding
from orchctl.chain.git import Repository
from orchctl.chain.parse import parse
from orchctl.chain.project import ChainPlace
from orchctl.errors import TimedOut, UsageError

# A search through all of history each: enough to see what happened.
_MOST = 5
# What is no id to anybody, and no word of a command line either: those end at 128 KiB.
_LONGEST = 200


def with_history(findings: Iterable[Finding], place: ChainPlace) -> list[Finding]:
    """The same findings; those about a missing parent say where it went, as far as git knows.

    Args:
        findings: What was found.
        place: The chain's folders.
    """
    found = list(findings)
    missing = [one for one in found if one.rule == "C06" and one.missing]
    if not missing:
        return found
    told: dict[str, str] = {}
    ids = [id_ for id_ in dict.fromkeys(one.missing for one in missing) if id_ and _is_sane(id_)]
    # It is a help, no more: without git, or where its history is too long, there is none.
    with contextlib.suppress(UsageError, TimedOut):
        repository = Repository.of(place.locations[0])
        folders = [path for one in place.locations if (path := repository.path_of(one)) is not None]
        for id_ in ids[:_MOST]:
            if said := _told(repository, folders, id_):
                told[id_] = said
    return [
        replace(one, suggestion=told[one.missing]) if one.missing in told else one for one in found
    ]


def _is_sane(id_: str) -> bool:
    return len(id_) <= _LONGEST and id_.isprintable()


def _told(repository: Repository, folders: Sequence[str], id_: str) -> str | None:
    pattern = rf"""^revision[^=]*=[[:space:]]*['"]{re.escape(id_)}['"]"""
    match = repository.last_match(pattern, folders)
    if match is None:
        return None
    commit, full = match
    paths = repository.files_with(pattern, f"{full}^", folders)
    if len(paths) != 1:
        return None
    old = paths[0]
    new = repository.renames(full, folders).get(old, old)
    name = Path(old).name
    if new is None:
        # From the top, wherever that is typed.
        typed = f"git checkout {commit.id}^ -- {shlex.quote(f':/{old}')}"
        return f"{commit} deleted {name}: {typed} brings it back"
    renamed = _id_in(repository, full, new)
    if renamed is None or renamed == id_:
        return None
    return f"{renamed}: {commit} renamed {id_} to it, in {Path(new).name}"


def _id_in(repository: Repository, commit: str, path: str) -> str | None:
    tree = repository.tree(commit, [path])
    if path not in tree:
        return None
    data = repository.contents([tree[path]])[tree[path]]
    return parse(repository.folder / path, data, bodies=False).revision
