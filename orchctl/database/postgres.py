"""Whether a PostgreSQL server takes connections, asked in its own protocol, without a driver.

Says hello as libpq's PQping does (https://www.postgresql.org/docs/current/protocol-flow.html): the
start-up message is sent, the answer tells whether the server is up or still starting, and nobody
logs in: no password is sent.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.config import masked_url
from orchctl.database.readiness import Readiness
from orchctl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROTOCOL = 3 << 16
_SSL_REQUEST = 80877103
_PORT = 5432
# An answer is a few hundred bytes; who sends more is no PostgreSQL server.
_LARGEST = 1 << 16
# What the server answers where it is up, but this greeting can't go on without credentials or a
# client certificate (class 28 of https://www.postgresql.org/docs/current/errcodes-appendix.html).
_NO_LOGIN = "28"


class _NotPostgres(Exception):
    """The answer makes no sense."""


@dataclass(frozen=True)
class Server:
    """Where a server listens, and as whom to greet it.

    Attributes:
        addresses: Host (or directory of a Unix socket) and port, in the order to try.
        user: The role.
        database: The database.
        tls: Whether to ask for TLS first.
    """

    addresses: tuple[tuple[str, int], ...]
    user: str
    database: str
    tls: bool

    @property
    def named(self) -> str:
        """The addresses, for people."""
        return ", ".join(_named(*address) for address in self.addresses)


def read_server(url: str) -> Server:
    """The server that a SQLAlchemy or libpq URL names.

    Args:
        url: e.g. `postgresql+asyncpg://user:secret@db:5432/app`, `postgresql:///app?host=/run/pg`.

    Raises:
        ConfigurationError: `bad-url`.
    """
    from urllib.parse import parse_qs, unquote, urlsplit

    try:
        parts = urlsplit(url.strip())
        query = {key: ",".join(found) for key, found in parse_qs(parts.query).items()}
        user_part, _, hosts_part = parts.netloc.rpartition("@")
        ports = query.get("port", "").split(",")
        hosts = query.get("host") or unquote(hosts_part) or "localhost"
        addresses = tuple(
            _address(host, ports[number] if number < len(ports) else ports[-1])
            for number, host in enumerate(hosts.split(","))
        )
    except ValueError as error:
        raise ConfigurationError(
            f"{masked_url(url)} is no URL of a PostgreSQL server: {error}",
            code="bad-url",
            hint="postgresql://user:password@host:5432/database",
        ) from error
    user = unquote(user_part.partition(":")[0]) or query.get("user") or "postgres"
    database = unquote(parts.path.lstrip("/")) or query.get("dbname") or user
    mode = query.get("sslmode") or query.get("ssl") or ""
    return Server(addresses, user, database, tls=mode not in ("disable", "false"))


def look_at_server(server: Server, timeout: float) -> Readiness:
    """Whether a server takes connections; of several, whether one does.

    Args:
        server: Where it is.
        timeout: Seconds for each address.
    """
    found = Readiness(False, "no address")
    for host, port in server.addresses:
        found = _look(server, host, port, timeout)
        if found.ready:
            return found
    return found


def _look(server: Server, host: str, port: int, timeout: float) -> Readiness:
    where = _named(host, port)
    deadline = time.monotonic() + timeout
    try:
        with _connected(host, port, deadline) as plain:
            stream = _encrypted(plain, host, deadline) if server.tls else plain
            with stream:
                stream.sendall(_greeting(server))
                return _judged(stream, where, deadline)
    except TimeoutError:
        return Readiness(False, f"{where} does not answer within {timeout:g}s", code="no-answer")
    except _NotPostgres as error:
        return Readiness(False, f"{where} is no PostgreSQL server: {error}", code="no-answer")
    except OSError as error:  # ssl.SSLError is one
        told = error.strerror or str(error)
        return Readiness(False, f"{where} can't be reached: {told}", code="no-answer")


def _judged(stream: socket.socket, where: str, deadline: float) -> Readiness:
    for kind, body in _messages(stream, deadline):
        if kind == b"E":
            return _refusal(body, where)
        # R: it wants a password, or is content without; then what is wrong with the database, if
        # anything, comes before ReadyForQuery.
        if kind == b"Z" or (kind == b"R" and body[:4] != b"\0\0\0\0"):
            return Readiness(True, f"{where} takes connections")
    raise _NotPostgres("it hung up")


def _refusal(body: bytes, where: str) -> Readiness:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    state, message = fields.get(b"C", ""), fields.get(b"M", "an error")
    if state.startswith(_NO_LOGIN):
        return Readiness(True, f"{where} takes connections (not logged in: {message})")
    return Readiness(False, f"{where} says: {message} ({state})", code="server-not-ready")


def _messages(stream: socket.socket, deadline: float) -> Iterator[tuple[bytes, bytes]]:
    while True:
        head = _read(stream, 5, deadline)
        length = struct.unpack("!I", head[1:])[0]
        if not 4 <= length <= _LARGEST:
            raise _NotPostgres(f"it answered {head!r}")
        yield head[:1], _read(stream, length - 4, deadline)


def _read(stream: socket.socket, size: int, deadline: float) -> bytes:
    found = b""
    while len(found) < size:
        stream.settimeout(_left(deadline))
        part = stream.recv(size - len(found))
        if not part:
            raise _NotPostgres("it hung up")
        found += part
    return found


def _connected(host: str, port: int, deadline: float) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port), timeout=_left(deadline))
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.settimeout(_left(deadline))
        stream.connect(os.path.join(host, f".s.PGSQL.{port}"))  # noqa: PTH118 a name, not a file
    except BaseException:
        stream.close()
        raise
    return stream


def _encrypted(plain: socket.socket, host: str, deadline: float) -> socket.socket:
    """The stream with TLS on it, where the server offers that."""
    if host.startswith("/"):
        return plain
    plain.sendall(struct.pack("!II", 8, _SSL_REQUEST))
    answer = _read(plain, 1, deadline)
    if answer == b"N":
        return plain
    if answer != b"S":
        raise _NotPostgres(f"it answered {answer!r}")
    import ssl

    context = ssl.create_default_context()
    # Nothing secret is sent: whether the certificate is right is for those who log in.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain.settimeout(_left(deadline))
    return context.wrap_socket(plain, server_hostname=host)


def _greeting(server: Server) -> bytes:
    words = ("user", server.user, "database", server.database, "application_name", "orchctl")
    body = b"".join(word.encode() + b"\0" for word in words) + b"\0"
    return struct.pack("!II", len(body) + 8, _PROTOCOL) + body


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _address(host: str, port: str) -> tuple[str, int]:
    if host.startswith("/"):
        return host, _number(port)
    if host.startswith("["):
        name, _, own = host[1:].partition("]")
        return name, _number(own.lstrip(":") or port)
    name, _, own = host.partition(":")
    name = name or "localhost"
    name.encode("idna")  # as the look-up will: a UnicodeError, which is a ValueError
    return name, _number(own or port)


def _number(port: str) -> int:
    number = int(port or _PORT)
    if not 0 < number < 1 << 16:
        raise ValueError(f"there is no port {number}")
    return number


def _named(host: str, port: int) -> str:
    if host.startswith("/"):
        return f"PostgreSQL in {host} (port {port})"
    return f"PostgreSQL at {f'[{host}]' if ':' in host else host}:{port}"
