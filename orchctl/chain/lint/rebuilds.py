"""L05: tables that are rebuilt while rows of others depend on theirs.

A table is rebuilt by making a new one, copying the rows, and dropping the old one. With
foreign_keys=ON, SQLite first deletes the rows of a table that is dropped
(https://sqlite.org/foreignkeys.html#fk_schemacommands), and the children follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from orchctl.chain.findings import Finding
from orchctl.chain.lint.acts import Act
from orchctl.chain.lint.file_lint import FileLint, Link, Rebuild, Renaming, Step, Unlink
from orchctl.chain.lint.sql import links_in
from orchctl.chain.lint.subject import Subject
from orchctl.chain.lint.things import UNKNOWN, Batch, Built, Thing
from orchctl.chain.lint.transactions import is_off

_LOSING = {"CASCADE": "deleted", "SET NULL": "set to NULL", "SET DEFAULT": "set to their default"}


def steps_of(subject: Subject) -> tuple[Step, ...]:
    """What upgrade() does to foreign keys, and which tables it rebuilds, in order."""
    steps: list[Step] = []
    enforced = True
    acts = subject.upgrade.acts
    for index, act in enumerate(acts):
        if act.sql is not None and act.sql.kind == "pragma":
            if (act.table or "").lower() == "foreign_keys":
                enforced = not is_off(act.sql)
        elif act.kind == "batch":
            if enforced and act.table and _rebuilds(act.batch, acts[:index]):
                steps.append(Rebuild(act.table, *subject.place(act.node)))
        elif act.kind == "drop_constraint":
            steps.extend(_dropped(act))
        elif act.table:
            steps.extend(_steps(act, act.table))
    return tuple(steps)


def _rebuilds(batch: Batch | None, acts: Sequence[Act]) -> bool:
    """Whether Alembic copies the table: SQLiteImpl.requires_recreate_in_batch."""
    if batch is None or batch.plain:
        return False
    own = [act for act in acts[batch.since :] if act.batch is batch]
    always = batch.keywords.get("recreate") == "always"
    return bool(own) and (always or any(_needs_copy(act) for act in own))


def _needs_copy(act: Act) -> bool:
    if act.kind == "index":
        return False
    if act.kind != "add_column":
        return True
    column = act.column
    if column is None:
        return False
    given = [one for one in column.args if isinstance(one, Built)]
    return (
        isinstance(column.keywords.get("server_default"), Built)
        or column.keywords.get("unique") is True
        or any(one.name == "ForeignKey" for one in given)
        or any(one.name == "Computed" and one.keywords.get("persisted") for one in given)
    )


def _steps(act: Act, table: str) -> Iterator[Step]:
    kind = act.effect
    if act.sql is not None and kind in ("create_table", "add_column"):
        for parent, on_delete in links_in(act.sql):
            yield Link(table, parent, on_delete, column=act.sql.name)
    elif kind in ("create_table", "add_column"):
        yield from _links(table, act.args)
    elif act.call == "create_foreign_key":
        yield from _made(act, table)
    elif kind == "drop_table":
        yield Unlink(table)
    elif kind == "drop_column":
        column = act.sql.name if act.sql else act.arg(0, "column_name")
        if type(column) is str:
            yield Unlink(table, None, column)
    elif kind == "rename_table":
        new = act.sql.name if act.sql else act.arg(0, "new_table_name")
        if type(new) is str:
            yield Renaming(table, new)


def _dropped(act: Act) -> Iterator[Unlink]:
    name = act.arg(0, "constraint_name")
    if type(name) is str:
        yield Unlink(act.table, name)
    elif name is not None and act.arg(1, "type_") in ("foreignkey", None, UNKNOWN):
        yield Unlink(act.table, unsure=True)


def _links(table: str, args: Iterable[Thing]) -> Iterator[Link]:
    for one in args:
        if not isinstance(one, Built):
            continue
        if one.name == "Column":
            column = _text(one.args[0]) if one.args else None
            for key in one.args:
                if isinstance(key, Built) and key.name == "ForeignKey" and key.args:
                    yield from _link(table, key.args[0], key, column)
        elif one.name == "ForeignKeyConstraint" and len(one.args) > 1:
            own, others = one.args[:2]
            if type(others) is tuple and others:
                yield from _link(table, others[0], one, _only(own))


def _link(table: str, target: Thing, key: Built, column: str | None) -> Iterator[Link]:
    """`target` is "table.column", or "schema.table.column"."""
    if type(target) is str and "." in target:
        on_delete, name = key.keywords.get("ondelete"), _text(key.keywords.get("name"))
        yield Link(table, target.split(".")[-2], _action(on_delete), name, column)


def _made(act: Act, table: str) -> Iterator[Link]:
    parent = act.arg(1, "referent_table")
    if type(parent) is str:
        columns = act.arg(2, "local_cols")
        name = _text(act.arg(0, "constraint_name"))
        yield Link(table, parent, _action(act.keywords.get("ondelete")), name, _only(columns))


def _action(thing: Thing) -> str | None:
    return " ".join(thing.upper().split()) if type(thing) is str else None


def _only(columns: Thing) -> str | None:
    return _text(columns[0]) if type(columns) is tuple and len(columns) == 1 else None


def _text(thing: Thing) -> str | None:
    return thing if type(thing) is str else None


def on_parents(lints: Iterable[tuple[Path, FileLint]]) -> Iterator[Finding]:
    """L05 over a chain.

    Args:
        lints: Each file with what it shows, in the order in which they are applied.
    """
    links = _Links()
    for path, lint in lints:
        for step in lint.steps:
            if isinstance(step, Link):
                links.add(step)
            elif isinstance(step, Unlink):
                links.forget(step)
            elif isinstance(step, Renaming):
                links = links.renamed(step)
            else:
                hit = [one for one in links.to(step.table) if one.on_delete in _LOSING]
                if hit:
                    yield _finding(path, lint, step, hit)


class _Links:
    """The foreign keys that there are; found by either end, for chains that drop a lot."""

    def __init__(self) -> None:
        self._of_parent: dict[str, list[Link]] = {}
        self._parents: dict[str, set[str]] = {}

    def add(self, link: Link) -> None:
        self._of_parent.setdefault(link.parent, []).append(link)
        self._parents.setdefault(link.child, set()).add(link.parent)

    def to(self, parent: str) -> Sequence[Link]:
        return self._of_parent.get(parent, ())

    def forget(self, gone: Unlink) -> None:
        """Take away what goes; of a child that is not known, it may be any."""
        child = gone.child
        parents = [*self._of_parent] if child is None else self._parents.get(child, ())
        for parent in parents:
            known = self._of_parent[parent]
            self._of_parent[parent] = [one for one in known if not _is_gone(one, gone)]
        if child is not None and not gone.unsure and gone.name is None and gone.column is None:
            self._parents.pop(child, None)  # the table itself is gone

    def renamed(self, step: Renaming) -> _Links:
        found = _Links()
        for known in self._of_parent.values():
            for one in known:
                child = step.new if one.child == step.old else one.child
                parent = step.new if one.parent == step.old else one.parent
                found.add(one._replace(child=child, parent=parent))
        return found


def _is_gone(link: Link, gone: Unlink) -> bool:
    if gone.child not in (None, link.child):
        return False
    if gone.unsure:
        return gone.child is None or link.name is None
    if gone.name is not None:
        return link.name == gone.name
    return gone.column is None or link.column == gone.column


def _finding(path: Path, lint: FileLint, step: Rebuild, links: list[Link]) -> Finding:
    told = [
        f"the links in {one.child!r} are {_LOSING[one.on_delete]}"
        if one.on_delete != "CASCADE"
        else f"its rows in {one.child!r} are deleted"
        for one in links
        if one.on_delete
    ]
    told = list(dict.fromkeys(told))
    shown = " and ".join(told[:2]) + (f" and {len(told) - 2} more" if len(told) > 2 else "")
    return Finding(
        "L05",
        "warning",
        f"Rebuilding {step.table!r} drops it for a moment: with foreign_keys=ON {shown}",
        path=path,
        line=step.line,
        column=step.column,
        revision=lint.revision,
        suggestion="Switch foreign_keys off in env.py before the transaction begins; "
        "orchctl upgrade does, and checks every key before it commits",
        alembic="nothing: it exits 0, and the rows are gone",
    )
