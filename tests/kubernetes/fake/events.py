"""Events as controllers, the scheduler and the kubelet record them: the same again is counted."""

from __future__ import annotations

from tests.kubernetes.fake.moments import micro_stamp, new_uid, stamp
from tests.kubernetes.fake.resources import EVENTS, NAMESPACES, Json
from tests.kubernetes.fake.store import Store

SCHEDULER = "default-scheduler"


def record(
    store: Store,
    about: Json,
    reason: str,
    message: str,
    *,
    by: str,
    node: str = "",
    container: str = "",
) -> None:
    """Records one event; whether it is a warning follows from its reason."""
    namespace = about["metadata"].get("namespace", "default")
    if store.find(NAMESPACES, "", namespace) is None:
        return
    involved = _involved(about, container)
    kind = "Warning" if is_warning(reason, message) else "Normal"
    key = (involved["uid"], container, reason, message, by)
    held = store.find(EVENTS, namespace, store.told.get(key, ""))
    if held is not None and by != SCHEDULER:
        store.replace(EVENTS, {**held, "count": held["count"] + 1, "lastTimestamp": stamp()})
    elif held is None:
        made = store.add(EVENTS, _event(about, involved, (reason, message, kind), by, node))
        store.told[key] = made["metadata"]["name"]


def is_warning(reason: str, message: str) -> bool:
    if reason == "BackOff":
        return "pulling image" not in message
    return reason.startswith("Failed") or reason in {
        "Unhealthy",
        "BackoffLimitExceeded",
        "DeadlineExceeded",
        "NodeNotReady",
    }


def _involved(about: Json, container: str) -> Json:
    meta = about["metadata"]
    involved: Json = {
        "kind": about["kind"],
        "namespace": meta.get("namespace", ""),
        "name": meta["name"],
        "uid": meta["uid"],
        "apiVersion": about["apiVersion"],
        "resourceVersion": meta["resourceVersion"],
    }
    if container:
        involved["fieldPath"] = f"spec.containers{{{container}}}"
    return involved


def _event(about: Json, involved: Json, what: tuple[str, str, str], by: str, node: str) -> Json:
    reason, message, kind = what
    meta = about["metadata"]
    event: Json = {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {
            "name": f"{meta['name']}.{new_uid().replace('-', '')[:16]}",
            "namespace": meta.get("namespace", "default"),
        },
        "involvedObject": involved,
        "reason": reason,
        "message": message,
        "type": kind,
        "reportingComponent": by,
        "reportingInstance": node,
    }
    if by == SCHEDULER:
        fresh = {"source": {}, "firstTimestamp": None, "lastTimestamp": None}
        doing = "Binding" if reason == "Scheduled" else "Scheduling"
        event["reportingInstance"] = f"{SCHEDULER}-fake"
        return event | fresh | {"eventTime": micro_stamp(), "action": doing}
    source = {"component": by, "host": node} if node else {"component": by}
    times = {"firstTimestamp": stamp(), "lastTimestamp": stamp(), "eventTime": None}
    return event | times | {"source": source, "count": 1}
