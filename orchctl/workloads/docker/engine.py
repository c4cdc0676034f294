"""The client of one engine; what its library raises becomes orchctl's errors."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from orchctl.config import masked_url
from orchctl.errors import ConfigurationError, WorkloadFailed
from orchctl.workloads.docker.ssh import SshTunnel

if TYPE_CHECKING:
    from orchctl.workloads.docker.address import EngineAddress

P = ParamSpec("P")
T = TypeVar("T")

_TIMEOUTS = ("ReadTimeout", "ReadTimeoutError", "ConnectTimeout")  # of requests and urllib3
_ANSWER = 10  # seconds within which an engine says something


class Engine:
    """One Docker engine.

    Every method raises WorkloadFailed: `engine-away` (it does not answer), `engine-permission`,
    `no-such-container`, `no-such-image`, `engine-refused` (with what the engine says).

    Args:
        address: Where it is.

    Raises:
        ConfigurationError: `docker-tls`, `docker-host`.
        WorkloadFailed: As the methods do.
    """

    def __init__(self, address: EngineAddress) -> None:
        self.address = address
        self._tunnel = SshTunnel(address.host) if address.host.startswith("ssh://") else None
        try:
            with translated(address):
                self.api = _client(address, self._tunnel.url if self._tunnel else address.host)
        except BaseException as error:
            self._end_tunnel(error)
            raise

    def close(self) -> None:
        """Let its connections go."""
        self.api.close()
        self._end_tunnel()

    def _end_tunnel(self, error: BaseException | None = None) -> None:
        if self._tunnel is None:
            return
        said = self._tunnel.complaint()
        if isinstance(error, WorkloadFailed) and said:
            error.message = f"{error.message.partition(': ')[0]}: {masked_url(said)[:200]}"
            error.hint = "Does this work: ssh HOST docker info?"
        self._tunnel.close()

    def ask(self, question: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
        """Call a method of `api`, its errors turned into orchctl's."""
        with translated(self.address):
            return question(*args, **keywords)

    def inspect(self, container: str) -> dict[str, Any]:
        """All that the engine knows of a container, by name or id."""
        return dict(self.ask(self.api.inspect_container, container))

    def image(self, reference: str) -> dict[str, Any]:
        """All that the engine knows of an image that it has."""
        return dict(self.ask(self.api.inspect_image, reference))

    def containers(
        self, filters: Mapping[str, Sequence[str]] | None = None, *, ended: bool = True
    ) -> list[dict[str, Any]]:
        """Short descriptions of containers; with `ended` also of those that don't run."""
        return list(self.ask(self.api.containers, all=ended, filters=dict(filters or {})))

    def create(self, configuration: Mapping[str, Any], name: str) -> str:
        """Create a container from the API's own form of a configuration; its id."""
        made = self.ask(self.api.create_container_from_config, dict(configuration), name)
        return str(made["Id"])

    def start(self, container: str) -> None:
        """Start a container; one that runs is left alone."""
        self.ask(self.api.start, container)

    def stop(self, container: str, grace: float) -> None:
        """Stop a container: its stop signal, then SIGKILL after `grace` seconds."""
        self.ask(self.api.stop, container, timeout=math.ceil(grace))

    def restart(self, container: str, grace: float) -> None:
        """Stop and start in one call, which the engine finishes also without us."""
        self.ask(self.api.restart, container, timeout=math.ceil(grace))

    def rename(self, container: str, name: str) -> None:
        """Give a container another name."""
        self.ask(self.api.rename, container, name)

    def remove(self, container: str, *, force: bool = False) -> None:
        """Remove a container; its volumes, anonymous ones too, stay."""
        self.ask(self.api.remove_container, container, v=False, force=force)

    def set_restart_policy(self, container: str, policy: str) -> None:
        """Let the engine revive a container or not: `no`, `always`, `on-failure:3` …"""
        name, _, most = policy.partition(":")
        rule = {"Name": name, "MaximumRetryCount": int(most or 0)}
        self.ask(self.api.update_container, container, restart_policy=rule)

    def changes(self, container: str) -> list[dict[str, Any]]:
        """What a container has written outside its mounts: `Path`, and `Kind` (2 is removed)."""
        return list(self.ask(self.api.diff, container) or ())

    def machine(self) -> str:
        """The name of the machine that the engine runs on."""
        return str(self.ask(self.api.info).get("Name") or "")

    def events(self, container: str) -> Any:
        """What happens to a container from now on: an iterable of dicts with `close`.

        It ends without an error when the engine goes away.
        """
        filters = {"type": "container", "container": container}
        return self.ask(self.api.events, filters=filters, decode=True)

    def past_events(self, container: str, since: float) -> list[dict[str, Any]]:
        """What happened to a container since a Unix time, as far as the engine remembers."""
        filters = {"type": "container", "container": container}
        # A whole second, so that what was just before isn't left out by rounding.
        stream = self.ask(
            self.api.events, since=int(since), until=time.time(), filters=filters, decode=True
        )
        return self.ask(list, stream)

    def output(
        self,
        container: str,
        *,
        since: float | None,
        until: float | None,
        tail: int | None,
        follow: bool,
    ) -> Any:
        """What a container prints, as pieces of bytes; see `orchctl.workloads.docker.logs`."""
        return self.ask(
            self.api.logs,
            container,
            stream=True,
            follow=follow,
            since=since or None,
            until=until or None,
            tail="all" if tail is None else tail,
        )

    def tail(self, container: str, lines: int = 20) -> tuple[str, ...]:
        """The last lines of a container's output, passwords in URLs masked.

        A log driver that can't be read gives none.
        """
        try:
            raw = self.ask(self.api.logs, container, tail=lines)
        except WorkloadFailed:
            return ()
        return tuple(masked_url(line) for line in raw.decode(errors="replace").splitlines())

    def execute(self, container: str, words: Sequence[str]) -> tuple[int, str]:
        """Run a command in a running container; its exit code and what it printed on stdout."""
        made = self.ask(self.api.exec_create, container, list(words), stderr=True)
        out, _ = self.ask(self.api.exec_start, made["Id"], demux=True)
        code = self.ask(self.api.exec_inspect, made["Id"])["ExitCode"]
        return int(code if code is not None else -1), (out or b"").decode(errors="replace")


