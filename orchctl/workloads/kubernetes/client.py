"""One cluster's API, asked over the official client's connections; trouble is met here."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from orchctl.config import masked_url
from orchctl.errors import ConfigurationError, OrchctlError, WorkloadFailed
from orchctl.workloads.kubernetes.refusal import Refusal, Refused, read_refusal, translated

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.connection import Connection
    from orchctl.workloads.kubernetes.kinds import Kind, Object

STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

_CONNECT, _ANSWER = 5.0, 30.0  # seconds
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0
_PATIENCE = 10.0  # seconds for which a cluster in trouble is asked again, if nothing else is said

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

Query = Mapping[str, str]


class Away(Exception):
    """The API server could not be reached, or went away before its answer was complete."""


class Cluster:
    """The API of one cluster.

    Every method that asks raises WorkloadFailed (`no-rights`, `no-such-object`,
    `cluster-conflict`, `cluster-refused`, `cluster-busy`, `cluster-trouble`, `cluster-away`) or
    ConfigurationError (`cluster-credentials`, `cluster-tls`). What may pass (429, 5xx, a lost
    connection) is asked again until `gives_up_at`.

    Args:
        connection: How to reach it.
        patient_until: A time of the monotonic clock; None means `patience` for each request.
        patience: Seconds for each request.
        on_trouble: Called with a line when a request is going to be repeated.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        patient_until: float | None = None,
        patience: float = _PATIENCE,
        on_trouble: Callable[[str], None] | None = None,
    ) -> None:
        from kubernetes.client import rest

        self.connection = connection
        self.namespace = connection.namespace
        self._patient_until, self._patience = patient_until, patience
        self._guard: Callable[[], None] | None = None
        self._tell = on_trouble or (lambda text: None)
        try:
            self._pool = rest.RESTClientObject(connection.configuration).pool_manager
        except (OSError, ValueError) as error:
            raise _untrusted(connection.host, error) from error

    def guarded(self, guard: Callable[[], None]) -> Cluster:
        """The same cluster, where nothing is changed without a guard's leave.

        Args:
            guard: Called right before each request that changes something, each time that such a
                request is repeated, too; what it raises keeps the request from being sent.
        """
        found = copy.copy(self)
        found._guard = guard
        return found

    def gives_up_at(self) -> float:
        """Until when, on the monotonic clock, a request begun now is tried again."""
        return self._patient_until or time.monotonic() + self._patience

    def close(self) -> None:
        """Let its connections go."""
        self._pool.clear()

    # -- objects ---------------------------------------------------------------------------

    def get(self, kind: Kind, name: str, sub: str = "") -> Object:
        """One object, or a subresource of it."""
        return self._asked("GET", kind.path(self.namespace, name, sub))

    def find(self, kind: Kind, name: str) -> Object | None:
        """One object; None when there is none of that name."""
        try:
            return self._repeated("GET", kind.path(self.namespace, name))
        except Refused as error:
            if error.refusal.status == 404:
                return None
            raise translated(error.refusal, self.connection.host) from error

    def every(self, kind: Kind, labels: str = "", fields: str = "") -> tuple[list[Object], str]:
        """Objects of the namespace, and the version of the collection they were read at."""
        query = selecting(labels, fields)
        answer = self._asked("GET", kind.path(self.namespace), query)
        return list(answer.get("items") or ()), str(answer["metadata"]["resourceVersion"])

    def create(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        """Create an object.

        A lost connection is not answered by a second try: the object may be there already.
        """
        path = kind.path(self.namespace)
        return self._asked("POST", path, _dry(dry_run), body, once=not dry_run)

    def replace(
        self, kind: Kind, name: str, body: Object, sub: str = "", *, dry_run: bool = False
    ) -> Object:
        """Replace an object, or a subresource, if it still has the body's resourceVersion."""
        return self._asked("PUT", kind.path(self.namespace, name, sub), _dry(dry_run), body)

    def patch(
        self,
        kind: Kind,
        name: str,
        body: Any,
        *,
        how: str = STRATEGIC,
        sub: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Patch an object; made so that a second time changes nothing more."""
        path = kind.path(self.namespace, name, sub)
        return self._asked("PATCH", path, _dry(dry_run), body, content_type=how)

    def delete(
        self,
        kind: Kind,
        name: str,
        *,
        uid: str,
        version: str | None = None,
        propagation: str | None = None,
        dry_run: bool = False,
    ) -> bool:
        """Delete the very object with that uid; False when there is none of that name any more.

        With a version it must not have changed since, either.
        """
        body: Object = {"preconditions": {"uid": uid}}
        if version:
            body["preconditions"]["resourceVersion"] = version
        if propagation:
            body["propagationPolicy"] = propagation
        if dry_run:
            body["dryRun"] = ["All"]
        try:
            self._repeated("DELETE", kind.path(self.namespace, name), None, body)
        except Refused as error:
            if error.refusal.status == 404:
                return False
            raise translated(error.refusal, self.connection.host) from error
        return True

    def review(self, body: Object) -> Object:
        """Ask whether something is allowed (a SelfSubjectAccessReview changes nothing)."""
        return self._asked("POST", _REVIEWS, {}, body)

    # -- streams ---------------------------------------------------------------------------

    @contextmanager
    def stream(self, path: str, query: Query, silence: float | None) -> Iterator[Iterator[bytes]]:
        """The lines of an answer as they come.

        Args:
            path: Of the resource.
            query: Its parameters.
            silence: Seconds without a word after which the connection counts as lost.

        Raises:
            Refused: The server said no.
            Away: It can't be reached. The lines end without an error when it goes away.
        """
        response = self._send("GET", path, query, None, silence=silence)
        try:
            yield _lines(response)
        finally:
            response.close()

    # -- one request -----------------------------------------------------------------------

    def _asked(self, *request: Any, **keywords: Any) -> Object:
        try:
            return self._repeated(*request, **keywords)
        except Refused as error:
            raise translated(error.refusal, self.connection.host) from error

    def _repeated(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        once: bool = False,
    ) -> Object:
        pause, until = _FIRST_PAUSE, self.gives_up_at()
        changes = method != "GET" and path != _REVIEWS and not _is_dry(query, body)
        while True:
            if changes and self._guard is not None:
                self._guard()
            wait = pause * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
            try:
                return self._answered(method, path, query, body, content_type)
            except Refused as error:
                if not error.refusal.transient or (once and error.refusal.status != 429):
                    raise
                wait = max(wait, error.refusal.retry_after or 0.0)
                if time.monotonic() + wait >= until:
                    raise
                self._tell(_told(error.refusal))
            except Away as error:
                if once or time.monotonic() + wait >= until:
                    raise self.away(error) from error
                self._tell(f"The cluster does not answer ({error})")
            time.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _answered(
        self, method: str, path: str, query: Query | None, body: Any, content_type: str
    ) -> Object:
        import urllib3

        response = self._send(method, path, query, body, content_type)
        try:
            raw = response.data
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Away(_reason(error)) from error
        try:
            answer: Object = json.loads(raw)
        except ValueError as error:
            raise Away("its answer is no JSON") from error
        return answer

    def _send(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: Any,
        content_type: str = "application/json",
        *,
        silence: float | None = _ANSWER,
    ) -> Any:
        import urllib3

        url = self.connection.configuration.host.rstrip("/") + quote(path)
        if query:
            url += "?" + urlencode(query)
        try:
            response = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body),
                headers=self._headers(content_type if body is not None else None),
                timeout=urllib3.Timeout(connect=_CONNECT, read=silence),
                preload_content=False,
                retries=False,
            )
        except urllib3.exceptions.SSLError as error:
            raise _untrusted(self.connection.host, error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Away(_reason(error)) from error
        if not 200 <= response.status <= 299:
            raise Refused(_refusal(response))
        return response

    def _headers(self, content_type: str | None) -> dict[str, str]:
        headers = {"Accept": "application/json, */*", "User-Agent": "orchctl"}
        if content_type:
            headers["Content-Type"] = content_type
        # Asked each time: a token may have run out and be fetched anew.
        for one in self.connection.configuration.auth_settings().values():
            if one["in"] == "header" and one["value"]:
                headers[one["key"]] = one["value"]
        return headers

    def away(self, error: BaseException) -> OrchctlError:
        """The error of a cluster that could not be reached."""
        context = f" (context {self.connection.context})" if self.connection.context else ""
        return WorkloadFailed(
            f"The cluster at {self.connection.host}{context} does not answer: {error}",
            code="cluster-away",
            hint="Is the address right, is there a VPN in between? kubectl version asks the same; "
            "a longer --timeout asks longer",
        )


def selecting(labels: str = "", fields: str = "") -> dict[str, str]:
    """The query that selects objects."""
    pairs = (("labelSelector", labels), ("fieldSelector", fields))
    return {key: value for key, value in pairs if value}


def _is_dry(query: Query | None, body: Any) -> bool:
    return "dryRun" in (query or ()) or (isinstance(body, dict) and "dryRun" in body)


def _dry(dry_run: bool) -> dict[str, str] | None:
    return {"dryRun": "All"} if dry_run else None


def _lines(response: Any) -> Iterator[bytes]:
    import urllib3

    rest = b""
    try:
        for part in response.stream(1 << 16, decode_content=True):
            *whole, rest = (rest + part).split(b"\n")
            yield from whole
    except (urllib3.exceptions.HTTPError, OSError):
        return  # what is lost in mid-line is told again from the last version seen
    if rest:
        yield rest


def _refusal(response: Any) -> Refusal:
    import urllib3

    try:
        raw = response.data
    except (urllib3.exceptions.HTTPError, OSError):
        raw = b""
    return read_refusal(response.status, raw, response.headers.get("Retry-After"))


def _told(refusal: Refusal) -> str:
    return f"The cluster is in trouble: {refusal.message or refusal.reason} ({refusal.status})"


def _untrusted(host: str, error: BaseException) -> ConfigurationError:
    return ConfigurationError(
        f"The certificate of {host}, or our own, is not accepted: {_reason(error)}",
        code="cluster-tls",
        hint="certificate-authority(-data) and client-certificate(-data) in the kubeconfig",
    )


def _reason(error: BaseException) -> str:
    """The system's own word for it, when there is one."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if "Timeout" in type(one).__name__:
            return "no answer in time"
        if isinstance(one, OSError) and one.strerror:
            return one.strerror[:1].lower() + one.strerror[1:]
        inner = [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
        left += [each for each in inner if isinstance(each, BaseException)]
    return masked_url(" ".join(str(error).split()))[:200]
