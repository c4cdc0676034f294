"""A short notice to a URL that something failed; never a reason to fail oneself."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from orchctl.workloads.health import require_url

WITHIN = 10.0


def send_notice(url: str, notice: Mapping[str, Any], *, timeout: float = WITHIN) -> str | None:
    """POST a JSON object to a URL.

    Args:
        url: An http or https URL; user and password in it become an Authorization header.
        notice: What to send.
        timeout: Seconds in all, the look-up of the name included.

    Returns:
        Why it did not arrive, in a few words without the URL; None when it did.

    Raises:
        UsageError: `bad-url`.
    """
    require_url(url)
    told: list[str | None] = []
    # A name server that does not answer can't be given a deadline, so all of it is in a thread.
    thread = threading.Thread(
        target=lambda: told.append(_sent(url, json.dumps(notice).encode(), timeout)), daemon=True
    )
    thread.start()
    thread.join(timeout)
    return told[0] if told else f"no answer within {timeout:.3g}s"


def _sent(url: str, body: bytes, timeout: float) -> str | None:
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    parts = require_url(url)
    kind = HTTPConnection if parts.scheme == "http" else HTTPSConnection
    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    headers = {"Content-Type": "application/json", "User-Agent": "orchctl"}
    if parts.username is not None:
        headers["Authorization"] = _basic(parts.username, parts.password or "")
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("POST", target, body, headers)
        status = connection.getresponse().status
    except TimeoutError:
        return f"no answer within {timeout:.3g}s"
    except OSError as error:
        return error.strerror or "the connection failed"
    except HTTPException:
        return "what answered speaks no HTTP"
    finally:
        connection.close()
    return None if 200 <= status < 300 else f"it answered {status}"


def _basic(user: str, password: str) -> str:
    from base64 import b64encode
    from urllib.parse import unquote

    return "Basic " + b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
