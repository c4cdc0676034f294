"""A container around the database: D01 to D05 as its engine sees them, and its settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.doctor.containers import Patient
from orchctl.doctor.content import judge_version
from orchctl.doctor.examination import Checked, examine_each
from orchctl.doctor.files import judge_rights
from orchctl.doctor.findings import Finding, found
from orchctl.doctor.mounts import judge_place, read_mounts
from orchctl.doctor.secrets import masked
from orchctl.doctor.subject import User
from orchctl.errors import Refused, WorkloadFailed

if TYPE_CHECKING:
    from orchctl.workloads.facts import ContainerFacts

_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_MANY = 3  # restarts
_SECRET = re.compile(r"(KEY|KEYS|SECRET|PASSWORD|PASSWD|TOKEN)$")
_PLACEHOLDERS = set(
    """
    admin changeme change-me change_me default demo example password secret test your-key
    your-secret-key your_secret_key your-api-key sk-test sk-xxx 123456 12345678
""".split()
)
_ORCHESTRATOR = "LLM Orchestrator"
_ASK_VERSION = (
    ("python3", "-c", "import sqlite3; print(sqlite3.sqlite_version)"),
    ("sqlite3", "--version"),
)


def examine_containers(
    patients: Iterable[Patient], on_check: Callable[[str], None] = lambda name: None
) -> tuple[Checked, ...]:
    """Do all checks of containers.

    Args:
        patients: The containers.
        on_check: Called with the name of each check as it begins.
    """
    return examine_each(CHECKS, patients, on_check)


def check_state(patient: Patient) -> Iterator[Finding]:
    """Whether it runs, and what it says of its health."""
    yield from judge_state(patient.facts)


def judge_state(facts: ContainerFacts) -> Iterator[Finding]:
    """What the state of a container means.

    Args:
        facts: Of the container.
    """
    logs = f"docker logs --tail 50 {facts.name}"
    if facts.state == "restarting" or (facts.running and facts.restarts >= _MANY):
        yield found(
            "crash-loop",
            f"{facts.name} ends and is started again and again",
            evidence=(f"{facts.restarts} restarts, last exit code {facts.exit_code}",),
            command=logs,
        )
    elif not facts.running:
        yield found(
            "not-running",
            f"{facts.name} is {facts.state}",
            evidence=(f"exit code {facts.exit_code} at {facts.finished_at or '-'}", facts.trouble)
            if facts.trouble
            else (f"exit code {facts.exit_code} at {facts.finished_at or '-'}",),
            command=f"docker start {facts.name}",
        )
    if facts.oom_killed:
        told = f"The kernel ended {facts.name} for want of memory"
        yield found("oom-killed", told, command=f"docker update --memory … {facts.name}")
    if facts.health == "unhealthy":
        yield found(
            "unhealthy",
            f"{facts.name} is unhealthy by its own check",
            evidence=tuple(
                f"exit code {one.exit_code}: {masked(one.told)[:200]}" for one in facts.probes[-2:]
            ),
            command=logs,
        )


def check_upgrade(patient: Patient) -> Iterator[Finding]:
    """Whether it is stopped for an upgrade, and whoever did that is no more."""
    from orchctl.workloads.docker.stoppage import stoppage_of
    from orchctl.workloads.docker.worker import is_alive

    left = stoppage_of(patient.engine, [patient.facts.name])
    if left is None:
        return
    alive = is_alive(left.by)
    yield found(
        "upgrade-unfinished",
        left.told,
        evidence=(f"{left.name} is {left.state}", f"stopped for it: {left.names}"),
        command=f"docker logs -f {left.name}"
        if alive
        else f"orchctl docker upgrade {left.service}",
        level="note" if alive else "error",
    )


def check_mounts(patient: Patient) -> Iterator[Finding]:
    """D01 and D02: whether the database outlives the container, and its sidecars with it.

    Raises:
        Refused: It is not known which database the container uses.
    """
    inside, mount, name = _require_inside(patient), patient.mount, patient.facts.name
    if mount is None:
        yield found(
            "container-layer",
            f"{inside} is on the own layer of {name}: gone when it is recreated",
            evidence=tuple(f"{one.target} is mounted" for one in patient.facts.mounts)
            or ("Nothing is mounted",),
            command=f"docker cp {name}:{inside.parent} ., then recreate it with "
            f"-v NAME:{inside.parent}",
        )
    elif mount.target == str(inside):
        yield found(
            "single-file-mount",
            f"{mount.source} alone is mounted into {name}: -wal and -journal stay in its own layer",
            evidence=(f"{mount.kind} {mount.source} -> {mount.target}",),
            command=f"Recreate it with the directory mounted: -v DIRECTORY:{inside.parent}",
        )
    elif mount.kind == "volume" and _ANONYMOUS.fullmatch(mount.name):
        yield found(
            "anonymous-volume",
            f"{inside} is on a volume without a name: a new container gets another, empty one",
            evidence=(f"volume {mount.name[:12]} -> {mount.target}",),
            command=f"Recreate it with -v NAME:{mount.target}, the data copied there first",
        )


def check_inside(patient: Patient) -> Iterator[Finding]:
    """D04: what the database is on, as the container itself sees it.

    Raises:
        Refused: It is not known which database the container uses, or it doesn't run.
    """
    inside = _require_inside(patient)
    if process := patient.process:
        text = (process / "mountinfo").read_text(errors="surrogateescape")
    else:
        text = _run(patient, ("cat", "/proc/self/mountinfo"))
    wal = True if patient.outside is None else _wal(patient.outside)
    for one in judge_place(Path(inside), read_mounts(text), wal=wal):
        if one.id not in ("container-layer", "single-file-mount"):  # told by the engine already
            yield one


def check_user(patient: Patient) -> Iterator[Finding]:
    """D03: whether the container's user can use directory, database and sidecars.

    Raises:
        Refused: The files can't be seen from here, or the user can't be told.
    """
    if patient.outside is None:
        raise Refused("its database can't be reached from this machine")
    yield from judge_rights(patient.outside.resolve(), (_user(patient),))


def check_sharers(patient: Patient) -> Iterator[Finding]:
    """D05: who else may write to what the database is on."""
    from orchctl.workloads.docker.writers import writers_of

    mount = patient.mount
    if mount is None or not mount.source:
        return
    others = writers_of(patient.engine, mount.source, but=(patient.facts.id,))
    if others:
        names = ", ".join(one.name for one in others)
        yield found(
            "two-containers",
            f"{names} may write to the {mount.kind} of {patient.facts.name} as well",
            evidence=tuple(
                f"{one.name}: {at.source} -> {at.target}"
                for one in others
                for at in one.mounts
                if at.source.startswith(mount.source) or mount.source.startswith(at.source)
            ),
            command=f"docker stop {others[0].name}, if only one is meant to write",
        )


def check_library(patient: Patient) -> Iterator[Finding]:
    """The SQLite that the container uses.

    Raises:
        Refused: It doesn't run, or has neither Python nor sqlite3.
    """
    wal = patient.outside is None or _wal(patient.outside)
    for words in _ASK_VERSION:
        try:
            version = _run(patient, words).split()[0]
        except (WorkloadFailed, IndexError):
            continue
        yield from judge_version(version, wal=wal, where=f"in {patient.facts.name}")
        return
    raise Refused("it has neither python3 nor sqlite3 to ask")


def check_settings(patient: Patient) -> Iterator[Finding]:
    """What its variables leave open; no value is told."""
    yield from judge_environment(patient.facts)


def judge_environment(facts: ContainerFacts) -> Iterator[Finding]:
    """What a container's variables leave open.

    Args:
        facts: Of the container.
    """
    variables = facts.environment
    own = facts.labels.get("org.opencontainers.image.title") == _ORCHESTRATOR
    if (own or "ADMIN_KEY" in variables) and not variables.get("ADMIN_KEY"):
        yield found(
            "no-admin-key",
            f"ADMIN_KEY is not set in {facts.name}: the admin side is off",
            command="Recreate it with -e ADMIN_KEY=$(openssl rand -hex 32)",
        )
    if (own or "API_KEYS" in variables) and not variables.get("API_KEYS"):
        yield found(
            "no-api-keys",
            f"API_KEYS is not set in {facts.name}: every request for a model is refused",
            command="Recreate it with -e API_KEYS=…",
        )
    yield from _weak(facts.name, variables)
    if variables.get("SKIP_MIGRATION", "").lower() in ("1", "true", "yes", "on"):
        yield found(
            "migration-skipped",
            f"{facts.name} starts without upgrading its database",
            evidence=("SKIP_MIGRATION is on",),
            command="orchctl upgrade, or recreate it without SKIP_MIGRATION",
        )


def _weak(name: str, variables: Mapping[str, str]) -> Iterator[Finding]:
    for variable, value in sorted(variables.items()):
        words = {word.strip().lower() for word in value.split(",")}
        if _SECRET.search(variable) and words & _PLACEHOLDERS:
            yield found(
                "weak-secret",
                f"{variable} of {name} is a placeholder that everybody knows",
                command=f"Recreate it with -e {variable}=$(openssl rand -hex 32)",
            )


CHECKS: Mapping[str, Callable[[Patient], Iterable[Finding]]] = {
    "state": check_state,
    "upgrade": check_upgrade,
    "mounts": check_mounts,
    "inside": check_inside,
    "user": check_user,
    "sharers": check_sharers,
    "library": check_library,
    "settings": check_settings,
}


def _require_inside(patient: Patient) -> Path:
    if patient.inside is None:
        raise Refused("neither its variables nor the settings name a SQLite file in it")
    return Path(patient.inside)


def _run(patient: Patient, words: tuple[str, ...]) -> str:
    if patient.facts.state != "running":
        raise Refused(f"it is {patient.facts.state}")
    code, told = patient.engine.execute(patient.facts.id, words)
    if code != 0:
        raise WorkloadFailed(f"{words[0]} ended with {code}")
    return told


def _user(patient: Patient) -> User:
    if process := patient.process:
        lines = dict(
            line.split(":", 1) for line in (process / "status").read_text().splitlines() if line
        )
        uid, gid = int(lines["Uid"].split()[1]), int(lines["Gid"].split()[1])
        groups = frozenset([gid, *map(int, lines["Groups"].split())])
        return User(uid, groups, f"uid {uid}, the user of {patient.facts.name},")
    name, _, group = (patient.facts.user or "0").partition(":")
    if not name.isdigit() or not (group or "0").isdigit():
        raise Refused(f"it doesn't run, and only its image knows who {name} is")
    uid = int(name)
    groups = frozenset([int(group or 0)])
    return User(uid, groups, f"uid {uid}, the user of {patient.facts.name},")


def _wal(file: Path) -> bool:
    from orchctl.database.header import read_header

    try:
        header = read_header(file)
    except OSError:
        return True
    return header is not None and header.wal
