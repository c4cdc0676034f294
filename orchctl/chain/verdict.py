"""What the rules say of a chain's files, before anybody's selection: kept as plain lists too.

This is what a second run over the same files needs, and all that it needs; so nothing is imported
here that looks at code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from orchctl.chain.contents import Content
from orchctl.chain.findings import ChainReport, Finding, Replacement, by_place
from orchctl.chain.ignores import Ignore, without_ignored
from orchctl.chain.selection import Selection
from orchctl.chain.titles import ELSEWHERE, rule_titles
from orchctl.chain.tokens import Token

_FINDING = tuple(field.name for field in fields(Finding))
_REPLACEMENT = tuple(field.name for field in fields(Replacement))


@dataclass(frozen=True)
class Verdict:
    """What was found in the files of a chain.

    Attributes:
        revisions: Every id, in the order in which they would be applied.
        heads: The ids that no other revision follows, in file order.
        bases: The ids that follow no other, in file order.
        findings: What every rule found.
        ignores: The ignore comments, of the files that have some.
    """

    revisions: tuple[str, ...]
    heads: tuple[str, ...]
    bases: tuple[str, ...]
    findings: tuple[Finding, ...]
    ignores: Mapping[Path, tuple[Ignore, ...]]

    def report(self, selection: Selection, more: Iterable[Finding] = ()) -> ChainReport:
        """What of it counts.

        Args:
            selection: Which rules count, and how much.
            more: What was found by other means (databases, a lockfile, a merged tree).
        """
        counted = selection.apply([*self.findings, *more])
        left = without_ignored(
            counted,
            self.ignores,
            [rule.id for rule in rule_titles()],
            checked=selection.rules - ELSEWHERE,
        )
        # What is said about the comments themselves has levels too.
        left = selection.apply(left)
        return ChainReport(self.revisions, self.heads, self.bases, by_place(left))


def packed(verdict: Verdict, contents: Sequence[Content]) -> list[Any]:
    """The plain lists: strings, numbers and None, files by their place among the contents.

    Raises:
        KeyError: It says something of a file that is not among them.
    """
    places: dict[Path, int] = {}
    if verdict.findings or verdict.ignores:
        places = {Path(one.name): place for place, one in enumerate(contents)}
    return [
        verdict.revisions,
        verdict.heads,
        verdict.bases,
        [_packed_finding(one, places) for one in verdict.findings],
        [[places[path], comments] for path, comments in verdict.ignores.items()],
    ]


def _packed_finding(one: Finding, places: Mapping[Path, int]) -> list[Any]:
    values = {name: getattr(one, name) for name in _FINDING}
    if one.path is not None:
        values["path"] = places[one.path]
    if one.replacement is not None:
        mending = {name: getattr(one.replacement, name) for name in _REPLACEMENT}
        values["replacement"] = [*(mending | {"path": places[one.replacement.path]}).values()]
    return [*values.values()]


def unpacked(lists: Any, contents: Sequence[Content]) -> Verdict:
    """What the lists say of these files.

    Raises:
        TypeError: They are others than `packed` makes. So are the next three.
        ValueError: …
        KeyError: …
        IndexError: …
    """
    revisions, heads, bases, findings, ignores = lists
    return Verdict(
        tuple(revisions),
        tuple(heads),
        tuple(bases),
        tuple(_unpacked_finding(one, contents) for one in findings),
        {Path(contents[place].name): _comments(comments) for place, comments in ignores},
    )


def _unpacked_finding(lists: list[Any], contents: Sequence[Content]) -> Finding:
    values = dict(zip(_FINDING, lists, strict=True))
    if values["path"] is not None:
        values["path"] = Path(contents[values["path"]].name)
    if values["replacement"] is not None:
        mending = dict(zip(_REPLACEMENT, values["replacement"], strict=True))
        mending["path"] = Path(contents[mending["path"]].name)
        mending["token"] = Token._make(mending["token"])
        values["replacement"] = Replacement(**mending)
    return Finding(**values)


def _comments(lists: list[list[Any]]) -> tuple[Ignore, ...]:
    return tuple(
        Ignore(line, column, tuple(covers), tuple(rules), reason)
        for line, column, covers, rules, reason in lists
    )
