"""Commands in hints, with the options that named the project and the database.

What is copied from a hint must reach the database that the hint is about, and not another one that
the working folder's own settings name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Those that work on a project or a database; by name, since "orchctl commits …" is prose.
_COMMAND = re.compile(
    r"\borchctl (?=(?:status|upgrade|downgrade|run|wait-db|doctor|stamp|rehearse|rollback|deploy|"
    r"heads|branches|history|show|current|revision|merge|check|verify-chain|backup|config)\b)"
)
_OPTIONS = (("config", "-c"), ("section", "-n"), ("url", "--url"))


def retyped(text: str | None, flags: Mapping[str, Any]) -> str | None:
    """A text in which every `orchctl COMMAND` has the options of this run before COMMAND.

    Args:
        text: A hint, or the state that an error tells.
        flags: The settings that were given as options, by name.
    """
    options = _options(flags)
    if not text or not options:
        return text
    return _COMMAND.sub(lambda _: f"orchctl {options} ", text)


def _options(flags: Mapping[str, Any]) -> str:
    from orchctl.database.holders import masked_command
    from orchctl.errors import typed

    given = [(option, str(flags[name])) for name, option in _OPTIONS if flags.get(name)]
    given += [("-x", str(one)) for one in flags.get("x") or ()]
    return " ".join(f"{option} {typed(masked_command([value]))}" for option, value in given)
