"""What an engine says of a container, as ContainerFacts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchctl.config import masked_url
from orchctl.workloads.facts import ContainerFacts, Mount, Port, Probe

_NEVER = "0001-01-01T00:00:00Z"


def facts_of(content: Mapping[str, Any]) -> ContainerFacts:
    """The facts in the answer to `docker inspect CONTAINER`."""
    state, config, host = content["State"], content["Config"], content["HostConfig"]
    health = state.get("Health") or {}
    status = health.get("Status")
    return ContainerFacts(
        id=content["Id"],
        name=content["Name"].lstrip("/"),
        image=config["Image"],
        image_id=content["Image"],
        state=state["Status"],
        health=None if status in (None, "", "none") else status,
        probes=tuple(_probe(one) for one in health.get("Log") or ()),
        exit_code=state.get("ExitCode") or 0,
        oom_killed=bool(state.get("OOMKilled")),
        trouble=state.get("Error") or "",
        started_at=_time(state.get("StartedAt")),
        finished_at=_time(state.get("FinishedAt")),
        restarts=content.get("RestartCount") or 0,
        restart_policy=_policy(host.get("RestartPolicy") or {}),
        removed_at_end=bool(host.get("AutoRemove")),
        user=config.get("User") or "",
        working_folder=config.get("WorkingDir") or "/",
        environment=_variables(config.get("Env") or ()),
        labels=config.get("Labels") or {},
        mounts=tuple(_mounts(content)),
        ports=tuple(_ports(host.get("PortBindings") or {}, content)),
        exposed=tuple(sorted(_number(one) for one in config.get("ExposedPorts") or ())),
        network_mode=host.get("NetworkMode") or "",
        guest_of=tuple(_hosts(host)),
        stop_signal=config.get("StopSignal") or "SIGTERM",
        stop_timeout=config.get("StopTimeout"),
        pid=state.get("Pid") or 0,
    )


def _probe(one: Mapping[str, Any]) -> Probe:
    told = masked_url((one.get("Output") or "").strip())
    return Probe(one.get("End") or "", int(one.get("ExitCode") or 0), told)


def _time(text: str | None) -> str:
    return "" if not text or text == _NEVER else text


def _policy(rule: Mapping[str, Any]) -> str:
    name = rule.get("Name") or "no"
    most = rule.get("MaximumRetryCount") or 0
    return f"{name}:{most}" if name == "on-failure" and most else name


def _hosts(host: Mapping[str, Any]) -> Iterator[str]:
    for name in ("NetworkMode", "IpcMode", "PidMode"):
        kind, _, container = (host.get(name) or "").partition(":")
        if kind == "container":
            yield container


def _variables(lines: Any) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _mounts(content: Mapping[str, Any]) -> Iterator[Mount]:
    yield from (_mount(one) for one in content.get("Mounts") or ())
    for target in content["HostConfig"].get("Tmpfs") or ():  # `--tmpfs` is not among them
        yield Mount("tmpfs", "", target)


def _mount(one: Mapping[str, Any]) -> Mount:
    return Mount(
        kind=one.get("Type") or "bind",
        source=one.get("Source") or "",
        target=one["Destination"],
        name=one.get("Name") or "",
        writable=bool(one.get("RW")),
        driver=one.get("Driver") or "",
    )


def _ports(bound: Mapping[str, Any], content: Mapping[str, Any]) -> Iterator[Port]:
    """What is published now; of a container that doesn't run, what would be."""
    open_now = {
        inside: places
        for inside, places in (content.get("NetworkSettings", {}).get("Ports") or {}).items()
        if places
    }
    for inside, places in (open_now or bound).items():
        number, protocol = _number(inside), inside.partition("/")[2] or "tcp"
        for place in places or ():
            outside = int(place.get("HostPort") or 0)
            yield Port(number, protocol, place.get("HostIp") or "0.0.0.0", outside)  # noqa: S104


def _number(port: str) -> int:
    return int(port.partition("/")[0])
