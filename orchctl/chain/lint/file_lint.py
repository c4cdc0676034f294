"""What one file's text says to the lint rules: plain data that can be kept and sent on."""

from __future__ import annotations

from typing import NamedTuple

from orchctl.chain.findings import Finding


class Link(NamedTuple):
    """A foreign key that a revision's text declares.

    Attributes:
        child: The table that has it.
        parent: The table that it refers to.
        on_delete: CASCADE, SET NULL, …, upper case; None when nothing is declared.
    """

    child: str
    parent: str
    on_delete: str | None


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


class FileLint(NamedTuple):
    """What a file's text shows.

    Attributes:
        findings: What this file alone is enough to see.
        links: The foreign keys it declares; L05 needs those of the whole chain.
        rebuilds: The tables it rebuilds in upgrade().
    """

    findings: tuple[Finding, ...] = ()
    links: tuple[Link, ...] = ()
    rebuilds: tuple[Rebuild, ...] = ()
