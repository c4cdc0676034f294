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
        check: Finds it in one file.
        kinds: The kinds of acts without which it is not there; None when it depends on none.
    """

    id: str
    check: Callable[[Subject], Iterable[Finding]]
    kinds: frozenset[str] | None = None


def _rule(id_: str, check: Callable[[Subject], Iterable[Finding]], kinds: str = "") -> LintRule:
    return LintRule(id_, check, frozenset(kinds.split()) or None)


LINT_RULES: tuple[LintRule, ...] = (
    _rule(
        "L01",
        transactions.committed,
        "commit rollback begin autocommit script sql",
    ),
    _rule(
        "L02",
        losses.dropped,
        "drop_table drop_column drop_all sql",
    ),
    _rule(
        "L03",
        columns.without_default,
        "add_column sql",
    ),
    _rule(
        "L04",
        columns.changing_default,
        "add_column sql",
    ),
    _rule("L05", lambda _: ()),
    _rule(
        "L06",
        constraints.without_name,
        "constraint drop_constraint add_column",
    ),
    _rule("L07", directions.one_way),
    _rule("L08", applications.imported_models),
    _rule("L09", offline.reads, "read"),
    _rule(
        "L10",
        alterations.lacking,
        "alter_column constraint drop_constraint add_column sql",
    ),
    _rule("L11", transactions.swallowed),
    _rule("L12", transactions.pragmas, "sql"),
    _rule("L13", alterations.case_function, "func_case"),
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
