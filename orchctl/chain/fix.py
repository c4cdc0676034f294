"""Mending files: the edits as data."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchctl.chain.findings import Finding, Replacement
from orchctl.chain.parse import parse
from orchctl.chain.regular_file import read_regular
from orchctl.chain.revision_file import RevisionFile
from orchctl.chain.source import Source, decode, line_starts, lines_of
from orchctl.chain.stock import header_of
from orchctl.chain.syntax import tree_of

# One string literal, and not several that Python would join.
_LITERAL = re.compile(r"""([rRuU]?)("{3}|'{3}|"|')(.*)\2""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Edit:
    """What mending changes in one file.

    Attributes:
        path: The file.
        before: Its text, without a byte order mark.
        after: The text it is to have.
        data: The same as bytes: encoding, byte order mark and line ends as they were.
        findings: What this mends.
    """

    path: Path
    before: str
    after: str
    data: bytes
    findings: tuple[Finding, ...]

    def diff(self, shown: str) -> str:
        """The change as a unified diff.

        Args:
            shown: The path to name in it.
        """
        import difflib

        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            f"a/{shown}",
            f"b/{shown}",
        )
        return "".join(line if line.endswith("\n") else line.rstrip("\r") + "\n" for line in lines)


def mend(findings: Iterable[Finding], earlier: Iterable[Edit] = ()) -> tuple[Edit, ...]:
    """The edits that mend what can be mended without a doubt.

    Only the literals in question change, and the ids in docstrings. Nothing is written.

    Args:
        findings: Those without a replacement are passed over.
        earlier: Edits that these come on top of.

    Returns:
        One edit for each file, by path, the earlier ones included. What cannot be rewritten safely
        (joined from several literals, no longer what was read) is left out.
    """
    edits = {edit.path: edit for edit in earlier}
    by_path: dict[Path, list[Finding]] = {}
    for finding in findings:
        if finding.replacement is not None:
            by_path.setdefault(finding.replacement.path, []).append(finding)
    for path, several in by_path.items():
        edit = _edit(path, several, edits.get(path))
        if edit is not None:
            edits[path] = edit
    return tuple(edits[path] for path in sorted(edits))


def mended(files: Iterable[RevisionFile], edits: Iterable[Edit]) -> tuple[RevisionFile, ...]:
    """What the files will say once the edits are in them."""
    data = {edit.path: edit.data for edit in edits}
    return tuple(parse(one.path, data[one.path]) if one.path in data else one for one in files)


def _edit(path: Path, findings: list[Finding], earlier: Edit | None) -> Edit | None:
    try:
        source = decode(read_regular(path))
    except OSError:
        return None
    if source.fault:
        return None
    before, after = source.text, source.text
    found: list[Finding] = []
    if earlier is not None:
        before, after, found = earlier.before, earlier.after, list(earlier.findings)
    starts = line_starts(after)
    count = len(found)
    # From the end, so that earlier places stay where they are.
    for finding in sorted(findings, key=_position, reverse=True):
        replacement = finding.replacement
        changed = replacement and _replaced(after, starts, replacement)
        if changed and _encodes(source, changed):
            after = changed
            found.insert(count, finding)
    if len(found) == count:
        return earlier
    return Edit(path, before, after, source.encoded(after), tuple(found))


def _position(finding: Finding) -> tuple[int, int]:
    token = finding.replacement.token if finding.replacement else None
    return (token.line, token.column) if token else (0, 0)


def _replaced(text: str, starts: list[int], replacement: Replacement) -> str | None:
    """The text with one place rewritten, or None when that isn't what was read there."""
    token = replacement.token
    if max(token.line, token.end_line) > len(starts):
        return None
    start = starts[token.line - 1] + token.column - 1
    end = starts[token.end_line - 1] + token.end_column - 1
    if replacement.header:
        return _reworded(text, start, end, replacement)
    literal = _LITERAL.fullmatch(text, start, end)
    if literal is None or literal[2] in literal[3]:
        return None
    if _value(literal[0]) != token.text:
        return None
    new = f"{literal[1]}{literal[2]}{replacement.text}{literal[2]}"
    if _value(new) != replacement.text:
        new = repr(replacement.text)
    return text[:start] + new + text[end:]


def _reworded(text: str, start: int, end: int, replacement: Replacement) -> str | None:
    """The text with other words in its docstring; None unless that is all that changes."""
    if text[start:end] != replacement.token.text:
        return None
    gap = " " if replacement.text and text[start - 1 : start] == ":" else ""
    changed = text[:start] + gap + replacement.text + text[end:]
    before, after = _parted(text), _parted(changed)
    if before is None or after is None or before[1] != after[1] or before[0] == after[0]:
        return None
    words = {line.text for line in header_of(lines_of(after[0])).values()}
    return changed if replacement.text in words else None


def _parted(text: str) -> tuple[str, str] | None:
    """A module's docstring, and the rest of its code."""
    try:
        tree = tree_of(text)
        if tree is None or ast.get_docstring(tree, clean=False) is None:
            return None
        return ast.get_docstring(tree, clean=False) or "", ast.dump(ast.Module(tree.body[1:], []))
    except RecursionError:
        return None


def _value(literal: str) -> object:
    try:
        return ast.literal_eval(literal)
    except (SyntaxError, ValueError):
        return None


def _encodes(source: Source, text: str) -> bool:
    try:
        return decode(source.encoded(text)).text == text
    except UnicodeEncodeError:
        return False
