"""`k8s manifests`: every document against Kubernetes' published schemas, and what it promises."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from orchctl.cli import run
from orchctl.deploy.kubernetes.plan import needs
from orchctl.errors import UsageError
from orchctl.workloads.kubernetes.find import Found
from orchctl.workloads.kubernetes.kinds import STATEFUL_SET
from orchctl.workloads.kubernetes.manifests import (
    ACCESS_MODES,
    PARTS,
    Service,
    chart,
    kustomization,
    manifest_files,
    schedule,
    stream,
)
from orchctl.workloads.kubernetes.sharers import SNAPSHOTS_LABEL
from tests.support.processes import wait_until
from tests.support.projects import Project, clean_environment

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "kubernetes"

FULL = Service(
    name="web",
    image="registry.example:5000/team/web:1.2",
    namespace="shop",
    port=9000,
    live_path="/healthz",
    database="/app/data/shop.db",
    command=("uvicorn", "app:app", "--header", 'x: "{{ a }}"'),
    parts=frozenset(PARTS),
)
SHAPES = [
    FULL,
    Service(name="web", image="web"),
    Service(name="a", image="web@sha256:0123abcd", parts=frozenset({"backup"}), storage="1.5Ti"),
    Service(
        name="w" * 42,
        image="web",
        access_mode="ReadWriteOnce",
        snapshots="cronjob",
        parts=frozenset({"rbac"}),
    ),
    # Words and numbers of YAML that must stay text.
    Service(name="null", image="no", namespace="1e3", access_mode=ACCESS_MODES[1], storage="10"),
    Service(name="on", image="0x10", namespace="true", parts=frozenset(PARTS)),
]


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def by_kind(service: Service) -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in documents(stream(service))}


@pytest.mark.parametrize("service", SHAPES, ids=lambda one: one.name)
@pytest.mark.parametrize("version", ["1.34", "1.37"])
def test_valid_against_the_published_schemas(service: Service, version: str) -> None:
    found = documents(stream(service))
    for one in found:
        if one["kind"] != "ServiceMonitor":  # of an operator, not of Kubernetes
            kubernetes_validate.validate(one, version, strict=True)
        assert one["metadata"]["namespace"] == service.namespace
        assert one["metadata"]["name"].startswith(service.name)
    assert ("ServiceMonitor" in {one["kind"] for one in found}) == ("monitor" in service.parts)


def test_the_schemas_refuse_a_wrong_field() -> None:
    wrong = by_kind(FULL)["StatefulSet"]
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


@pytest.mark.parametrize("service", SHAPES, ids=lambda one: one.name)
def test_one_writer_whose_data_stays(service: Service) -> None:
    spec = by_kind(service)["StatefulSet"]["spec"]
    assert spec["replicas"] == 1
    assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
    claim = spec["volumeClaimTemplates"][0]["spec"]
    assert claim["accessModes"] == [service.access_mode]
    assert claim["resources"]["requests"]["storage"] == service.storage
    pod = spec["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["fsGroup"] == 1000
    folder = str(Path(service.database).parent)
    for one in (*pod["containers"], *pod.get("initContainers", ())):
        assert one["image"] == service.image
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
        mounts = {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
        assert mounts == {"data": folder, "tmp": "/tmp"}
        env = {each["name"]: each["value"] for each in one["env"]}
        assert env["DATABASE_URL"] == f"sqlite:///{service.database}"
    # Nothing else may ever mount the claim, unless that was asked for.
    others = {"CronJob"} if service.snapshots == "cronjob" else set()
    assert {"CronJob", "Job"} & set(by_kind(service)) == others


def test_what_was_asked_for_is_there() -> None:
    found = by_kind(FULL)
    container = found["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["orchctl", "run", "--", *FULL.command]
    assert container["ports"][0]["containerPort"] == found["Service"]["spec"]["ports"][0]["port"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert found["RoleBinding"]["roleRef"]["name"] == found["Role"]["metadata"]["name"]
    account = found["ServiceAccount"]["metadata"]
    subject = found["RoleBinding"]["subjects"][0]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    plain = by_kind(SHAPES[1])["StatefulSet"]["spec"]["template"]["spec"]
    assert "command" not in plain["containers"][0]
    assert plain["containers"][0]["livenessProbe"]["tcpSocket"] == {"port": "http"}
    assert "initContainers" not in plain


@pytest.mark.parametrize("service", SHAPES, ids=lambda one: one.name)
def test_selectors_find_what_they_are_for(service: Service) -> None:
    found = by_kind(service)
    pods = found["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert found["StatefulSet"]["spec"]["selector"]["matchLabels"] == pods
    assert found["Service"]["spec"]["selector"] == pods
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == pods
    if "monitor" in service.parts:
        monitor = found["ServiceMonitor"]["spec"]
        assert monitor["selector"]["matchLabels"] == found["Service"]["metadata"]["labels"]
        assert monitor["endpoints"][0]["port"] == found["Service"]["spec"]["ports"][0]["name"]


@pytest.mark.parametrize("service", SHAPES, ids=lambda one: one.name)
def test_the_chart_is_rendered_to_the_same(service: Service) -> None:
    files = chart(service)
    about = yaml.safe_load(files["Chart.yaml"])
    assert (about["apiVersion"], about["name"]) == ("v2", service.name)
    values = yaml.safe_load(files["values.yaml"])
    used: set[str] = set()

    def value(found: re.Match[str]) -> str:
        as_json, of, name = found.groups()
        if of == "Release":
            return json.dumps({"Namespace": service.namespace}[name])
        used.add(name)
        return json.dumps(values[name]) if as_json else str(values[name])

    rendered = []
    for name, text in files.items():
        if name.startswith("templates/"):
            filled = re.sub(r"\{\{ (toJson )?\.(Values|Release)\.(\w+) \}\}", value, text)
            if not service.command:
                assert "{{" not in filled
            rendered += documents(filled)
    assert used == set(values)
    assert rendered == documents(stream(service))


def test_a_kustomization_names_all_of_them() -> None:
    files = kustomization(FULL)
    own = yaml.safe_load(files.pop("kustomization.yaml"))
    assert own["resources"] == list(files) == list(manifest_files(FULL))
    assert (own["kind"], own["namespace"]) == ("Kustomization", "shop")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Web"},
        {"name": "w" * 53},
        {"name": "1web"},
        {"image": "web\nx: y"},
        {"image": "web: 1"},
        {"namespace": "a b"},
        {"storage": "10 Gi"},
        {"storage": "10i"},
        {"health_path": "readyz"},
        {"health_path": "/a b"},
        {"access_mode": "ReadWriteMany"},
        {"database": "/app.db"},
        {"database": "data/app.db"},
        {"database": "/data/../app.db"},
        {"parts": frozenset({"backups"})},
        {"snapshots": "sometimes"},
        {"snapshots": "cronjob"},
        {"snapshots": "cronjob", "access_mode": "ReadWriteOnce", "name": "w" * 43},
        {"snapshots": "cronjob", "access_mode": "ReadWriteOnce", "snapshot_seconds": 7 * 3600},
        {"snapshots": "cronjob", "access_mode": "ReadWriteOnce", "snapshot_seconds": 90},
    ],
    ids=str,
)
def test_values_that_can_not_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        Service(**{"name": "web", "image": "web", **wrong})
    assert caught.value.code == "bad-manifest-value"
    assert caught.value.hint


def test_files_are_written_and_those_of_others_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["k8s", "manifests", "--image", "web:1", "--kustomize", "-o", str(tmp_path / "new")]
    assert run(words) == 0
    written = capsys.readouterr().out.split()
    assert [Path(path).name for path in written] == list(kustomization(Service("app", "web:1")))
    assert run(words) == 0  # the same again is no quarrel
    service = tmp_path / "new" / "service.yaml"
    service.write_text("mine\n")
    capsys.readouterr()
    assert run([*words, "--json"]) == 5
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "manifest-exists"
    assert service.read_text() == "mine\n"
    assert run([*words, "--force"]) == 0
    assert service.read_text() == manifest_files(Service("app", "web:1"))["service.yaml"]
    capsys.readouterr()
    assert run(["k8s", "manifests", "--image", "web:1", "--helm"]) == 2


def test_the_stream_is_all_of_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["k8s", "manifests", "--image", "web:1", "--name", "web"]) == 0
    assert capsys.readouterr().out == stream(Service("web", "web:1", database="/data/web.db"))


def test_the_example_is_what_the_command_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    block = re.search(r"orchctl k8s manifests ([^|`]*--output examples/kubernetes)\n", page)
    assert block is not None
    words = shlex.split(block[1].replace("\\\n", ""))
    monkeypatch.chdir(tmp_path)
    assert run(["k8s", "manifests", *words]) == 0
    printed = {path.name: path.read_text() for path in (tmp_path / words[-1]).iterdir()}
    assert printed == {path.name: path.read_text() for path in EXAMPLES.iterdir()}


def test_kubectl_reads_the_kustomization_of_the_example() -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(EXAMPLES)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    files = [path for path in EXAMPLES.iterdir() if path.name != "kustomization.yaml"]
    plain = [one for path in files for one in documents(path.read_text())]
    assert sorted(documents(done.stdout), key=str) == sorted(_ordered(plain), key=str)


def _ordered(found: Any) -> Any:
    """As kubectl writes objects: keys by name."""
    if isinstance(found, dict):
        return {key: _ordered(found[key]) for key in sorted(found)}
    return [_ordered(one) for one in found] if isinstance(found, list) else found


def test_the_sidecar_takes_snapshots_and_ends_when_told(tmp_path: Path) -> None:
    (sidecar,) = by_kind(FULL)["StatefulSet"]["spec"]["template"]["spec"]["initContainers"]
    project = Project(tmp_path / "project")
    project.add("001", "op.execute('CREATE TABLE a (b)')")
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "orchctl"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m orchctl "$@"\n')
    script.chmod(0o755)
    env = clean_environment() | {
        "PATH": f"{script.parent}:/usr/bin:/bin",
        "SNAPSHOT_INTERVAL": "0.1",
        "DATABASE_URL": f"sqlite:///{project.database}",
    }
    # No database yet: it says so, and goes on.
    process = subprocess.Popen(
        [shutil.which(sidecar["command"][0]) or "sh", *sidecar["command"][1:]],
        cwd=project.folder,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        subprocess.run(["orchctl", "upgrade"], cwd=project.folder, env=env, check=True)
        told = (tmp_path / "project" / "backups").glob
        wait_until(lambda: any("scheduled" in one.read_text() for one in told("*.json")))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()


def test_the_cron_job_is_beside_the_pod_and_no_part_of_the_service() -> None:
    service = next(one for one in SHAPES if one.snapshots == "cronjob")
    found = by_kind(service)
    spec = found["CronJob"]["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("0 */6 * * *", "Forbid")
    pod = spec["jobTemplate"]["spec"]["template"]
    [term] = pod["spec"]["affinity"]["podAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    wanted = found["StatefulSet"]["spec"]["selector"]["matchLabels"]
    assert (term["topologyKey"], term["labelSelector"]["matchLabels"]) == (
        "kubernetes.io/hostname",
        wanted,
    )
    assert not wanted.items() <= pod["metadata"]["labels"].items()
    metadata = (found["CronJob"]["metadata"], spec["jobTemplate"]["metadata"], pod["metadata"])
    assert all(SNAPSHOTS_LABEL in one["labels"] for one in metadata)
    [data] = [one for one in pod["spec"]["volumes"] if one["name"] == "data"]
    assert data["persistentVolumeClaim"]["claimName"] == f"data-{service.name}-0"
    assert {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["patch"]} in found["Role"][
        "rules"
    ]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(60, "*/1 * * * *"), (900, "*/15 * * * *"), (3600, "0 * * * *"), (86400, "0 0 * * *")],
)
def test_a_schedule(seconds: int, told: str) -> None:
    assert schedule(seconds) == told


def test_the_role_is_enough_for_an_upgrade() -> None:
    granted = {
        (verb, group, resource)
        for rule in by_kind(FULL)["Role"]["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    asked = {
        (one.verb, one.kind.group, "/".join(part for part in (one.kind.plural, one.sub) if part))
        for one in needs(Found(STATEFUL_SET, {}))
    }
    assert asked <= granted
    assert not {"*", "secrets", "pods/exec"} & {resource for _, _, resource in granted}
