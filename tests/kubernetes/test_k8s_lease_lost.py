"""A run that has lost its Lease changes nothing any more, and says so; the next goes on with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchctl.deploy.kubernetes.backup import BackupWish, create_backup
from orchctl.deploy.kubernetes.course import Outcome, carry_out
from orchctl.deploy.kubernetes.plan import Wish
from orchctl.deploy.kubernetes.run import Terms
from orchctl.errors import LockHeld
from orchctl.workloads.kubernetes.client import Cluster as Api
from orchctl.workloads.kubernetes.connection import ClusterChoice, find_cluster
from orchctl.workloads.kubernetes.find import Found
from orchctl.workloads.kubernetes.kinds import STATEFUL_SET
from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.faults import Fault
from tests.kubernetes.fake.history import Asked
from tests.kubernetes.fake.resources import LEASES, Json
from tests.kubernetes.fake.writing import mutate
from tests.support.kubernetes_commands import Commands
from tests.support.kubernetes_service import V2, Service

LEASE = "orchctl-statefulset-web"
SECONDS = 3  # that a Lease lasts here: it is renewed after one, and surely ours for two
# What a run asks for in this order, each of which may be the moment.
MOMENTS = {
    "to zero": ("update", "statefulsets/web/scale"),
    "the Job": ("create", "jobs$"),
    "its removal": ("delete", "jobs/"),
    "the image": ("patch", "statefulsets/web$"),
}


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Service:
    service = Service(cluster, tmp_path / "image")
    service.settled()
    service.pretend()
    return service


@pytest.fixture
def api(service: Service, kubeconfig: Path, tmp_path: Path) -> Iterator[Api]:
    found = Api(find_cluster(ClusterChoice(kubeconfig=kubeconfig), {}, tmp_path), patience=60.0)
    yield found
    found.close()


def deploy(api: Api) -> Outcome:
    terms = Terms(60.0, 60, None, None, lambda text: None, lambda text: None, lease_seconds=SECONDS)
    found = Found(STATEFUL_SET, api.get(STATEFUL_SET, "web"))
    return carry_out(api, found, Wish("deploy", V2), terms)


def lost(api: Api) -> LockHeld:
    with pytest.raises(LockHeld) as caught:
        deploy(api)
    error = caught.value
    assert error.code == "lease-lost"
    assert "was left while" in str(error.state)
    assert "--resume" in str(error.hint)
    return error


def changes(asked: list[Asked]) -> list[str]:
    """What was asked for that changes anything but the Lease."""
    return [
        f"{one.verb} {one.path}"
        for one in asked
        if one.writes and "dryRun" not in one.query and "/leases" not in one.path
    ]


class Moment:
    """Holds up the first request of a kind that comes when a run is on its way, and drops it.

    Args:
        service: Whose run.
        which: One of MOMENTS.
        happens: What happens meanwhile.
    """

    def __init__(self, service: Service, which: str, happens: Callable[[], None]) -> None:
        self._cluster, self._happens = service.cluster, happens
        self.asked_before = -1
        verb, path = MOMENTS[which]
        # The first patch writes the record; the dry runs come before the Lease.
        beginning = Fault("create", "leases", before=lambda: self._arm(verb, path, which))
        self._cluster.fault(beginning)

    def _arm(self, verb: str, path: str, which: str) -> None:
        later = Fault(verb, path, before=self._now, drop=True)
        if which == "the image":
            # After the Job is gone: patches before that are of the record.
            gone = Fault("delete", "jobs/", before=lambda: self._fault(later))
            self._fault(gone)
        else:
            self._fault(later)

    def _fault(self, fault: Fault) -> None:
        self._cluster.fault(fault)

    def _now(self) -> None:
        self._happens()
        self.asked_before = len(self._cluster.history.requests)


@pytest.mark.parametrize("which", MOMENTS)
def test_another_has_taken_it(service: Service, api: Api, k8s: Commands, which: str) -> None:
    cluster = service.cluster

    def steal() -> None:
        store = cluster.state.store
        cluster.do(lambda: mutate(store, LEASES, "default", LEASE, taken))
        # Until it has seen that: what it sends before is still its own to send.
        cluster.wait(lambda: LEASE not in [one.name for one in threading.enumerate()])

    moment = Moment(service, which, steal)
    error = lost(api)

    assert "thief has taken it" in error.message
    assert moment.asked_before > 0
    assert changes(cluster.history.requests[moment.asked_before :]) == []
    # What is another's stays.
    [held] = cluster.objects(LEASES, "default")
    assert held["spec"]["holderIdentity"] == "thief/1/2/3"
    cluster.do(lambda: cluster.state.store.remove(LEASES, "default", LEASE))
    assert k8s("deploy", "sts/web", "--resume").returncode == 0
    service.require_over(V2)


def taken(lease: Json) -> None:
    lease["spec"] |= {"holderIdentity": "thief/1/2/3", "leaseDurationSeconds": 600}


def test_the_cluster_is_away_for_longer_than_it_lasts(
    service: Service, api: Api, k8s: Commands
) -> None:
    cluster = service.cluster
    away = Fault(times=None, drop=True)
    moment = Moment(service, "the image", lambda: cluster.fault(away) and None)
    began = time.monotonic()
    error = lost(api)
    assert "could not be renewed in time" in error.message
    assert time.monotonic() - began < 30  # not for as long as requests are repeated
    asked = cluster.history.requests[moment.asked_before :]
    assert any("/leases/" in one.path for one in asked)
    # It asks again and again as long as the Lease surely is its own; nothing of it is done.
    assert set(changes(asked)) <= {"patch /apis/apps/v1/namespaces/default/statefulsets/web"}
    cluster.do(cluster.state.faults.waiting.clear)
    seen = len(cluster.history.requests)
    assert changes(cluster.history.requests[seen:]) == []
    assert service.step == "changing"
    done = k8s("deploy", "sts/web", "--resume", "--lock-timeout", "30s")
    assert done.returncode == 0, done.stderr
    service.require_over(V2)


def test_a_process_that_was_stopped_for_longer_than_it_lasts(service: Service, api: Api) -> None:
    """A laptop that slept: the request that was being made then is not repeated."""
    cluster = service.cluster
    renewing = threading.Event()
    cluster.fault(Fault("update", "leases/", times=None, before=lambda: _wait(renewing)))
    moment = Moment(service, "to zero", lambda: _wait(threading.Event(), SECONDS))
    try:
        lost(api)
    finally:
        renewing.set()
    assert changes(cluster.history.requests[moment.asked_before :]) == []
    assert service.object["spec"]["replicas"] == 1


def _wait(event: threading.Event, seconds: float = 20) -> None:
    event.wait(seconds)


def test_a_lost_answer_to_a_renewal_is_no_loss(service: Service, api: Api) -> None:
    cluster = service.cluster
    renewal = Fault("update", "leases/", lose_answer=True)
    cluster.fault(renewal)
    service.pretend(run_for=2)
    assert deploy(api).rolled is not None
    assert renewal.met == 1
    service.require_over(V2)


@pytest.mark.parametrize("verb", ["create", "update"])
def test_a_lost_answer_to_taking_it_is_no_loss(service: Service, api: Api, verb: str) -> None:
    """A new one, and one that its holder has let go of."""
    cluster = service.cluster
    if verb == "update":
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1}
        cluster.create(LEASES, "default", {"metadata": {"name": LEASE}, "spec": spec})
    answer = Fault(verb, "leases", lose_answer=True)
    cluster.fault(answer)
    assert deploy(api).rolled is not None
    assert answer.met == 1
    service.require_over(V2)


def test_a_snapshot_is_begun_only_with_the_lease(service: Service, api: Api) -> None:
    cluster = service.cluster

    def steal() -> None:
        store = cluster.state.store
        cluster.do(lambda: mutate(store, LEASES, "default", LEASE, taken))
        cluster.wait(lambda: LEASE not in [one.name for one in threading.enumerate()])

    moment = Moment(service, "the Job", steal)
    found = Found(STATEFUL_SET, api.get(STATEFUL_SET, "web"))
    with pytest.raises(LockHeld) as caught:
        create_backup(api, found, BackupWish())
    assert caught.value.code == "lease-lost"
    assert moment.asked_before > 0
    assert changes(cluster.history.requests[moment.asked_before :]) == []
