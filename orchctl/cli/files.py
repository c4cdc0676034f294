"""The JSON form of results about the files that one run of env.py goes through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# What is said once, of the whole run.
_SHARED = ("ok", "dry_run")


def of_all(objects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The object of a result: of one file its own, of several `databases` with one for each.

    Args:
        objects: One for each file; what all of them say of the run is taken out of them.
    """
    if len(objects) == 1:
        return objects[0]
    shared = {key: all(each[key] for each in objects) for key in _SHARED if key in objects[0]}
    files = [{key: each[key] for key in each if key not in shared} for each in objects]
    return {**shared, "databases": files}
