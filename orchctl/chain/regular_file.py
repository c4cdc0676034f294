"""The bytes of a file that anybody may have put there: never waits, never reads without end."""

from __future__ import annotations

import errno
import os
import stat

# Python wants gigabytes to compile more than this; no revision comes near.
MOST_BYTES = 64 << 20
_PART = 1 << 20
# A named pipe that takes the file's place after it was looked at must not block.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)


def read_regular(name: str | os.PathLike[str]) -> bytes:
    """A file's bytes.

    Args:
        name: Its path.

    Raises:
        OSError: It cannot be read; it is a folder, a pipe, a socket or a device (EINVAL), or larger
            than `MOST_BYTES` (EFBIG). `strerror` says so.
    """
    # Before it is opened: opening alone does something to some devices.
    _require_regular(name, os.stat(name))  # noqa: PTH116
    descriptor = os.open(name, _FLAGS)
    try:
        found = os.fstat(descriptor)
        _require_regular(name, found)
        # What more is asked for is set aside, and not always put to use again.
        data = os.read(descriptor, found.st_size + 1)
        while part := os.read(descriptor, _PART):
            data += part
            if len(data) > MOST_BYTES:  # what has no size of its own, as in /proc
                raise _too_large(name)
    finally:
        os.close(descriptor)
    return data


def _require_regular(name: str | os.PathLike[str], found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(name))
    if found.st_size > MOST_BYTES:
        raise _too_large(name)


def _too_large(name: str | os.PathLike[str]) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {MOST_BYTES >> 20} MiB", str(name))
