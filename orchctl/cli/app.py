"""The command tree: global options and the registration of every command."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from orchctl import __version__
from orchctl.cli.invocation import begin
from orchctl.cli.parameters import lighten
from orchctl.output import Output

# Which module registers which commands, in the order of `--help`. Only what is run gets imported:
# the others would cost more than many a command.
_REGISTERED = {
    "status": ("status",),
    "upgrade": ("upgrade", "downgrade"),
    "run": ("run",),
    "wait_db": ("wait-db",),
    "health": ("health",),
    "doctor": ("doctor",),
    "docker": ("docker",),
    "kubernetes": ("k8s",),
    "stamp": ("stamp",),
    "rehearse": ("rehearse",),
    "rollback": ("rollback",),
    "deploy": ("deploy",),
    "backup": ("backup",),
    "listing": ("heads", "branches", "history", "show"),
    "current": ("current",),
    "authoring": ("revision", "merge", "check"),
    "verify_chain": ("verify-chain",),
    "explain": ("explain",),
    "settings": ("config",),
}

_HELP = frozenset({"--help", "-h"})
_COMPLETION = "_ORCHCTL_COMPLETE"  # set by a shell that asks for completions, of any command


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"orchctl {__version__}")
        raise typer.Exit


def main(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="alembic.ini or pyproject.toml of the project."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Section of alembic.ini to use.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Database URL, instead of the configured.")
    ] = None,
    x: Annotated[
        list[str] | None, typer.Option("-x", help="KEY=VALUE handed to env.py, repeatable.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on stdout, errors as JSON.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks with errors.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Safe Alembic migrations, snapshots and restarts for services that keep data in SQLite."""
    invocation = begin(context, config=config, section=name, url=url, x=x or None)
    invocation.output = Output(
        as_json=as_json or invocation.output.as_json,
        quiet=quiet,
        colour=not no_color,
        debug=debug,
    )


def own_words(words: Sequence[str]) -> Sequence[str]:
    """The words that orchctl's options may be among: not those behind `--`."""
    return words[: words.index("--")] if "--" in words else words


def command_tree(words: Sequence[str] | None = None) -> Any:
    """The tree of commands as Typer runs it.

    Args:
        words: The words of the command line: modules whose commands are not among them are left
            out. Words that name no command, or begin with a wish for help, give all commands, but
            only what a list of them needs. None gives the whole tree.
    """
    ours = list(own_words(words or ()))
    given = set(ours)
    needed = [module for module, names in _REGISTERED.items() if given & set(names)]
    # Then no command is run: they are listed, or the nearest to what was typed is told.
    listed = words is not None and (not needed or ours[0] in _HELP)
    if not needed or (given & _HELP and not _begins_with_command(ours)):
        needed = list(_REGISTERED)
    app = typer.Typer(
        name="orchctl",
        help=main.__doc__,
        no_args_is_help=True,
        rich_markup_mode=None,  # Rich would cost more than all the rest of `--help`
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(main)
    for module in needed:
        import_module(f"orchctl.cli.{module}").register(app)
    if listed and _COMPLETION not in os.environ:
        _strip(app)
    tree = typer.main.get_command(app)
    lighten(tree)
    return tree


def _begins_with_command(words: Sequence[str]) -> bool:
    return any(words[0] in names for names in _REGISTERED.values())


def _strip(app: typer.Typer) -> None:
    """Leave names and help of the commands: reading all their options takes as long as Python."""
    for command in app.registered_commands:
        callback = command.callback

        def nothing() -> None:
            """Stands for a command that is listed."""

        nothing.__doc__ = callback.__doc__
        command.callback = nothing
    for group in app.registered_groups:
        below = group.typer_instance
        if below is not None:
            below.registered_commands, below.registered_groups = [], []
