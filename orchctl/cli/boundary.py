"""The one error boundary: it alone turns errors into messages and exit codes."""

from __future__ import annotations

import io
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import typer

from orchctl.cli.app import command_tree
from orchctl.cli.invocation import Invocation
from orchctl.config import masked_url
from orchctl.errors import ExitCode, Interrupted, OrchctlError, UsageError


def run(arguments: list[str] | None = None) -> int:
    """Run a command line.

    Args:
        arguments: The words after `orchctl`; None takes the process's own.

    Returns:
        The exit code (docs/exit-codes.md).
    """
    words = sys.argv[1:] if arguments is None else arguments
    invocation = Invocation()
    invocation.output.as_json = "--json" in words
    for stream in (sys.stdout, sys.stderr):
        # LANG=C in a container: what can't be written there is escaped, and no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # A container is stopped with SIGTERM: it must unwind like Ctrl-C, not die in mid-step.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        tree = command_tree(words)
        code = tree(words, standalone_mode=False, obj=invocation, prog_name="orchctl")
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - the boundary
        return _report(error, invocation)
    return code if isinstance(code, int) else ExitCode.DONE


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _report(error: BaseException, invocation: Invocation) -> int:
    if invocation.output.debug and not isinstance(error, (SystemExit, typer.Exit)):
        import traceback

        sys.stderr.write(masked_url("".join(traceback.format_exception(error))))
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else ExitCode.NEGATIVE
    if isinstance(error, BrokenPipeError):
        # The reader of our stdout is gone (`orchctl history | head`): nothing left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{error}\n")
        return ExitCode.USAGE
    known = _known(error)
    known.message = masked_url(known.message)
    invocation.output.error(known)
    return known.exit_code


def _known(error: BaseException) -> OrchctlError:
    match error:
        case OrchctlError():
            return error
        case typer.TyperException():
            return _usage(error)
        case KeyboardInterrupt() | typer.Abort():
            return Interrupted("Interrupted")
        case _:
            return _bug(error)


class _Bug(OrchctlError):
    code = "bug"
    exit_code = ExitCode.BUG


def _bug(error: BaseException) -> OrchctlError:
    return _Bug(
        f"orchctl has a bug: {type(error).__name__}: {error}",
        hint="Run the same command with --debug before it and report what it prints",
    )


def _usage(error: typer.TyperException) -> OrchctlError:
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "orchctl"
    return UsageError(text.rstrip("."), hint=f"{command} --help")
