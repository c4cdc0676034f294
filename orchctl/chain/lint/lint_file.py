"""Looking at one revision file's code."""

from __future__ import annotations

from pathlib import Path

from orchctl.chain.lint.file_lint import FileLint


def lint_file(path: Path, text: str, revision: str | None) -> FileLint:
    """Hold one file against the lint rules.

    Args:
        path: The file; only named.
        text: Its text, which Python can compile.
        revision: Its id.
    """
    return FileLint()
