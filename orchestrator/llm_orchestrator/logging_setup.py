"""How log lines look and where they go. Set up by the command line, once in a process."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from llm_orchestrator.settings import Settings

# Keys of the known providers and of callers, should a foreign text bring one along.
_SECRETS = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{4})[A-Za-z0-9_-]{4,}|\b(AIza)[A-Za-z0-9_-]{16,}"
    r"|(?i:\b(bearer|x-api-key:|x-admin-key:|key=)\s*)[A-Za-z0-9._~+/=-]{8,}"
)
# What a terminal would obey: escape sequences in a path, a name, a provider's message. The line's
# own ends, where a text has such, are written by the renderer.
_CONTROLS = {
    number: f"\\x{number:02x}"
    for number in (*range(32), *range(127, 160))
    if chr(number) not in "\t\n\r"
}


def set_up_logging(settings: Settings) -> None:
    """Send structlog's lines and those of the standard library the same way.

    Raises OSError when LOG_FILE can't be opened.
    """
    handler: logging.Handler
    if settings.log_file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        handler = logging.FileHandler(settings.log_file, encoding="utf-8")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _forget_colors,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(settings.log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    # These tell of every request, with its address.
    for name in ("httpx", "httpcore", "aiosqlite"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancelled_request)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _is_no_cancelled_request(record: logging.LogRecord) -> bool:
    """Leave out the traceback of a request that had not ended by SHUTDOWN_SECONDS.

    The web server says how many they are, and each is in the request logs.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _forget_colors(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take away the second form, in color, that the web server gives its own messages."""
    event.pop("color_message", None)
    return event


def _rendering(form: str) -> list[Processor]:
    if form == "json":
        return [
            structlog.processors.format_exc_info,
            mask_secrets,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    return [
        structlog.processors.format_exc_info,
        mask_secrets,
        escape_controls,
        structlog.dev.ConsoleRenderer(colors=False),
    ]


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put stars for what looks like a key, in every text of a line."""
    return {name: _masked(value) for name, value in event.items()}


def escape_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write control characters out, in every text of a line."""
    return {
        name: value.translate(_CONTROLS) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRETS.sub(lambda m: f"{m[1] or m[2] or m[3]}…", value)
    return value
