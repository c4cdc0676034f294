"""The report as SARIF 2.1.0, in the shape that GitHub code scanning reads.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/ and
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from orchctl import __version__
from orchctl.chain.findings import ChainReport, Finding, shown_path
from orchctl.chain.pages import read_pages

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def write(report: ChainReport, folder: Path, place: Path) -> str:
    """The report as one SARIF log with one run.

    Args:
        report: What was found.
        folder: The root of the sources: paths below it are given relative to it.
        place: Where findings about no file are shown; the format wants a file for each.
    """
    pages = read_pages()
    index = {page.id: number for number, page in enumerate(pages)}
    rules = [
        {
            "id": page.id,
            "name": page.title,
            "shortDescription": {"text": page.title},
            "fullDescription": {"text": _first_paragraph(page.text)},
            "help": {"text": page.text, "markdown": page.text},
            "defaultConfiguration": {"level": "warning"},
            "properties": {"tags": ["alembic", "lint" if page.id.startswith("L") else "chain"]},
        }
        for page in pages
    ]
    driver = {"name": "orchctl", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"uri": f"{folder.absolute().as_uri()}/"}},
        "results": [_result(finding, index, folder, place) for finding in report.findings],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(
    finding: Finding, index: Mapping[str, int], folder: Path, place: Path
) -> dict[str, Any]:
    shown = shown_path(finding.path or place, folder)
    relative = not Path(shown).is_absolute()
    artifact = {"uri": quote(os.fsencode(shown)) if relative else Path(shown).as_uri()}
    if relative:
        artifact["uriBaseId"] = "SRCROOT"
    region = {"startLine": finding.line or 1, "startColumn": finding.column or 1}
    location = {"physicalLocation": {"artifactLocation": artifact, "region": region}}
    told = f"{finding.message}. {finding.suggestion}" if finding.suggestion else finding.message
    return {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": finding.severity,
        "message": {"text": told},
        "locations": [location],
        "partialFingerprints": {"primaryLocationLineHash": _mark(finding, shown)},
    }


def _mark(finding: Finding, shown: str) -> str:
    """The same for the same finding after lines above it were added."""
    parts = (finding.rule, shown, finding.revision or "", finding.message)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16] + ":1"


def _first_paragraph(text: str) -> str:
    return " ".join(text.split("\n\n")[1].split())
