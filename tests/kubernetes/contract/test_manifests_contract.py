"""What `orchctl k8s manifests` prints, as a server takes it: fields known, values good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from tests.kubernetes.contract.ground import Ground
from tests.support.kubernetes_commands import Commands

_PLURALS = {
    "StatefulSet": "statefulsets",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "CronJob": "cronjobs",
    "Role": "roles",
    "RoleBinding": "rolebindings",
}


@pytest.mark.parametrize(
    "words",
    [
        ("--snapshots", "sidecar"),
        ("--snapshots", "cronjob", "--access-mode", "ReadWriteOnce", "--every", "6h"),
    ],
    ids=["sidecar", "cronjob"],
)
def test_a_server_takes_them(ground: Ground, tmp_path: Path, words: tuple[str, ...]) -> None:
    project = Commands(tmp_path / "project", ground.kubeconfig).project
    given = ("k8s", "manifests", "--name", "web", "--image", ground.image, "--with", "rbac")
    made = project.orchctl(*given, *words)
    assert made.returncode == 0, made.stderr
    taken = [_tried_out(ground, each) for each in yaml.safe_load_all(made.stdout)]
    assert {"StatefulSet", "Service", "Role", "ServiceAccount"} <= set(taken)
    assert ("CronJob" in taken) == ("cronjob" in words)


def _tried_out(ground: Ground, body: dict[str, Any]) -> str:
    """Its kind; nothing is made."""
    group, _, version = body["apiVersion"].rpartition("/")
    body["metadata"].pop("namespace", None)
    how = {"dry_run": "All", "field_validation": "Strict"}
    if body["kind"] == "Service":
        ground.core.create_namespaced_service(ground.namespace, body, **how)
    elif body["kind"] == "ServiceAccount":
        ground.core.create_namespaced_service_account(ground.namespace, body, **how)
    else:
        custom, plural = client.CustomObjectsApi(ground.api), _PLURALS[body["kind"]]
        custom.create_namespaced_custom_object(
            group, version, ground.namespace, plural, body, **how
        )
    return str(body["kind"])
