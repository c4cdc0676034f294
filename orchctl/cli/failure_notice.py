"""`--on-failure-url`: whoever isn't looking hears that a scheduled command failed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.config import masked_url
from orchctl.errors import ExitCode, OrchctlError

if TYPE_CHECKING:
    from orchctl.output import Output

OnFailureUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="When it fails, POST a short JSON there; 10s, exit code unchanged."
    ),
]


@contextmanager
def failures_told(
    url: str | None, event: str, output: Output
) -> Iterator[Callable[[str, str], None]]:
    """Tell a URL when the body fails, and let the failure go on.

    Args:
        url: Where to; None tells nobody.
        event: What failed: `backup-failed`.
        output: Hears when the notice does not arrive.

    Yields:
        What to call with code and message for a failure that is no exception.

    Raises:
        UsageError: `bad-url`, before the body.
    """
    if url is not None:
        from orchctl.workloads.health import require_url

        require_url(url)

    def tell(code: str, message: str, exit_code: int = ExitCode.NEGATIVE) -> None:
        if url is not None:
            _tell(url, _notice(event, code, message, exit_code), output)

    try:
        yield tell
    except OrchctlError as error:
        tell(error.code, error.message, error.exit_code)
        raise
    except KeyboardInterrupt:
        tell("interrupted", "Interrupted", ExitCode.INTERRUPTED)
        raise
    except BaseException as error:
        tell("bug", type(error).__name__, ExitCode.BUG)
        raise


def _notice(event: str, code: str, message: str, exit_code: int) -> dict[str, Any]:
    return {
        "event": event,
        "host": os.uname().nodename,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "exit_code": int(exit_code),
        "error": {"code": code, "message": masked_url(message)},
    }


def _tell(url: str, notice: dict[str, Any], output: Output) -> None:
    from urllib.parse import urlsplit

    from orchctl.workloads.notice import send_notice

    if why := send_notice(url, notice):
        # The path and the query of such URLs are often the secret itself.
        output.warning(f"the notice did not get to {urlsplit(url).hostname}: {why}", always=True)
