"""Whether the models and the database differ, and in what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchctl.config import Settings


@dataclass(frozen=True)
class Operation:
    """One step from the database to the models.

    Attributes:
        operation: Alembic's name for it: `add_column`, `remove_index`, `modify_type` …
        table: The table; None where there is no telling.
        name: The column, index or constraint; None for a table or something without a name.
        text: What would be done, for people.
    """

    operation: str
    table: str | None
    name: str | None
    text: str


def find_drift(settings: Settings) -> tuple[Operation, ...]:
    """What autogenerate would write into a new revision; nothing when models and database agree.

    Raises:
        NegativeAnswer: The database is not at head (`not-at-head`).
        ConfigurationError, Refused: As `autogenerate.compare_models`.
    """
    from alembic.autogenerate import RevisionContext

    from orchctl.upgrade.authoring import Request
    from orchctl.upgrade.autogenerate import compare_models
    from orchctl.upgrade.environment import open_script

    config, script = open_script(settings)
    context = RevisionContext(config, script, Request(autogenerate=True).arguments())
    compare_models(settings, config, script, context)
    # None of them is left where env.py drops empty revisions.
    return tuple(
        operation
        for revision in context.generated_revisions
        for part in revision.upgrade_ops_list
        for operation in _described(part.ops)
    )


def _described(steps: Iterable[Any]) -> Iterator[Operation]:
    for step in steps:
        if hasattr(step, "ops"):
            yield from _described(step.ops)
            continue
        try:
            difference = step.to_diff_tuple()
        except (AttributeError, NotImplementedError):  # an operation of somebody's plugin
            yield Operation(type(step).__name__, None, None, type(step).__name__)
            continue
        for one in difference if isinstance(difference, list) else [difference]:
            yield _operation(*one)


def _operation(kind: str, *rest: Any) -> Operation:
    verb = kind.replace("_", " ")
    if kind.startswith("modify_"):
        schema, table, column, _, before, after = rest
        what = f"{_dotted(schema, table)}.{column}"
        return Operation(
            kind, table, column, f"{verb} of {what}: {_value(before)} -> {_value(after)}"
        )
    if kind in ("add_column", "remove_column"):
        schema, table, column = rest
        what = f"{_dotted(schema, table)}.{column.name}"
        return Operation(kind, table, column.name, f"{verb} {what} {_value(column.type)}")
    thing = rest[0] if rest else None
    table = getattr(thing, "table", None)
    if table is None:  # a table itself, or something foreign to us
        name = getattr(thing, "name", None)
        shown = _dotted(getattr(thing, "schema", None), name) if name else _value(thing)
        return Operation(kind, _text(name), None, f"{verb} {shown}")
    return _on_table(kind, verb, thing, table)


def _on_table(kind: str, verb: str, thing: Any, table: Any) -> Operation:
    """An index or a constraint."""
    name = _text(thing.name)
    columns = ", ".join(column.name for column in getattr(thing, "columns", ()))
    shown = f"{name or '(unnamed)'} on {_dotted(table.schema, table.name)}"
    return Operation(kind, _text(table.name), name, f"{verb} {shown} ({columns})")


def _dotted(schema: str | None, table: str) -> str:
    return f"{schema}.{table}" if schema else str(table)


def _text(name: Any) -> str | None:
    return str(name) if isinstance(name, str) else None


def _value(value: Any) -> str:
    """A type, a default or a flag in one line."""
    if value is None or isinstance(value, bool | str):
        return str(value)
    argument = getattr(value, "arg", value)  # what a DefaultClause holds
    return " ".join(str(getattr(argument, "text", argument)).split())
