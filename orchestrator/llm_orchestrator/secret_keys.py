"""Keys that let callers in: hashed, compared in constant time, and what stands for them in logs."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

from pydantic import SecretStr

PREFIX = "sha256:"
# A hash without salt and stretching keeps a key that can't be guessed, and costs a request
# nothing; a short one could be tried out. `openssl rand -hex 16` has 32 characters.
SHORTEST_HASHED = 24
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


def generate_key(prefix: str = "sk-") -> str:
    """Make up a key of 256 random bits."""
    return prefix + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """Return what may stand in settings in place of a key. Raises ValueError for a short one."""
    if len(key) < SHORTEST_HASHED:
        raise ValueError(f"shorter than {SHORTEST_HASHED} characters: its hash would give it away")
    return PREFIX + digest(key)


def digest(key: str) -> str:
    """Return the hexadecimal SHA-256 of a key as it was presented."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def check_key(key: SecretStr) -> SecretStr:
    """Return a key of the settings. Raises ValueError for a hash that no key can have."""
    value = key.get_secret_value()
    if not value.strip():
        raise ValueError("is empty")
    if value.startswith(PREFIX) and not _HASH.fullmatch(value):
        raise ValueError("starts with sha256: but 64 hexadecimal digits do not follow")
    return key


def digest_of_setting(key: SecretStr) -> str:
    """Return the digest that a presented key must have to be this key of the settings."""
    value = key.get_secret_value()
    return value.removeprefix(PREFIX) if _HASH.fullmatch(value) else digest(value)


def matches(presented: str, digests: Iterable[str]) -> bool:
    """Whether a presented key has one of the digests; takes as long whichever it is."""
    found = digest(presented)
    # All of them, not up to the first that fits.
    return sum(hmac.compare_digest(found, known) for known in digests) > 0


def user_id_of(presented: str) -> str:
    """Return what stands for a caller in logs and limits: the same for a key and for its hash."""
    return hashlib.sha256(f"user {digest(presented)}".encode()).hexdigest()[:16]
