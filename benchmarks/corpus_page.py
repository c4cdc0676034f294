"""docs/corpus.md: what `python -m benchmarks.corpus` found, and what became of each finding."""

from __future__ import annotations

import datetime
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.chain.check import rule_titles
from orchctl.chain.findings import Finding

if TYPE_CHECKING:
    from benchmarks.corpus import Read

PAGE = Path(__file__).resolve().parents[1] / "docs" / "corpus.md"

# What looking at every finding of a rule came to. A rule without an entry shows as not looked at.
VERDICTS = {
    "C04": "Right: each chain has branches that are never joined, and `alembic upgrade head` fails "
    "on it. They are meant, with a label each, so it is a warning.",
    "C05": "Right, and a note: each base carries a label, so they are meant.",
    "C08": "Right: the labels are attributes of another module of the project; only importing it "
    "would tell them. A warning.",
    "C12": "Right: each was compared to the code by a second program that knows nothing of "
    "orchctl. Most are revisions that were put behind another parent later on.",
    "C17": "Right: compared in the same way. These are revisions that were put behind a later one, "
    "or dates typed by hand. A note, because it changes nothing.",
}

_HEAD = """\
# Real chains

{projects} projects, {chains} chains, {revisions} revisions: read on {today} with
orchctl {orchctl} on Python {python}, beside Alembic {alembic}. Written by
`python -m benchmarks.corpus --write`, which clones each project at the release that the table
names, only the folders with its revisions. Nothing of theirs is installed.

orchctl read every chain: {crashes} crashes. "Alembic" is what its ScriptDirectory does with the
same folder. Where a module is missing, it was asked again with empty stand-ins for what is not
there: what follows the semicolon is how its graph compares (revisions, parents, dependencies,
labels, heads, bases, order).

| project | release | chain | revisions | heads | chain rules | lint | Alembic |
| --- | --- | --- | ---: | ---: | --- | --- | --- |
"""
_FINDINGS = """
## What the chain rules found

Every finding of C01 to C19, by rule.
"""
_LINT = """
## What lint found

Lint looks at a revision as SQLite would run it, and most of these projects run on another database
only: {alters} of its {errors} errors are ALTERs that SQLite does not have. These were counted, and
looked at by sample; the rules' own tests say more. How often each was found:

| rule | what it finds | error | warning | note |
| --- | --- | ---: | ---: | ---: |
"""


def write(reads: Sequence[Read]) -> None:
    """Write the page."""
    PAGE.write_text(page(reads), encoding="utf-8")


def page(reads: Sequence[Read]) -> str:
    """The page's text."""
    found = [(read, finding) for read in reads for finding in read.report.findings]
    chain = [pair for pair in found if not _is_lint(pair[1])]
    lint = [finding for _, finding in found if _is_lint(finding)]
    text = _head(reads) + "".join(map(_row, reads)) + _FINDINGS
    for rule in sorted({finding.rule for _, finding in chain}):
        text += _section(rule, [pair for pair in chain if pair[1].rule == rule])
    errors = [finding.rule for finding in lint if finding.severity == "error"]
    counts = {"errors": len(errors), "alters": errors.count("L10")}
    return text + _LINT.format(**counts) + _lint_table(lint)


def _head(reads: Sequence[Read]) -> str:
    return _HEAD.format(
        projects=len({read.project.repository for read in reads}),
        chains=len(reads),
        revisions=sum(len(read.report.revisions) for read in reads),
        today=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        orchctl=version("orchctl"),
        python=platform.python_version(),
        alembic=version("alembic"),
        crashes=0,  # one would have ended the run
    )


def _row(read: Read) -> str:
    project, report = read.project, read.report
    folder = read.chain[0] + (f" and {len(read.chain) - 1} more" if len(read.chain) > 1 else "")
    cells = [
        f"[{project.name}](https://github.com/{project.repository})",
        project.tag,
        folder,
        str(len(report.revisions)),
        str(len(report.heads)),
        _counts(one for one in report.findings if not _is_lint(one)),
        _counts(one for one in report.findings if _is_lint(one)),
        read.said.replace("|", "\\|"),
    ]
    return f"| {' | '.join(cells)} |\n"


def _counts(findings: Iterable[Finding]) -> str:
    counted = Counter(one.rule for one in findings)
    return ", ".join(f"{count} {rule}" for rule, count in sorted(counted.items())) or "none"


def _section(rule: str, pairs: Sequence[tuple[Read, Finding]]) -> str:
    titles = {one.id: one.title for one in rule_titles()}
    text = f"\n### {rule} {titles[rule]}\n\n{VERDICTS.get(rule, 'Not looked at yet.')}\n\n"
    for read, finding in pairs:
        place = f" `{finding.path.name}:{finding.line}`" if finding.path else ""
        text += f"- {read.project.name}{place}: {_escaped(finding.message)}\n"
    return text


def _escaped(text: str) -> str:
    return text.replace("_", "\\_").replace("*", "\\*").replace("<", "\\<")


def _lint_table(findings: Sequence[Finding]) -> str:
    titles = {one.id: one.title for one in rule_titles()}
    counted = Counter((one.rule, one.severity) for one in findings)
    return "".join(
        f"| {rule} | {titles[rule]} | {counted[rule, 'error']} | {counted[rule, 'warning']} "
        f"| {counted[rule, 'note']} |\n"
        for rule in sorted({one.rule for one in findings})
    )


def _is_lint(finding: Finding) -> bool:
    return finding.rule.startswith("L")
