"""`orchctl heads`, `branches`, `history` and `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.invocation import Invocation, Json, begin
from orchctl.output import Output

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from orchctl.upgrade.history import History
    from orchctl.upgrade.revisions import Revision

Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also path, parents, date and whole message.")
]
# Lanes wider than this no longer push every text to the right.
_WIDEST_LANES = 24


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("heads")(heads)
    app.command("branches")(branches)
    app.command("history")(history)
    app.command("show")(show)


def heads(
    context: typer.Context,
    verbose: Verbose = False,
    resolve_dependencies: Annotated[
        bool,
        typer.Option(
            "--resolve-dependencies", help="Leave out heads that another revision depends on."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the heads of the chain, which no revision follows."""
    invocation = begin(context, as_json)
    from orchctl.cli.revision_text import entry, short
    from orchctl.upgrade.history import list_heads

    found = list_heads(invocation.settings, effective=resolve_dependencies)
    lines = (entry(one) if verbose else short(one, branches=True, tree=False) for one in found)
    _print(invocation.output, lines, _objects(found))


def branches(context: typer.Context, verbose: Verbose = False, as_json: Json = False) -> None:
    """Show the branch points of the chain, and what follows."""
    invocation = begin(context, as_json)
    from orchctl.cli.revision_text import entry, short
    from orchctl.upgrade.history import list_branches

    found = list_branches(invocation.settings)

    def lines() -> Iterator[str]:
        for branch in found:
            point = branch.point
            yield entry(point) if verbose else short(point, branches=True)
            for one in branch.followers:
                arrow = " " * len(point.revision) + " -> "
                yield arrow + short(one, branches=True, message=verbose)
            yield ""

    _print(invocation.output, lines(), _objects(branch.point for branch in found))


def history(
    context: typer.Context,
    rev_range: Annotated[
        str | None,
        typer.Option("--rev-range", "-r", help="Only these: [start]:[end], e.g. 002:head."),
    ] = None,
    verbose: Verbose = False,
    indicate_current: Annotated[
        bool, typer.Option("--indicate-current", "-i", help="Mark where the database is.")
    ] = False,
    graph: Annotated[
        bool, typer.Option("--graph", help="Draw the branches and merges of the chain.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the revisions, newest first."""
    invocation = begin(context, as_json)
    from orchctl.upgrade.history import list_history

    output = invocation.output
    drawn = graph and not output.as_json
    found = list_history(
        invocation.settings, rev_range, with_current=indicate_current, if_known=drawn
    )
    # Alembic marks the current one only when asked to, even when it had to look it up.
    current = found.current if indicate_current else None
    data = _objects(found.revisions)
    if current is not None:
        data["current"] = list(current)
    _print(output, _drawn(found, verbose) if drawn else _listed(found, current, verbose), data)


def show(
    context: typer.Context,
    revision: Annotated[
        str, typer.Argument(help="An id, its first four characters, a label, head, current …")
    ] = "head",
    schema: Annotated[
        str | None,
        typer.Option("--schema", metavar="TABLE", help="The table as this revision leaves it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a revision: file, parents, date, message."""
    invocation = begin(context, as_json)
    from orchctl.cli.revision_text import entry, revision_object
    from orchctl.upgrade.history import find_revisions, read_source

    if schema is not None:
        return _show_schema(invocation, revision, schema)
    found = find_revisions(invocation.settings, revision)
    objects = [revision_object(one) | {"source": read_source(one)} for one in found]
    data = objects[0] if len(objects) == 1 else {"revisions": objects}
    return _print(invocation.output, (entry(one) for one in found), data)


def _show_schema(invocation: Invocation, revision: str, table: str) -> None:
    """The one revision's object, or the SQL of the table alone."""
    from orchctl.cli.revision_text import revision_object
    from orchctl.upgrade.history import find_revision, read_source
    from orchctl.upgrade.scratch import table_ddl

    one = find_revision(invocation.settings, revision)
    schema = table_ddl(invocation.settings, one.revision, table)
    data = revision_object(one) | {"source": read_source(one), "schema": schema}
    _print(invocation.output, [schema.rstrip("\n")], data)


def _listed(found: History, current: Container[str] | None, verbose: bool) -> Iterator[str]:
    from orchctl.cli.revision_text import entry, short

    for one in found.revisions:
        here = current is not None and one.revision in current
        if verbose:
            yield entry(one, current=here)
        else:
            yield short(one, current=here, parents=True, branches=True, message=True)


def _drawn(found: History, verbose: bool) -> Iterator[str]:
    from orchctl.chain.picture.lanes import DRAWING, draw
    from orchctl.cli.revision_text import encodable, entry, label

    current = found.current or ()
    rows = draw(
        {one.revision: one.down_revisions for one in found.revisions},
        current=current,
        plain=encodable(DRAWING) != DRAWING,
    )
    revisions = {one.revision: one for one in found.revisions}
    width = min(max((len(row.text) for row in rows), default=0), _WIDEST_LANES)
    for row in rows:
        if row.revision is None:
            yield row.text
            continue
        one, here = revisions[row.revision], row.revision in current
        text = entry(one, current=here) if verbose else label(one, current=here)
        lanes = row.text
        for line in text.splitlines():
            yield f"{lanes.ljust(width)}  {line}".rstrip()
            lanes = row.below


def _objects(revisions: Iterable[Revision]) -> dict[str, Any]:
    from orchctl.cli.revision_text import revision_object

    return {"revisions": [revision_object(one) for one in revisions]}


def _print(output: Output, lines: Iterable[str], data: dict[str, Any]) -> None:
    from orchctl.cli.revision_text import encodable

    def text() -> None:
        for line in lines:
            output.line(encodable(line))

    output.result(data, text)
