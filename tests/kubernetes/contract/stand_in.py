"""A service on a claim, of nothing but a busybox, and a shell script called orchctl for its Jobs.

Whoever may write makes a folder on the claim, and says so when it is there already: two writers at
once leave a trace, on a cluster that tells of no pod's beginning and end.
"""

from __future__ import annotations

import json
from typing import Any

from tests.kubernetes.contract.ground import Ground

Json = dict[str, Any]

_ANSWER = {
    "ok": True,
    "database": "/data/app.db",
    "from": "001",
    "to": "002",
    "revisions": ["002"],
    "snapshot": {"id": "snap", "path": "/data/snap.db", "sha256": "0"},
}
_ERROR = {"error": {"code": "upgrade-failed", "message": "no such column: x", "exit_code": 6}}
# What it does is said by the file `behaves` beside it: well, slow, fails, breaks.
_ORCHCTL = f"""#!/bin/sh
if test "$1" = current; then echo '{{"revisions": ["'"$(cat "$DATA/at")"'"]}}'; exit; fi
mkdir "$DATA/writing" || echo "$1" >> "$DATA/overlaps"
echo "$*" >> "$DATA/asked"
code=0 at=002
case "$1/$(cat "$TOOLS/behaves")" in
  rollback/*) at=001; rm -f "$DATA/broken"; echo '{json.dumps({"ok": True, "to": "001"})}' ;;
  */fails) echo '{json.dumps(_ERROR)}'; code=6 at=001 ;;
  */breaks) touch "$DATA/broken"; echo '{json.dumps(_ANSWER)}' ;;
  */slow) sleep 2; echo '{json.dumps(_ANSWER)}' ;;
  *) sleep 0.3; echo '{json.dumps(_ANSWER)}' ;;
esac
echo "$at" > "$DATA/at"
rmdir "$DATA/writing"
exit $code
"""
_SERVICE = """
rm -f "$DATA/ready"
mkdir "$DATA/writing" || echo service >> "$DATA/overlaps"
if test -e "$DATA/broken"; then echo 'no such table: notes'; rmdir "$DATA/writing"; exit 3; fi
trap 'rm -f "$DATA/ready"; sleep 0.3; rmdir "$DATA/writing"; exit 0' TERM
touch "$DATA/ready"
while :; do sleep 0.2; done
"""
_PROBE = {
    "exec": {"command": ["sh", "-c", 'test -e "$DATA/ready"']},
    "periodSeconds": 1,
    "timeoutSeconds": 10,
}


class StandIn:
    """`statefulset/web`, one replica, with a claim that is bound.

    Args:
        ground: Where.
        behaves: What its upgrades do.
    """

    target = "statefulset/web"

    def __init__(self, ground: Ground, behaves: str = "well") -> None:
        self.ground = ground
        ground.core.create_namespaced_config_map(
            ground.namespace,
            {"metadata": {"name": "tools"}, "data": {"orchctl": _ORCHCTL, "behaves": behaves}},
        )
        ground.apps.create_namespaced_stateful_set(ground.namespace, self._body())
        ground.ready("web")

    def _body(self) -> Json:
        mounts = [
            {"name": "data", "mountPath": "/data"},
            {"name": "tools", "mountPath": "/tools"},
        ]
        variables = {"DATA": "/data", "TOOLS": "/tools", "PATH": "/tools:/bin:/usr/bin"}
        env = [{"name": name, "value": value} for name, value in variables.items()]
        container = self.ground.container(
            _SERVICE, env=env, volumeMounts=mounts, readinessProbe=_PROBE
        )
        claim = {"metadata": {"name": "data"}, "spec": self.ground.claim_spec("data")}
        body = self.ground.workload("StatefulSet", "web", container, volumeClaimTemplates=[claim])
        pod = body["spec"]["template"]["spec"]
        pod["terminationGracePeriodSeconds"] = 20
        pod["volumes"] = [{"name": "tools", "configMap": {"name": "tools", "defaultMode": 0o755}}]
        return body

    @property
    def object(self) -> Any:
        return self.ground.apps.read_namespaced_stateful_set("web", self.ground.namespace)

    @property
    def image(self) -> str:
        return str(self.object.spec.template.spec.containers[0].image)

    def patch(self, spec: Json) -> None:
        body = {"spec": spec}
        self.ground.apps.patch_namespaced_stateful_set("web", self.ground.namespace, body)

    def read(self, name: str) -> list[str]:
        """The lines of a file on the claim; none where there is no such file."""
        said, _ = self.ground.run("web-0", "sh", "-c", f'cat "$DATA/{name}" 2>/dev/null')
        return said.splitlines()

    def require_over(self, image: str) -> None:
        """Nothing is left of a run, the pod is ready with this image, nobody wrote beside it."""
        ground = self.ground
        ground.ready("web")
        found = self.object
        assert "orchctl/run" not in (found.metadata.annotations or {})
        assert found.spec.replicas == 1
        assert self.image == image
        (pod,) = ground.pods()
        assert pod.spec.containers[0].image == image
        assert not ground.batch.list_namespaced_job(ground.namespace).items
        assert self.read("overlaps") == []
