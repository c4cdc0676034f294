"""The configuration of a container, as what the next one is created from. Pure.

`docker inspect` gives a container's own settings mixed with those of its image. What came from the
image must come from the new image again; what somebody set must stay, whatever the image says.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import normpath
from typing import Any

Json = Mapping[str, Any]

# Taken from the image where the container says the same.
_FROM_IMAGE = ("User", "WorkingDir", "Healthcheck", "StopSignal", "Shell", "OnBuild")


@dataclass(frozen=True)
class Recipe:
    """What a container is created from.

    Attributes:
        body: What the engine's `/containers/create` takes.
        networks: Further networks to connect before the start: name and endpoint settings.
    """

    body: dict[str, Any]
    networks: tuple[tuple[str, dict[str, Any]], ...]


def recipe_of(container: Json, image: Json | None, reference: str) -> Recipe:
    """How to make the same container again, maybe of another image.

    Args:
        container: What the engine says of the container.
        image: What it says of the image it was made of; None when that is gone, then everything
            counts as set on purpose.
        reference: The image of the next one.
    """
    config = _config(container, (image or {}).get("Config") or {})
    config["Image"] = reference
    config["HostConfig"] = _host(container)
    endpoints = _endpoints(container)
    if endpoints:
        # More than one is taken since API 1.44 only; the others are connected afterwards.
        config["NetworkingConfig"] = {"EndpointsConfig": dict(endpoints[:1])}
    return Recipe(config, tuple(endpoints[1:]))


def _config(container: Json, image: Json) -> dict[str, Any]:
    config = copy.deepcopy(dict(container["Config"]))
    for name in _FROM_IMAGE:
        if name in config and config[name] == image.get(name):
            del config[name]
    # With an entrypoint of its own a container has no command of the image.
    if config.get("Entrypoint") == image.get("Entrypoint"):
        config.pop("Entrypoint", None)
        if config.get("Cmd") == image.get("Cmd"):
            config.pop("Cmd", None)
    elif not config.get("Entrypoint"):
        config["Entrypoint"] = [""]  # `--entrypoint ""`; nothing would mean the image's
    if own := config.pop("Healthcheck", None):
        given = image.get("Healthcheck") or {}  # `--health-interval` alone leaves it its test
        config["Healthcheck"] = {key: own[key] for key in own if own[key] != given.get(key)}
    given = image.get("Env") or []
    config["Env"] = [line for line in config.get("Env") or [] if line not in given]
    for name in ("Labels", "ExposedPorts", "Volumes"):
        given = image.get(name) or {}
        own = config.get(name) or {}
        config[name] = {
            key: value for key, value in own.items() if key not in given or given[key] != value
        }
    mode = container["HostConfig"].get("NetworkMode") or ""
    _drop_names(config, container, mode)
    if mode.startswith("container:"):
        # Ports are those of the container whose network it shares.
        config.pop("ExposedPorts", None)
    return config


def _drop_names(config: dict[str, Any], container: Json, mode: str) -> None:
    """Drop the names that are not its own, or the engine's choice: it chooses again."""
    of_another = mode.startswith("container:") or container["HostConfig"].get("UTSMode") == "host"
    if of_another or config.get("Hostname") in (None, "", container["Id"][:12]):
        config.pop("Hostname", None)
    if of_another:
        config.pop("Domainname", None)


def _host(container: Json) -> dict[str, Any]:
    host = copy.deepcopy(dict(container["HostConfig"]))
    # `/db:/web/alias` is how links are told, `db:alias` how they are asked for.
    links = [link.partition(":") for link in host.get("Links") or ()]
    if links:
        host["Links"] = [f"{a.lstrip('/')}:{b.rpartition('/')[2]}" for a, _, b in links]
    _keep_anonymous_volumes(host, container)
    host.pop("ContainerIDFile", None)  # would have to be absent
    return host


def _keep_anonymous_volumes(host: dict[str, Any], container: Json) -> None:
    """Name the volumes that the engine made for it, or the next one would get empty ones."""
    binds = list(host.get("Binds") or [])
    said = {_target(bind) for bind in binds}
    mounts = host.get("Mounts") or []
    for mount in container.get("Mounts") or ():
        if mount.get("Type") != "volume" or mount["Destination"] in said:
            continue
        asked = [one for one in mounts if normpath(one.get("Target")) == mount["Destination"]]
        if asked:
            asked[0]["Source"] = mount["Name"]
            continue
        mode = "" if mount.get("RW") else ":ro"
        binds.append(f"{mount['Name']}:{mount['Destination']}{mode}")
    if binds:
        host["Binds"] = binds


def _target(bind: str) -> str:
    return normpath(bind.split(":")[1] if ":" in bind else bind)


def _endpoints(container: Json) -> list[tuple[str, dict[str, Any]]]:
    """The networks, the one of `--network` first, each as it was asked for."""
    mode = container["HostConfig"].get("NetworkMode") or "default"
    if mode in ("host", "none") or mode.startswith("container:"):
        return []
    networks = container.get("NetworkSettings", {}).get("Networks") or {}
    first = "bridge" if mode == "default" else mode
    named = sorted(networks, key=lambda name: name not in (first, mode))
    # A network may have been named by its id.
    named.sort(key=lambda name: networks[name].get("NetworkID") != mode and name != first)
    return [(name, _endpoint(networks[name], container)) for name in named]


def _endpoint(settings: Json, container: Json) -> dict[str, Any]:
    endpoint: dict[str, Any] = {}
    for name in ("IPAMConfig", "Links", "DriverOpts", "GwPriority"):
        if settings.get(name):
            endpoint[name] = copy.deepcopy(settings[name])
    # Engines before 25 add its short id and its host name; the next one gets its own.
    added = (container["Id"][:12], container["Config"].get("Hostname"))
    aliases = [one for one in settings.get("Aliases") or () if one not in added]
    if aliases:
        endpoint["Aliases"] = aliases
    asked_for = container["Config"].get("MacAddress")
    if asked_for and settings.get("MacAddress") == asked_for:
        endpoint["MacAddress"] = asked_for
    return endpoint
