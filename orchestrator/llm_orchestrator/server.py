"""The web server around the application."""

from __future__ import annotations

import gc
import resource
import socket

import structlog
import uvicorn

from llm_orchestrator.app import create_app
from llm_orchestrator.database_url import read_database_url
from llm_orchestrator.logging_setup import set_up_logging
from llm_orchestrator.settings import Settings

logger = structlog.stdlib.get_logger(__name__)


# Files that are open anyway: database, logs, the listening socket, connections to Redis.
_OTHER_FILES = 200
# Objects made since the last collection that start the next; requests leave hardly any cycles.
_MADE_BETWEEN_COLLECTIONS = 10_000


class Server(uvicorn.Server):
    """The web server; what it has loaded when it begins to serve stays until its end."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then take what is there out of the garbage collector's sight.

        Going through all of it takes a tenth of a second, in which nobody is answered.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_MADE_BETWEEN_COLLECTIONS)


def run(settings: Settings, listening: socket.socket) -> bool:
    """Serve on a bound socket until a signal says to end; running requests are waited for.

    Returns whether it ever started. Raises OSError when LOG_FILE can't be opened.
    """
    set_up_logging(settings)
    settings = fit_files(settings)
    config = uvicorn.Config(
        create_app(settings),
        # The middleware logs requests, with their ids.
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    host, port = listening.getsockname()[:2]
    named = f"[{host}]" if ":" in host else host
    logger.info(
        "starting",
        url=f"http://{named}:{port}",
        database=str(read_database_url(settings.database_url)),
    )
    server = Server(config)
    server.run(sockets=[listening])
    return server.started


def fit_files(settings: Settings) -> Settings:
    """Raise this process's limit of open files, and serve no more at once than that allows.

    A request under way has two sockets, the caller's and the provider's. One that finds no file is
    a caller who gets no answer at all; one refused in time gets a 503.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = hard if hard != resource.RLIM_INFINITY else max(soft, 1_048_576)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    except (OSError, ValueError):  # macOS has a limit below its hard one
        files = soft
    most = max(1, (files - _OTHER_FILES) // 2)
    if most >= settings.max_concurrent_requests:
        return settings
    logger.warning("fewer requests at once: too few files may be open", files=files, most=most)
    return settings.model_copy(update={"max_concurrent_requests": most})
