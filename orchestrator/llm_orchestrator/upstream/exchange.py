"""HTTP with a service: requests out, answers in, every fault as an UpstreamError."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.request import getproxies

import aiohttp

from llm_orchestrator.upstream.protocol import (
    Json,
    Target,
    Unsupported,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
    Verdict,
)
from llm_orchestrator.upstream.shapes import reading_request

# Nobody is farther away than this.
CONNECT_SECONDS = 10.0
# Of an answer that is no error object, this much is shown.
EXCERPT = 200
# Bytes of the longest answer that is taken, unpacked, and of an error: a service that never ends
# shall not take all memory. 2048 embeddings of 3072 numbers are 140 million.
MOST_BYTES = 256 * 2**20
MOST_ERROR_BYTES = 2**20
# A service that always says there is more is not believed for ever.
MOST_PAGES = 20
_KEY_REFUSED = frozenset({401, 402, 403})
_CALLER_AT_FAULT = frozenset({400, 413, 415, 422})
_WORTH_ANOTHER_TRY = frozenset({408, 409, 425, 429})


def make_client() -> aiohttp.ClientSession:
    """Make the client that all adapters share; needs a running event loop.

    Admission bounds how many calls there are at once, so the pool need not: a bound here would
    be a second queue that nobody sees.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"user-agent": "llm-orchestrator"},
        # HTTPS_PROXY and its like; asking for them takes two threads' turns at every request.
        trust_env=bool(getproxies()),
    )


def join_url(target: Target, default: str, path: str) -> str:
    """Append a path to a provider's address; one without any path gets that of `default`."""
    base = (target.base_url or default).rstrip("/")
    scheme, separator, rest = base.partition("://")
    if separator and "/" not in rest:
        base = f"{scheme}://{rest}/{default.partition('://')[2].partition('/')[2]}"
    return f"{base}/{path}"


def encode(body: Json) -> bytes:
    """Encode a request. ASCII alone, since a caller's text may hold half a surrogate pair."""
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def show(data: bytes, target: Target) -> str:
    """Return the beginning of what a service sent, without the key, should it repeat that."""
    # Cut when the key is out: half of one would be too much as well.
    return _without_key(data[:MOST_ERROR_BYTES].decode("utf-8", "replace"), target)[:EXCERPT]


def _without_key(text: str, target: Target) -> str:
    return text.replace(target.api_key, "***") if target.api_key else text


def decode(data: bytes, what: str, target: Target) -> Json:
    """Decode a JSON object. Raises UpstreamBroken when it is none."""
    try:
        decoded = json.loads(data)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        excerpt = show(data, target)
        raise UpstreamBroken(f"the provider's {what} is no JSON object: {excerpt!r}")
    return decoded


def read_names(page: Json, member: str, name: str) -> list[str]:
    """Read the names in a page of a list of models. Raises UpstreamBroken when it is none."""
    entries = page.get(member)
    if not isinstance(entries, list):
        raise UpstreamBroken(f"the provider's list of models has no {member}")
    names = [entry.get(name) for entry in entries if isinstance(entry, dict)]
    return [found for found in names if isinstance(found, str)]


class Exchange:
    """Requests to services over one shared client.

    That is aiohttp's: over fifty connections at once it takes a twentieth of httpx's time.
    """

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client

    async def post(
        self, url: str, target: Target, headers: Mapping[str, str], body: Json, seconds: float
    ) -> bytes:
        """Post JSON and return the body of the answer, read to its end."""
        content = _encode_request(body)
        async with self._send("POST", url, target, headers, seconds, content) as response:
            return await _read(response)

    async def get(
        self, url: str, target: Target, headers: Mapping[str, str], seconds: float
    ) -> bytes:
        """Get the body of an answer."""
        async with self._send("GET", url, target, headers, seconds) as response:
            return await _read(response)

    @asynccontextmanager
    async def stream(
        self, url: str, target: Target, headers: Mapping[str, str], body: Json, seconds: float
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """Post JSON and hand out the answer as it comes: server-sent events, else it is broken."""
        # Compressing holds back the parts of a stream.
        headers = {**headers, "accept-encoding": "identity"}
        content = _encode_request(body)
        async with self._send("POST", url, target, headers, seconds, content) as response:
            kind = response.headers.get("content-type", "")
            if not kind.lower().startswith("text/event-stream"):
                excerpt = show(await _read_some(response), target)
                raise UpstreamBroken(
                    f"the provider's answer is no event stream but {kind!r}: {excerpt!r}"
                )
            yield response.content.iter_any()

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        url: str,
        target: Target,
        headers: Mapping[str, str],
        seconds: float,
        content: bytes | None = None,
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        if content is not None:
            headers = {**headers, "content-type": "application/json"}
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=min(seconds, CONNECT_SECONDS), sock_read=seconds
        )
        with _faults_told():
            response = await _call(
                self._client.request(
                    method,
                    url,
                    data=content,
                    headers=headers,
                    timeout=timeout,
                    allow_redirects=False,
                )
            )
            try:
                if response.status != 200:
                    raise read_error(response, await _read_some(response), target)
                yield response
            finally:
                # Read to its end, the connection is back in the pool; otherwise this ends it.
                response.close()


