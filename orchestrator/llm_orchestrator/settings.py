"""What the service is told from outside: environment variables, and `.env` below them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from llm_orchestrator.database_url import read_database_url
from llm_orchestrator.secret_keys import check_key

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+")


def _words(value: Any) -> Any:
    """Split a text at commas; a JSON list of texts is taken as well."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        return json.loads(text)
    return [word.strip() for word in text.split(",") if word.strip()]


def _absent_if_blank(value: Any) -> Any:
    """Take away the line end that files of secrets end in: no header could carry it."""
    return (value.strip() or None) if isinstance(value, str) else value


def _checked_url(url: str) -> str:
    read_database_url(url)
    return url


def _checked_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what no browser sends as an origin, RFC 6454 section 6.2: it would allow nobody."""
    if not all(origin in {"*", "null"} or _ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("an origin is https://host or https://host:port, without a path")
    return origins


Key = Annotated[SecretStr, AfterValidator(check_key)]
Blank = BeforeValidator(_absent_if_blank)
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Keys = Annotated[tuple[Key, ...], NoDecode, BeforeValidator(_words)]


class Settings(BaseSettings):
    """Every setting; its variable is the field's name in capitals. No secret has a default."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    database_url: Annotated[str, AfterValidator(_checked_url)] = Field(
        default="sqlite:///data/llm_orchestrator.db",
        description="the SQLite file; `sqlite:///…` and `sqlite+aiosqlite:///…` are the same",
    )
    admin_key: Annotated[Key | None, Blank] = Field(
        default=None,
        description="opens the admin API and pages, plain or as `hash-key` prints it; "
        "unset, the admin side is off",
    )
    api_keys: Keys = Field(
        default=(),
        description="who may use /v1: keys, plain or as `hash-key` prints them, with commas "
        "between; empty, nobody may",
    )
    # An empty one would be every address of the machine.
    host: str = Field(default="127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(
        default=8000, ge=0, le=65535, description="port to listen on; 0 takes a free one"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="DEBUG, INFO, WARNING or ERROR"
    )
    log_file: Annotated[Path | None, Blank] = Field(
        default=None, description="where logs go, appended; unset, stderr"
    )
    log_format: Literal["json", "text"] = Field(default="text", description="json or text")
    redis_enabled: bool = Field(
        default=False, description="keep rate limits and the model list in Redis"
    )
    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="where Redis is, if REDIS_ENABLED",
    )
    health_check_interval: int = Field(
        default=60, ge=0, le=86_400, description="seconds between health checks; 0, none are made"
    )
    log_retention_days: int = Field(
        default=30, ge=1, le=3650, description="days that request logs are kept"
    )
    rate_limit_per_minute: int = Field(
        default=0, ge=0, description="requests a minute for each API key; 0, no limit"
    )
    cors_origins: Annotated[Words, AfterValidator(_checked_origins)] = Field(
        default=(),
        description="origins whose pages may call the service, with commas between; `*` is all",
    )
    max_body_bytes: int = Field(
        default=20 * 2**20, ge=1024, description="the longest request body that is read, in bytes"
    )
    max_concurrent_requests: int = Field(
        default=2000, ge=1, description="requests to /v1 served at once; one more is answered 503"
    )
    shutdown_seconds: int = Field(
        default=30, ge=0, le=3600, description="how long requests may go on after SIGTERM"
    )
