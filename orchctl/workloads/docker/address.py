"""Which engine: found as the docker CLI finds it, without asking anybody.

The order is that of docker/cli's `resolveContextName` (cli/command/cli.go): DOCKER_HOST, then
DOCKER_CONTEXT, then `currentContext` of config.json, then the socket of this machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchctl.errors import ConfigurationError

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_TLS_FILES = ("ca.pem", "cert.pem", "key.pem")


@dataclass(frozen=True)
class EngineAddress:
    """Where an engine is and how to be let in.

    Attributes:
        host: `unix:///…`, `tcp://…`, `ssh://…`.
        origin: Who says so: `DOCKER_HOST`, `context NAME`, `default`.
        tls: Whether TLS is spoken.
        verify: Whether the engine's certificate must be good.
        authority: File with whose certificates are good; None takes the system's.
        certificate: Our own certificate and its key.
    """

    host: str
    origin: str
    tls: bool = False
    verify: bool = True
    authority: Path | None = None
    certificate: tuple[Path, Path] | None = None

    @property
    def local(self) -> bool:
        """Whether paths of the engine's machine may be ours."""
        return self.host.startswith("unix://")


def find_engine(environment: Mapping[str, str], home: Path) -> EngineAddress:
    """The engine that the docker CLI would use.

    Args:
        environment: DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS_VERIFY, DOCKER_TLS and
            DOCKER_CERT_PATH are looked at.
        home: The folder with `.docker`.

    Raises:
        ConfigurationError: `docker-context`, `docker-tls`: what is named isn't there.
    """
    folder = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    if host := environment.get("DOCKER_HOST"):
        return _by_variables(host, "DOCKER_HOST", environment, folder)
    name = environment.get("DOCKER_CONTEXT") or _current_context(folder)
    if name and name != "default":
        return _by_context(name, folder)
    return _by_variables(DEFAULT_SOCKET, "default", environment, folder)


def _by_variables(
    host: str, origin: str, environment: Mapping[str, str], folder: Path
) -> EngineAddress:
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    if host.startswith("unix://") or not (verify or environment.get("DOCKER_TLS")):
        return EngineAddress(host, origin)
    certificates = Path(environment.get("DOCKER_CERT_PATH") or folder)
    return _with_tls(host, origin, certificates, verify=verify)


def _with_tls(host: str, origin: str, certificates: Path, *, verify: bool) -> EngineAddress:
    authority, certificate, key = (certificates / name for name in _TLS_FILES)
    if certificate.exists() != key.exists():
        raise ConfigurationError(
            f"{certificates} holds only one of cert.pem and key.pem",
            code="docker-tls",
            hint="DOCKER_CERT_PATH names the folder with ca.pem, cert.pem and key.pem",
        )
    if verify and not authority.exists() and origin == "DOCKER_HOST":
        raise ConfigurationError(
            f"There is no {authority}, which DOCKER_TLS_VERIFY asks for",
            code="docker-tls",
            hint="DOCKER_CERT_PATH names the folder with ca.pem, cert.pem and key.pem",
        )
    return EngineAddress(
        host,
        origin,
        tls=True,
        verify=verify,
        authority=authority if authority.exists() else None,
        certificate=(certificate, key) if certificate.exists() else None,
    )


def _current_context(folder: Path) -> str | None:
    content = _json(folder / "config.json")
    name = content.get("currentContext") if content else None
    return name if isinstance(name, str) else None


def _by_context(name: str, folder: Path) -> EngineAddress:
    # docker/cli: cli/context/store names the folders by the hash of the context's name.
    hashed = hashlib.sha256(name.encode()).hexdigest()
    content = _json(folder / "contexts" / "meta" / hashed / "meta.json")
    endpoint = (content or {}).get("Endpoints", {}).get("docker", {})
    host = endpoint.get("Host")
    if not isinstance(host, str) or not host:
        raise ConfigurationError(
            f"There is no docker context {name}" if content is None else f"{name} names no engine",
            code="docker-context",
            hint="docker context ls shows them; DOCKER_CONTEXT and docker context use choose one",
        )
    certificates = folder / "contexts" / "tls" / hashed / "docker"
    skip = bool(endpoint.get("SkipTLSVerify"))
    if host.startswith("tcp://") and (certificates.is_dir() or skip):
        return _with_tls(host, f"context {name}", certificates, verify=not skip)
    return EngineAddress(host, f"context {name}")


def _json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}", code="docker-context"
        ) from error
    return content if isinstance(content, dict) else None
