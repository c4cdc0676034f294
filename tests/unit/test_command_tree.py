"""The tree of commands: built only as far as needed, and converting values as Typer does."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from orchctl.cli.app import command_tree
from orchctl.cli.parameters import lighten

WHOLE = list(command_tree().commands)


@pytest.mark.parametrize("name", WHOLE)
def test_every_command_is_found_by_its_own_name(name: str) -> None:
    assert name in command_tree(["--json", name, "-x", "y"]).commands


def test_words_behind_two_dashes_are_somebody_else_s() -> None:
    assert command_tree(["run", "--", "backup", "--help"]).commands.keys() == {"run"}


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["--json", "upgrade", "--help"], ["-h", "status"], ["upgrad"]]
)
def test_help_and_what_is_no_command_see_the_whole_tree(words: list[str]) -> None:
    assert list(command_tree(words).commands) == WHOLE


def test_the_help_of_a_command_needs_no_other() -> None:
    assert command_tree(["upgrade", "--help"]).commands.keys() == {"upgrade", "downgrade"}


def test_a_list_of_commands_has_all_but_their_options() -> None:
    whole, listed = command_tree().commands, command_tree(["--help"]).commands
    for name, command in whole.items():
        for told in ("get_short_help_str", "hidden", "deprecated"):
            one, other = getattr(command, told), getattr(listed[name], told)
            assert (one() if callable(one) else one) == (other() if callable(other) else other)
    assert not listed["upgrade"].params


def test_a_shell_that_completes_gets_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_ORCHCTL_COMPLETE", "complete_bash")
    found = command_tree([]).commands
    assert found["upgrade"].params
    assert "create" in found["backup"].commands


def test_the_order_of_help_does_not_depend_on_the_words() -> None:
    both = [name for name in WHOLE if name in command_tree(["status", "current"]).commands]
    assert both == list(command_tree(["current", "status"]).commands)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def _tool() -> typer.Typer:
    app = typer.Typer(add_completion=False)

    @app.command()
    def paint(
        name: str,
        times: int = 1,
        tags: Annotated[list[str] | None, typer.Option("--tag")] = None,
        path: Path | None = None,
        there: Annotated[Path | None, typer.Option(exists=True)] = None,
        colour: Colour = Colour.RED,
        loud: bool = False,
        quiet: bool | None = None,
        parsed: Annotated[str, typer.Option(parser=str.upper)] = "",
    ) -> dict[str, Any]:
        return locals()

    return app


@pytest.mark.parametrize(
    "words",
    [
        "wall",
        "wall --times 3",
        "wall --times three",
        "wall --tag a --tag b",
        "wall --path nowhere/x",
        "wall --path .",
        "wall --there nowhere",
        "wall --there .",
        "wall --colour blue",
        "wall --colour BLUE",
        "wall --colour green",
        "wall --loud --no-quiet",
        "wall --parsed abc",
        "",
        "wall --unknown",
    ],
)
def test_a_light_parameter_gives_what_typers_own_gives(words: str) -> None:
    light = typer.main.get_command(_tool())
    lighten(light)
    assert _outcome(light, words) == _outcome(typer.main.get_command(_tool()), words)


def _outcome(command: Any, words: str) -> tuple[str, Any]:
    try:
        return "result", command(words.split(), standalone_mode=False)
    except typer.TyperException as error:
        return type(error).__name__, str(error)
