"""Providers' keys as they may be shown."""

from __future__ import annotations

MASK = "****"
# Below this the last characters would be too much of a key.
LONG_ENOUGH = 12


def mask_key(key: str) -> str:
    """Return what stands for a key: stars, and the last four characters of a long one."""
    return MASK + (key[-4:] if len(key) >= LONG_ENOUGH else "")


def is_masked(key: str) -> bool:
    """Whether this is what stands for a key rather than one."""
    return key.startswith(MASK)
