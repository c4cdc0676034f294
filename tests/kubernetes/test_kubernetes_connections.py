"""Which cluster, as whom: what a kubeconfig may look like, and the pod that orchctl runs in."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchctl.errors import ConfigurationError, OrchctlError
from orchctl.workloads.kubernetes.client import Cluster as Api
from orchctl.workloads.kubernetes.connection import ClusterChoice, find_cluster
from orchctl.workloads.kubernetes.inside import execute
from orchctl.workloads.kubernetes.kinds import POD
from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import BINDINGS, ROLES, STATEFUL_SETS
from tests.kubernetes.objects import stateful_set
from tests.kubernetes.test_kubernetes_restart import settled
from tests.support.certificates import make_certificates, server_context
from tests.support.kubernetes_commands import Commands

Json = dict[str, Any]
USER = "system:serviceaccount:default:worker"


def kubeconfig(path: Path, cluster: Json, user: Json, name: str = "here", **context: str) -> Path:
    body = {
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, **context}}],
        "current-context": name,
    }
    path.write_text(yaml.safe_dump(body))
    return path


@contextmanager
def reached(environment: dict[str, str], home: Path, **place: Any) -> Iterator[Api]:
    """The cluster that is found; its pods were asked for once."""
    account = place.pop("account", home)
    api = Api(find_cluster(ClusterChoice(**place), environment, home, account), patience=0.1)
    try:
        api.every(POD)
        yield api
    finally:
        api.close()


@pytest.fixture
def worker(cluster: Cluster) -> str:
    """The token of an account that may list pods."""
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    cluster.create(ROLES, "default", {"metadata": {"name": "r"}, "rules": [rule]})
    account = {"kind": "ServiceAccount", "name": "worker", "namespace": "default"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    binding = {"metadata": {"name": "r"}, "subjects": [account], "roleRef": role}
    cluster.create(BINDINGS, "default", binding)
    return cluster.token_for(USER)


def asked_by(cluster: Cluster) -> str:
    return cluster.history.requests[-1].user


# -- credentials -----------------------------------------------------------------------------------


def test_a_token_in_a_file_that_ends_with_a_new_line(
    cluster: Cluster, worker: str, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(f"{worker}\n")
    path = kubeconfig(tmp_path / "config", {"server": cluster.url}, {"tokenFile": "token"})
    with reached({"KUBECONFIG": str(path)}, tmp_path) as api:
        assert api.namespace == "default"
    assert asked_by(cluster) == USER


def plugin(folder: Path, code: str) -> Json:
    """A user of a kubeconfig whose credentials a program gives."""
    version = "client.authentication.k8s.io/v1"
    program = folder / "plugin"
    program.write_text(f"#!{sys.executable}\nimport json, os, sys\n{code}\n")
    program.chmod(0o755)
    return {"exec": {"apiVersion": version, "command": str(program), "args": ["one"]}}


GIVE = """
asked = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
status = {"token": os.environ["GIVEN"] if sys.argv[1] == "one" else ""}
print(json.dumps({"apiVersion": asked["apiVersion"], "kind": asked["kind"], "status": status}))
"""


def test_an_exec_plugin(cluster: Cluster, worker: str, tmp_path: Path) -> None:
    user = plugin(tmp_path, GIVE)
    user["exec"]["env"] = [{"name": "GIVEN", "value": worker}]
    path = kubeconfig(tmp_path / "config", {"server": cluster.url}, user)
    with reached({"KUBECONFIG": str(path)}, tmp_path):
        assert asked_by(cluster) == USER


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("sys.exit('sign in first')", "process returned 1. sign in first"),
        ("print('hello')", "failed to decode process output"),
        ("print('{}')", "missing key 'apiVersion'"),
        (None, "No such file or directory"),
    ],
)
def test_an_exec_plugin_that_gives_nothing(
    cluster: Cluster, k8s: Commands, tmp_path: Path, code: str | None, told: str
) -> None:
    user = plugin(tmp_path, code or "")
    if code is None:
        (tmp_path / "plugin").unlink()
    path = kubeconfig(tmp_path / "config", {"server": cluster.url}, user)
    done = k8s("status", "deploy/web", kubeconfig=path)
    assert done.returncode == 3
    first, *rest = done.stderr.splitlines()
    assert "gives no credentials" in first
    assert told in first
    # Nothing but its own lines: the library's log is not for a person.
    assert [line.strip().partition(":")[0] for line in rest] == ["hint"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """server.pem and client.pem with their keys; each vouches for itself."""
    return make_certificates(tmp_path_factory.mktemp("certificates"), "server", "client")


def test_a_client_certificate(cluster: Cluster, certificates: Path, tmp_path: Path) -> None:
    context = server_context(certificates)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates / "client.pem")
    server = f"https://127.0.0.1:{cluster.serve_tls(context)}"
    place = {"server": server, "certificate-authority": str(certificates / "server.pem")}
    client = certificates / "client"
    user = {"client-certificate": f"{client}.pem", "client-key": f"{client}.key"}
    path = kubeconfig(tmp_path / "config", place, user)
    with reached({"KUBECONFIG": str(path)}, tmp_path):
        pass
    # Without it, and with one of a server that is not known.
    kubeconfig(path, place, {})
    with pytest.raises(OrchctlError), reached({"KUBECONFIG": str(path)}, tmp_path):
        pass
    kubeconfig(path, {"server": server}, user)
    with pytest.raises(ConfigurationError) as caught:
        find_and_ask(path, tmp_path)
    assert caught.value.code == "cluster-tls"
    kubeconfig(path, place, {**user, "client-key": "gone.key"})
    with pytest.raises(ConfigurationError, match=r"File does not exist: .*gone\.key"):
        find_and_ask(path, tmp_path)


def find_and_ask(path: Path, home: Path) -> None:
    with reached({"KUBECONFIG": str(path)}, home):
        pass


# -- which context ---------------------------------------------------------------------------------


def test_of_several_files_the_first_word_counts(cluster: Cluster, tmp_path: Path) -> None:
    """As with kubectl: the last one's current context would be another cluster."""
    user = {"token": "admin-token"}
    one = kubeconfig(tmp_path / "a", {"server": cluster.url}, user, "one", namespace="first")
    two = kubeconfig(tmp_path / "b", {"server": "http://127.0.0.1:1"}, user, "two")
    files = {"KUBECONFIG": f"{tmp_path / 'gone'}:{one}:{two}"}
    found = find_cluster(ClusterChoice(), files, tmp_path)
    assert (found.context, found.host, found.namespace) == ("one", cluster.url, "first")
    shown = subprocess.run(
        ["kubectl", "config", "current-context"],
        env={**os.environ, **files, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "one\n"
    other = find_cluster(ClusterChoice(context="two"), files, tmp_path)
    assert (other.host, other.namespace) == ("http://127.0.0.1:1", "default")
    # The first has no current context: the next one's counts.
    said = yaml.safe_load(one.read_text())
    del said["current-context"]
    one.write_text(yaml.safe_dump(said))
    assert find_cluster(ClusterChoice(), files, tmp_path).context == "two"
    alone = {"KUBECONFIG": str(one)}
    assert find_cluster(ClusterChoice(context="one"), alone, tmp_path).host == cluster.url
    with pytest.raises(ConfigurationError, match="has no current context") as caught:
        find_cluster(ClusterChoice(), alone, tmp_path)
    assert caught.value.hint == "--context one"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is no kubeconfig"),
        ("- 1", "it is no kubeconfig"),
        ("words", "it is no kubeconfig"),
        ("a: [", "while parsing"),
        ("a: \x00", "special characters"),
        ("contexts: []", "no current context"),
        ("contexts: 3", "it is no kubeconfig"),
        ("current-context: x", "no context x"),
        ("current-context: x\ncontexts: [{name: x}]", "kubeconfig"),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: y, user: z}}]",
            "Expected object with name y",
        ),
    ],
)
def test_what_is_no_kubeconfig_is_one_line(
    k8s: Commands, tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "broken"
    path.write_text(text)
    done = k8s("status", "deploy/web", "--json", kubeconfig=path)
    assert done.returncode == 3, done.stderr
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "kubeconfig"
    assert told in error["message"]
    assert "\n" not in error["message"]
    assert str(path) in error["message"]


# -- in a cluster ----------------------------------------------------------------------------------


@pytest.fixture
def pod(cluster: Cluster, worker: str, certificates: Path, tmp_path: Path) -> dict[str, str]:
    """What is in a pod: its service account's files, and the environment."""
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text(f"{worker}\n")
    (account / "namespace").write_text("default\n")
    (account / "ca.crt").write_bytes((certificates / "server.pem").read_bytes())
    port = cluster.serve_tls(server_context(certificates))
    return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}


