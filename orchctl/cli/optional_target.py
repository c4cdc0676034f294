"""An option that takes a target, or stands alone."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

_OPTION = "--restart"


class RestartableCommand(TyperCommand):
    """A command whose `--restart` takes a target, or nothing: then the one in the settings.

    `upgrade --restart head` means the revision: only what looks like a target is taken as one.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Let an empty text stand for a target that is not there."""
        from orchctl.workloads.target import looks_like_target

        words: list[str] = []
        for number, word in enumerate(args):
            follows = args[number + 1] if number + 1 < len(args) else ""
            words.append(word)
            if word == _OPTION and not looks_like_target(follows):
                words[-1] = f"{_OPTION}="
        return super().parse_args(ctx, words)
