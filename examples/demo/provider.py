"""Two providers on loopback that speak OpenAI's protocol: one answers, one always fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ("Upgraded,", "proved,", "and", "back", "in", "service.")
USAGE = {"prompt_tokens": 9, "completion_tokens": len(WORDS), "total_tokens": 9 + len(WORDS)}


@contextmanager
def provider(*, failing: bool = False) -> Iterator[str]:
    """Serve until the body ends; the base URL."""
    kind = _Failing if failing else _Answering
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


class _Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing: the demo shows what the gateway says."""

    def read_body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
        return body

    def reply(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Failing(_Provider):
    def do_GET(self) -> None:
        self.reply(500, {"error": {"message": "out of order", "type": "server_error"}})

    def do_POST(self) -> None:
        self.read_body()
        self.do_GET()


class _Answering(_Provider):
    def do_GET(self) -> None:
        self.reply(200, {"object": "list", "data": [{"id": "demo-model", "object": "model"}]})

    def do_POST(self) -> None:
        body = self.read_body()
        if body.get("stream"):
            self._stream(body["model"])
            return
        message = {"role": "assistant", "content": " ".join(WORDS)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        kind = "chat.completion"
        self.reply(200, _answer(kind, body["model"]) | {"choices": [choice], "usage": USAGE})

    def _stream(self, model: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        kind = "chat.completion.chunk"
        for word in WORDS:
            choice = {"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}
            self._event(_answer(kind, model) | {"choices": [choice]})
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
        self._event(_answer(kind, model) | {"choices": [choice]})
        self._event(_answer(kind, model) | {"choices": [], "usage": USAGE})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, content: object) -> None:
        self.wfile.write(f"data: {json.dumps(content)}\n\n".encode())
        self.wfile.flush()


def _answer(kind: str, model: str) -> dict[str, Any]:
    return {"id": "demo-1", "object": kind, "created": 1760961600, "model": model}
