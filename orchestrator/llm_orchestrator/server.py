"""The web server around the application."""

from __future__ import annotations

import socket

import structlog
import uvicorn

from llm_orchestrator.app import create_app
from llm_orchestrator.database_url import read_database_url
from llm_orchestrator.logging_setup import set_up_logging
from llm_orchestrator.settings import Settings

logger = structlog.stdlib.get_logger(__name__)


def run(settings: Settings, listening: socket.socket) -> bool:
    """Serve on a bound socket until a signal says to end; running requests are waited for.

    Returns whether it ever started. Raises OSError when LOG_FILE can't be opened.
    """
    set_up_logging(settings)
    config = uvicorn.Config(
        create_app(settings),
        # The middleware logs requests, with their ids.
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    host, port = listening.getsockname()[:2]
    logger.info(
        "starting",
        url=f"http://{host}:{port}",
        database=str(read_database_url(settings.database_url)),
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    return server.started
