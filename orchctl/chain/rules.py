"""The rules of a chain, and the check that applies them. A page in rule_pages/ explains each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchctl.chain import file_rules, graph_rules, id_rules, order_rules
from orchctl.chain.checked import CheckedChain
from orchctl.chain.findings import ChainReport, Finding, by_place
from orchctl.chain.revision_file import RevisionFile


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is looked for.

    Attributes:
        id: As on its page and in `ignore` comments.
        check: Finds it.
    """

    id: str
    check: Callable[[CheckedChain], Iterable[Finding]]


RULES = (
    Rule("C01", file_rules.named_by_file),
    Rule("C02", graph_rules.duplicate_ids),
    Rule("C03", graph_rules.loops),
    Rule("C04", graph_rules.several_heads),
    Rule("C05", graph_rules.several_bases),
    Rule("C06", file_rules.missing_parents),
    Rule("C07", file_rules.unreadable),
    Rule("C08", file_rules.unclear),
    Rule("C09", graph_rules.dependencies),
    Rule("C10", id_rules.labels_in_use),
    Rule("C11", id_rules.unusable_ids),
    Rule("C12", file_rules.contradicted),
    Rule("C14", graph_rules.no_revisions),
    Rule("C17", order_rules.dates_out_of_order),
    Rule("C18", order_rules.idle_links),
    Rule("C19", id_rules.reserved_ids),
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
