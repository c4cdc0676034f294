"""Manifests of a SQLite service: plain, as a kustomization, as a Helm chart. Pure.

One set of templates serves all three. They hold Helm's placeholders, a value each and nothing more;
a chart keeps them, elsewhere the values are put in. What is optional stands between `#? WORD` and
`#? end` and is decided when the manifests are written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from orchctl.errors import UsageError

ACCESS_MODES = ("ReadWriteOncePod", "ReadWriteOnce")
PARTS = ("backup", "monitor", "rbac")
SNAPSHOTS = ("sidecar", "cronjob", "none")

_FOLDER = Path(__file__).parent / "manifest_templates"
_ALWAYS = ("service.yaml", "statefulset.yaml", "poddisruptionbudget.yaml")
_OPTIONAL = {"cronjob": "cronjob.yaml", "monitor": "servicemonitor.yaml", "rbac": "rbac.yaml"}
_PLACEHOLDER = re.compile(r"\{\{ (toJson )?\.(?:Values|Release)\.(\w+) \}\}")
_BLOCK = re.compile(r"^#\? ([\w-]+)\n(.*?)^#\? end\n", re.MULTILINE | re.DOTALL)

_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_URL_PATH = r"/[A-Za-z0-9._~/%-]*"
# Of the name: 52 characters, for the StatefulSet's pods carry it with a hash behind as a label.
_FORMS = {
    "name": ("--name", r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?", "letters, digits and -, at most 52"),
    "namespace": ("--namespace", rf"(?!.{{64}}){_LABEL}", "letters, digits and -"),
    "image": ("--image", r"[A-Za-z0-9][A-Za-z0-9._/:@-]*", "registry.example/web:1.2"),
    "storage": ("--storage", r"[1-9][0-9]*(\.[0-9]+)?(k|[MGTPE]|[KMGTPE]i)?", "10Gi"),
    "health_path": ("--health-path", _URL_PATH, "/readyz"),
    "live_path": ("--live-path", rf"({_URL_PATH})?", "/healthz"),
    "database": ("--database", r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*){2,}", "/data/web.db"),
}
_LONGEST_CRON_JOB = 52  # its Jobs carry the time behind the name
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9._~/%:@-]*[A-Za-z0-9/]|[A-Za-z/]")
# What YAML 1.1 takes for something other than text.
_WORDS = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}


@dataclass(frozen=True)
class Service:
    """What the manifests are of.

    Attributes:
        name: Of every object.
        image: Of its container.
        namespace: Where.
        port: That it listens on.
        storage: Size of the claim, as Kubernetes writes quantities.
        access_mode: One of ACCESS_MODES.
        health_path: Answers 200 when it can work.
        live_path: Answers 200 while it lives; "" when only the port is looked at.
        database: The file, in the container; the claim is mounted at its directory.
        command: What `orchctl run --` starts; empty when the image's entrypoint says it.
        parts: Some of PARTS.
        snapshot_seconds: Between two snapshots.
        snapshots: Who takes them, one of SNAPSHOTS; "" means a sidecar if `backup` is among the
            parts, else nobody.

    Raises:
        UsageError: `bad-manifest-value`.
    """

    name: str
    image: str
    namespace: str = "default"
    port: int = 8000
    storage: str = "10Gi"
    access_mode: str = ACCESS_MODES[0]
    health_path: str = "/readyz"
    live_path: str = ""
    database: str = "/data/app.db"
    command: tuple[str, ...] = ()
    parts: frozenset[str] = frozenset()
    snapshot_seconds: int = 21600
    snapshots: str = ""

    def __post_init__(self) -> None:
        for field, (option, form, example) in _FORMS.items():
            value = getattr(self, field)
            if not re.fullmatch(form, value):
                raise _bad(option, value, example)
        if self.access_mode not in ACCESS_MODES:
            raise _bad("--access-mode", self.access_mode, " or ".join(ACCESS_MODES))
        if unknown := self.parts - set(PARTS):
            raise _bad("--with", min(unknown), ",".join(PARTS))
        if self.snapshots not in (*SNAPSHOTS, ""):
            raise _bad("--snapshots", self.snapshots, " or ".join(SNAPSHOTS))
        if self.taken_by == "cronjob":
            self._require_room()

    def _require_room(self) -> None:
        if self.access_mode != "ReadWriteOnce":
            raise UsageError(
                f"A claim that is {self.access_mode} has no room for a CronJob's pod",
                code="bad-manifest-value",
                hint="--access-mode ReadWriteOnce, or --snapshots sidecar",
            )
        if len(self.name) > _LONGEST_CRON_JOB - len("-snapshots"):
            raise _bad("--name", self.name, "with a CronJob at most 42 characters")
        schedule(self.snapshot_seconds)

    @property
    def taken_by(self) -> str:
        """Who takes snapshots: one of SNAPSHOTS."""
        return self.snapshots or ("sidecar" if "backup" in self.parts else "none")


def manifest_files(service: Service) -> dict[str, str]:
    """The manifests, by file name, in the order they are to be applied in."""
    values = _values(service)
    return {name: _filled(text, values) for name, text in _templates(service).items()}


def stream(service: Service) -> str:
    """The manifests as one stream of documents."""
    return "---\n".join(manifest_files(service).values())


def kustomization(service: Service) -> dict[str, str]:
    """The manifests and the kustomization that names them."""
    files = manifest_files(service)
    head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
    named = "".join(f"  - {name}\n" for name in files)
    own = f"{head}namespace: {_scalar(service.namespace)}\nresources:\n{named}"
    return {"kustomization.yaml": own, **files}


def chart(service: Service) -> dict[str, str]:
    """A Helm chart; the namespace is the release's."""
    templates = _templates(service)
    used = {name for text in templates.values() for _, name in _PLACEHOLDER.findall(text)}
    values = {name: value for name, value in _values(service).items() if name in used}
    del values["Namespace"]
    return {
        "Chart.yaml": f"apiVersion: v2\nname: {_scalar(service.name)}\n"
        f"description: {service.name}, its SQLite database upgraded by orchctl\n"
        "type: application\nversion: 0.1.0\n",
        "values.yaml": "".join(f"{name}: {_scalar(value)}\n" for name, value in values.items()),
        **{f"templates/{name}": text for name, text in templates.items()},
    }