@reading_request()
def _encode_request(body: Json) -> bytes:
    return encode(body)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read an answer to its end. Raises UpstreamBroken for one that is too long."""
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise UpstreamBroken(f"the provider's answer is over {MOST_BYTES} bytes")
    return b"".join(parts)


async def _read_some(response: aiohttp.ClientResponse) -> bytes:
    """Read an answer of which the beginning tells enough."""
    data = b""
    async for part in response.content.iter_any():
        data += part
        if len(data) > MOST_ERROR_BYTES:
            break
    return data


async def _call(request: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
    try:
        return await request
    except (aiohttp.InvalidURL, ValueError) as error:
        # An address that is none, or a key with a line end in it: no attempt mends that.
        raise UpstreamUnreachable(
            f"the provider can't be called: {type(error).__name__}", verdict=Verdict.NEXT
        ) from error


@contextmanager
def _faults_told() -> Iterator[None]:
    """Turn aiohttp's exceptions into UpstreamErrors."""
    try:
        yield
    except TimeoutError as error:
        raise UpstreamTimeout from error
    except aiohttp.ClientConnectorError as error:
        raise UpstreamUnreachable(f"the provider can't be reached: {error}") from error
    except (aiohttp.ClientError, OSError) as error:
        why = str(error) or type(error).__name__
        raise UpstreamBroken(f"the provider's answer broke off: {why}") from error


def read_error(response: aiohttp.ClientResponse, body: bytes, target: Target) -> UpstreamError:
    """Turn an answer that is no success into an error, whichever of the protocols it is in."""
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        decoded = None
    # Gemini's compatible endpoint wraps its error into a list.
    if isinstance(decoded, list) and decoded:
        decoded = decoded[0]
    details = decoded.get("error") if isinstance(decoded, dict) else None
    if not isinstance(details, dict):
        text = details if isinstance(details, str) else show(body, target)
        details = {"message": text or response.reason}
    retry_after = read_retry_after(response.headers)
    return describe_error(response.status, details, target, retry_after)


def describe_error(
    status: int, details: Json, target: Target, retry_after: float | None = None
) -> UpstreamError:
    """Turn an error object of a service, with its status, into an UpstreamError."""
    code = str(details.get("code") or details.get("status") or details.get("type") or status)
    code = _without_key(code, target)
    if status == 400 and _refuses_key(details):
        status = 401
    message = _without_key(str(details.get("message") or f"status {status}"), target)
    caller = status in _CALLER_AT_FAULT
    param = details.get("param")
    return UpstreamError(
        message,
        status=status,
        verdict=judge(status, code),
        code=code,
        type="invalid_request_error" if caller else "upstream_error",
        param=param if isinstance(param, str) else None,
        retry_after=_read_retry_info(details) if retry_after is None else retry_after,
        blames_provider=status in _KEY_REFUSED or status >= 500 or status < 400,
    )


def judge(status: int, code: str) -> Verdict:
    """Tell what can follow a status: a used-up quota doesn't come back by asking again."""
    if code in {"insufficient_quota", "billing_hard_limit_reached"}:
        return Verdict.NEXT
    if status in _WORTH_ANOTHER_TRY or status >= 500:
        return Verdict.RETRY
    if status in _CALLER_AT_FAULT:
        return Verdict.RETURN
    # A refused key, a model the provider doesn't have, a redirect: others may do better.
    return Verdict.NEXT


def _refuses_key(details: Json) -> bool:
    """Gemini says 400 to a wrong key, with API_KEY_INVALID among the details."""
    reasons = details.get("details")
    return isinstance(reasons, list) and any(
        isinstance(entry, dict) and entry.get("reason") == "API_KEY_INVALID" for entry in reasons
    )


def _read_retry_info(details: Json) -> float | None:
    """Gemini says how long to wait as `retryDelay: "12s"` among the details."""
    for entry in details.get("details") or []:
        delay = entry.get("retryDelay") if isinstance(entry, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            return _seconds(delay[:-1])
    return None


def read_retry_after(headers: Mapping[str, Any]) -> float | None:
    """Read Retry-After, RFC 9110 section 10.2.3, or OpenAI's `retry-after-ms`, as seconds."""
    milliseconds = _seconds(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    seconds = _seconds(value)
    if seconds is not None or not value:
        return seconds
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max(0.0, (moment - dt.datetime.now(dt.UTC)).total_seconds())


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def refuse_embeddings(protocol: str) -> Unsupported:
    """Say that a protocol has no embeddings."""
    return Unsupported(f"{protocol} has no embeddings; ask another provider for them")
