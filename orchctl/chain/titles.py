"""Every rule's id and title: known without importing what looks for it."""

from __future__ import annotations

from typing import NamedTuple


class RuleTitle(NamedTuple):
    """A rule's id and title, for lists."""

    id: str
    title: str


_TITLES = (
    RuleTitle("C01", "A parent is named by its file instead of its id"),
    RuleTitle("C02", "Two files claim the same id"),
    RuleTitle("C03", "The chain runs in a loop"),
    RuleTitle("C04", "The chain has several heads"),
    RuleTitle("C05", "The chain has several bases"),
    RuleTitle("C06", "A parent is missing"),
    RuleTitle("C07", "A file cannot be read"),
    RuleTitle("C08", "A file does not say what it must, or says it in code"),
    RuleTitle("C09", "A dependency is unknown or runs in a loop"),
    RuleTitle("C10", "A branch label is in use already"),
    RuleTitle("C11", "An id has forbidden characters, or nearly is another"),
    RuleTitle("C12", "The docstring contradicts the code"),
    RuleTitle("C13", "A locked revision was changed afterwards"),
    RuleTitle("C14", "There are no revisions"),
    RuleTitle("C15", "Two branches are sound, and broken once merged"),
    RuleTitle("C16", "A database's stamp does not fit the chain"),
    RuleTitle("C17", "A revision is older than its parent"),
    RuleTitle("C18", "A link that adds nothing, or runs in silence"),
    RuleTitle("C19", "An id or label is reserved, or cannot be stored"),
    RuleTitle("I01", "An ignore comment lacks its rule or its reason"),
    RuleTitle("I02", "An ignore comment ignores nothing"),
    RuleTitle("L01", "A revision commits on its own"),
    RuleTitle("L02", "A table or column is dropped with its data"),
    RuleTitle("L03", "A NOT NULL column is added without a server default"),
    RuleTitle("L04", "A column is added with a default that is not constant"),
    RuleTitle("L05", "A table is rebuilt while others refer to it"),
    RuleTitle("L06", "A constraint has no name in batch mode"),
    RuleTitle("L07", "The downgrade is missing, empty or not the upgrade's"),
    RuleTitle("L08", "The application's models are imported"),
    RuleTitle("L09", "A read breaks --sql"),
    RuleTitle("L10", "An ALTER that SQLite does not have"),
    RuleTitle("L11", "A failure is swallowed"),
    RuleTitle("L12", "A PRAGMA is set"),
    RuleTitle("L13", "func.case() where case() is meant"),
)
# Found elsewhere than by looking at the files of a chain.
ELSEWHERE = frozenset(("C13", "C15", "C16", "I01", "I02"))
# About what SQLite alone does, or cannot do.
SQLITE_ONLY = ("L04", "L05", "L06", "L10", "L12")
# Found in the functions' code.
LINT = frozenset(one.id for one in _TITLES if one.id.startswith("L"))


def rule_titles() -> tuple[RuleTitle, ...]:
    """Every rule there is, by id."""
    return _TITLES
