"""Comments that say why a finding is meant: `# orchctl: ignore[L02] reason`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orchctl.chain.findings import Finding

if TYPE_CHECKING:
    import tokenize

_COMMENT = re.compile(
    r"#\s*orchctl\s*:\s*ignore\b\s*(?:\[([^\]]*)\])?[\s:,;-]*((?:(?!#\s*orchctl\s*:).)*)"
)
_CLOSING = re.compile(r"[ \t]*[)\]}]+[ \t]*")
# Other tools' comments share the line; what they say is no reason.
_OTHERS = re.compile(
    r"#\s*(?:noqa|nosec|nosemgrep|(?:fmt|isort|mypy|pragma|pylint|pyright|ruff|type)\s*:).*"
)


class Ignore(NamedTuple):
    """One such comment.

    Attributes:
        line: Where it stands, from 1.
        column: Where it starts, from 1.
        covers: The lines it is about: its own; for a comment on a line of its own that of the code
            below it, too; behind the bracket that ends a statement, the one where that begins.
        rules: The ids between the brackets, upper case.
        reason: What stands behind them.
    """

    line: int
    column: int
    covers: tuple[int, ...]
    rules: tuple[str, ...]
    reason: str


def ignores_of(text: str) -> tuple[Ignore, ...]:
    """The ignore comments of a file; none when it is no Python."""
    if "orchctl" not in text:
        return ()
    import io
    import tokenize

    comments: list[tuple[tokenize.TokenInfo, int]] = []
    began = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                comments.append((token, began or token.start[0]))
            elif token.type == tokenize.NEWLINE:
                began = 0
            elif not began and token.string.strip():
                began = token.start[0]
    except (tokenize.TokenError, SyntaxError):
        return ()  # C07 has told
    alone = {token.start[0] for token, _ in comments if _is_alone(token)}
    return tuple(
        _ignore(token, match, alone, began)
        for token, began in comments
        for match in _COMMENT.finditer(token.string)
    )


def _is_alone(token: tokenize.TokenInfo) -> bool:
    return not token.line[: token.start[1]].strip()


def _ignore(token: tokenize.TokenInfo, match: re.Match[str], alone: set[int], began: int) -> Ignore:
    line, offset = token.start
    rules = tuple(word.strip().upper() for word in (match[1] or "").split(",") if word.strip())
    covers: tuple[int, ...] = (line,)
    if line in alone:
        # Several may stand above one line, and a reason may go on in the next comment.
        below = line + 1
        while below in alone:
            below += 1
        covers = (line, below)
    elif _CLOSING.fullmatch(token.line[:offset]):  # where formatters put what was too long
        covers = (line, began)
    reason = _OTHERS.sub("", match[2]).strip()
    return Ignore(line, offset + match.start() + 1, covers, rules, reason)


def without_ignored(
    findings: Sequence[Finding],
    ignores: Mapping[Path, Sequence[Ignore]],
    known: Iterable[str],
    *,
    checked: Iterable[str],
) -> list[Finding]:
    """The findings that no comment ignores, and what is wrong with the comments.

    Args:
        findings: What was found.
        ignores: The comments of each file.
        known: Every rule's id.
        checked: The ids of the rules that were looked for: only for these an unused comment shows.
    """
    used: set[tuple[Path, int, str]] = set()
    left = [finding for finding in findings if not _is_ignored(finding, ignores, used)]
    known, checked = set(known), set(checked)
    for path, comments in ignores.items():
        for comment in comments:
            left += _faults(path, comment, used, known, checked)
    return left


def _is_ignored(
    finding: Finding, ignores: Mapping[Path, Sequence[Ignore]], used: set[tuple[Path, int, str]]
) -> bool:
    if finding.path is None or finding.line is None:
        return False
    ignored = False
    for comment in ignores.get(finding.path, ()):
        if finding.line in comment.covers and finding.rule in comment.rules:
            used.add((finding.path, comment.line, finding.rule))
            ignored = ignored or bool(comment.reason)
    return ignored


def _faults(
    path: Path,
    comment: Ignore,
    used: set[tuple[Path, int, str]],
    known: set[str],
    checked: set[str],
) -> Iterator[Finding]:
    if not comment.rules:
        yield _fault("I01", path, comment, "The comment ignores no rule by its id", "L02")
    for rule in comment.rules:
        if rule not in known:
            yield _fault("I02", path, comment, f"The comment ignores {rule}, which is no rule")
        elif (path, comment.line, rule) not in used:
            if rule in checked:
                told = f"The comment ignores {rule}, which is not found on its line"
                yield _fault("I02", path, comment, told)
        elif not comment.reason:
            told = f"The comment ignores {rule} without a reason, so it ignores nothing"
            yield _fault("I01", path, comment, told, rule)


def _fault(
    id_: str, path: Path, comment: Ignore, message: str, example: str | None = None
) -> Finding:
    return Finding(
        id_,
        "warning",
        message,
        path=path,
        line=comment.line,
        column=comment.column,
        suggestion=f"# orchctl: ignore[{example}] the reason" if example else "Take it out",
        alembic="nothing: it does not read comments",
    )
