"""The fake's patches and selectors, by the rules of the real server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kubernetes.fake.patching import json_patch, merge_patch, strategic_merge
from tests.kubernetes.fake.refusals import Refused
from tests.kubernetes.fake.resources import PODS
from tests.kubernetes.fake.selectors import fields_match, labels_match

POD = {
    "containers": [
        {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}], "args": ["1"]},
        {"name": "b", "image": "b:1", "ports": [{"containerPort": 80}]},
    ],
    "volumes": [{"name": "v", "emptyDir": {}}],
    "tolerations": [{"key": "k"}],
}


def named(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in spec["containers"]}


def test_lists_are_merged_by_their_key() -> None:
    patch = {"containers": [{"name": "b", "image": "b:2"}, {"name": "c", "image": "c:1"}]}
    merged = named(strategic_merge(POD, patch))
    assert (merged["a"]["image"], merged["b"]["image"], merged["c"]["image"]) == (
        "a:1",
        "b:2",
        "c:1",
    )
    assert merged["b"]["ports"] == [{"containerPort": 80}]


def test_elements_are_deleted_and_lists_replaced() -> None:
    merged = strategic_merge(POD, {"containers": [{"name": "a", "$patch": "delete"}]})
    assert list(named(merged)) == ["b"]
    whole = [{"$patch": "replace"}, {"name": "z", "image": "z:1"}]
    assert list(named(strategic_merge(POD, {"containers": whole}))) == ["z"]


def test_lists_without_a_key_are_replaced() -> None:
    merged = strategic_merge(POD, {"tolerations": [{"key": "other"}]})
    assert merged["tolerations"] == [{"key": "other"}]
    assert named(strategic_merge(POD, {"containers": [{"name": "a", "args": ["2"]}]}))["a"][
        "args"
    ] == ["2"]


def test_volumes_change_their_kind_by_retained_keys() -> None:
    patch = {"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {}}]}
    assert strategic_merge(POD, patch)["volumes"] == [{"name": "v", "secret": {}}]


def test_the_order_asked_for_is_kept() -> None:
    patch = {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}
    assert list(named(strategic_merge(POD, patch))) == ["b", "a"]


def test_null_removes_and_a_merge_patch_replaces_lists() -> None:
    assert merge_patch({"a": 1, "b": {"c": 1, "d": 2}}, {"a": None, "b": {"c": 3}}) == {
        "b": {"c": 3, "d": 2}
    }
    assert merge_patch({"a": [1, 2]}, {"a": [3]}) == {"a": [3]}


def test_json_patch_tests_before_it_writes() -> None:
    held = {"spec": {"replicas": 1}, "list": ["a"]}
    operations = [
        {"op": "test", "path": "/spec/replicas", "value": 1},
        {"op": "replace", "path": "/spec/replicas", "value": 0},
        {"op": "add", "path": "/list/-", "value": "b"},
        {"op": "remove", "path": "/list/0"},
    ]
    assert json_patch(held, operations) == {"spec": {"replicas": 0}, "list": ["b"]}
    with pytest.raises(Refused) as refused:
        json_patch(held, [{"op": "test", "path": "/spec/replicas", "value": 2}])
    assert refused.value.code == 422


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("app=web", True),
        ("app==web,tier!=front", True),
        ("app!=web", False),
        ("app in (web, db)", True),
        ("app notin (web,db)", False),
        ("app,!gone", True),
        ("gone", False),
        ("gone!=x", True),
    ],
)
def test_label_selectors(selector: str, selected: bool) -> None:
    assert labels_match(selector, {"app": "web", "tier": "back"}) is selected


def test_field_selectors_know_their_fields() -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}}
    assert fields_match("metadata.name=p,status.phase!=Pending", PODS, pod)
    assert not fields_match("spec.nodeName=other", PODS, pod)
    with pytest.raises(Refused) as refused:
        fields_match("spec.image=x", PODS, pod)
    assert refused.value.code == 400
