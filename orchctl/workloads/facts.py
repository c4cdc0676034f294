"""What is known of a workload, whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Mount:
    """Something mounted into a container.

    Attributes:
        kind: `bind`, `volume`, `tmpfs`, `npipe` …
        source: The folder or file on the engine's machine; "" where there is none (tmpfs).
        target: Where it is inside.
        name: The volume's name; "" for what is none.
        writable: Whether the container may write there.
        driver: The volume's driver; "" for what is none.
    """

    kind: str
    source: str
    target: str
    name: str = ""
    writable: bool = True
    driver: str = ""

    def outside(self, inside: PurePosixPath) -> PurePosixPath | None:
        """Where a path of the container lies on the engine's machine; None when not in here."""
        target = PurePosixPath(self.target)
        if not self.source or not (inside == target or target in inside.parents):
            return None
        return PurePosixPath(self.source) / inside.relative_to(target)


@dataclass(frozen=True)
class Probe:
    """One run of a container's own health check: when it ended, its exit code, what it printed."""

    at: str
    exit_code: int
    told: str


@dataclass(frozen=True)
class Port:
    """A port of a container, and where it can be reached from outside.

    Attributes:
        inside: Its number in the container.
        protocol: `tcp`, `udp` or `sctp`.
        address: The address on the engine's machine.
        outside: The number there.
    """

    inside: int
    protocol: str
    address: str
    outside: int

    def __str__(self) -> str:
        return f"{self.address}:{self.outside}->{self.inside}/{self.protocol}"


@dataclass(frozen=True)
class ContainerFacts:
    """One container, as its engine described it.

    Attributes:
        id: Of 64 hexadecimal digits.
        name: Without the slash.
        image: As it was started: a tag, a digest or an id.
        image_id: `sha256:…`, the digest of what it really runs.
        state: `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
        health: `starting`, `healthy`, `unhealthy`; None without a check of its own.
        probes: The last runs of that check, the newest last.
        exit_code: Of its last end; means something only when it is not running.
        oom_killed: Whether the kernel ended it for want of memory.
        trouble: What the engine says went wrong at the start; "" when nothing.
        started_at: ISO 8601, UTC; "" when never.
        finished_at: The same.
        restarts: How often its restart policy revived it since it was last started on purpose.
        restart_policy: `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:N`.
        removed_at_end: Whether it was started with `--rm`.
        user: As which it runs; "" means root.
        working_folder: Its own.
        environment: Its variables.
        labels: Its labels.
        mounts: What is mounted into it.
        ports: What is published.
        exposed: Numbers of the ports it says it has.
        network_mode: `bridge`, `host`, `none`, `container:ID` or a network's name.
        guest_of: Ids of the containers whose network, IPC or processes it shares.
        stop_signal: What it is stopped with.
        stop_timeout: Seconds between that and SIGKILL; None where the container doesn't say.
        pid: Of its first process, on the engine's machine; 0 when it has none.
    """

    id: str
    name: str
    image: str
    image_id: str
    state: str
    health: str | None = None
    probes: tuple[Probe, ...] = ()
    exit_code: int = 0
    oom_killed: bool = False
    trouble: str = ""
    started_at: str = ""
    finished_at: str = ""
    restarts: int = 0
    restart_policy: str = "no"
    removed_at_end: bool = False
    user: str = ""
    working_folder: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    ports: tuple[Port, ...] = ()
    exposed: tuple[int, ...] = ()
    network_mode: str = ""
    guest_of: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"
    stop_timeout: int | None = None
    pid: int = 0

    @property
    def running(self) -> bool:
        """Whether its process is there (a paused one is, too)."""
        return self.state in ("running", "paused")

    @property
    def revived(self) -> bool:
        """Whether the engine starts it again by itself."""
        return self.restart_policy != "no"

    def mount_of(self, inside: PurePosixPath) -> Mount | None:
        """What a path inside lies on: the mount closest to it; None for the container's layer."""
        over = [one for one in self.mounts if _covers(PurePosixPath(one.target), inside)]
        return max(over, key=lambda one: len(PurePosixPath(one.target).parts), default=None)


def _covers(folder: PurePosixPath, path: PurePosixPath) -> bool:
    return path == folder or folder in path.parents
