"""The lint rules, and those among them that need the whole chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchctl.chain.findings import Finding
from orchctl.chain.lint import (
    alterations,
    applications,
    columns,
    constraints,
    directions,
    losses,
    offline,
    rebuilds,
    transactions,
)
from orchctl.chain.lint.file_lint import FileLint
from orchctl.chain.lint.subject import Subject


@dataclass(frozen=True, slots=True)
class LintRule:
    """One thing that is looked for in the text of a revision.

    Attributes:
        id: As in its page and in `ignore` comments.
        title: What is wrong when it is found.
        check: Finds it in one file.
        kinds: The kinds of acts without which it is not there; None when it depends on none.
    """

    id: str
    title: str
    check: Callable[[Subject], Iterable[Finding]]
    kinds: frozenset[str] | None = None


def _rule(
    id_: str, title: str, check: Callable[[Subject], Iterable[Finding]], kinds: str = ""
) -> LintRule:
    return LintRule(id_, title, check, frozenset(kinds.split()) or None)


LINT_RULES: tuple[LintRule, ...] = (
    _rule(
        "L01",
        "A revision commits on its own",
        transactions.committed,
        "commit rollback begin autocommit script sql",
    ),
    _rule(
        "L02",
        "A table or column is dropped with its data",
        losses.dropped,
        "drop_table drop_column drop_all sql",
    ),
    _rule(
        "L03",
        "A NOT NULL column is added without a server default",
        columns.without_default,
        "add_column sql",
    ),
    _rule(
        "L04",
        "A column is added with a default that is not constant",
        columns.changing_default,
        "add_column sql",
    ),
    _rule("L05", "A table is rebuilt while others refer to it", lambda _: ()),
    _rule(
        "L06",
        "A constraint has no name in batch mode",
        constraints.without_name,
        "constraint drop_constraint add_column",
    ),
    _rule("L07", "The downgrade is missing, empty or not the upgrade's", directions.one_way),
    _rule("L08", "The application's models are imported", applications.imported_models),
    _rule("L09", "A read breaks --sql", offline.reads, "read"),
    _rule(
        "L10",
        "An ALTER that SQLite does not have",
        alterations.lacking,
        "alter_column constraint drop_constraint add_column sql",
    ),
    _rule("L11", "A failure is swallowed", transactions.swallowed),
    _rule("L12", "A PRAGMA is set", transactions.pragmas, "sql"),
    _rule("L13", "func.case() where case() is meant", alterations.case_function, "func_case"),
)


def across(lints: Mapping[Path, FileLint], revisions: Sequence[str]) -> Iterator[Finding]:
    """What only all files together show: L05, and names for L06.

    Args:
        lints: What each file shows.
        revisions: The ids in the order in which they are applied.
    """
    place = {revision: index for index, revision in enumerate(revisions)}
    last = len(place)
    ordered = sorted(lints.items(), key=lambda one: place.get(one[1].revision or "", last))
    yield from rebuilds.on_parents(ordered)
    yield from constraints.never_given([lint for _, lint in ordered])
