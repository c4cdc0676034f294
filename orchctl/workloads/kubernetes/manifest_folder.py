"""Writing manifests into a folder, over nothing that somebody else has written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchctl.errors import OperationFailed, Refused


def write_manifests(
    folder: Path, files: Mapping[str, str], *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Write files into a folder, which is made if need be.

    Args:
        folder: Where.
        files: Text by path under the folder.
        overwrite: Whether files with another text may be replaced.

    Returns:
        All their paths.

    Raises:
        Refused: `manifest-exists`; nothing was written.
        OperationFailed: `manifests-not-written`.
    """
    texts = {folder / name: text for name, text in files.items()}
    try:
        changed = [path for path, text in texts.items() if path.exists() and _old(path) != text]
        if changed and not overwrite:
            raise Refused(
                f"{changed[0]} exists and says something else",
                code="manifest-exists",
                state="Nothing was written",
                hint="--force replaces it",
                details={"paths": [str(path) for path in changed]},
            )
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OperationFailed(
            f"{error.filename or folder} can't be written: {error.strerror}",
            code="manifests-not-written",
            hint="--output DIR: a folder of your own",
        ) from error
    return tuple(texts)


def _old(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
