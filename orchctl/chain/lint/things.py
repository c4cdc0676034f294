"""What an expression of a revision stands for, as far as its text tells.

Constants stand for themselves (a tuple for every constant sequence, a dict for a dict); everything
else is one of these.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

# A value as the reader sees it: a constant, or one of the classes below.
Thing = Any


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()

# Stands in a text for a part that only running the file would tell.
GAP = "\x00"


class Rough(str):
    """A text of which parts are unknown: each is a `GAP`."""

    __slots__ = ()


class Dotted(NamedTuple):
    """Something imported, by its full name: `alembic.op.create_table`, `sqlalchemy.func`."""

    name: str


class Built(NamedTuple):
    """What a call to SQLAlchemy gives: a column, a type, a statement.

    Attributes:
        name: The last part of what was called, `func.now` for a function.
        args: The arguments.
        keywords: Those given by name; `**` is there when some were not written out.
    """

    name: str
    args: tuple[Thing, ...]
    keywords: Mapping[str, Thing]


class Bind(NamedTuple):
    """A connection.

    Attributes:
        own: Whether it is the migration's own, not one to the same database beside it.
    """

    own: bool


class Session(NamedTuple):
    """An ORM session, or a factory of some; `own`: whether on the migration's connection."""

    own: bool
    factory: bool = False


class Special(NamedTuple):
    """One of the things with which a revision reaches its database."""

    kind: Literal["context", "dialect", "engine", "inspector", "raw", "result", "functions"]


CONTEXT = Special("context")
DIALECT = Special("dialect")
ENGINE = Special("engine")
INSPECTOR = Special("inspector")
RAW = Special("raw")
RESULT = Special("result")
FUNCTIONS = Special("functions")  # globals()


class Batch(NamedTuple):
    """What `with op.batch_alter_table(…) as batch_op` gives.

    Attributes:
        table: The table, None where the text does not tell.
        node: The call.
        keywords: What else was given.
        since: How many acts there were before it.
    """

    table: str | None
    node: ast.Call
    keywords: Mapping[str, Thing]
    since: int

    @property
    def plain(self) -> bool:
        """Whether it only sends ALTER statements."""
        return bool(self.keywords.get("recreate") == "never")


class Local(NamedTuple):
    """A function of the file's own, and the names around it where it was defined."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    around: Mapping[str, Thing]


class Method(NamedTuple):
    """A method of something, not called yet."""

    of: Thing
    name: str


def truth(thing: Thing) -> bool | None:
    """Whether a value counts as true; None where the text does not tell."""
    if thing is None or type(thing) in _PLAIN:
        return bool(thing)
    return None


def text_of(thing: Thing) -> str | None:
    """A text that is known in full."""
    return thing if type(thing) is str else None


_PLAIN = frozenset((bool, int, float, str, bytes, tuple, dict))
PLAIN = _PLAIN | {type(None)}
