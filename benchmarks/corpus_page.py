"""docs/corpus.md: what `python -m benchmarks.corpus` found, and what became of each finding."""

from __future__ import annotations

import datetime
import platform
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.corpus_verdicts import VERDICTS
from orchctl.chain.findings import Finding
from orchctl.chain.titles import rule_titles

if TYPE_CHECKING:
    from benchmarks.corpus import Read

PAGE = Path(__file__).resolve().parents[1] / "docs" / "corpus.md"

_HEAD = """\
# Real chains

{projects} projects from PyPI, {chains} chains, {revisions} revisions: read on {today} with
orchctl {orchctl} on Python {python}, beside Alembic {alembic}. Written by
`python -m benchmarks.corpus --write`, which downloads the wheel of each release that the table
names and unpacks the folders with its revisions. Nothing of theirs is installed or run by orchctl.

orchctl read every chain: {crashes} crashes. "Alembic" is what its ScriptDirectory does with the
same folder, which imports every revision. Where a module is missing, it was asked again with empty
stand-ins for what is not there: what follows the semicolon is how its graph compares (revisions,
parents, dependencies, labels, heads, bases, order), or why it has none.

| project | version | chain | revisions | heads | chain rules | lint | Alembic |
| --- | --- | --- | ---: | ---: | --- | --- | --- |
"""
_LOOKED = """
## How the findings were looked at

{findings} findings; {tried} of them were confirmed by a trial, the others were read one by one in
the revision they are about. A finding that was wrong was taken for a fault of its rule and mended
there, with a test; the table above is what is left.

The trials: the headers of docstrings were compared by a second program. Each chain was run on a
real SQLite database, in its order, each revision up and down, with empty stand-ins for what its
project imports, every operation noted with its line and every failure passed over. Each operation
was also run alone with real Alembic on a fresh database whose table has one row: so "SQLite has no
ALTER …", "fails as soon as the table has a row" and "must have a name" were seen to fail with the
words that the finding gives. What a rebuild takes along was compared with the foreign keys of the
database at that moment, a downgrade that leaves something behind with the tables before and after,
and each upgrade that reads was run with `--sql`. What a stand-in or another database's SQL kept
from running was read.

Turned round, the trials also showed drops, defaults and ALTERs that nothing was said of. Two ways
of writing were behind those that the rules mean, and are followed now: functions taken from
`sqlalchemy.sql.functions`, and lists that are put together by `append()`.
"""
_FINDINGS = """
## What the chain rules found

Every finding of C01 to C19, by rule.
"""
_LINT = """
## What lint found

Lint looks at a revision as SQLite would run it, and most of these projects run on another database
only: {alters} of its {errors} errors are ALTERs that SQLite does not have. A shape is a message
with its names left out.

| rule | what it finds | error | warning | note | shapes | tried |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
"""


def write(reads: Sequence[Read]) -> None:
    """Write the page."""
    PAGE.write_text(page(reads), encoding="utf-8")


def page(reads: Sequence[Read]) -> str:
    """The page's text."""
    found = [(read, finding) for read in reads for finding in read.report.findings]
    chain = [pair for pair in found if not _is_lint(pair[1])]
    lint = [finding for _, finding in found if _is_lint(finding)]
    tried = sum(one.tried or 0 for one in VERDICTS.values())
    text = _head(reads) + "".join(map(_row, reads))
    text += _LOOKED.format(findings=len(found), tried=tried) + _FINDINGS
    for rule in sorted({finding.rule for _, finding in chain}):
        text += _section(rule, [pair for pair in chain if pair[1].rule == rule])
    errors = [finding.rule for finding in lint if finding.severity == "error"]
    counts = {"errors": len(errors), "alters": errors.count("L10")}
    return text + _LINT.format(**counts) + _lint_table(lint) + "\n" + _verdicts(lint)


def _head(reads: Sequence[Read]) -> str:
    return _HEAD.format(
        projects=len({read.project.name for read in reads}),
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
    cells = [
        project.name,
        project.version,
        read.chain,
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
    text = f"\n### {rule} {titles[rule]}\n\n{_verdict(rule, len(pairs))}\n\n"
    for read, finding in pairs:
        place = f" `{finding.path.name}:{finding.line}`" if finding.path else ""
        text += f"- {read.project.name}{place}: {_escaped(finding.message)}\n"
    return text


def _escaped(text: str) -> str:
    return text.replace("_", "\\_").replace("*", "\\*").replace("<", "\\<")


def _lint_table(findings: Sequence[Finding]) -> str:
    titles = {one.id: one.title for one in rule_titles()}
    counted = Counter((one.rule, one.severity) for one in findings)
    shapes = Counter(rule for rule, _ in {(one.rule, _shape(one.message)) for one in findings})
    text = ""
    for rule in sorted(shapes):
        numbers = [counted[rule, severity] for severity in ("error", "warning", "note")]
        tried = VERDICTS[rule].tried if rule in VERDICTS else None
        cells = [rule, titles[rule], *numbers, shapes[rule], "" if tried is None else tried]
        text += f"| {' | '.join(map(str, cells))} |\n"
    return text


# What a message quotes, and names in it that are not quoted.
_NAMES = re.compile(r"'[^']*'|\"[^\"]*\"|[\w, ]+ of [\w.]+(?=:)|\S+\.\S+(?=,)|\d+|=\s*\w+")


def _shape(message: str) -> str:
    return _NAMES.sub("…", message)


def _verdicts(findings: Sequence[Finding]) -> str:
    counted = Counter(one.rule for one in findings)
    return "".join(f"- {rule}: {_verdict(rule, counted[rule])}\n" for rule in sorted(counted))


def _verdict(rule: str, findings: int) -> str:
    known = VERDICTS.get(rule)
    if known is None:
        return "Not looked at yet."
    looked = "" if known.findings == findings else f"({known.findings} of {findings} looked at.) "
    return looked + known.text


def _is_lint(finding: Finding) -> bool:
    return finding.rule.startswith("L")
