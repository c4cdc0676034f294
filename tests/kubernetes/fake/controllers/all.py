"""Every controller there is, and what each one watches."""

from __future__ import annotations

from tests.kubernetes.fake.controllers import (
    budgets,
    collection,
    daemon_sets,
    deployments,
    jobs,
    replica_sets,
    scheduling,
    stateful_sets,
)
from tests.kubernetes.fake.controllers.loop import Controller, Reconcile
from tests.kubernetes.fake.resources import (
    BUDGETS,
    BUILT_IN,
    CLAIMS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    NODES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    STORAGE_CLASSES,
    VOLUMES,
    Resource,
)


def _controller(reconcile: Reconcile, *watches: Resource) -> Controller:
    return Controller(reconcile, frozenset(watches))


_ANY = tuple(each for each in BUILT_IN if each is not EVENTS)

CONTROLLERS = (
    _controller(deployments.reconcile, DEPLOYMENTS, REPLICA_SETS, PODS),
    _controller(replica_sets.reconcile, REPLICA_SETS, PODS),
    _controller(stateful_sets.reconcile, STATEFUL_SETS, PODS),
    _controller(daemon_sets.reconcile, DAEMON_SETS, PODS, NODES),
    _controller(jobs.reconcile, JOBS, PODS),
    _controller(budgets.reconcile, BUDGETS, PODS),
    _controller(scheduling.reconcile, PODS, CLAIMS, NODES),
    _controller(collection.collect, *_ANY),
    _controller(collection.bind_claims, CLAIMS, PODS, VOLUMES, STORAGE_CLASSES),
    _controller(collection.protect_volumes, VOLUMES),
    _controller(collection.keep_namespaces, *_ANY, EVENTS),
)
