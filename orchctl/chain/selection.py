"""Which rules are looked for, in which files, and how serious each is taken."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from orchctl.chain.findings import Finding, shown_path
from orchctl.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from orchctl.chain.tokens import Severity
    from orchctl.config.verify import VerifySettings


@dataclass(frozen=True)
class Selection:
    """Which rules are looked for.

    Attributes:
        rules: Their ids.
        levels: The severity that replaces a rule's own.
        exclude: Patterns of paths whose findings are left out.
        folder: Where these patterns start.
    """

    rules: frozenset[str]
    levels: Mapping[str, Severity] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    folder: Path = Path()

    def apply(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings that count, each with the severity it has here."""
        return [
            replace(one, severity=self.levels[one.rule]) if one.rule in self.levels else one
            for one in findings
            if one.rule in self.rules and not self._is_excluded(one.path)
        ]

    def _is_excluded(self, path: Path | None) -> bool:
        if path is None or not self.exclude:
            return False
        shown = shown_path(path, self.folder)
        return any(_matches(shown, pattern) for pattern in self.exclude)


def select(
    known: Sequence[str],
    settings: VerifySettings,
    *,
    selected: Sequence[str] = (),
    ignored: Sequence[str] = (),
    folder: Path,
) -> Selection:
    """Put flags and settings together; what is selected by a flag replaces what the file selects.

    Args:
        known: The ids of all rules.
        settings: The configuration file's table.
        selected: `--select`: ids, or the start of some.
        ignored: `--ignore`, added to the file's.
        folder: The working folder, for patterns when there is no file.

    Raises:
        UsageError: A word that names no rule.
        ConfigurationError: The same, in the configuration file.
    """
    chosen = _named(selected, known) or _configured(settings.select, known)
    wanted = chosen or set(known)
    levels: dict[str, str] = {}
    for word in sorted(settings.levels, key=len):  # L02 counts more than L
        levels |= dict.fromkeys(_configured([word], known), settings.levels[word])
    off = {rule for rule, level in levels.items() if level == "off"}
    wanted -= _named(ignored, known) | _configured(settings.ignore, known) | off
    kept = {rule: cast("Severity", level) for rule, level in levels.items() if level != "off"}
    return Selection(frozenset(wanted), kept, settings.exclude, settings.folder or folder)


def unknown_rule(word: str, known: Sequence[str]) -> UsageError:
    """The error about a word that names no rule.

    Args:
        word: What was typed.
        known: The ids there are.
    """
    import difflib

    typed = word.upper()
    close = difflib.get_close_matches(typed, known, n=len(known))
    # Of those that are equally near, the one with most letters in their places.
    nearest = max(close, key=lambda id_: sum(map(str.__eq__, id_, typed)), default=None)
    return UsageError(
        f"{word} is no rule",
        code="unknown-rule",
        hint=f"Did you mean {nearest}?" if nearest else "orchctl explain lists them",
    )


def _named(words: Iterable[str], known: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for word in words:
        matching = {rule for rule in known if rule.startswith(word.upper())}
        if not matching:
            raise unknown_rule(word, known)
        found |= matching
    return found


def _configured(words: Iterable[str], known: Sequence[str]) -> set[str]:
    try:
        return _named(words, known)
    except UsageError as error:
        raise ConfigurationError(
            f"{error.message}, and the setting verify names it", code=error.code, hint=error.hint
        ) from error


def _matches(path: str, pattern: str) -> bool:
    return fnmatch.fnmatch(path, pattern) or path.startswith(pattern.rstrip("/") + "/")
