"""The rules of a chain, and the check that applies them. A page in rule_pages/ explains each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchctl.chain import file_rules, graph_rules, id_rules, order_rules
from orchctl.chain.checked import CheckedChain
from orchctl.chain.findings import ChainReport, Finding
from orchctl.chain.revision_file import RevisionFile


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is looked for.

    Attributes:
        id: As on its page and in `ignore` comments.
        title: What is wrong when it is found.
        check: Finds it.
    """

    id: str
    title: str
    check: Callable[[CheckedChain], Iterable[Finding]]


RULES = (
    Rule("C01", "A parent is named by its file instead of its id", file_rules.named_by_file),
    Rule("C02", "Two files claim the same id", graph_rules.duplicate_ids),
    Rule("C03", "The chain runs in a loop", graph_rules.loops),
    Rule("C04", "The chain has several heads", graph_rules.several_heads),
    Rule("C05", "The chain has several bases", graph_rules.several_bases),
    Rule("C06", "A parent is missing", file_rules.missing_parents),
    Rule("C07", "A file cannot be read", file_rules.unreadable),
    Rule("C08", "A file does not say what it must, or says it in code", file_rules.unclear),
    Rule("C09", "A dependency is unknown or runs in a loop", graph_rules.dependencies),
    Rule("C10", "A branch label is in use already", id_rules.labels_in_use),
    Rule("C11", "An id has forbidden characters, or nearly is another", id_rules.unusable_ids),
    Rule("C12", "The docstring contradicts the code", file_rules.contradicted),
    Rule("C14", "There are no revisions", graph_rules.no_revisions),
    Rule("C17", "A revision is older than its parent", order_rules.dates_out_of_order),
    Rule("C18", "A link that adds nothing, or runs in silence", order_rules.idle_links),
    Rule("C19", "An id or label is reserved, or cannot be stored", id_rules.reserved_ids),
)


def verify(
    files: Sequence[RevisionFile],
    locations: Sequence[Path] = (),
    *,
    rules: Iterable[Rule] = RULES,
) -> ChainReport:
    """Check a chain.

    Args:
        files: What `read_files` found.
        locations: The folders they were looked for in.
        rules: What to look for.

    Returns:
        The report; its findings by file and line, those about no file first.
    """
    chain = CheckedChain.of(files, locations)
    findings = [finding for rule in rules for finding in rule.check(chain)]
    graph = chain.graph
    return ChainReport(graph.order(), graph.heads, graph.bases, by_place(findings))


def by_place(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by file and line, those about no file first."""

    def place(one: Finding) -> tuple[str, int, int, str]:
        return (str(one.path or ""), one.line or 0, one.column or 0, one.rule)

    return tuple(sorted(findings, key=place))
