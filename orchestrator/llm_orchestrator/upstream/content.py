"""The content of OpenAI's messages: a text, or parts of several kinds."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass
from typing import Any

from llm_orchestrator.upstream.protocol import Json, Unsupported

_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Inline:
    """Data within the request: its media type, and itself in base64."""

    media_type: str
    data: str


def read_parts(content: Any) -> list[Json]:
    """Return a message's content as parts, a text as one part. Raises Unsupported for others."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return content
    raise Unsupported("a message's content is a text or a list of parts", param="messages")


def read_text(content: Any) -> str:
    """Return the text of a content, its parts joined."""
    texts = (part.get("text") for part in read_parts(content))
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def read_data_url(url: str) -> Inline | None:
    """Take a `data:` URL in base64 apart, RFC 2397; None when it is another kind of URL."""
    match = _DATA_URL.match(url)
    return Inline(match["type"].lower(), url[match.end() :]) if match else None


def guess_image_type(url: str) -> str:
    """Guess the media type of an image elsewhere by its name."""
    guessed = mimetypes.guess_type(url.partition("?")[0])[0]
    return guessed if guessed and guessed.startswith("image/") else "image/jpeg"


def refuse_functions(body: Json) -> None:
    """Raise Unsupported for what OpenAI had before tools: left out, no function would be called."""
    if body.get("functions"):
        raise Unsupported("this provider takes tools, not functions", param="functions")
