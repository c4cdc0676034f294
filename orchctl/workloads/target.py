"""What a command operates on, as it is typed: `docker:web`, `compose:shop/api`, `k8s:deploy/web`.

Pure: nothing is asked of an engine or a cluster here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchctl.errors import UsageError

# What an engine takes as a name or an id (moby: daemon/names), and Compose as project and service.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_SERVICE = re.compile(r"[a-zA-Z0-9._-]+")
# A DNS label or subdomain; contexts may hold nearly anything (arn:aws:eks:…:cluster/NAME).
_OBJECT = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")

KINDS = {
    "deployment": ("deployments", "deploy"),
    "statefulset": ("statefulsets", "sts"),
    "daemonset": ("daemonsets", "ds"),
    "pod": ("pods", "po"),
}
_KINDS = {word: kind for kind, others in KINDS.items() for word in (kind, *others)}
FORMS = "docker:NAME, compose:PROJECT/SERVICE, docker:label=KEY=VALUE or k8s:NAMESPACE/KIND/NAME"


@dataclass(frozen=True)
class NamedContainer:
    """`docker:NAME`: a container by its name or id."""

    name: str

    def __str__(self) -> str:
        return f"docker:{self.name}"


@dataclass(frozen=True)
class LabelledContainers:
    """`docker:label=KEY=VALUE` or `docker:label=KEY`: every container with that label."""

    key: str
    value: str | None

    def __str__(self) -> str:
        return f"docker:label={self.key}" + ("" if self.value is None else f"={self.value}")


@dataclass(frozen=True)
class ComposeService:
    """`compose:PROJECT/SERVICE`: the containers that Compose labelled so."""

    project: str
    service: str

    def __str__(self) -> str:
        return f"compose:{self.project}/{self.service}"


@dataclass(frozen=True)
class KubernetesObject:
    """`k8s:[[CONTEXT/]NAMESPACE/]KIND/NAME`.

    Attributes:
        kind: `deployment`, `statefulset`, `daemonset` or `pod`.
        name: Its name.
        namespace: None means the one of the context.
        context: Of the kubeconfig; None means the current one.
    """

    kind: str
    name: str
    namespace: str | None = None
    context: str | None = None

    def __str__(self) -> str:
        words = (self.context, self.namespace, self.kind, self.name)
        return "k8s:" + "/".join(word for word in words if word)


ContainerTarget = NamedContainer | LabelledContainers | ComposeService
Target = ContainerTarget | KubernetesObject


def parse_target(text: str, *, bare: str = "") -> Target:
    """Read a target.

    Args:
        text: As typed.
        bare: What stands in front of a text without a scheme: `docker` within `orchctl docker`,
            `k8s` within `orchctl k8s`. Without it only kubectl's `KIND/NAME` needs no scheme.

    Raises:
        UsageError: `bad-target`.
    """
    scheme, colon, rest = text.strip().partition(":")
    if not colon or scheme not in _READERS:
        kind = text.partition("/")[0].lower()
        if bare and (not colon or bare == "k8s" or text.startswith("label=")):
            return _READERS[bare](text.strip(), text)
        if not colon and "/" in text and kind in _KINDS:
            return _kubernetes(text.strip(), text)
        raise _bad(text)
    return _READERS[scheme](rest, text)


def looks_like_target(text: str) -> bool:
    """Whether a word of a command line is meant as a target, well-formed or not."""
    scheme, colon, _ = text.partition(":")
    kind, slash, _ = text.partition("/")
    return bool(colon and scheme in _READERS) or bool(slash and kind.lower() in _KINDS)


def _docker(rest: str, text: str) -> Target:
    if rest.startswith("label="):
        key, equals, value = rest.removeprefix("label=").partition("=")
        if not key.strip():
            raise _bad(text)
        return LabelledContainers(key, value if equals else None)
    if not _NAME.fullmatch(rest):
        raise _bad(text)
    return NamedContainer(rest)


def _compose(rest: str, text: str) -> Target:
    project, _, service = rest.partition("/")
    if not _SERVICE.fullmatch(project) or not _SERVICE.fullmatch(service):
        raise _bad(text)
    return ComposeService(project, service)


def _kubernetes(rest: str, text: str) -> Target:
    # From the right: a context may have slashes of its own.
    *front, kind, name = ["", *rest.split("/")]
    front = front[1:]
    known = _KINDS.get(kind.lower().partition(".")[0])  # `deployments.apps` as kubectl says
    namespace = front[-1] if front else None
    context = "/".join(front[:-1]) or None
    if known is None or not _OBJECT.fullmatch(name):
        raise _bad(text)
    if namespace is not None and not _OBJECT.fullmatch(namespace):
        raise _bad(text)
    return KubernetesObject(known, name, namespace, context)


_READERS = {"docker": _docker, "compose": _compose, "k8s": _kubernetes}


def _bad(text: str) -> UsageError:
    return UsageError(f"{text!r} is no target", code="bad-target", hint=FORMS)
