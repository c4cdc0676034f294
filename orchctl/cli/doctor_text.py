"""What `orchctl doctor` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchctl.doctor.examination import Diagnosis
    from orchctl.doctor.findings import Finding
    from orchctl.doctor.fix import Mended
    from orchctl.output import Output

_STYLES = {"error": "red", "warning": "yellow", "note": "cyan"}


def draw(output: Output, diagnosis: Diagnosis, mended: Sequence[Mended]) -> None:
    """Show what was mended, every finding, checks that could not be done, and the count.

    Args:
        output: Where to.
        diagnosis: What was found, after mending.
        mended: What was done.
    """
    for one in mended:
        output.line(f"{'mended' if one.done else 'not mended'} {one.id}: {one.told}")
    subjects = list(dict.fromkeys(one.subject for one in diagnosis.checks))
    for subject in subjects:
        output.line(subject, "bold")
        for finding in diagnosis.findings:
            if finding.subject == subject:
                _draw_finding(output, finding)
        for check in diagnosis.checks:
            if check.subject == subject and check.obstacle is not None:
                output.line(f"not done  {check.name}: {check.obstacle}", "dim")
    output.line(_counted(diagnosis))


def _draw_finding(output: Output, finding: Finding) -> None:
    output.line(f"{finding.level:<8}  {finding.id}: {finding.what}", _STYLES[finding.level])
    for line in finding.evidence:
        output.line(f"          {line}", "dim")
    if finding.command:
        mends = " (or --fix)" if finding.mend else ""
        output.line(f"          -> {finding.command}{mends}")


def _counted(diagnosis: Diagnosis) -> str:
    counts = []
    for level in _STYLES:
        number = sum(one.level == level for one in diagnosis.findings)
        counts.append(f"{number} {level}{'' if number == 1 else 's'}")
    left = sum(one.obstacle is not None for one in diagnosis.checks)
    done = len(diagnosis.checks) - left
    return f"{', '.join(counts)}; {done} checks done" + (f", {left} not" if left else "")
