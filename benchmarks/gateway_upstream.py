"""A provider that speaks OpenAI's protocol on loopback and costs next to nothing.

`python -m benchmarks.gateway_upstream SECONDS` prints its port and answers every chat so many
seconds later: as a whole, or in twenty parts of which the first comes after two fifths of the time.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

PARTS = 20
_USAGE = {"prompt_tokens": 12, "completion_tokens": PARTS, "total_tokens": 12 + PARTS}
_HEAD = {"id": "chatcmpl-1", "created": 1700000000, "model": "small"}


def _answer(kind: str, body: bytes) -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )


def _whole() -> bytes:
    message = {"role": "assistant", "content": "word " * PARTS}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    return _answer("application/json", json.dumps(body).encode())


def _part(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _event({**_HEAD, "object": "chat.completion.chunk", "choices": [choice]})


def _event(body: object) -> bytes:
    return _chunk(b"data: " + json.dumps(body).encode() + b"\n\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_WHOLE = _whole()
_MODELS = _answer(
    "application/json", b'{"object": "list", "data": [{"id": "small", "object": "model"}]}'
)
_STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_WORD = _part({"content": "word "})
_END = (
    _part({}, "stop")
    + _event({**_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE})
    + _chunk(b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)


class _Provider(asyncio.Protocol):
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asyncio's own class where the loop is uvloop's.
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end:
            return
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        if len(body) < length:
            return
        self._read = b""
        if not head.startswith(b"POST"):
            self._transport.write(_MODELS)
        elif b'"stream":true' in body or b'"stream": true' in body:
            self._loop.call_later(self._seconds * 0.4, self._send_part, 0)
        elif self._seconds:
            self._loop.call_later(self._seconds, self._transport.write, _WHOLE)
        else:
            self._transport.write(_WHOLE)

    def _send_part(self, number: int) -> None:
        if number == PARTS:
            self._transport.write(_END)
            return
        self._transport.write(_WORD if number else _STREAM + _WORD)
        self._loop.call_later(self._seconds * 0.6 / PARTS, self._send_part, number + 1)


async def _serve(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Provider(seconds), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(float(sys.argv[1])))
