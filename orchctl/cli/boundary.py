"""The one error boundary: it alone turns errors into messages and exit codes."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import typer

from orchctl.cli.app import command_tree, own_words
from orchctl.cli.invocation import Invocation
from orchctl.cli.retyped import retyped
from orchctl.config import masked_url
from orchctl.errors import (
    ConfigurationError,
    ExitCode,
    Interrupted,
    OperationFailed,
    OrchctlError,
    UsageError,
)

# Seconds until an interruption that was dropped comes again.
_AGAIN_AFTER = 0.01


def run(arguments: list[str] | None = None) -> int:
    """Run a command line.

    Args:
        arguments: The words after `orchctl`; None takes the process's own.

    Returns:
        The exit code (docs/exit-codes.md).
    """
    _open_standard_streams()
    words = sys.argv[1:] if arguments is None else arguments
    invocation = Invocation()
    invocation.output.as_json = "--json" in own_words(words)
    try:
        # A container is stopped with SIGTERM: it must unwind like Ctrl-C, not die in mid-step.
        signal.signal(signal.SIGTERM, _interrupt)
        if sys.unraisablehook is sys.__unraisablehook__:
            sys.unraisablehook = _unraisable
        code = _execute(words, invocation)
        return _flushed(code if isinstance(code, int) else ExitCode.DONE)
    except BaseException as error:  # noqa: BLE001 - the boundary
        return _report(error, invocation)


def _flushed(code: int) -> int:
    """The exit code, which stands even where nobody reads the end of the output."""
    try:
        sys.stdout.flush()
    except BrokenPipeError as error:
        _without_a_reader(error)
    except OSError as error:
        # It must not fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise _full(error) from error
    return code


def _full(error: OSError) -> OperationFailed:
    return OperationFailed(
        f"Something could not be written: {(error.strerror or str(error)).lower()}",
        code="report-unwritable",
        hint="df -h shows what is full: where stdout leads to, mostly; orchctl status shows how "
        "things are",
    )


def _execute(words: list[str], invocation: Invocation) -> object:
    tree = command_tree(words)
    if "_ORCHCTL_COMPLETE" in os.environ:  # a shell wants to know how a word could go on
        return tree(words, standalone_mode=False, obj=invocation, prog_name="orchctl")
    # Not tree(…): there Ctrl-C and a closed pipe end as exit codes, without a word.
    with tree.make_context("orchctl", list(words), obj=invocation) as context:
        return tree.invoke(context)


def _open_standard_streams() -> None:
    """Make stdin, stdout and stderr fit for use.

    Where one is closed (`>&-`), something is put behind it: otherwise the next file to be opened,
    a database perhaps, gets the number that prints go to.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        # LANG=C in a container: what can't be written there is escaped, and no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    """Interrupt once more where Python drops the interruption: in a destructor or a callback."""
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
        return
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_AFTER)


def _report(error: BaseException, invocation: Invocation) -> int:
    try:
        return _told(error, invocation)
    except BrokenPipeError:
        return _without_a_reader(error)


def _without_a_reader(error: BaseException) -> int:
    """The exit code where the reader of our output is gone (`orchctl history | head -1`).

    That alone is no failure; what the command itself ran into still counts.
    """
    for stream in (sys.stdout, sys.stderr):
        # What is still in the buffer must not fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return ExitCode.DONE if isinstance(error, BrokenPipeError) else _known(error).exit_code


def _told(error: BaseException, invocation: Invocation) -> int:
    if invocation.output.debug and not isinstance(error, (SystemExit, typer.Exit)):
        import traceback

        sys.stderr.write(masked_url("".join(traceback.format_exception(error))))
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else ExitCode.NEGATIVE
    if isinstance(error, BrokenPipeError):
        return _without_a_reader(error)
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{error}\n")
        return ExitCode.USAGE
    known = _known(error)
    known.message = masked_url(known.message)
    if known.code != "bad-setting":  # else the option itself is what is wrong
        known.hint = retyped(known.hint, invocation.flags)
        known.state = retyped(known.state, invocation.flags)
    invocation.output.error(known)
    return known.exit_code


def _known(error: BaseException) -> OrchctlError:
    match error:
        case OrchctlError():
            return error
        case typer.TyperException():
            return _usage(error)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT, filename=None):
            return _full(error)
        case KeyboardInterrupt() | typer.Abort():
            return Interrupted("Interrupted")
        case FileNotFoundError() if not _has_folder():
            return ConfigurationError(
                "The working folder is not there any more",
                code="no-working-folder",
                hint="Change to a folder that is: cd PATH",
            )
        case _:
            return _bug(error)


def _has_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 only asked
    except FileNotFoundError:
        return False
    return True


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
    text = text.replace(": Value error, ", ": ")  # from pydantic, by which Typer converts values
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "orchctl"
    return UsageError(text.rstrip("."), hint=f"{command} --help")
