"""The whole check of a chain: its rules, the lint of its files, and what of it counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from orchctl.chain.examine import Examination
from orchctl.chain.findings import ChainReport, Finding
from orchctl.chain.ignores import without_ignored
from orchctl.chain.lint.rules import LINT_RULES, across
from orchctl.chain.project import ChainPlace
from orchctl.chain.rules import RULES, by_place, verify
from orchctl.chain.selection import Selection


@dataclass(frozen=True)
class RuleTitle:
    """A rule's id and title, for lists."""

    id: str
    title: str


# Found elsewhere than by looking at the files of a chain.
_OTHER = (
    RuleTitle("C13", "A locked revision was changed afterwards"),
    RuleTitle("C15", "Two branches are sound, and broken once merged"),
    RuleTitle("C16", "A database's stamp does not fit the chain"),
    RuleTitle("I01", "An ignore comment lacks its rule or its reason"),
    RuleTitle("I02", "An ignore comment ignores nothing"),
)


def rule_titles() -> tuple[RuleTitle, ...]:
    """Every rule there is, by id."""
    named = [RuleTitle(rule.id, rule.title) for rule in RULES]
    named += [RuleTitle(rule.id, rule.title) for rule in LINT_RULES]
    return tuple(sorted([*named, *_OTHER], key=lambda one: one.id))


def wants_lint(selection: Selection) -> bool:
    """Whether a selection needs the functions' code."""
    return any(rule.id in selection.rules for rule in LINT_RULES)


def check(
    place: ChainPlace,
    examination: Examination,
    selection: Selection,
    more: Iterable[Finding] = (),
) -> ChainReport:
    """Hold a chain against the selected rules.

    Args:
        place: Where its files are.
        examination: What is in them.
        selection: Which rules count, and how much.
        more: What was found by other means (databases, a lockfile, a merged tree).
    """
    report = verify(examination.files, place.locations)
    found = [*report.findings, *_lint(examination, report.revisions), *more]
    counted = selection.apply(found)
    left = without_ignored(
        counted,
        examination.ignores,
        [rule.id for rule in rule_titles()],
        checked=selection.rules - {rule.id for rule in _OTHER},
    )
    # What is said about the comments themselves has levels too.
    left = selection.apply(left)
    return replace(report, findings=by_place(left))


def _lint(examination: Examination, revisions: Sequence[str]) -> Iterator[Finding]:
    lints = examination.lints
    for lint in lints.values():
        yield from lint.findings
    yield from across(lints, revisions)
