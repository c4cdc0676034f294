"""Which lines of a log tell of a migration: Alembic's own, and those of `orchctl run`. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator

_TEXT = re.compile(
    r"Running (upgrade|downgrade|stamp_revision)\b"
    r"|\[alembic[.\w]*\]|alembic\.(runtime|util|autogenerate)"
    r"|\borchctl\b"
    # The lines of `orchctl run` as text: steps, errors, the last one before the command.
    r"|^(✓|ok) .*(->|\.db\b|chema|napshot|ehears|heck|onfirm|nothing to do|can be written)"
    r"|^(error|warning): |^Not upgraded\b|^Starting \S+$"
)
_JSON = re.compile(r'^\s*\{.*"source": ?"orchctl"')


def is_migration_line(line: str) -> bool:
    """Whether a line tells of a migration."""
    return bool(_JSON.search(line) or _TEXT.search(line))


def migration_lines(lines: Iterable[str], context: int) -> Iterator[str]:
    """The lines that tell of a migration, with what stands around them, as `grep -C` shows it.

    Args:
        lines: A log.
        context: How many lines before and after each are shown; `--` stands between what is not
            adjacent when there is any.
    """
    before: deque[str] = deque(maxlen=context or None)
    after, left_out, shown = 0, False, False
    for line in lines:
        if is_migration_line(line):
            if left_out and shown and context:
                yield "--"
            yield from before
            yield line
            before.clear()
            after, left_out, shown = context, False, True
        elif after:
            after -= 1
            yield line
        else:
            left_out = left_out or not context or len(before) == context
            if context:
                before.append(line)
