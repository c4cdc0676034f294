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
    r"\borchctl (--url (?:'[^']*'|\S+) )?"
    r"(?=(?:status|upgrade|downgrade|run|wait-db|doctor|stamp|rehearse|rollback|deploy|heads|"
    r"branches|history|show|current|revision|merge|check|verify-chain|backup|config)\b)"
)
_OPTIONS = {"config": "-c", "section": "-n", "url": "--url"}


def retyped(text: str | None, flags: Mapping[str, Any]) -> str | None:
    """A text in which every `orchctl COMMAND` has the options of this run before COMMAND.

    Args:
        text: A hint, or the state that an error tells.
        flags: The settings that were given as options, by name.
    """
    if not text or not any(flags.get(name) for name in ("config", "section", "url", "x")):
        return text
    return _COMMAND.sub(lambda found: f"orchctl {_options(flags, found[1])}", text)


def _options(flags: Mapping[str, Any], url: str | None) -> str:
    from orchctl.database.holders import masked_command
    from orchctl.errors import typed

    names = {name: option for name, option in _OPTIONS.items() if not (url and name == "url")}
    given = [(option, str(flags[name])) for name, option in names.items() if flags.get(name)]
    given += [("-x", str(one)) for one in flags.get("x") or ()]
    shown = [f"{option} {typed(masked_command([value]))} " for option, value in given]
    return "".join(shown) + (url or "")
