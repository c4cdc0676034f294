"""The chain as a snapshot remembers it, so that a later reader knows which code it fits."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchctl.config import Settings


def chain_manifest(settings: Settings) -> dict[str, Any]:
    """Ids, parents and file hashes of every revision of the project's chain.

    Args:
        settings: The run's settings; they must have a project.
    """
    from orchctl.chain.graph import Graph
    from orchctl.chain.read import read_files

    project = settings.require_project()
    files = read_files(
        project.version_locations,
        recursive=project.recursive,
        sourceless=project.sourceless,
        bodies=False,
    )
    return {
        "heads": list(Graph(files).heads),
        "revisions": [
            {
                "revision": file.revision,
                "down_revisions": list(file.down_revisions),
                "sha256": hashlib.sha256(file.path.read_bytes()).hexdigest(),
            }
            for file in files
            if file.revision is not None
        ],
    }
