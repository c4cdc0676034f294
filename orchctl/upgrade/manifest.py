"""The chain as a snapshot remembers it, so that a later reader knows which code it fits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from orchctl.upgrade.environment import last_opened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alembic.script import ScriptDirectory

    from orchctl.config import Settings

Manifest = dict[str, Any]


def chain_manifest(settings: Settings) -> Manifest:
    """Ids, parents and file hashes of every revision of the project's chain.

    Args:
        settings: The run's settings; they must have a project.
    """
    script = last_opened(settings)
    if script is None:
        return _read(settings)
    if script not in _told:
        _told[script] = _loaded(script)
    return _told[script]


# A run tells it to its snapshot and to the journal: the files are hashed once.
_told: WeakKeyDictionary[ScriptDirectory, Manifest] = WeakKeyDictionary()


def _loaded(script: Any) -> Manifest:
    """From what Alembic has loaded."""
    # The map has revisions by id, by branch label, and None for the base.
    found = {one.revision: one for one in script.revision_map._revision_map.values() if one}
    files = ((one.revision, one._versioned_down_revisions, one.path) for one in found.values())
    return _manifest(script.get_heads(), files)


def _read(settings: Settings) -> Manifest:
    """From the files, without running them."""
    from orchctl.chain.graph import Graph
    from orchctl.chain.read import read_files

    project = settings.require_project()
    files = read_files(
        project.version_locations,
        recursive=project.recursive,
        sourceless=project.sourceless,
        bodies=False,
    )
    readable = ((one.revision, one.down_revisions, one.path) for one in files if one.revision)
    return _manifest(Graph(files).heads, readable)


def _manifest(
    heads: Iterable[str], files: Iterable[tuple[str, Iterable[str], Path | str]]
) -> Manifest:
    return {
        "heads": sorted(heads),
        "revisions": [
            {
                "revision": revision,
                "down_revisions": list(parents),
                "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
            }
            for revision, parents, path in files
        ],
    }
