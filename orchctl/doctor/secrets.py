"""Secrets kept out of what is handed to others."""

from __future__ import annotations

import re

from orchctl.config import masked_url

_NAME = (
    r"[\w.-]*(?:pass(?:word|wd|phrase)?|secret|token|credential|api[_-]?key|[_-]key|keys)[\w.-]*"
)
_QUOTED = r"""("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&]+)"""
_ASSIGNED = re.compile(rf"""(?i)(["']?\b{_NAME}["']?\s*[=:]\s*){_QUOTED}""")
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization|x-[\w-]*key|cookie|set-cookie)(\"?\s*[:=]).*"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+")
# Keys that say what they are: OpenAI, Anthropic, GitHub, Google, AWS, Slack; JSON web tokens.
_KNOWN = re.compile(
    r"\b(?:sk-[\w-]{8,}|gh[pousr]_\w{16,}|AIza[\w-]{20,}|AKIA[A-Z0-9]{12,}|xox[abprs]-[\w-]{8,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL
)
# Variables whose value can be told.
_HARMLESS = set(
    """
    HOST PORT LANG LC_ALL TZ PATH HOME HOSTNAME PYTHONPATH PYTHONUNBUFFERED PYTHON_VERSION
    LOG_LEVEL LOG_FORMAT LOG_FILE REDIS_ENABLED HEALTH_CHECK_INTERVAL LOG_RETENTION_DAYS
    RATE_LIMIT_PER_MINUTE SKIP_MIGRATION DATABASE_URL REDIS_URL
""".split()
)


def masked(text: str) -> str:
    """A text without what looks like a secret: passwords in URLs, header values, keys."""
    text = _PRIVATE_KEY.sub("***", masked_url(text))
    text = _HEADER.sub(r"\1\2 ***", text)
    text = _ASSIGNED.sub(r"\1***", text)
    text = _BEARER.sub(r"\1 ***", text)
    return _KNOWN.sub("***", text)


def masked_variable(name: str, value: str) -> str:
    """`NAME=value` where the value is known to be harmless, else `NAME=***`; empty stays empty."""
    if not value:
        return f"{name}="
    if name in _HARMLESS or name.startswith("ORCHCTL_"):
        return masked(f"{name}={value}")
    return f"{name}=***"
