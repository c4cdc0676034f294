"""Mending files: the edits as data, and the writing of them."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchctl.chain.findings import Finding, Replacement
from orchctl.chain.source import Source, decode, line_starts
from orchctl.errors import Refused

# One string literal, and not several that Python would join.
_LITERAL = re.compile(r"""([rRuU]?)("{3}|'{3}|"|')(.*)\2""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Edit:
    """What mending changes in one file.

    Attributes:
        path: The file.
        before: Its text, without a byte order mark.
        after: The text it is to have.
        findings: What this mends.
    """

    path: Path
    before: str
    after: str
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


def mend(findings: Iterable[Finding]) -> tuple[Edit, ...]:
    """The edits that mend what can be mended without a doubt.

    Only the characters between the quotes of the literals in question change. Nothing is written.

    Args:
        findings: Those without a replacement are passed over.

    Returns:
        One edit for each file, by path. A literal that cannot be rewritten safely (joined from
        several, no longer what was read) is left out.
    """
    by_path: dict[Path, list[Finding]] = {}
    for finding in findings:
        if finding.replacement is not None:
            by_path.setdefault(finding.replacement.path, []).append(finding)
    edits = (_edit(path, by_path[path]) for path in sorted(by_path))
    return tuple(edit for edit in edits if edit is not None)


def apply(edit: Edit) -> None:
    """Write an edit: atomically, keeping mode, owner, encoding, byte order mark and line ends.

    Raises:
        Refused: The file is no longer what the edit was made from, or cannot be written.
    """
    try:
        source = decode(edit.path.read_bytes())
        if source.text != edit.before:
            raise Refused(
                f"{edit.path} was changed in the meantime",
                code="file-changed",
                state="It was left as it is",
                hint="Run orchctl verify-chain --fix again",
            )
        _write(edit.path, source.encoded(edit.after))
    except OSError as error:
        raise Refused(
            f"{edit.path} cannot be written: {error.strerror}",
            code="file-not-writable",
            state="It was left as it is",
        ) from error


def _edit(path: Path, findings: list[Finding]) -> Edit | None:
    try:
        source = decode(path.read_bytes())
    except OSError:
        return None
    if source.fault:
        return None
    starts = line_starts(source.text)
    mended: list[Finding] = []
    after = source.text
    # From the end, so that earlier places stay where they are.
    for finding in sorted(findings, key=_position, reverse=True):
        replacement = finding.replacement
        changed = replacement and _replaced(after, starts, replacement)
        if changed and _encodes(source, changed):
            after = changed
            mended.append(finding)
    return Edit(path, source.text, after, tuple(reversed(mended))) if mended else None


def _position(finding: Finding) -> tuple[int, int]:
    token = finding.replacement.token if finding.replacement else None
    return (token.line, token.column) if token else (0, 0)


def _replaced(text: str, starts: list[int], replacement: Replacement) -> str | None:
    """The text with one literal rewritten, or None when that isn't the literal that was read."""
    token = replacement.token
    if max(token.line, token.end_line) > len(starts):
        return None
    start = starts[token.line - 1] + token.column - 1
    end = starts[token.end_line - 1] + token.end_column - 1
    literal = _LITERAL.fullmatch(text, start, end)
    if literal is None or literal[2] in literal[3]:
        return None
    if _value(literal[0]) != token.text:
        return None
    new = f"{literal[1]}{literal[2]}{replacement.text}{literal[2]}"
    if _value(new) != replacement.text:
        new = repr(replacement.text)
    return text[:start] + new + text[end:]


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


def _write(path: Path, data: bytes) -> None:
    status = path.stat()
    # No .py at its end: Alembic must never take the half-written file for a revision.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), status.st_mode & 0o7777)
            with contextlib.suppress(PermissionError):  # a group's file, edited by a member
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
