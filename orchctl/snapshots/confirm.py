"""Whether a database is the snapshot that was just put into it, asked of a fresh connection."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from orchctl.database.holders import holders
from orchctl.database.inspect import quick_check, row_counts, schema_hash
from orchctl.errors import RestoreFailed
from orchctl.snapshots.manifest import Snapshot


def confirm(snapshot: Snapshot, real: Path, connection: sqlite3.Connection) -> bool:
    """Compare a database with the snapshot that was put back.

    quick_check, not integrity_check: the snapshot's hash was right, so what could have gone
    wrong is pages missing or in the wrong place, and it is ten times as fast.

    Args:
        snapshot: What it should be.
        real: The live file.
        connection: A fresh one to it.

    Returns:
        Whether schema and row counts are the snapshot's; not when others have written since.

    Raises:
        RestoreFailed: It is something else, and nobody else can have written it.
    """
    broken = quick_check(connection)
    problems = [*broken, *_differences(connection, snapshot)]
    if not problems:
        return True
    if not broken and holders(real):
        return False
    raise RestoreFailed(
        f"{real} is not what snapshot {snapshot.id} holds: {problems[0]}",
        code="restore-not-confirmed",
        state="The snapshot was put back, but a fresh connection does not find it",
        hint=f"Stop whatever uses {real}, then: orchctl backup restore {snapshot.id}. The "
        f"snapshot is a plain SQLite database: {snapshot.path}",
        details={"problems": problems, "path": str(snapshot.path)},
    )


def _differences(connection: sqlite3.Connection, snapshot: Snapshot) -> list[str]:
    if schema_hash(connection) != snapshot.schema_hash:
        return ["the schema is not the snapshot's"]
    now, then = row_counts(connection), snapshot.row_counts
    names = [name for name in sorted({*now, *then}) if now.get(name) != then.get(name)]
    return [f"other row counts than the snapshot: {', '.join(names)}"] if names else []
