"""What one file's text says to the lint rules: plain data that can be kept and sent on."""

from __future__ import annotations

from typing import NamedTuple

from orchctl.chain.findings import Finding


class Link(NamedTuple):
    """A foreign key that upgrade() declares.

    Attributes:
        child: The table that has it.
        parent: The table that it refers to.
        on_delete: CASCADE, SET NULL, …, upper case; None when nothing is declared.
        name: The constraint's name.
        column: The column it is on; None when there are several, or it is not known.
    """

    child: str
    parent: str
    on_delete: str | None
    name: str | None = None
    column: str | None = None


class Unlink(NamedTuple):
    """Foreign keys that go: those of a table, of that name or on that column where one is given.

    Attributes:
        child: The table; None when it is not known, so that it may be any.
        name: The constraint's name.
        column: The column it is on.
        unsure: Whether the text does not tell which one goes. Its name is looked up where it was
            given none.
    """

    child: str | None
    name: str | None = None
    column: str | None = None
    unsure: bool = False


class Renaming(NamedTuple):
    """A table that gets another name."""

    old: str
    new: str


class Rebuild(NamedTuple):
    """A batch_alter_table that copies its table: what matters when other tables refer to it.

    Attributes:
        table: The table.
        line: Where, from 1.
        column: The column, from 1.
    """

    table: str
    line: int
    column: int


Step = Link | Unlink | Renaming | Rebuild


class FileLint(NamedTuple):
    """What a file's text shows.

    Attributes:
        findings: What this file alone is enough to see.
        revision: Its id.
        steps: What upgrade() does to foreign keys and to tables that may have some, in order: L05
            needs those of the whole chain.
        given: The names of constraints it gives, of those that look like a server's own.
        unnamed: What is wrong unless another file gives that name: the name, the finding.
    """

    findings: tuple[Finding, ...] = ()
    revision: str | None = None
    steps: tuple[Step, ...] = ()
    given: frozenset[str] = frozenset()
    unnamed: tuple[tuple[str, Finding], ...] = ()
