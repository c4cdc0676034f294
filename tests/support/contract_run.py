"""One run of the contract suite: what it makes bears its label, and nothing of it stays.

A test deletes what it made. This is for what is left all the same: after Ctrl-C, when a worker was
killed, when a test broke off between making something and remembering it.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from pathlib import Path

from kubernetes import client, config

RUN = "orchctl-test-run"
_VARIABLE = "ORCHCTL_TEST_RUN"
_PATIENCE = 120.0


def labels() -> dict[str, str]:
    """What tells that an object of the cluster is this run's."""
    return {RUN: os.environ.get(_VARIABLE, "alone")}


def namespace(name: str) -> dict[str, object]:
    """A namespace of this run, where pods may be what they are, whatever the cluster's default."""
    allowed = {"pod-security.kubernetes.io/enforce": "privileged"}
    return {"metadata": {"name": name, "labels": {**labels(), **allowed}}}


def begin() -> None:
    """Name the run, for all its workers, and let SIGTERM end it as Ctrl-C does."""
    os.environ[_VARIABLE] = secrets.token_hex(4)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def sweep(kubeconfig: Path) -> None:
    """Delete what is left of the run, and wait until it is gone.

    Args:
        kubeconfig: Of the cluster.

    Raises:
        TimeoutError: It does not go; the message says how to look.
    """
    selector = f"{RUN}={labels()[RUN]}"
    with config.new_client_from_config(str(kubeconfig)) as api:
        core = client.CoreV1Api(api)
        for each in core.list_namespace(label_selector=selector).items:
            if each.metadata.deletion_timestamp is None:
                core.delete_namespace(each.metadata.name)
        deadline = time.monotonic() + _PATIENCE
        while core.list_namespace(label_selector=selector).items:
            if time.monotonic() > deadline:
                raise TimeoutError(f"still there: kubectl get namespaces -l {selector}")
            time.sleep(0.5)
        # Not before: a volume goes when its claim is gone.
        core.delete_collection_persistent_volume(label_selector=selector)
