"""D13: what `orchctl k8s` says when it may not, and that its Role is enough, on any cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from tests.kubernetes.contract.ground import Ground
from tests.kubernetes.contract.stand_in import StandIn
from tests.support.kubernetes_commands import Commands

Json = dict[str, Any]

_READING = [
    {
        "apiGroups": ["apps"],
        "resources": ["deployments", "replicasets"],
        "verbs": ["get", "list", "watch"],
    },
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
]


@pytest.fixture
def worker(ground: Ground, tmp_path: Path) -> Commands:
    """`orchctl k8s` as a service account that may read workloads and pods."""
    metadata = {"metadata": {"name": "worker"}}
    ground.core.create_namespaced_service_account(ground.namespace, metadata)
    grant(ground, {**metadata, "rules": _READING})
    asked = {"spec": {"expirationSeconds": 3600}}
    answer = ground.core.create_namespaced_service_account_token("worker", ground.namespace, asked)
    path = tmp_path / "worker"
    path.write_text(yaml.safe_dump(kubeconfig(ground, answer.status.token)))
    return Commands(tmp_path / "project", path, ground.namespace)


def grant(ground: Ground, role: Json) -> None:
    """Give the service account what a Role lists."""
    rbac = client.RbacAuthorizationV1Api(ground.api)
    rbac.create_namespaced_role(ground.namespace, role)
    name = role["metadata"]["name"]
    account = {"kind": "ServiceAccount", "name": "worker", "namespace": ground.namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    body = {"metadata": {"name": name}, "subjects": [account], "roleRef": reference}
    rbac.create_namespaced_role_binding(ground.namespace, body)


def kubeconfig(ground: Ground, token: str) -> Json:
    """Of the same cluster, for somebody with a token."""
    how = ground.api.configuration
    cluster: Json = {"server": how.host}
    if how.ssl_ca_cert:
        cluster["certificate-authority"] = how.ssl_ca_cert
    if not how.verify_ssl:
        cluster["insecure-skip-tls-verify"] = True
    if getattr(how, "tls_server_name", None):
        cluster["tls-server-name"] = how.tls_server_name
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": cluster}],
        "users": [{"name": "worker", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "worker"}}],
        "current-context": "here",
    }


def test_a_missing_verb_is_named_with_the_role_that_grants_it(
    ground: Ground, worker: Commands
) -> None:
    ground.deploy("web")
    user = f"system:serviceaccount:{ground.namespace}:worker"
    # What was granted a moment ago is known a moment later.
    ground.wait(lambda: worker("status", "deployment/web").returncode == 0)
    error = worker.failure("restart", "deployment/web", code=9)
    assert error["code"] == "no-rights"
    assert f"{user} may not patch deployments.apps" in error["message"]
    assert "--verb=patch" in error["hint"]
    role = error["details"]["role"]
    assert role["rules"] == [
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}
    ]
    grant(ground, role)
    ground.wait(lambda: worker("restart", "deployment/web", "--dry-run=server").returncode == 0)
    assert worker("restart", "deployment/web").returncode == 0


def test_a_deploy_asks_for_all_its_rights_before_it_begins(
    ground: Ground, worker: Commands
) -> None:
    claim = ground.claim("data")
    ground.deploy("web", claim=claim, strategy={"type": "Recreate"})
    words = ("deploy", "deployment/web", "--image", ground.image_2)
    ground.wait(lambda: worker("status", "deployment/web").returncode == 0)
    error = worker.failure(*words, code=9)
    assert error["code"] == "no-rights"
    missing = " ".join(error["details"]["missing"])
    for each in ("patch deployments", "update deployments/scale", "create jobs", "update leases"):
        assert each in missing
    assert not ground.batch.list_namespaced_job(ground.namespace).items


def test_the_role_of_the_manifests_is_enough(ground: Ground, worker: Commands) -> None:
    service = StandIn(ground)
    words = ("k8s", "manifests", "--image", ground.image, "--with", "rbac")
    made = worker.project.orchctl(*words)
    assert made.returncode == 0, made.stderr
    documents = list(yaml.safe_load_all(made.stdout))
    role = next(one for one in documents if one["kind"] == "Role")
    grant(ground, {"metadata": {"name": "full"}, "rules": role["rules"]})
    deploy = ("deploy", service.target, "--image", ground.image_2)
    ground.wait(lambda: worker(*deploy, "--dry-run").returncode == 0)
    done = worker(*deploy)
    assert done.returncode == 0, done.stderr
    service.require_over(ground.image_2)


def test_a_token_that_is_none(ground: Ground, tmp_path: Path) -> None:
    path = tmp_path / "stranger"
    path.write_text(yaml.safe_dump(kubeconfig(ground, "no-such-token")))
    stranger = Commands(tmp_path / "project", path, ground.namespace)
    assert stranger.failure("status", "deployment/web", code=3)["code"] == "cluster-credentials"
