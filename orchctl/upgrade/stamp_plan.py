"""What a stamp would do, and whether the database's schema bears it out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.database.compare import Schema, SchemaDifference, compare, schema_of
from orchctl.database.inspect import inspect
from orchctl.database.open import ask
from orchctl.errors import OrchctlError, Refused, UpgradeFailed, UsageError
from orchctl.upgrade.plan import find_steps
from orchctl.upgrade.scratch import (
    Made,
    built,
    fitting_revisions,
    triggers_and_indexes,
    version_table,
)

if TYPE_CHECKING:
    from orchctl.config import Settings

_EMPTY = Schema((), {})


@dataclass(frozen=True)
class StampPlan:
    """What a stamp would do.

    Attributes:
        database: The file.
        exists: Whether it is there already.
        version_table: Name of Alembic's table.
        before: The heads it is at.
        revisions: The revisions as they were typed, doubles left out.
        after: The heads that it would have.
        purge: Whether the version table is emptied first.
        schema: The database's schema.
        differences: How the database's schema differs from the one of `after`: `before` of a
            difference is what that revision has, `after` what the database has.
        fitting: Where the chain's schema is the database's, when it isn't that of `after`.
        obstacle: Why the schema of `after` can't be told, and nothing was compared.
    """

    database: Path
    exists: bool
    version_table: str
    before: tuple[str, ...]
    revisions: tuple[str, ...]
    after: tuple[str, ...]
    purge: bool
    schema: Schema
    differences: tuple[SchemaDifference, ...]
    fitting: tuple[tuple[str, ...], ...]
    obstacle: OrchctlError | None = None

    @property
    def fits(self) -> bool:
        """Whether the schema is the revision's; the order of columns doesn't count."""
        return self.obstacle is None and not weighty(self.differences)


def plan_stamp(
    settings: Settings, revisions: Sequence[str], file: Path, *, purge: bool
) -> StampPlan:
    """Find out what a stamp would do and whether the schema bears it out; writes nothing.

    Args:
        settings: The run's settings.
        revisions: One revision or several, as typed: ids, `head`, `heads`, `base` …
        file: The database file.
        purge: Whether the version table is emptied first.

    Raises:
        UsageError: No such revision; or one that contains another.
        Refused: The database is at a revision that this chain doesn't have, and there is no
            `purge`; or it can't be read.
        ConfigurationError: No Alembic project.
    """
    from orchctl.upgrade.environment import open_script

    _, script = open_script(settings)
    typed = _distinct(script, revisions)
    table = version_table(settings, of=file)
    facts = inspect(file, version_table=table)
    after = _heads_after(script, typed, () if purge else facts.heads, file)
    actual = _schema(file)
    differences, obstacle = _differences(settings, after, actual, table, file)
    fitting: tuple[tuple[str, ...], ...] = ()
    if weighty(differences):
        fitting = fitting_revisions(settings, actual, ignore={table}, of=file)
    return StampPlan(
        database=file,
        exists=facts.exists,
        version_table=table,
        before=facts.heads,
        revisions=typed,
        after=after,
        purge=purge,
        schema=actual,
        differences=differences,
        fitting=fitting,
        obstacle=obstacle,
    )


def weighty(differences: Iterable[SchemaDifference]) -> tuple[SchemaDifference, ...]:
    """Those that forbid a stamp: all but the order of columns."""
    return tuple(one for one in differences if one.kind != "column-order")


def _distinct(script: Any, revisions: Sequence[str]) -> tuple[str, ...]:
    """The revisions as typed, without those that say what another says already."""
    from alembic.script.revision import RevisionError
    from alembic.util import CommandError

    from orchctl.upgrade.environment import resolve_error

    kept: list[str] = []
    seen: set[str] = set()
    for typed in revisions:
        if typed[:1] in "+-":  # or empty
            raise UsageError(
                f"{typed!r} is no revision to stamp: a stamp doesn't count from where it is",
                code="unknown-revision",
                hint="orchctl history lists the revisions",
            )
        try:
            ids = {one.revision for one in script.get_revisions(typed) if one is not None}
        except (CommandError, RevisionError) as error:
            raise resolve_error(error, typed) from error
        if ids - seen or not (ids or kept):
            kept.append(typed)
        seen |= ids
    return tuple(kept)


def _heads_after(
    script: Any, revisions: tuple[str, ...], heads: tuple[str, ...], file: Path
) -> tuple[str, ...]:
    """What Alembic would make of the heads."""
    if contained := _contained(script, heads):
        raise Refused(
            f"{file} is stamped with {contained[0]} and with {contained[1]}, which contains it",
            code="contained-revision",
            state="Nothing was changed",
            hint=f"orchctl stamp --purge {' '.join(revisions)}",
        )
    try:
        steps = find_steps(script, "stamp", revisions, heads, file)
    except Refused as error:  # the database is at a revision that the chain doesn't have
        error.hint = f"orchctl stamp --purge {' '.join(revisions)} leaves out what is stamped now"
        raise
    after = _moved(steps, heads, revisions)
    if contained := _contained(script, after):
        raise UsageError(
            f"Revision {contained[0]} is contained in {contained[1]}; one stamp can't hold both",
            code="contained-revision",
            hint=f"orchctl stamp {contained[1]}",
        )
    return after


def _moved(
    steps: Iterable[Any], heads: tuple[str, ...], revisions: tuple[str, ...]
) -> tuple[str, ...]:
    """The heads after the steps, as `HeadMaintainer` of alembic/runtime/migration.py has them."""
    found = set(heads)
    for step in steps:
        if step.should_create_branch(found):
            found |= set(step.to_revisions)
        elif found.issuperset(step.from_revisions):
            found = found - set(step.from_revisions) | set(step.to_revisions)
        else:  # from a merge down to both of its parents: Alembic forgets that it left the merge
            raise UsageError(
                f"Alembic can't stamp {' '.join(revisions)} over {', '.join(heads)}",
                code="stamp-in-steps",
                hint=f"orchctl stamp --purge {' '.join(revisions)}",
            )
    return tuple(sorted(found))


def _contained(script: Any, heads: tuple[str, ...]) -> tuple[str, str] | None:
    """One of the heads that another one has among its ancestors, and that other one."""
    known = [head for head in heads if head in script.revision_map._revision_map]
    for head in known if len(known) > 1 else ():
        inside = {one.revision for one in script.iterate_revisions(head, "base")} - {head}
        if both := sorted(inside.intersection(heads)):
            return both[0], head
    return None


def _schema(file: Path) -> Schema:
    if not os.path.lexists(os.path.realpath(file)):
        return _EMPTY
    return ask(file, lambda connection, _: schema_of(connection))


def _differences(
    settings: Settings, heads: tuple[str, ...], actual: Schema, version_table: str, file: Path
) -> tuple[tuple[SchemaDifference, ...], OrchctlError | None]:
    if not heads:
        return compare(_EMPTY, actual, ignore={version_table}), None
    try:
        expected = built(settings, heads, of=file)
    except (Refused, UpgradeFailed) as error:
        return (), error
    found = compare(expected.schema, actual, ignore={version_table})
    kept = _kept(file, expected.silently_lost) if found else set()
    return tuple(one for one in found if (one.kind, one.name.lower()) not in kept), None


def _kept(file: Path, lost: frozenset[Made]) -> set[tuple[str, str]]:
    """What the database has still of what the chain alone would have lost: (kind, name)."""
    if not lost or not os.path.lexists(os.path.realpath(file)):
        return set()
    there = ask(file, lambda connection, _: triggers_and_indexes(connection))
    return {(kind, name) for kind, name, _ in there & lost}
