"""How snapshots look, as JSON and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchctl.output import bytes_text, seconds_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.output import Output
    from orchctl.snapshots.catalog import Catalog, Snapshot
    from orchctl.snapshots.exchange import Exchange
    from orchctl.snapshots.retention import Decision
    from orchctl.snapshots.verify import Verification


def snapshot_object(snapshot: Snapshot) -> dict[str, Any]:
    """The JSON form of a snapshot."""
    return {
        "id": snapshot.id,
        "created_at": snapshot.created_at,
        "reason": snapshot.reason,
        "heads": list(snapshot.heads),
        "size": snapshot.size,
        "sha256": snapshot.sha256,
        "status": snapshot.status,
        "path": str(snapshot.path),
        "database": str(snapshot.database),
        "pinned": snapshot.pinned,
        "note": snapshot.note,
        "journal_mode": snapshot.journal_mode,
        "page_size": snapshot.page_size,
        "page_count": snapshot.page_count,
        "user_version": snapshot.user_version,
        "application_id": snapshot.application_id,
        "schema_hash": snapshot.schema_hash,
        "row_counts": dict(snapshot.row_counts),
        "versions": dict(snapshot.versions),
    }


def draw_list(output: Output, catalog: Catalog, found: Sequence[Snapshot]) -> None:
    """One line a snapshot."""
    if not found:
        output.line(f"No snapshots in {catalog.directory}")
        return
    rows = [
        (
            one.id,
            one.created_at[:19].replace("T", " "),
            one.reason,
            ",".join(one.heads) or "-",
            bytes_text(one.size),
            _told_status(one),
        )
        for one in found
    ]
    output.table(("id", "created (UTC)", "reason", "heads", "size", "status"), rows)


def _told_status(snapshot: Snapshot) -> str:
    words = [snapshot.status + (", pinned" if snapshot.pinned else "")]
    if snapshot.note and not snapshot.usable:
        words.append(snapshot.note)
    return ": ".join(words)


def told_heads(snapshot: Snapshot) -> str:
    """What a snapshot is, in a few words."""
    return f"{snapshot.reason}, {snapshot.created_at}, at {','.join(snapshot.heads) or 'base'}"


def snapshot_fields(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Everything about a snapshot, as labels and values."""
    rows = sorted(snapshot.row_counts.items())
    versions = ", ".join(f"{name} {version}" for name, version in snapshot.versions.items())
    return [
        ("id", snapshot.id),
        ("created", snapshot.created_at),
        ("reason", snapshot.reason),
        ("status", _told_status(snapshot)),
        ("database", str(snapshot.database)),
        ("path", str(snapshot.path)),
        ("size", f"{bytes_text(snapshot.size)}, {snapshot.page_count} pages"),
        ("sha256", snapshot.sha256),
        ("heads", ", ".join(snapshot.heads) or "none"),
        ("journal mode", snapshot.journal_mode),
        ("taken by", versions),
        *(
            ("rows" if index == 0 else "", f"{name} {count}")
            for index, (name, count) in enumerate(rows)
        ),
    ]


def verification_object(one: Verification) -> dict[str, Any]:
    """The JSON form of a verification."""
    return {
        "id": one.snapshot.id,
        "ok": one.ok,
        "status": one.snapshot.status,
        "problems": list(one.problems),
        "foreign_key_violations": len(one.foreign_keys),
        "full": one.full,
        "recorded": one.recorded,
    }


def draw_verifications(output: Output, found: Sequence[Verification]) -> None:
    """One line a verification."""
    if not found:
        output.line("No snapshots to verify")
    for one in found:
        text = "; ".join(one.problems) or ("restored on trial" if one.full else "intact")
        output.line(f"{one.snapshot.id}  {one.snapshot.status}  {text}", None if one.ok else "red")
        if one.foreign_keys:
            output.warning(
                f"{len(one.foreign_keys)} rows without their parent, as in the database then"
            )


def exchange_object(done: Exchange) -> dict[str, Any]:
    """The JSON form of a restore."""
    restoration, aside = done.restoration, done.put_aside
    return {
        "ok": True,
        "database": str(restoration.database),
        "snapshot": {
            "id": restoration.snapshot.id,
            "path": str(restoration.snapshot.path),
            "sha256": restoration.snapshot.sha256,
        },
        "heads": list(restoration.snapshot.heads),
        "way": restoration.way,
        "journal_mode": restoration.journal_mode,
        "confirmed": restoration.confirmed,
        "kept": [str(path) for path in restoration.kept],
        "put_aside": aside and {"id": aside.id, "path": str(aside.path)},
        "seconds": round(restoration.seconds, 3),
    }


def exchange_text(done: Exchange) -> str:
    """What a restore did, in one line."""
    restoration, aside = done.restoration, done.put_aside
    text = f"{restoration.database}: snapshot {restoration.snapshot.id} is back"
    text += f" ({seconds_text(restoration.seconds)})"
    if aside:
        text += f"; what was there before is {aside.id}"
    elif restoration.kept:
        text += f"; the damaged file is kept as {restoration.kept[0]}"
    return text


def draw_prune(
    output: Output, decisions: Sequence[Decision], removed: Sequence[Snapshot], *, dry_run: bool
) -> None:
    """One line a decision, and what they come to."""
    rows = [
        ("keep" if one.keep else "remove", one.snapshot.id, ", ".join(one.reasons))
        for one in decisions
    ]
    if rows:
        output.table(("", "id", "why"), rows)
    if dry_run:
        gone = sum(not one.keep for one in decisions)
        output.line(f"{gone} of {len(rows)} would be removed. Nothing was removed.", "dim")
    else:
        freed = sum(one.size for one in removed)
        output.line(f"{len(removed)} of {len(rows)} removed, {bytes_text(freed)} freed")
