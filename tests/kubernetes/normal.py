"""Answers of the API without what differs from run to run, so that two of them can be compared."""

from __future__ import annotations

import re
from typing import Any

# Names, times and numbers that are made anew each time, and what is written in their place.
_VOLATILE = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"containerd://[0-9a-f]{64}", "<container>"),
    (r"sha256:[0-9a-f]{64}", "<digest>"),
    (r"kube-api-access-[a-z0-9]{5}", "kube-api-access-<suffix>"),
    (r"10\.244\.\d+\.\d+", "<address>"),
    (r"\b(rig2?|node-[12])\b", "<node>"),
    (r"pvc-<uid>|rec-pv", "<volume>"),
    (r"version: \d+ \(\d+\)", "version: <given> (<oldest>)"),
    (r"current: \d+", "current: <newest>"),
    (r"default-scheduler-[\w-]+", "default-scheduler-<node>"),
)
# web-89b587db8-4dkp2 and web-89b587db8; db-75d764b4cb; ok-rthc8.
_HASHED = re.compile(
    r"\b((?:web|bad-[a-z]+|db|ds)-)[b-df-hj-np-tv-z0-9]{8,10}(-[a-z0-9]{5})?(?![a-z0-9])"
)
_OF_JOB = re.compile(r"\b((?:ok|bad|late|ds)-)[b-df-hj-np-tv-z0-9]{5}\b")
_HASH_KEYS = {
    "pod-template-hash",
    "controller-revision-hash",
    "controller.kubernetes.io/hash",
    "resourceVersion",
    "continue",
}


def normal(value: Any, key: str = "") -> Any:
    """The same for two answers that say the same."""
    if isinstance(value, dict):
        if value.get("kind") == "ControllerRevisionList":  # in the order of their hashes
            value = {**value, "items": sorted(value["items"], key=lambda one: one["revision"])}
        return {name: normal(each, name) for name, each in value.items()}
    if isinstance(value, list):
        each_normal = [normal(each) for each in value]
        # Conditions stand in the order in which they last changed.
        return sorted(each_normal, key=_by_type) if key == "conditions" else each_normal
    if isinstance(value, str):
        return f"<{key}>" if key in _HASH_KEYS else _text(value)
    return value


def _by_type(condition: dict[str, Any]) -> str:
    return str(condition["type"])


def _text(text: str) -> str:
    for volatile, written in _VOLATILE:
        text = re.sub(volatile, written, text)
    text = _HASHED.sub(lambda found: found[1] + "<hash>" + ("-<suffix>" if found[2] else ""), text)
    return _OF_JOB.sub(r"\1<suffix>", text)
