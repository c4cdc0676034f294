"""What can go wrong, as a tree of errors. Standard library only.

Every error carries what a person needs next: the message (what happened), the state (how things
are now), the hint (what to type next), and, for scripts, a kebab-case code and an exit code.
One place maps them to the outside: the error boundary in `orchctl.cli`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar


class ExitCode(IntEnum):
    """Exit codes of every command; docs/exit-codes.md explains each."""

    DONE = 0
    NEGATIVE = 1
    USAGE = 2
    CONFIGURATION = 3
    LOCKED = 4
    REFUSED = 5
    FAILED = 6
    RESTORED = 7
    RESTORE_FAILED = 8
    WORKLOAD = 9
    TIMEOUT = 10
    BUG = 70
    NOT_EXECUTABLE = 126
    NOT_FOUND = 127
    INTERRUPTED = 130


def typed(path: object) -> str:
    """A path as it is typed in a shell: hints are copied, and paths may hold blanks."""
    import shlex

    return shlex.quote(str(path))


class OrchctlError(Exception):
    """Base of all expected errors.

    Args:
        message: What happened, one sentence, no final period.
        hint: What to type or look at next.
        state: What state the database (or workload) is in now.
        code: Kebab-case identifier; defaults to the class's own.
        details: Further facts for `--json`, JSON-serialisable.
    """

    code: str = "error"
    exit_code: ClassVar[ExitCode] = ExitCode.NEGATIVE

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        state: str | None = None,
        code: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.state = state
        self.code = code or type(self).code
        self.details = details or {}


class NegativeAnswer(OrchctlError):
    """The question was answered, and the answer is no: findings, drift, pending, unhealthy."""

    code = "negative"
    exit_code = ExitCode.NEGATIVE


class UsageError(OrchctlError):
    """The command line asks for something that doesn't exist or fits together."""

    code = "usage"
    exit_code = ExitCode.USAGE


class ConfigurationError(OrchctlError):
    """A setting, file or environment variable is missing, unknown or wrong."""

    code = "configuration"
    exit_code = ExitCode.CONFIGURATION


class LockHeld(OrchctlError):
    """Somebody else holds the database and did not let go in time."""

    code = "lock-held"
    exit_code = ExitCode.LOCKED


class Refused(OrchctlError):
    """A guard said no before anything was changed."""

    code = "refused"
    exit_code = ExitCode.REFUSED


class UpgradeFailed(OrchctlError):
    """A revision failed; the database is as it was before."""

    code = "upgrade-failed"
    exit_code = ExitCode.FAILED


class OperationFailed(OrchctlError):
    """Work other than an upgrade failed (a snapshot, a check); the database is as before."""

    code = "operation-failed"
    exit_code = ExitCode.FAILED


class UpgradeRestored(OrchctlError):
    """The upgrade failed and the snapshot was put back."""

    code = "upgrade-restored"
    exit_code = ExitCode.RESTORED


class RestoreFailed(OrchctlError):
    """A restore failed; a person is needed."""

    code = "restore-failed"
    exit_code = ExitCode.RESTORE_FAILED


class WorkloadFailed(OrchctlError):
    """A container, pod or its health check failed."""

    code = "workload-failed"
    exit_code = ExitCode.WORKLOAD


class TimedOut(OrchctlError):
    """Something awaited did not happen within its timeout."""

    code = "timeout"
    exit_code = ExitCode.TIMEOUT


class CommandNotExecutable(OrchctlError):
    """The command behind `run --` is there, but can't be executed; a shell's exit code for it."""

    code = "command-not-executable"
    exit_code = ExitCode.NOT_EXECUTABLE


class CommandNotFound(OrchctlError):
    """There is no such command behind `run --`; a shell's exit code for it."""

    code = "command-not-found"
    exit_code = ExitCode.NOT_FOUND


class Interrupted(OrchctlError):
    """Ctrl-C or SIGTERM; the state says what was and wasn't done."""

    code = "interrupted"
    exit_code = ExitCode.INTERRUPTED
