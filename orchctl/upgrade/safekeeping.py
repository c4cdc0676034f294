"""What is held against the state before, inside the transaction, before a run may be committed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.database.inspect import Violation, row_counts
from orchctl.database.open import reading_beside
from orchctl.upgrade.checks import CommitGuard
from orchctl.upgrade.environment import database_list
from orchctl.upgrade.proof import (
    BEFORE,
    Loss,
    RowProof,
    SchemaLoss,
    prove,
    prove_counts,
    refuse_losses,
    undeclared,
)

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.snapshots.manifest import Snapshot
    from orchctl.upgrade.connection import GuardedConnection
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.schema_losses import SchemaBefore
    from orchctl.upgrade.writes import Writes


_NONE = RowProof((), (), 0, 0.0)


class Safekeeping:
    """The state before a run, and the checks that hold the run against it.

    Args:
        settings: The run's settings: how close the proof is, what loss is declared.
        guard: The upgrade's connection, its transaction begun, nothing written.
        before: A file with the state before: the snapshot taken under that transaction, or in WAL
            mode the database itself, whose committed state a second attachment still sees. None
            when there is none; then rows can only be counted.
        plan: What runs.
        snapshot: The snapshot of that state, if there is one.

    Attributes:
        level: full, keys, counts or off.
        proof: What the proof found, once `check` was called.
        put_back: What a rebuild had dropped and `check` created again: `trigger t1`, …
    """

    def __init__(
        self,
        settings: Settings,
        guard: GuardedConnection,
        before: Path | None,
        plan: UpgradePlan,
        snapshot: Snapshot | None = None,
    ) -> None:
        self._allowed = settings.allow_loss
        self._accept_drops = plan.accept_drops
        self._before = before
        self._nothing_before = not plan.exists
        self._commit_guard = CommitGuard(guard.real, snapshot.path if snapshot else None)
        self._counted = snapshot.row_counts if snapshot else None
        # Read only when a table was rebuilt; where no file keeps the state before, now or never.
        self._schema = _schema(guard.real) if before is None and plan.exists else None
        self.level = _level(settings, before, plan.size)
        self.proof: RowProof | None = None
        self.put_back: tuple[str, ...] = ()
        self._counts = row_counts(guard.real) if self.level == "counts" else {}

    @property
    def violations(self) -> frozenset[Violation]:
        """The foreign-key violations from before the run."""
        return self._commit_guard.violations

    def row_counts(self, writes: Writes) -> dict[str, int]:
        """Rows of the tables that need no counting after the run, by name.

        Args:
            writes: What the run wrote.
        """
        if writes.everything or not self._counted:
            return {}
        untouched = {
            name: rows for name, rows in self._counted.items() if name.lower() not in writes.touched
        }
        return untouched | {one.table: one.after for one in (self.proof or _NONE).changes}

    @property
    def told(self) -> str:
        """One line on what was proven."""
        if self._nothing_before:
            return "Foreign keys checked; there was no data before"
        if self.proof is None:
            return "Foreign keys checked; rows not compared (--proof off)"
        compared = f"{len(self.proof.changes)} tables compared, {self.proof.untouched} untouched"
        if self.level == "counts":
            compared = f"row counts of {len(self.proof.changes)} tables compared"
        return f"Proof ({self.level}): nothing undeclared is lost; {compared}"

    def check(self, guard: GuardedConnection, declared: frozenset[str]) -> None:
        """Hold what is about to be committed against what was there before.

        Args:
            guard: The upgrade's connection, everything written, nothing committed.
            declared: What the revisions that ran declare to lose.

        Raises:
            Refused: New foreign-key violations, leftovers, or loss that nobody declared.
        """
        self.put_back, found = self._schema_losses(guard)
        self._commit_guard.check(guard.real, guard.writes)
        if self.level != "off":
            self.proof = self._prove(guard)
            found = (*found, *self.proof.losses)
        losses = undeclared(found, (*self._allowed, *declared), accept_drops=self._accept_drops)
        if losses:
            raise refuse_losses(losses)

    def _schema_losses(
        self, guard: GuardedConnection
    ) -> tuple[tuple[str, ...], tuple[Loss | SchemaLoss, ...]]:
        """Put back what rebuilt tables lost; what could be put back, and what could not."""
        writes, own = guard.writes, guard.version_tables
        rebuilt = writes.dropped - {name.lower() for name in own}
        if not rebuilt or self._nothing_before:
            return (), ()
        schema = self._schema or self._read_schema()
        on_purpose = writes.on_purpose()
        put_back = schema.put_back(guard.real, rebuilt, on_purpose)
        return put_back, schema.losses(guard.real, rebuilt, on_purpose, own)

    def _read_schema(self) -> SchemaBefore:
        assert self._before is not None  # noqa: S101 - see __init__
        with reading_beside(self._before) as connection:
            return _schema(connection)

    def _prove(self, guard: GuardedConnection) -> RowProof:
        if self._before is None:
            own = dict.fromkeys(guard.version_tables, 0)
            return prove_counts(self._counts | own, row_counts(guard.real) | own)
        if not _attached(guard.real):
            guard.attach(self._before, BEFORE)
        return prove(
            guard.real,
            guard.writes,
            self.level,
            ignore=guard.version_tables,
            counts=self._counted,
        )


def _schema(connection: Any) -> SchemaBefore:
    from orchctl.upgrade.schema_losses import SchemaBefore  # taking DDL apart: dear to import

    return SchemaBefore(connection)


def _level(settings: Settings, before: Path | None, size: int) -> str:
    if settings.proof in ("off", "counts"):
        return settings.proof
    if before is None:
        return "counts"  # there is no state before to compare with
    if settings.proof == "auto":
        return "full" if size <= settings.proof_full_size else "keys"
    return settings.proof


def _attached(connection: Any) -> bool:
    return BEFORE in [name for _, name, _ in database_list(connection)]