def test_the_cluster_that_a_pod_is_in(
    cluster: Cluster, pod: dict[str, str], tmp_path: Path
) -> None:
    account = tmp_path / "account"
    with reached(pod, tmp_path, account=account) as api:
        assert api.namespace == "default"
        assert asked_by(cluster) == USER
    (account / "namespace").write_text("shop")
    assert find_cluster(ClusterChoice(), pod, tmp_path, account).namespace == "shop"
    chosen = ClusterChoice(namespace="default")
    assert find_cluster(chosen, pod, tmp_path, account).namespace == "default"
    # A kubeconfig goes before it, and a context is none of a pod's.
    path = kubeconfig(tmp_path / "config", {"server": cluster.url}, {"token": "admin-token"})
    both = {**pod, "KUBECONFIG": str(path)}
    assert find_cluster(ClusterChoice(), both, tmp_path, account).context == "here"
    with pytest.raises(ConfigurationError, match="no kubeconfig"):
        find_cluster(ClusterChoice(context="x"), pod, tmp_path, account)


def test_what_is_asked_inside_a_pod_is_asked_over_tls(
    cluster: Cluster, pod: dict[str, str], tmp_path: Path
) -> None:
    rule = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]}
    cluster.create(ROLES, "default", {"metadata": {"name": "inside"}, "rules": [rule]})
    account = {"kind": "ServiceAccount", "name": "worker", "namespace": "default"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "inside"}
    binding = {"metadata": {"name": "inside"}, "subjects": [account], "roleRef": role}
    cluster.create(BINDINGS, "default", binding)
    cluster.script(Script(exec_results={"orchctl current": (0, "004")}))
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    settled(cluster, 1)
    with reached(pod, tmp_path, account=tmp_path / "account") as api:
        assert execute(api, "db-0", "web", ("orchctl", "current")) == (0, "004")
    assert cluster.history.requests[-1].path.endswith("/exec")
    assert asked_by(cluster) == USER


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
def test_a_pod_without_its_account(pod: dict[str, str], tmp_path: Path, missing: str) -> None:
    account = tmp_path / "account"
    (account / missing).unlink()
    with pytest.raises(ConfigurationError, match="service account can't be used") as caught:
        find_cluster(ClusterChoice(), pod, tmp_path, account)
    assert caught.value.code == "no-cluster"
    assert "automountServiceAccountToken" in str(caught.value.hint)
