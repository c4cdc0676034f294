"""The command line: serve, check-config, hash-key. The one place that prints and exits."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from llm_orchestrator import __version__
from llm_orchestrator.database_url import read_database_url
from llm_orchestrator.revision import HEAD, DatabaseRefused, require_head, require_writable
from llm_orchestrator.secret_keys import (
    SHORTEST_HASHED,
    digest_of_setting,
    generate_key,
    hash_key,
)
from llm_orchestrator.settings import Settings

EXIT_SETTINGS = 2
EXIT_DATABASE = 3
EXIT_ADDRESS = 4

app = typer.Typer(
    name="llm-orchestrator",
    help="An OpenAI-compatible gateway in front of several LLM providers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def start(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Take the options that stand before a command."""
    if version:
        typer.echo(f"llm-orchestrator {__version__} (database revision {HEAD})")
        raise typer.Exit


@app.command()
def serve() -> None:
    """Run the service until SIGTERM or Ctrl-C; everything else is set by environment variables."""
    settings = _settings()
    _require_redis(settings)
    _require_database(settings)
    # Imported here: the other commands need no web server.
    from llm_orchestrator.server import run  # noqa: PLC0415

    try:
        started = run(settings, _listening_socket(settings))
    except OSError as error:
        _refuse(f"LOG_FILE: {error}", EXIT_SETTINGS)
    if not started:
        _refuse("could not start; the log says why", EXIT_DATABASE)


@app.command("check-config")
def check_config() -> None:
    """Say what the settings are, keys aside, and whether the service could start with them."""
    settings = _settings()
    for name, value in _shown(settings).items():
        typer.echo(f"{name.upper()}={value}")
    for remark in _remarks(settings):
        typer.echo(remark, err=True)
    _require_redis(settings)
    _require_log_file(settings)
    _require_database(settings)


@app.command("hash-key")
def hash_key_command(
    key: Annotated[str | None, typer.Argument(help="The key; read from stdin if left out.")] = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="Make up a key and show it with its hash.")
    ] = False,
) -> None:
    """Print what may stand in ADMIN_KEY or API_KEYS in place of a key."""
    if generate:
        made = generate_key()
        typer.echo(f"{made}\n{hash_key(made)}")
        return
    given = key if key is not None else sys.stdin.readline().rstrip("\r\n")
    try:
        typer.echo(hash_key(given))
    except ValueError as error:
        _refuse(f"the key is {error}; make one up with --generate", EXIT_SETTINGS)


def main() -> None:
    """Run the command line."""
    app()


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        for each in error.errors():
            name = str(each["loc"][0]).upper() if each["loc"] else "settings"
            # Not `input`: it may be a key.
            typer.echo(f"llm-orchestrator: {name}: {each['msg']}", err=True)
        raise typer.Exit(EXIT_SETTINGS) from None
    except (OSError, UnicodeDecodeError) as error:
        why = "is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        _refuse(f".env: {why}", EXIT_SETTINGS)


def _require_database(settings: Settings) -> None:
    path = read_database_url(settings.database_url)
    try:
        require_head(path, 5)
        # At once: who is being waited for here may write, and so may the service.
        require_writable(path, 0)
    except DatabaseRefused as refused:
        _refuse(str(refused), EXIT_DATABASE)


def _remarks(settings: Settings) -> Iterator[str]:
    """Say what is allowed and yet may not be meant."""
    admin = settings.admin_key
    if admin is None:
        yield "ADMIN_KEY is not set: the admin side is off"
    elif digest_of_setting(admin) in map(digest_of_setting, settings.api_keys):
        yield "ADMIN_KEY is one of API_KEYS: whoever may use /v1 may change everything"
    elif len(admin.get_secret_value()) < SHORTEST_HASHED:
        yield f"ADMIN_KEY has under {SHORTEST_HASHED} characters: it might be guessed"
    if not settings.api_keys:
        yield "API_KEYS is empty: nobody may use /v1"


def _require_redis(settings: Settings) -> None:
    if not settings.redis_enabled:
        return
    from llm_orchestrator.redis_link import RedisLink  # noqa: PLC0415 - needed by few

    try:
        RedisLink(settings.redis_url.get_secret_value())
    except ModuleNotFoundError:
        _refuse("REDIS_ENABLED: the extra llm-orchestrator[redis] is not installed", EXIT_SETTINGS)
    except ValueError:
        # Not the reason: it may have part of a password in it.
        _refuse("REDIS_URL: is no address of a Redis: redis://HOST:PORT/NUMBER", EXIT_SETTINGS)


def _require_log_file(settings: Settings) -> None:
    """Open the file as `serve` will, but leave none behind."""
    path = settings.log_file
    if path is None:
        return
    there = path.exists()
    try:
        path.open("a").close()
    except OSError as error:
        _refuse(f"LOG_FILE: {error}", EXIT_SETTINGS)
    if not there:
        path.unlink(missing_ok=True)


def _listening_socket(settings: Settings) -> socket.socket:
    """Bind the address here, where a taken one is a line and not a log full of tracebacks."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
    except (OSError, TypeError, UnicodeError) as error:
        # The last two: its letters can't be those of a host.
        why = error.strerror if isinstance(error, OSError) else "that is no name of a host"
        _refuse(f"can't listen on {settings.host}:{settings.port}: {why}", EXIT_ADDRESS)
    return listening


def _shown(settings: Settings) -> dict[str, str]:
    """Return the settings as texts, without what is secret in them."""
    shown = {name: getattr(settings, name) for name in type(settings).model_fields}
    texts = {name: "" if value is None else str(value) for name, value in shown.items()}
    texts["admin_key"] = "set" if settings.admin_key else ""
    texts["api_keys"] = f"{len(settings.api_keys)} set" if settings.api_keys else ""
    texts["redis_url"] = settings.redis_url.get_secret_value().rpartition("@")[2]
    texts["cors_origins"] = ",".join(settings.cors_origins)
    return texts


def _refuse(message: str, status: int) -> NoReturn:
    typer.echo(f"llm-orchestrator: {message}", err=True)
    raise typer.Exit(status)
