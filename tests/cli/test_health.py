"""`orchctl health` against real servers: good, bad, slow, late, elsewhere, with secrets."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchctl.errors import UsageError
from orchctl.workloads.health import Expectation, Trust, look_at_health, wait_healthy
from tests.support.failures import refused
from tests.support.preloaded import orchctl, start
from tests.support.processes import wait_until
from tests.support.projects import Project

SECRET = "s3cret-t0ken"
SHORT = ("--timeout", "300ms", "--interval", "20ms")


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        path = self.path.partition("?")[0]
        if path == "/slow":
            self.server.leave.wait(60)
            return
        if path.startswith("/to/"):
            self._answer(302, "", Location=path.removeprefix("/to/").replace("~", "/"))
            return
        if path == "/round":
            self._answer(307, "", Location="/round")
            return
        status, body = self.server.answers.get(path, (404, "not found"))
        if path == "/echo":
            body = str(self.headers)
        self._answer(status, body)
        if path == "/late" and len(self.server.asked) >= 3:
            self.server.answers["/late"] = (200, "there")

    def _answer(self, status: int, body: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.leave = threading.Event()
        self.answers = {
            "/health": (200, '{"status": "healthy", "checks": [{"ok": true}], "n": 3}'),
            "/sick": (503, '{"status": "unhealthy"}'),
            "/late": (503, "not yet"),
            "/login": (200, "please log in"),
            "/echo": (200, ""),
            "/teapot": (418, ""),
        }

    def at(self, path: str, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.server_port}{path}"


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.leave.set()
        server.shutdown()
        thread.join()


# -- what is good ---------------------------------------------------------------------------------


def test_a_good_answer_is_shown(project: Project, server: _Server) -> None:
    url = server.at("/health")
    done = orchctl(project, "health", url)
    assert (done.returncode, done.stderr) == (0, "")
    first, body = done.stdout.splitlines()
    assert first.startswith(f"{url}: 200 OK (0.")
    assert body == server.answers["/health"][1]
    told = json.loads(orchctl(project, "health", url, "--json").stdout)
    assert told.pop("seconds") < 60
    assert told == {
        "ok": True,
        "url": url,
        "status": 200,
        "told": "200 OK",
        "answer": {"status": "healthy", "checks": [{"ok": True}], "n": 3},
        "attempts": 1,
    }


def test_one_that_gets_well(project: Project, server: _Server) -> None:
    done = orchctl(project, "health", server.at("/late"), "--interval", "20ms", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["attempts"] == 4
    assert len(server.asked) == 4


def test_one_that_comes_up_later(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    run = start(project, "health", f"http://127.0.0.1:{port}/", "--interval", "10ms")
    wait_until(lambda: Path(f"/proc/{run.pid}/fd").exists())
    with ThreadingHTTPServer(("127.0.0.1", port), _Handler) as late:
        late.asked, late.answers = [], {"/": (200, "up")}
        thread = threading.Thread(target=late.serve_forever, args=(0.01,))
        thread.start()
        done = run.finished()
        late.shutdown()
        thread.join()
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("up\n")


@pytest.mark.parametrize(
    ("path", "words", "says"),
    [
        ("/sick", (), '503 Service Unavailable: {"status": "unhealthy"}'),
        ("/health", ("--expect", "degraded"), "'degraded' is not in the answer"),
        ("/health", ("--expect-json", "status=degraded"), "status is healthy, not degraded"),
        ("/health", ("--expect-json", "checks.1.ok=true"), "there is no checks.1.ok"),
        ("/login", ("--expect-json", "status=healthy"), "the answer is no JSON"),
        ("/health", ("--expect-status", "204"), "200 OK"),
        ("/nowhere", (), "404 Not Found: not found"),
    ],
)
def test_an_answer_that_is_not_good(
    project: Project, server: _Server, path: str, words: tuple[str, ...], says: str
) -> None:
    error = refused(
        project, "health", server.at(path), *SHORT, *words, exit_code=9, code="unhealthy", says=says
    )
    assert error["details"]["attempts"] > 1
    before = len(server.asked)
    refused(
        project, "health", server.at(path), "--once", *words, exit_code=9, code="unhealthy",
        says=says,
    )  # fmt: skip
    assert len(server.asked) == before + 2


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/health", ("--expect", '"status": "(healthy|degraded)"')),
        ("/health", ("--expect-json", "status=healthy", "--expect-json", "checks.0.ok=true")),
        ("/health", ("--expect-json", "n=3")),
        ("/teapot", ("--expect-status", "418", "--expect-status", "200")),
        ("/to/~login", ("--expect-status", "302")),
    ],
)
def test_what_counts_as_good_can_be_said(
    project: Project, server: _Server, path: str, words: tuple[str, ...]
) -> None:
    done = orchctl(project, "health", server.at(path), "--once", *words)
    assert done.returncode == 0, done.stderr


# -- no answer ------------------------------------------------------------------------------------


def test_nobody_there(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        url = f"http://127.0.0.1:{one.getsockname()[1]}/"
    refused(
        project, "health", url, *SHORT, exit_code=10, code="no-answer", says="connection refused"
    )
    refused(
        project, "health", url, "--once", exit_code=9, code="unhealthy", says="connection refused"
    )


def test_one_that_hangs(server: _Server) -> None:
    found = look_at_health(server.at("/slow"), timeout=0.2)
    assert (found.healthy, found.status, found.told) == (False, None, "no answer within 0.2s")


def test_one_that_drips_for_ever() -> None:
    """Each byte comes in time, the answer never does."""
    done = threading.Event()

    def drip(listening: socket.socket) -> None:
        other, _ = listening.accept()
        with other:
            other.recv(1000)
            other.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with suppress(OSError):  # the other side has had enough
                while not done.wait(0.02):
                    other.sendall(b".")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        found = look_at_health(f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout=0.3)
        done.set()
        thread.join()
    assert "no answer within" in found.told


def test_what_speaks_no_http() -> None:
    def greet(listening: socket.socket) -> None:
        other, _ = listening.accept()
        with other:
            other.recv(1000)
            other.sendall(b"220 mail ready\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=greet, args=(listening,))
        thread.start()
        found = look_at_health(f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout=20)
        thread.join()
    assert (found.healthy, found.status) == (False, None)
    assert "220 mail ready" in found.told


def test_interrupted(project: Project, server: _Server) -> None:
    run = start(project, "health", server.at("/sick"))
    wait_until(lambda: server.asked)
    run.send_signal(signal.SIGTERM)
    assert run.finished().returncode == 130


# -- redirects ------------------------------------------------------------------------------------


def test_a_redirect_on_the_same_host_is_followed(server: _Server) -> None:
    found = look_at_health(server.at("/to/~health"), [("X-Key", SECRET)])
    assert found.healthy
    assert found.url == server.at("/health")
    assert [headers.get("X-Key") for _, headers in server.asked] == [SECRET, SECRET]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("http:~~localhost:{port}~health", "another host"),
        ("~login", "a login page"),
        ("~accounts~sign-in~", "a login page"),
        ("~auth~start", "a login page"),
        ("ftp:~~127.0.0.1~health", "no http or https URL"),
    ],
)
def test_a_redirect_that_says_nothing_about_health(server: _Server, target: str, why: str) -> None:
    url = server.at("/to/" + target.format(port=server.server_port))
    found = look_at_health(url, [("X-Key", SECRET)])
    assert (found.healthy, found.status) == (False, 302)
    assert "which is not followed" in found.told
    assert why in found.told
    assert len(server.asked) == 1


def test_redirects_in_a_circle(server: _Server) -> None:
    found = look_at_health(server.at("/round"))
    assert (found.healthy, found.status, found.told) == (False, 307, "more than 5 redirects")
    assert len(server.asked) == 6


# -- secrets --------------------------------------------------------------------------------------


def test_the_value_of_a_header_is_shown_nowhere(
    project: Project, server: _Server, tmp_path: Path
) -> None:
    file = tmp_path / "headers"
    file.write_text(f"X-Other: {SECRET}-too\n\n")
    url = server.at("/echo")
    words = ("health", url, "-H", f"Authorization: Bearer {SECRET}", "--header", f"@{file}")
    for further in ((), ("--json",), ("--expect", "nonesuch", "--once")):
        done = orchctl(project, *words, *further)
        shown = done.stdout + done.stderr
        assert "Authorization: ***" in shown or "nonesuch" in shown
        assert SECRET not in shown
    for _, headers in server.asked:
        assert headers["Authorization"] == f"Bearer {SECRET}"
        assert headers["X-Other"] == f"{SECRET}-too"


def test_a_password_in_the_url(project: Project, server: _Server) -> None:
    url = server.at("/echo", host=f"user:{SECRET}@127.0.0.1")
    done = orchctl(project, "health", url)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout
    assert server.asked[0][1]["Authorization"].startswith("Basic ")
    assert server.asked[0][1]["Authorization"] not in done.stdout


def test_what_cannot_be_asked(project: Project) -> None:
    for word in (
        "localhost",
        "ftp://localhost/",
        "http://",
        "http://localhost:port/",
        "http://a b",
        "http://a..b/",
        f"http://{'a' * 64}/",
    ):
        refused(project, "health", word, exit_code=2, code="bad-url", hint="http://")
    for words, code in (
        (("-H", f"nonsense {SECRET}"), "bad-header"),
        (("-H", f"X-A: {SECRET}\nX-B: 1"), "bad-header"),
        (("-H", "@nowhere"), "bad-header"),
        (("--expect", "("), "bad-pattern"),
        (("--expect-status", "ok"), "usage"),
        (("--expect-json", "status"), "usage"),
        (("--timeout", "soon"), "usage"),
    ):
        error = refused(project, "health", "http://127.0.0.1/", *words, exit_code=2, code=code)
        assert SECRET not in json.dumps(error)


# -- TLS ------------------------------------------------------------------------------------------


@pytest.fixture
def encrypted(server: _Server, tmp_path: Path) -> tuple[_Server, Path]:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=us", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem",
         "-out", "cert.pem"],
        cwd=tmp_path, capture_output=True, check=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server, tmp_path / "cert.pem"


def test_https(project: Project, encrypted: tuple[_Server, Path]) -> None:
    server, certificate = encrypted
    url = server.at("/health", host="localhost", scheme="https")
    assert orchctl(project, "health", url, "--ca", str(certificate)).returncode == 0
    assert orchctl(project, "health", url, "--insecure").returncode == 0
    done = orchctl(project, "health", url, "--once")
    assert done.returncode == 9
    assert "its certificate is not good: self-signed certificate" in done.stderr
    other = server.at("/health", scheme="https")  # vouched for, but under another name
    done = orchctl(project, "health", other, "--once", "--ca", str(certificate))
    assert "its certificate is not good: " in done.stderr
    down = look_at_health(
        server.at(f"/to/http:~~localhost:{server.server_port}~health", "localhost", "https"),
        trust=Trust(certificate),
    )
    assert "it leaves https" in down.told
    refused(project, "health", url, "--ca", "nowhere", exit_code=2, code="bad-ca")


# -- the function, as others use it ---------------------------------------------------------------


def test_every_answer_in_vain_is_told(server: _Server) -> None:
    heard: list[int | None] = []
    found = wait_healthy(
        server.at("/late"),
        (),
        60,
        0.01,
        Expectation(),
        on_wait=lambda one: heard.append(one.status),
    )
    assert found.healthy
    assert heard == [503, 503, 503]
    assert found.attempts == 4


def test_a_timeout_of_zero_asks_once(server: _Server) -> None:
    assert wait_healthy(server.at("/sick"), timeout=0).attempts == 1


def test_a_wrong_pattern_is_known_before_asking(server: _Server) -> None:
    with pytest.raises(UsageError):
        wait_healthy(server.at("/health"), expect=Expectation(pattern="("))
    assert server.asked == []
