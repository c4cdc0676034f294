"""Everything one life of the fake cluster consists of; a reset makes a new one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.kubernetes.fake.access import Access
from tests.kubernetes.fake.faults import Faults
from tests.kubernetes.fake.history import History
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.logs import Logs
from tests.kubernetes.fake.resources import Registry
from tests.kubernetes.fake.store import Store


@dataclass
class State:
    """`root` is where claims have their directories."""

    root: Path
    store: Store = field(default_factory=Store)
    registry: Registry = field(default_factory=Registry)
    access: Access = field(default_factory=Access)
    faults: Faults = field(default_factory=Faults)
    history: History = field(default_factory=History)
    logs: Logs = field(default_factory=Logs)
    # The one put in last is asked first.
    scripts: list[Script] = field(default_factory=list)
    # Nodes whose kubelet is away: what ran there runs on, nothing there is started or stopped.
    unreachable: set[str] = field(default_factory=set)
    # Pods (by name) that don't end, however long they are asked to.
    released: set[str] = field(default_factory=set)
    # Readiness told by a test, by the pod's name, over what its script says.
    readiness: dict[str, bool] = field(default_factory=dict)
    # Errors in the fake itself: a test that leaves any behind has proven nothing.
    troubles: list[str] = field(default_factory=list)

    def claim_directory(self, namespace: str, claim: str) -> Path:
        return self.root / namespace / claim
