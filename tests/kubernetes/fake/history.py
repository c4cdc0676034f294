"""What happened: every request, and when which pod really ran on which claim. Only added to."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field

from tests.kubernetes.fake.resources import Json


@dataclass
class Asked:
    """One request; `status` is 0 until it is answered, and stays so when the answer was lost."""

    at: float
    user: str
    verb: str
    method: str
    path: str
    query: dict[str, str]
    content_type: str
    body: Json | None
    agent: str
    status: int = 0

    @property
    def writes(self) -> bool:
        return self.method != "GET" and "selfsubject" not in self.path


@dataclass
class Ran:
    """A pod's containers ran from `start` to `end` (monotonic seconds; None: still running)."""

    namespace: str
    pod: str
    uid: str
    node: str
    claims: tuple[str, ...]
    images: tuple[str, ...]
    start: float
    end: float | None = None

    def finish(self) -> None:
        self.end = time.monotonic()


@dataclass
class History:
    """All requests and all running intervals of one store's life."""

    requests: list[Asked] = field(default_factory=list)
    runs: list[Ran] = field(default_factory=list)

    def began(self, pod: Json) -> Ran:
        spec, meta = pod["spec"], pod["metadata"]
        run = Ran(
            meta["namespace"],
            meta["name"],
            meta["uid"],
            spec.get("nodeName", ""),
            claims_of(spec),
            tuple(each["image"] for each in spec["containers"]),
            time.monotonic(),
        )
        self.runs.append(run)
        return run

    def on_claim(self, namespace: str, claim: str) -> list[Ran]:
        return [run for run in self.runs if run.namespace == namespace and claim in run.claims]

    def overlaps(self, namespace: str, claim: str) -> list[tuple[Ran, Ran]]:
        """Pairs of different pods that ran on the claim at one time."""
        pairs = itertools.combinations(self.on_claim(namespace, claim), 2)
        return [(a, b) for a, b in pairs if a.uid != b.uid and _overlap(a, b)]

    def writes(self) -> list[Asked]:
        return [each for each in self.requests if each.writes]


def _overlap(a: Ran, b: Ran) -> bool:
    first, second = sorted((a, b), key=lambda run: run.start)
    return first.end is None or second.start < first.end


def claims_of(spec: Json) -> tuple[str, ...]:
    """The names of the claims a pod's volumes refer to."""
    volumes = spec.get("volumes") or []
    claims = [each["persistentVolumeClaim"] for each in volumes if "persistentVolumeClaim" in each]
    return tuple(claim["claimName"] for claim in claims)
