"""Asking a health endpoint over HTTP, once or until it is good. Standard library only."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from orchctl.config import masked_url
from orchctl.errors import UsageError

if TYPE_CHECKING:
    import ssl
    from http.client import HTTPConnection, HTTPResponse

Headers = Sequence[tuple[str, str]]

_MOST_REDIRECTS = 5
_LARGEST = 1 << 20  # bytes of an answer that are read
_ANSWER = 5.0  # seconds in which one question must be answered
_REDIRECTS = (301, 302, 303, 307, 308)
_LOGIN = re.compile(r"(^|/)(log-?_?in|sign-?_?in|sso|oauth2?|auth)(/|\.|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Expectation:
    """What a good answer is.

    Attributes:
        statuses: The HTTP statuses that are good; empty means 200 to 299.
        pattern: A regular expression that must be found in the body.
        values: Values in a JSON body, by dotted path: `("status", "healthy")`, `("db.0", "true")`.
    """

    statuses: frozenset[int] = frozenset()
    pattern: str | None = None
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Trust:
    """Whose certificates are good.

    Attributes:
        authority: A file with certificates of authorities; None takes the system's.
        anyone: Take any certificate.
    """

    authority: Path | None = None
    anyone: bool = False


@dataclass(frozen=True)
class HealthResult:
    """What an endpoint said last.

    Attributes:
        healthy: Whether that was as expected.
        told: In one line, what it said, or what was in the way.
        url: Who said it: after redirects; passwords masked.
        status: The HTTP status; None when there was no answer.
        body: What it said, values of headers masked.
        attempts: How often it was asked.
        seconds: How long that took in all.
    """

    healthy: bool
    told: str
    url: str
    status: int | None = None
    body: str = ""
    attempts: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class _Question:
    """What is asked, checked; `secrets` is what must not be shown, the longest first."""

    url: str
    headers: Headers
    expect: Expectation
    trust: Trust
    secrets: tuple[str, ...] = field(repr=False, default=())


def look_at_health(
    url: str,
    headers: Headers = (),
    expect: Expectation = Expectation(),
    trust: Trust = Trust(),
    *,
    timeout: float = _ANSWER,
) -> HealthResult:
    """Ask a health endpoint once.

    Redirects are followed on the same host only, never from https to http, and never to a login
    page: that answers 200 whatever the health of what is behind it.

    Args:
        url: An http or https URL.
        headers: Names and values; the values are secret, they are in no result and no error.
        expect: What a good answer is.
        trust: Whose certificates are good.
        timeout: Seconds for the answer.

    Raises:
        UsageError: `bad-url`, `bad-pattern`, `bad-header`.
    """
    question = _question(url, headers, expect, trust)
    began = time.monotonic()
    found = _looked(question, timeout)
    return replace(found, seconds=time.monotonic() - began)


def wait_healthy(
    url: str,
    headers: Headers = (),
    timeout: float = 60.0,
    interval: float = 1.0,
    expect: Expectation = Expectation(),
    trust: Trust = Trust(),
    *,
    on_wait: Callable[[HealthResult], None] | None = None,
) -> HealthResult:
    """Ask a health endpoint until it is good, or the time is over.

    Each question must be answered within five seconds.

    Args:
        url: An http or https URL.
        headers: Names and values; the values are secret, they are in no result and no error.
        timeout: Seconds in all; 0 asks once.
        interval: Seconds between two questions.
        expect: What a good answer is.
        trust: Whose certificates are good.
        on_wait: Called with every answer that is not good.

    Returns:
        The last answer; `status` tells "unhealthy" from "never answered".

    Raises:
        UsageError: As `look_at_health` says.
    """
    question = _question(url, headers, expect, trust)
    began, attempts = time.monotonic(), 0
    while True:
        attempts += 1
        # A hanging endpoint must not use up the whole time with one question.
        left = began + timeout - time.monotonic()
        found = _looked(question, min(_ANSWER, max(left, 1.0)))
        gone = time.monotonic() - began
        found = replace(found, attempts=attempts, seconds=gone)
        if found.healthy or gone >= timeout:
            return found
        if on_wait:
            on_wait(found)
        time.sleep(max(0.0, min(interval, timeout - gone)))


def read_header(text: str) -> tuple[str, str]:
    """The name and value of a header written as `Name: value`.

    Raises:
        UsageError: `bad-header`; the value is not repeated.
    """
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~\w-]+", name.strip(), re.ASCII):
        raise UsageError("A header is written Name: value", code="bad-header")
    value = value.strip()
    if re.search(r"[\r\n\0]", value) or not value.isascii():
        raise UsageError(
            f"The value of header {name.strip()} has characters that no header may have",
            code="bad-header",
        )
    return name.strip(), value


def _question(url: str, headers: Headers, expect: Expectation, trust: Trust) -> _Question:
    parts = require_url(url)
    if expect.pattern is not None:
        try:
            re.compile(expect.pattern)
        except re.error as error:
            raise UsageError(
                f"{expect.pattern!r} is no regular expression: {error}", code="bad-pattern"
            ) from error
    given = [*headers]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.username is not None:
        from base64 import b64encode

        given.append(
            ("Authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode())
        )
    # "Bearer abc": the whole, and abc alone.
    secrets = {word for _, value in given for word in (value, *value.split()[-1:])} | {password}
    longest_first = sorted((word for word in secrets if len(word) > 3), key=len, reverse=True)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    return _Question(bare, tuple(given), expect, trust, tuple(longest_first))


def require_url(url: str) -> SplitResult:
    """The parts of an http or https URL.

    Raises:
        UsageError: `bad-url`.
    """
    try:
        parts = urlsplit(url)
        # What can't be looked up: Python would raise no error of the network, but of a text.
        labels = (parts.hostname or "").removesuffix(".").split(".")
        usable = parts.scheme in ("http", "https") and all(0 < len(one) < 64 for one in labels)
        _ = parts.port
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f]", url) or not url.isascii():
        raise UsageError(
            f"{masked_url(url)} is no http or https URL",
            code="bad-url",
            hint="http://localhost:8000/health",
        )
    return parts


def _looked(question: _Question, timeout: float) -> HealthResult:
    """One question, with the redirects that are followed."""
    from http.client import HTTPException

    url, deadline = question.url, time.monotonic() + timeout
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            status, target, body = _asked(question, url, deadline)
        except TimeoutError:
            return _unanswered(url, f"no answer within {timeout:.3g}s")
        except (OSError, HTTPException) as error:
            return _unanswered(url, _reason(error))
        if target is None or status in question.expect.statuses:
            return _judged(question, url, status, body)
        onward = urljoin(url, target)
        if why := _stays_here(url, onward):
            told = f"{status}, a redirect to {masked_url(onward)}, which is not followed: {why}"
            return HealthResult(False, _masked(question, told), masked_url(url), status)
        url = onward.partition("#")[0]
    return HealthResult(False, f"more than {_MOST_REDIRECTS} redirects", masked_url(url), status)


def _asked(question: _Question, url: str, deadline: float) -> tuple[int, str | None, bytes]:
    """Status, where a redirect leads, and the body."""
    parts = urlsplit(url)
    connection = _connection(question, parts, deadline)
    target = parts._replace(scheme="", netloc="").geturl() or "/"
    try:
        names = {name.lower() for name, _ in question.headers}
        target = target if target.startswith("/") else f"/{target}"
        own_host = "host" in names
        connection.putrequest("GET", target, skip_host=own_host, skip_accept_encoding=True)
        connection.putheader("Accept-Encoding", "identity")
        if "user-agent" not in names:
            connection.putheader("User-Agent", "orchctl")
        for name, value in question.headers:
            connection.putheader(name, value)
        connection.putheader("Connection", "close")
        connection.endheaders()
        response = connection.getresponse()
        onward = response.getheader("Location") if response.status in _REDIRECTS else None
        return response.status, onward, _body(connection, response, deadline)
    finally:
        connection.close()


def _connection(question: _Question, parts: SplitResult, deadline: float) -> HTTPConnection:
    from http.client import HTTPConnection, HTTPSConnection

    left = _left(deadline)
    if parts.scheme == "http":
        return HTTPConnection(parts.hostname or "", parts.port, timeout=left)
    context = _context(question.trust)
    return HTTPSConnection(parts.hostname or "", parts.port, timeout=left, context=context)


def _context(trust: Trust) -> ssl.SSLContext:
    import ssl

    try:
        context = ssl.create_default_context(cafile=trust.authority)
    except OSError as error:
        raise UsageError(
            f"{trust.authority} holds no certificates: {error.strerror or error}", code="bad-ca"
        ) from error
    if trust.anyone:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _body(connection: HTTPConnection, response: HTTPResponse, deadline: float) -> bytes:
    """The body, in pieces: one that drips for ever is cut off at the deadline."""
    found = bytearray()
    while len(found) < _LARGEST:
        if connection.sock is not None:
            connection.sock.settimeout(_left(deadline))
        elif time.monotonic() > deadline:
            raise TimeoutError
        part = response.read1(1 << 16)
        if not part:
            break
        found += part
    return bytes(found)


def _stays_here(url: str, onward: str) -> str | None:
    """Why a redirect is not followed; None when it is."""
    here, there = urlsplit(url), urlsplit(onward)
    if there.scheme not in ("http", "https"):
        return "it is no http or https URL"
    if (there.hostname or "").lower() != (here.hostname or "").lower():
        return "another host"
    if here.scheme == "https" and there.scheme == "http":
        return "it leaves https"
    if _LOGIN.search(there.path) and not _LOGIN.search(here.path):
        return "a login page says nothing about health"
    return None


def _judged(question: _Question, url: str, status: int, raw: bytes) -> HealthResult:
    body = _masked(question, raw.decode(errors="replace"))
    expect, where = question.expect, masked_url(url)
    good = status in expect.statuses if expect.statuses else 200 <= status < 300
    trouble = None if good else _first_line(body)
    text = raw.decode(errors="replace")
    if good and expect.pattern is not None and not re.search(expect.pattern, text):
        good, trouble = False, f"{expect.pattern!r} is not in the answer"
    if good and expect.values:
        trouble = _differing(text, expect.values)
        good = trouble is None
    told = f"{status}{_phrase(status)}" + (f": {trouble}" if trouble else "")
    return HealthResult(good, _masked(question, told), where, status, body)


def _differing(body: str, values: Sequence[tuple[str, str]]) -> str | None:
    import json

    try:
        found = json.loads(body)
    except ValueError:
        return "the answer is no JSON"
    for path, wanted in values:
        value: Any = found
        for step in path.split("."):
            if isinstance(value, list) and step.isdigit() and int(step) < len(value):
                value = value[int(step)]
            elif isinstance(value, dict) and step in value:
                value = value[step]
            else:
                return f"there is no {path}"
        shown = value if isinstance(value, str) else json.dumps(value)
        if shown != wanted:
            return f"{path} is {shown[:200]}, not {wanted}"
    return None


def _unanswered(url: str, reason: str) -> HealthResult:
    return HealthResult(False, reason, masked_url(url))


def _reason(error: Exception) -> str:
    if type(error).__name__ == "SSLCertVerificationError":
        return f"its certificate is not good: {getattr(error, 'verify_message', error)}"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)[:1].lower() + str(text)[1:]


def _phrase(status: int) -> str:
    from http import HTTPStatus

    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _first_line(body: str) -> str | None:
    line = " ".join(body.split())
    return (line if len(line) <= 200 else line[:199] + "…") or None


def _masked(question: _Question, text: str) -> str:
    for secret in question.secrets:
        text = text.replace(secret, "***")
    return text


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
