"""`orchctl config show`."""

from __future__ import annotations

import typer

from orchctl.cli.invocation import Json, begin


def register(app: typer.Typer) -> None:
    """Add the command group to the tree."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("show")(show)
    app.add_typer(group, name="config", help="The settings in force and where they come from.")


def show(context: typer.Context, as_json: Json = False) -> None:
    """Every setting, its value (secrets masked) and where it came from."""
    invocation = begin(context, as_json)
    from orchctl.config import masked_url
    from orchctl.config.settings import described

    rows = described(invocation.settings)
    rows = [(name, masked_url(value), origin) for name, value, origin in rows]
    data = {
        "settings": [
            {"name": name, "value": value or None, "origin": origin} for name, value, origin in rows
        ]
    }
    invocation.output.result(
        data, lambda: invocation.output.table(("setting", "value", "from"), rows)
    )
