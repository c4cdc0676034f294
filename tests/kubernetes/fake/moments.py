"""Times, ids and suffixes as the API writes them."""

from __future__ import annotations

import hashlib
import random
import uuid
from datetime import UTC, datetime, timedelta

# No vowels and no digits that look like letters: names never spell anything.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def stamp(seconds_ahead: float = 0) -> str:
    """Now, or so many seconds from now, to the second."""
    return (datetime.now(UTC) + timedelta(seconds=seconds_ahead)).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_since(text: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()


def new_uid() -> str:
    return str(uuid.uuid4())


def suffix(length: int = 5) -> str:
    return "".join(random.choices(_ALPHABET, k=length))


def content_hash(text: str, length: int = 10) -> str:
    """The same text, the same hash: what makes a template's ReplicaSet found again."""
    digest = hashlib.sha256(text.encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:length])
