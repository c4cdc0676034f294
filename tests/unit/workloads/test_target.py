"""Targets as people type them."""

from __future__ import annotations

import pytest

from orchctl.errors import UsageError
from orchctl.workloads.target import (
    ComposeService,
    KubernetesObject,
    LabelledContainers,
    NamedContainer,
    Target,
    looks_like_target,
    parse_target,
)

WEB = KubernetesObject("deployment", "web")
KNOWN: dict[str, Target] = {
    "docker:web": NamedContainer("web"),
    "docker:label=a.b=c=d": LabelledContainers("a.b", "c=d"),
    "docker:label=a.b": LabelledContainers("a.b", None),
    "compose:shop/api": ComposeService("shop", "api"),
    "k8s:deploy/web": WEB,
    "deployment/web": WEB,
    "k8s:Deployments.apps/web": WEB,
    "k8s:prod/sts/db-0": KubernetesObject("statefulset", "db-0", "prod"),
    "k8s:kind-one/prod/ds/log": KubernetesObject("daemonset", "log", "prod", "kind-one"),
    "k8s:arn:aws:eks:eu:1:cluster/a/prod/pod/x": KubernetesObject(
        "pod", "x", "prod", "arn:aws:eks:eu:1:cluster/a"
    ),
}


@pytest.mark.parametrize("text", KNOWN)
def test_a_target_is_read(text: str) -> None:
    assert parse_target(text) == KNOWN[text]


@pytest.mark.parametrize("target", KNOWN.values())
def test_what_is_shown_can_be_typed(target: Target) -> None:
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    "text",
    [
        *("", "web", "docker:", "docker:-x", "docker:a b", "docker:label=", "docker:label==x"),
        *("compose:shop", "compose:/api", "compose:shop/", "compose:a/b/c", "k8s:web"),
        *("k8s:prod/web", "k8s:job/x", "k8s:deploy/", "k8s:Pr od/deploy/x", "kube:deploy/x"),
    ],
)
def test_what_is_none_is_a_usage_error_that_shows_the_forms(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    assert caught.value.code == "bad-target"
    assert "compose:PROJECT/SERVICE" in (caught.value.hint or "")


def test_within_docker_a_bare_name_is_a_container() -> None:
    assert parse_target("web", bare="docker") == NamedContainer("web")
    assert parse_target("label=a=b", bare="docker") == LabelledContainers("a", "b")
    assert parse_target("compose:a/b", bare="docker") == ComposeService("a", "b")


@pytest.mark.parametrize(
    ("word", "meant"),
    [("docker:x", True), ("k8s:", True), ("deploy/x", True), ("head", False), ("a/b", False)],
)
def test_a_word_that_is_meant_as_a_target(word: str, meant: bool) -> None:
    assert looks_like_target(word) is meant
