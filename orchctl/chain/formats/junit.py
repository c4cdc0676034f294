"""The report as JUnit XML: one test for each rule that was looked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from orchctl.chain.findings import ChainReport, Finding, shown_path


def write(report: ChainReport, folder: Path, rules: Iterable[tuple[str, str]]) -> str:
    """One test suite; errors fail a rule's test, warnings and notes are in its output.

    Args:
        report: What was found.
        folder: Paths below it are shown relative to it.
        rules: Id and title of the rules that were looked for.
    """
    found: dict[str, list[Finding]] = {}
    for finding in report.findings:
        found.setdefault(finding.rule, []).append(finding)
    cases = [_case(rule, title, found.get(rule, []), folder) for rule, title in rules]
    failures = sum(case.find("failure") is not None for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0", "skipped": "0"}
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": "orchctl verify-chain", **counts})
    suite.extend(cases)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _case(rule: str, title: str, findings: list[Finding], folder: Path) -> ET.Element:
    case = ET.Element("testcase", {"classname": "orchctl.verify_chain", "name": f"{rule} {title}"})
    errors = [one for one in findings if one.severity == "error"]
    others = [one for one in findings if one.severity != "error"]
    if errors:
        message = _clean(errors[0].message)
        if len(errors) > 1:
            message += f" (and {len(errors) - 1} more)"
        failure = ET.SubElement(case, "failure", {"message": message, "type": rule})
        failure.text = _clean("\n".join(_told(one, folder) for one in errors))
    if others:
        ET.SubElement(case, "system-out").text = _clean(
            "\n".join(_told(one, folder) for one in others)
        )
    return case


def _told(finding: Finding, folder: Path) -> str:
    where = f"{shown_path(finding.path, folder)}:{finding.line or 1}: " if finding.path else ""
    hint = f" [{finding.suggestion}]" if finding.suggestion else ""
    return f"{where}{finding.rule} {finding.severity}: {finding.message}{hint}"


def _clean(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return "".join(one if one.isprintable() or one in "\t\n" else "\ufffd" for one in text)
