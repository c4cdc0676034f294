"""The fake cluster as tests use it: a server in a thread, scripts, faults, history."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from aiohttp import web

from tests.kubernetes.fake.access import Denial
from tests.kubernetes.fake.controllers.all import CONTROLLERS
from tests.kubernetes.fake.controllers.owned import reference
from tests.kubernetes.fake.faults import Fault
from tests.kubernetes.fake.history import History
from tests.kubernetes.fake.kubelet.nodes import Kubelets
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.nodes import NODE_NAMES, furnish, set_node, taint
from tests.kubernetes.fake.resources import (
    CRON_JOBS,
    JOBS,
    PODS,
    STORAGE_CLASSES,
    Json,
    Resource,
)
from tests.kubernetes.fake.server import Server
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.writing import create

T = TypeVar("T")

_PATIENCE = 30.0


class Cluster:
    """One server on a port of its own; `reset` gives it a new, empty life.

    All methods may be called from any thread; what they do happens in the server's.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lives = itertools.count(1)
        self.state = self._new_state()
        self.server = Server(self.state)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None
        self.kubelets = Kubelets(self.state)
        self.port = 0

    # Starting and ending

    def start(self) -> None:
        self._thread.start()
        self._await(self._serve())
        self._await(self._begin())

    def stop(self) -> None:
        self._await(self._end())
        if self._runner is not None:
            self.server.break_streams()
            self._await(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    def reset(self) -> None:
        """Everything as at the start: no objects, scripts, faults or history of before."""
        self._await(self._renew())

    async def _serve(self) -> None:
        self._runner = web.AppRunner(
            self.server.application(), handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def serve_tls(self, context: ssl.SSLContext) -> int:
        """Answer over TLS, too; the port."""
        return self._await(self._serve_tls(context))

    async def _serve_tls(self, context: ssl.SSLContext) -> int:
        assert self._runner is not None
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        return int(self._runner.addresses[-1][1])

    async def _renew(self) -> None:
        await self._end()
        self.state = self.server.state = self._new_state()
        self.kubelets = Kubelets(self.state)
        await self._begin()

    def _new_state(self) -> State:
        root = self.root / f"life-{next(self._lives)}"
        root.mkdir(parents=True)
        return State(root)

    async def _begin(self) -> None:
        furnish(self.state.store)
        self.kubelets.start()
        self._tasks = [asyncio.create_task(each.live(self.state)) for each in CONTROLLERS]

    async def _end(self) -> None:
        self.server.break_streams()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.kubelets.stop()
        shutil.rmtree(self.state.root, ignore_errors=True)

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    def do(self, work: Callable[[], T]) -> T:
        """Calls `work` in the server's thread."""

        async def call() -> T:
            return work()

        return self._await(call())

    # Reaching it

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kubeconfig(self, path: Path, namespace: str = "default", token: str = "") -> Path:
        """Writes a kubeconfig for the admin, or for the user a token belongs to."""
        user: Json = {"token": token or "admin-token"}
        context = {"cluster": "fake", "user": "user", "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": "fake", "context": context}],
            "current-context": "fake",
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def token_for(self, user: str) -> str:
        """A token of a user who may do what Roles and bindings say, such as
        system:serviceaccount:NAMESPACE:NAME."""
        token = f"token-of-{user}"
        self.state.access.tokens[token] = user
        return token

    # Scripts and trouble

    def script(self, script: Script) -> None:
        """From now on containers it matches behave like this when they are started."""
        self.do(lambda: self.state.scripts.append(script))

    def fault(self, fault: Fault) -> Fault:
        self.do(lambda: self.state.faults.waiting.append(fault))
        return fault

    def deny(self, verb: str, resource: str, user: str = "*") -> None:
        """Takes a right away: 403, and access reviews say no."""
        self.do(lambda: self.state.access.denials.append(Denial(verb, resource, user)))

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Within it every connection is closed, those that are open too."""
        self.do(self._go_away)
        try:
            yield
        finally:
            self.state.faults.outage = False

    def _go_away(self) -> None:
        self.state.faults.outage = True
        self.server.break_streams()

    def break_streams(self) -> None:
        self.do(self.server.break_streams)

    def forget_changes(self) -> None:
        """Every version so far is too old to watch or go on listing from: 410."""
        self.do(self.state.store.compact)

    def node_down(self, node: str) -> None:
        self.do(lambda: set_node(self.state, node, reachable=False))

    def node_up(self, node: str) -> None:
        self.do(lambda: set_node(self.state, node, reachable=True))

    def taint(self, node: str) -> None:
        """It takes no pods, as the node of a control plane."""
        self.do(lambda: taint(self.state, node, "node-role.kubernetes.io/control-plane"))

    def remove_storage_classes(self) -> None:
        """From now on claims are bound only to volumes that somebody made for them."""
        self.do(lambda: self.state.store.remove(STORAGE_CLASSES, "", "standard"))

    def release(self, pod: str) -> None:
        """A stuck pod may end."""
        self.do(lambda: self.state.released.add(pod))

    def set_ready(self, namespace: str, pod: str, ready: bool) -> None:
        def tell() -> None:
            self.state.readiness[pod] = ready
            run = self.kubelets.run_of(namespace, pod)
            if run is not None:
                run.publish()

        self.do(tell)

    def crash(self, namespace: str, pod: str, code: int = 1) -> None:
        """The pod's containers end now with this exit code."""

        def end() -> None:
            run = self.kubelets.run_of(namespace, pod)
            for container in run.containers if run else []:
                container.crash(code)

        self.do(end)

    def run_cron_job(self, namespace: str, name: str) -> Json | None:
        """What happens when its time comes: a Job, unless it is suspended."""
        return self.do(lambda: self._run_cron_job(namespace, name))

    def _run_cron_job(self, namespace: str, name: str) -> Json | None:
        cron_job = self.state.store.get(CRON_JOBS, namespace, name)
        if cron_job["spec"]["suspend"]:
            return None
        template = cron_job["spec"]["jobTemplate"]
        meta = {**template["metadata"], "generateName": f"{name}-", "namespace": namespace}
        meta["ownerReferences"] = [reference(cron_job)]
        return create(self.state.store, JOBS, {"metadata": meta, "spec": template["spec"]})

    def add_kind(self, resource: Resource) -> None:
        """A CustomResourceDefinition: until it is put in, its kind is 404."""
        self.do(lambda: self.state.registry.known.append(resource))

    # Seeing

    @property
    def history(self) -> History:
        return self.state.history

    def claim_directory(self, namespace: str, claim: str) -> Path:
        """Where the files of a claim really are."""
        return self.state.claim_directory(namespace, claim)

    def objects(self, resource: Resource, namespace: str = "") -> list[Json]:
        return self.do(lambda: self.state.store.all(resource, namespace))

    def pods(self, namespace: str) -> list[Json]:
        return self.objects(PODS, namespace)

    def create(self, resource: Resource, namespace: str, body: Json) -> Json:
        """Puts an object in, without a request: it is not in the history."""
        meta = {**body["metadata"], "namespace": namespace}
        return self.do(lambda: create(self.state.store, resource, {**body, "metadata": meta}))

    def wait(self, condition: Callable[[], T], timeout: float = _PATIENCE) -> T:
        """Until `condition` returns something true; asserts that it does in time."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < deadline, f"waited {timeout} s for {condition}"
            time.sleep(0.01)
        return value

    @property
    def nodes(self) -> tuple[str, ...]:
        return NODE_NAMES