def connect(address: EngineAddress) -> Engine:
    """The engine at an address, asked for the version of its API; raises as Engine does."""
    return Engine(address)


@contextmanager
def translated(address: EngineAddress) -> Iterator[None]:
    """Turn what the docker library raises into orchctl's errors."""
    import urllib3.exceptions
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as error:
        raise _refusal(error) from error
    except (
        DockerException,
        RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        raise away(address, error) from error


def away(address: EngineAddress, error: BaseException | None = None) -> WorkloadFailed:
    """The error of an engine that does not answer."""
    told = f" ({address.origin})" if address.origin != "default" else ""
    causes = list(_causes(error))
    where = f"The Docker engine at {masked_url(address.host)}{told}"
    if any(isinstance(one, PermissionError) for one in causes):
        return WorkloadFailed(
            f"{where} can't be used by this user: permission denied on its socket",
            code="engine-permission",
            hint="sudo usermod -aG docker $USER, then sign in again; or run orchctl with sudo",
        )
    why, silent = _reason(causes), any(type(one).__name__ in _TIMEOUTS for one in causes)
    return WorkloadFailed(
        f"{where} does not answer" + (f": {why}" if why else ""),
        code="engine-away",
        hint=_what_next(address, why),
        details={"silent": silent},
    )


def _what_next(address: EngineAddress, why: str) -> str:
    files = "DOCKER_CERT_PATH names the folder with ca.pem, cert.pem and key.pem"
    if address.tls and ("certificate" in why.lower() or "ssl" in why.lower()):
        return f"{files}; a context has its own"
    if address.host.startswith("tcp://") and not address.tls and why.startswith("400 "):
        return f"It speaks TLS alone, perhaps: DOCKER_TLS_VERIFY=1, and {files}"
    return "Is it running? docker info asks the same engine; systemctl start docker starts it"


def has_closed(error: WorkloadFailed) -> bool:
    """Whether an engine closed the connection, as one does that ends and may come back."""
    return error.code == "engine-away" and not error.details.get("silent")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it was raised from, and what stands in its arguments."""
    seen: set[int] = set()
    left = [error] if error is not None else []
    while left:
        one = left.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
        left += [each for each in inner if isinstance(each, BaseException)]


def _reason(causes: Sequence[BaseException]) -> str:
    """The system's own word for it, when there is one."""
    for one in causes:
        if type(one).__name__ in _TIMEOUTS:
            return f"no answer within {_ANSWER}s"
    for one in causes:
        if isinstance(one, OSError) and one.strerror:
            return one.strerror[:1].lower() + one.strerror[1:]
    last = " ".join(str(causes[-1]).split()) if causes else ""
    return last[:200]


def _refusal(error: Any) -> WorkloadFailed:
    told = masked_url(" ".join(str(error.explanation or error).split()))
    if error.status_code == 404 and "image" in told.lower() and "container" not in told.lower():
        return WorkloadFailed(
            told, code="no-such-image", hint="docker images lists what the engine has"
        )
    if error.status_code == 404 and "container" in told.lower():
        return WorkloadFailed(
            told, code="no-such-container", hint="docker ps --all lists what the engine has"
        )
    return WorkloadFailed(f"The Docker engine refused: {told}", code="engine-refused")


def _client(address: EngineAddress, url: str) -> Any:
    from docker.api.client import APIClient
    from docker.errors import DockerException, TLSParameterError
    from docker.tls import TLSConfig
    from docker.utils import parse_host

    try:
        parse_host(url, tls=address.tls)
    except (ValueError, DockerException) as error:
        raise ConfigurationError(
            f"{masked_url(address.host)} ({address.origin}) is no address of an engine",
            code="docker-host",
            hint="DOCKER_HOST=unix:///var/run/docker.sock, or tcp://HOST:2376 with TLS",
        ) from error
    tls: Any = False
    if address.tls:
        own = address.certificate and (str(address.certificate[0]), str(address.certificate[1]))
        authority = str(address.authority) if address.authority else None
        try:
            tls = TLSConfig(client_cert=own, ca_cert=authority, verify=address.verify)
        except TLSParameterError as error:
            raise ConfigurationError(str(error).split(".")[0], code="docker-tls") from error

    class Client(APIClient):  # type: ignore[misc]
        def merge_environment_settings(
            self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
        ) -> Any:
            # Else REQUESTS_CA_BUNDLE, meant for the web, would be held against this certificate.
            known = self.verify if verify is None else verify
            return super().merge_environment_settings(url, proxies, stream, known, cert)

    return Client(base_url=url, version="auto", timeout=_ANSWER, tls=tls)
