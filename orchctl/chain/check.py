"""The whole check of a chain: its rules, the lint of its files, and what of it counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from orchctl.chain.examine import Examination
from orchctl.chain.findings import ChainReport, Finding
from orchctl.chain.lint.rules import across
from orchctl.chain.project import ChainPlace
from orchctl.chain.rules import verify
from orchctl.chain.selection import Selection
from orchctl.chain.verdict import Verdict


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
    return judge(place, examination).report(selection, more)


def judge(place: ChainPlace, examination: Examination) -> Verdict:
    """Hold a chain against all rules.

    Args:
        place: Where its files are.
        examination: What is in them.
    """
    report = verify(examination.files, place.locations)
    found = (*report.findings, *_lint(examination, report.revisions))
    return Verdict(report.revisions, report.heads, report.bases, found, examination.ignores)


def _lint(examination: Examination, revisions: Sequence[str]) -> Iterator[Finding]:
    lints = examination.lints
    for lint in lints.values():
        yield from lint.findings
    yield from across(lints, revisions)
