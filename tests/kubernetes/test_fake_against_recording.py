"""The fake's answers held against those of a real 1.34 cluster, call by call.

The recorded answers are kept without what differs from run to run (normal.py). A GET may have to
wait until the fake's controllers have come as far as the recorded ones had.
"""

from __future__ import annotations

import copy
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import CLAIMS, NAMESPACES
from tests.kubernetes.normal import normal

RECORDED = Path(__file__).parent / "recorded"
PULL_ERROR = (
    'failed to pull and unpack image "localhost/nothere:9": failed to resolve reference '
    '"localhost/nothere:9": failed to do request: Head "http://localhost/v2/nothere/manifests/9": '
    "dial tcp 127.0.0.1:80: connect: connection refused"
)


@pytest.fixture
def scripted(cluster: Cluster) -> Cluster:
    """The containers of the recording: `c` and the crashing one really run."""
    cluster.script(Script(image="localhost/nothere:9", image_error=PULL_ERROR))
    cluster.script(Script(image="localhost/busybox:1", container="c", process=True))
    crashing = Script(image="localhost/busybox:1", container="web", process=True, backoff=60)
    cluster.script(crashing)
    return cluster


@pytest.mark.parametrize("name", sorted(each.stem for each in RECORDED.glob("*.json")))
def test_answers_as_recorded(scripted: Cluster, name: str) -> None:
    if name == "jobs":
        cluster_claim(scripted)
    for step in json.loads((RECORDED / f"{name}.json").read_text()):
        deadline = time.monotonic() + 15
        got = ask(scripted, step)
        waits = step["method"] == "GET" or step.get("wait")
        while got != wanted(step) and waits and time.monotonic() < deadline:
            time.sleep(0.02)
            got = ask(scripted, step)
        assert got == wanted(step), step["step"]


FAILING = ("image", "crash", "unsched", "config", "mount")


def test_events_as_recorded(scripted: Cluster) -> None:
    """What is said of the pods that do not start: which words, by whom, about what."""
    wanted = json.loads((RECORDED.parent / "recorded_events.json").read_text())
    for step in json.loads((RECORDED / "failing.json").read_text()):
        if step["method"] == "POST":
            ask(scripted, step)
    for name in FAILING:
        deadline = time.monotonic() + 15
        while events_of(scripted, name) != ordered(wanted[name]) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert events_of(scripted, name) == ordered(wanted[name]), name


def events_of(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    """Those of the pod of a failing Deployment, without what differs from run to run."""
    of = [each["metadata"] for each in cluster.pods("rec")]
    [pod] = [each["name"] for each in of if each["labels"]["app"] == f"bad-{name}"] or [""]
    query = {"fieldSelector": f"involvedObject.name={pod}"}
    path = "/api/v1/namespaces/rec/events"
    found = []
    for event in send(cluster, {"method": "GET", "path": path, "query": query}, None)[1]["items"]:
        one = normal({key: event[key] for key in event if key != "metadata"})
        del one["involvedObject"]["resourceVersion"]
        found.append(one | ({"count": "<count>"} if "count" in one else {}))
    return ordered(found)


def ordered(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(events, key=lambda each: json.dumps(each, sort_keys=True))


def cluster_claim(cluster: Cluster) -> None:
    """The recorded jobs found the claim of a StatefulSet that was at zero."""
    cluster.create(NAMESPACES, "", {"metadata": {"name": "rec"}})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    cluster.create(CLAIMS, "rec", {"metadata": {"name": "data-db-0"}, "spec": spec})


def wanted(step: dict[str, Any]) -> tuple[int, Any]:
    return step["status"], step["answer"]


def ask(cluster: Cluster, step: dict[str, Any]) -> tuple[int, Any]:
    body = copy.deepcopy(step.get("body"))
    if body is not None and body.get("metadata", {}).get("resourceVersion") == "<held>":
        held = send(cluster, {"method": "GET", "path": step["path"]}, None)[1]
        body["metadata"]["resourceVersion"] = held["metadata"]["resourceVersion"]
    status, answer = send(cluster, step, body)
    if step.get("unsettled"):
        # The write before this one may have been noticed already, or not yet.
        del answer["status"]
    return status, normal(answer)


def send(cluster: Cluster, step: dict[str, Any], body: Any) -> tuple[int, Any]:
    query = urllib.parse.urlencode(step.get("query", {}))
    request = urllib.request.Request(
        f"{cluster.url}{_path(cluster, step['path'])}?{query}",
        method=step["method"],
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Content-Type": step.get("content_type", "application/json"),
            **({"Impersonate-User": step["user"]} if "user" in step else {}),
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, _parsed(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _parsed(error.read())


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode()


def _path(cluster: Cluster, path: str) -> str:
    """Pods have names of their own each time: <pod of LABEL=VALUE> is the first of them."""
    before, found, after = path.partition("<pod of ")
    if not found:
        return path
    selector, _, rest = after.partition(">")
    key, _, value = selector.partition("=")
    pods = [
        each["metadata"]["name"]
        for each in cluster.pods("rec")
        if each["metadata"]["labels"].get(key) == value
    ]
    return f"{before}{pods[0]}{rest}"
