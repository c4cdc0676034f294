"""Writing edits to their files: all of them, or none."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchctl.chain.fix import Edit
from orchctl.chain.regular_file import read_regular
from orchctl.chain.source import decode
from orchctl.errors import Refused, typed


def apply(edits: Sequence[Edit]) -> None:
    """Write edits, keeping modes and owners; each file changes in one step.

    Raises:
        Refused: A file is no longer what its edit was made from, or cannot be written; then none
            of them is changed.
    """
    before: list[tuple[Path, bytes]] = []
    for edit in edits:
        with _told(edit.path):
            before.append((edit.path, _as_read(edit)))
    with _laid_out([(edit.path, edit.data) for edit in edits]) as new:
        done = 0
        try:
            for path, written in new:
                with _told(path):
                    written.replace(path)
                done += 1
        except BaseException:
            # A folder that was writable a moment ago: put back what is changed already.
            with _laid_out(before[:done]) as old:
                for path, written in old:
                    written.replace(path)
            raise


def _as_read(edit: Edit) -> bytes:
    data = read_regular(edit.path)
    if decode(data).text != edit.before:
        raise Refused(
            f"{edit.path} was changed in the meantime",
            code="file-changed",
            state="No file was changed",
            hint="Run orchctl verify-chain --fix again",
        )
    # The file is replaced, not written into: that alone would pass over what its mode says.
    if not edit.path.stat().st_mode & 0o222:
        raise _refused(edit.path, "it is read-only", f"chmod u+w {typed(edit.path)}")
    os.close(os.open(edit.path, os.O_WRONLY))
    return data


def _refused(path: Path, reason: str, hint: str | None = None) -> Refused:
    return Refused(
        f"{path} cannot be written: {reason}",
        code="file-not-writable",
        state="No file was changed",
        hint=hint or f"ls -ld {typed(path.parent)} shows who may write there",
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from error


@contextmanager
def _laid_out(contents: Sequence[tuple[Path, bytes]]) -> Iterator[list[tuple[Path, Path]]]:
    """New files beside the old ones, each with the old one's mode and owner; gone afterwards."""
    made: list[tuple[Path, Path]] = []
    try:
        for path, data in contents:
            with _told(path):
                # No .py at its end: Alembic must never take a half-written file for a revision.
                descriptor, name = tempfile.mkstemp(
                    prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent
                )
                made.append((path, Path(name)))
                _fill(descriptor, data, path.stat())
        yield made
    finally:
        for _, new in made:
            new.unlink(missing_ok=True)


def _fill(descriptor: int, data: bytes, like: os.stat_result) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        with contextlib.suppress(PermissionError):  # a group's file, edited by a member
            os.fchown(file.fileno(), like.st_uid, like.st_gid)
        os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
        os.fsync(file.fileno())
