"""The proof of preservation: before the commit, what of the data is not there any more.

Every table that the run wrote to (SQLite's authorizer names them) is compared with the snapshot,
row by row by its key and value by value, inside the upgrade's transaction. Loss is: rows gone;
values turned to NULL or emptied; values changed by anything but an UPDATE of that column in a
revision (a rebuild's cast, a trigger); a dropped column or table whose values stand nowhere else.
What a revision declares (`orchctl_allow_loss = {"table.column"}`), or `--allow-loss`, passes.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchctl.errors import Refused
from orchctl.upgrade.comparison import ColumnChange, Comparison, TableChange, TableShape
from orchctl.upgrade.writes import Writes

BEFORE = "orchctl_before"

_TOLD = {
    "rows-gone": "{rows} rows are gone",
    "nulled": "{rows} values turned to NULL",
    "emptied": "{rows} values were emptied",
    "changed": "{rows} values were changed by no UPDATE of that column",
    "column-dropped": "was dropped with {rows} values that stand nowhere else",
    "table-dropped": "was dropped with {rows} rows that stand nowhere else",
}


@dataclass(frozen=True)
class Loss:
    """Data that is not there any more.

    Attributes:
        kind: rows-gone, nulled, emptied, changed, column-dropped or table-dropped.
        table: Its table.
        column: Its column; None when it is about whole rows.
        rows: How many rows.
        keys: The keys of the first of them.
    """

    kind: str
    table: str
    column: str | None
    rows: int
    keys: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """What would declare it: `table` or `table.column`."""
        return f"{self.table}.{self.column}" if self.column else self.table

    def __str__(self) -> str:
        keys = f" (first keys: {', '.join(self.keys)})" if self.keys else ""
        return f"{self.place}: {_TOLD[self.kind].format(rows=self.rows)}{keys}"


@dataclass(frozen=True)
class SchemaLoss:
    """Something of the schema that is not there any more, or weaker.

    Attributes:
        kind: As in `SchemaDifference`.
        table: Its table.
        place: What would declare it: `table.name`, or the table.
        told: What it was, and is.
    """

    kind: str
    table: str
    place: str
    told: str

    def __str__(self) -> str:
        return self.told


@dataclass(frozen=True)
class RowProof:
    """What the proof found.

    Attributes:
        changes: Every table that was written to and is still there, with how its rows changed.
        losses: What is gone, declared or not.
        untouched: How many tables were provably not written to.
        seconds: How long the proof took.
    """

    changes: tuple[TableChange, ...]
    losses: tuple[Loss, ...]
    untouched: int
    seconds: float


def prove(
    connection: Any,
    writes: Writes,
    level: str = "full",
    *,
    ignore: Collection[str] = (),
    counts: Mapping[str, int] | None = None,
) -> RowProof:
    """Compare the state before (attached as `orchctl_before`) with what is about to be committed.

    Args:
        connection: The upgrade's own, inside its transaction.
        writes: What the authorizer saw.
        level: `full`: every value; `keys`: keys and foreign-key links only.
        ignore: Alembic's own tables.
        counts: Rows by table before, where they are known.
    """
    known = {name.lower(): rows for name, rows in (counts or {}).items()}
    began = time.monotonic()
    comparison = Comparison(connection, BEFORE)
    old, new = comparison.shapes(BEFORE), comparison.shapes("main")
    changes: list[TableChange] = []
    losses: list[Loss] = []
    own = {name.lower() for name in ignore}
    old = {name: shape for name, shape in old.items() if name not in own}
    touched = [name for name in old if writes.everything or name in writes.touched]
    for name in touched:
        if name in new:
            rebuilt = writes.unseen or name in writes.dropped
            change = comparison.table(
                old[name],
                new[name],
                rebuilt=rebuilt,
                links_only=level == "keys",
                written=writes.changed_columns(name),
                rows=known.get(name),
            )
            changes.append(change)
            losses += _row_losses(change, writes)
            losses += _dropped_columns(comparison, old, new, name)
        else:
            losses += _dropped_table(comparison, old, new, name)
    untouched = len(old) - len(touched)
    return RowProof(tuple(changes), tuple(losses), untouched, time.monotonic() - began)


def prove_counts(before: dict[str, int], after: dict[str, int]) -> RowProof:
    """The least proof: no table has fewer rows than before.

    Args:
        before: Rows by table when the lock was taken.
        after: Rows by table about to be committed.
    """
    changes = tuple(
        TableChange(name, rows, after[name]) for name, rows in before.items() if name in after
    )
    fewer = [change for change in changes if change.after < change.before]
    gone = [name for name, rows in before.items() if rows and name not in after]
    losses = [Loss("rows-gone", one.table, None, one.before - one.after) for one in fewer]
    losses += [Loss("table-dropped", name, None, before[name]) for name in gone]
    return RowProof(changes, tuple(losses), 0, 0.0)


def undeclared(
    losses: Iterable[Loss | SchemaLoss], declared: Iterable[str], *, accept_drops: bool = False
) -> tuple[Loss | SchemaLoss, ...]:
    """The losses that nothing declares.

    Args:
        losses: What was found.
        declared: `table` (everything about it) or `table.column`.
        accept_drops: Whether dropped tables and columns are accepted.
    """
    names = {name.lower() for name in declared}
    accepted = ("table-dropped", "column-dropped") if accept_drops else ()
    return tuple(
        loss
        for loss in losses
        if loss.kind not in accepted and not names & {loss.table.lower(), loss.place.lower()}
    )


def refuse_losses(losses: tuple[Loss | SchemaLoss, ...]) -> Refused:
    """The refusal of a run that would lose what nobody declared."""
    told = "; ".join(map(str, losses[:5])) + ("; …" if len(losses) > 5 else "")
    places = sorted({loss.place for loss in losses})
    flags = " ".join(f"--allow-loss {shlex.quote(place)}" for place in places)
    line = ", ".join(f'"{place}"' for place in places)
    of_data = any(isinstance(loss, Loss) for loss in losses)
    return Refused(
        f"The run would lose {'data' if of_data else 'part of the schema'}: {told}",
        code="data-loss" if of_data else "schema-loss",
        state="The database is as before",
        hint=f"If that is meant: {flags}, or in the revision: orchctl_allow_loss = {{{line}}}",
        details={"losses": [_object(loss) for loss in losses]},
    )


def _object(loss: Loss | SchemaLoss) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": loss.kind, "table": loss.table, "place": loss.place}
    if isinstance(loss, Loss):
        found |= {"column": loss.column, "rows": loss.rows, "keys": list(loss.keys)}
    return found | {"message": str(loss)}


def _row_losses(change: TableChange, writes: Writes) -> Iterator[Loss]:
    if change.gone:
        yield Loss("rows-gone", change.table, None, change.gone, change.gone_keys)
    for column in change.columns:
        yield from _value_losses(change.table, column, writes)


def _value_losses(table: str, column: ColumnChange, writes: Writes) -> Iterator[Loss]:
    explicit = (table.lower(), column.column.lower()) in writes.updated
    for kind, rows in (
        ("nulled", column.nulled),
        ("emptied", column.emptied),
        ("changed", 0 if explicit else column.changed),
    ):
        if rows:
            yield Loss(kind, table, column.column, rows, column.keys.get(kind, ()))


def _dropped_columns(
    comparison: Comparison, old: dict[str, TableShape], new: dict[str, TableShape], name: str
) -> Iterator[Loss]:
    there = {column.lower() for column in new[name].columns}
    for column in old[name].columns:
        if column.lower() in there:
            continue
        rows = comparison.values(old[name], column)
        if rows and not comparison.stands_in(old[name], column, _new_places(old, new)):
            yield Loss("column-dropped", old[name].name, column, rows)


def _dropped_table(
    comparison: Comparison, old: dict[str, TableShape], new: dict[str, TableShape], name: str
) -> Iterator[Loss]:
    shape = old[name]
    rows = comparison.rows(shape)
    if not rows:
        return
    places = list(_new_places(old, new))
    if not all(
        comparison.stands_in(shape, column, places)
        for column in shape.columns
        if comparison.values(shape, column)
    ):
        yield Loss("table-dropped", shape.name, None, rows)


def _new_places(
    old: dict[str, TableShape], new: dict[str, TableShape]
) -> Iterator[tuple[TableShape, str]]:
    """The columns that came with this run: those of new tables, and new ones of old tables."""
    for name, shape in new.items():
        known = {column.lower() for column in old[name].columns} if name in old else set()
        for column in shape.columns:
            if column.lower() not in known:
                yield shape, column