def _templates(service: Service) -> dict[str, str]:
    words = {
        *(service.parts - {"backup"}),
        service.taken_by,
        "command" if service.command else "entrypoint",
        "live-path" if service.live_path else "live-port",
    }
    chosen = [*_ALWAYS, *(name for word, name in _OPTIONAL.items() if word in words)]
    return {name: _decided((_FOLDER / name).read_text("utf-8"), words) for name in chosen}


def _decided(text: str, words: Collection[str]) -> str:
    return _BLOCK.sub(lambda block: block[2] if block[1] in words else "", text)


def _values(service: Service) -> dict[str, Any]:
    return {
        "Namespace": service.namespace,
        "name": service.name,
        "image": service.image,
        "command": ["orchctl", "run", "--", *service.command],
        "port": service.port,
        "healthPath": service.health_path,
        "livePath": service.live_path,
        "databaseUrl": f"sqlite:///{service.database}",
        "dataPath": str(PurePosixPath(service.database).parent),
        "accessMode": service.access_mode,
        "storage": service.storage,
        "snapshotInterval": service.snapshot_seconds,
        "snapshotSchedule": schedule(service.snapshot_seconds)
        if service.taken_by == "cronjob"
        else "",
    }


def schedule(seconds: int) -> str:
    """The cron expression for every so many seconds, at the full hour or day.

    Raises:
        UsageError: `bad-manifest-value`: a day, or an hour, is no multiple of it.
    """
    minutes, rest = divmod(seconds, 60)
    if not rest and minutes and not 60 % minutes:
        return "0 * * * *" if minutes == 60 else f"*/{minutes} * * * *"
    hours, rest = divmod(seconds, 3600)
    if not rest and hours and not 24 % hours:
        return "0 0 * * *" if hours == 24 else f"0 */{hours} * * *"
    raise _bad("--every", f"{seconds}s", "with a CronJob 15m, 1h, 6h, 24h …")


def _filled(text: str, values: Mapping[str, Any]) -> str:
    def value(found: re.Match[str]) -> str:
        quoted, name = found.groups()
        return _scalar(values[name]) if quoted else str(values[name])

    return _PLACEHOLDER.sub(value, text)


def _scalar(value: object) -> str:
    """A value as YAML has it: JSON, without quotes where it needs none."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _bad(option: str, value: str, example: str) -> UsageError:
    return UsageError(
        f"{option} can't be {value!r}", code="bad-manifest-value", hint=f"{option}: {example}"
    )
