"""What can be wrong with a request to the store."""

from __future__ import annotations


class StoreFault(Exception):
    """The store does not do what was asked, and nothing changed; the text says why."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class Unknown(StoreFault):
    """There is no such row."""


class Duplicate(StoreFault):
    """There is one already."""


class MaskedKey(StoreFault):
    """A key that is only what stands for one, and not for the key that is there."""

    def __init__(self) -> None:
        super().__init__("api_key is a masked key, not a key.", "api_key")
