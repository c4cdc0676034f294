"""PodDisruptionBudgets: how many pods may go now."""

from __future__ import annotations

import math

from tests.kubernetes.fake.controllers.owned import is_going, is_over, is_ready
from tests.kubernetes.fake.moments import stamp
from tests.kubernetes.fake.resources import BUDGETS, PODS, Json
from tests.kubernetes.fake.selectors import object_matches
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.writing import mutate


def reconcile(state: State) -> float | None:
    for budget in state.store.all(BUDGETS):
        meta, spec = budget["metadata"], budget["spec"]
        pods = [
            each
            for each in state.store.all(PODS, meta["namespace"])
            if object_matches(spec.get("selector"), each["metadata"].get("labels") or {})
            and not is_over(each)
        ]
        healthy = sum(is_ready(each) and not is_going(each) for each in pods)
        status = _status(meta, spec, len(pods), healthy)

        def write(body: Json, status: Json = status) -> None:
            held = {each["type"]: each for each in body["status"].get("conditions") or []}
            before = held.get("DisruptionAllowed")
            if before and before["status"] == status["conditions"][0]["status"]:
                status["conditions"] = [before]
            body["status"] = status

        mutate(state.store, BUDGETS, meta["namespace"], meta["name"], write)
    return None


def _status(meta: Json, spec: Json, expected: int, healthy: int) -> Json:
    if "maxUnavailable" in spec:
        desired = expected - _count(spec["maxUnavailable"], expected)
    else:
        desired = _count(spec.get("minAvailable", 1), expected)
    allowed = max(0, healthy - max(0, desired))
    return {
        "observedGeneration": meta["generation"],
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": max(0, desired),
        "expectedPods": expected,
        "conditions": [
            {
                "type": "DisruptionAllowed",
                "observedGeneration": meta["generation"],
                "status": "True" if allowed else "False",
                "lastTransitionTime": stamp(),
                "reason": "SufficientPods" if allowed else "InsufficientPods",
                "message": "",
            }
        ],
    }


def _count(value: int | str, of: int) -> int:
    return value if isinstance(value, int) else math.ceil(of * int(value.rstrip("%")) / 100)
