"""`orchctl current`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.invocation import Json, begin
from orchctl.output import path_text

if TYPE_CHECKING:
    from orchctl.output import Output
    from orchctl.upgrade.current import Current


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("current")(current)


def current(
    context: typer.Context,
    check_heads: Annotated[
        bool, typer.Option("--check-heads", "-c", help="Exit with 1 unless it is at head.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Also database, path, parents, date and message."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the revision that the database is at."""
    invocation = begin(context, as_json)
    from orchctl.upgrade.current import read_current

    found = read_current(invocation.settings)
    objects = [_object(one) for one in found]

    def draw() -> None:
        for one in found:
            if len(found) > 1 and not verbose:
                invocation.output.line(f"{path_text(Path(one.database))}, {one.version_table}:")
            _show(invocation.output, one, verbose)

    data = objects[0] if len(objects) == 1 else {"databases": objects}
    invocation.output.result(data, draw)
    behind = [one for one in found if not one.at_head]
    if check_heads and behind:
        from orchctl.errors import NegativeAnswer

        raise NegativeAnswer(
            f"{behind[0].database} is not at head ({', '.join(behind[0].heads)})",
            code="not-at-head",
            hint="orchctl upgrade",
        )


def _object(found: Current) -> dict[str, Any]:
    return {
        "database": found.database,
        "revisions": list(found.stamped),
        "heads": list(found.heads),
        "at_head": found.at_head,
    }


def _show(output: Output, found: Current, verbose: bool) -> None:
    from orchctl.cli.revision_text import encodable, entry, short

    if verbose:
        output.line(f"Current revision(s) for {found.url}:")
    for one in found.revisions:
        output.line(encodable(entry(one) if verbose else short(one)))
    for stamp in found.unknown:
        output.line(f"{stamp} (not in this chain)")
    if not found.stamped:
        output.note(f"{found.database} is at no revision yet")
