"""The Status objects a Kubernetes API refuses with, worded as the real one words them."""

from __future__ import annotations

from tests.kubernetes.fake.resources import Json, Resource


class Refused(Exception):
    """A request the server answers with a Status of Failure."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Json | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details
        self.headers = headers or {}

    @property
    def body(self) -> Json:
        body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
        }
        if self.details is not None:
            body["details"] = self.details
        return {**body, "code": self.code}


def _details(resource: Resource, name: str) -> Json:
    details: Json = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return {**details, "kind": resource.plural}


def not_found(resource: Resource, name: str) -> Refused:
    message = f'{resource.qualified} "{name}" not found'
    return Refused(404, "NotFound", message, _details(resource, name))


def no_such_path() -> Refused:
    return Refused(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: Resource, name: str) -> Refused:
    message = f'{resource.qualified} "{name}" already exists'
    return Refused(409, "AlreadyExists", message, _details(resource, name))


def modified(resource: Resource, name: str) -> Refused:
    message = (
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": the object has been '
        "modified; please apply your changes to the latest version and try again"
    )
    return Refused(409, "Conflict", message, _details(resource, name))


def precondition_failed(resource: Resource, name: str, field: str, given: str, is_: str) -> Refused:
    after = (
        ". The object might have been deleted and then recreated"
        if field == "UID"
        else ". The object might have been modified"
    )
    message = (
        f'Operation cannot be fulfilled on {resource.qualified_kind} "{name}": the {field} in the '
        f"precondition ({given}) does not match the {field} in record ({is_}){after}"
    )
    details: Json = {"name": name}
    if resource.group:
        details["group"] = resource.group
    return Refused(409, "Conflict", message, {**details, "kind": resource.kind})


def invalid(resource: Resource, name: str, field: str, why: str, cause: str) -> Refused:
    """`why` as the cause says it; `cause` is its reason, such as FieldValueInvalid."""
    details: Json = {"name": name}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.kind
    details["causes"] = [{"reason": cause, "message": why, "field": field}]
    message = f'{resource.qualified_kind} "{name}" is invalid: {field}: {why}'
    return Refused(422, "Invalid", message, details)


def unreadable_patch(given: str, why: str) -> Refused:
    said = f'Invalid value: "{given}": {why}'
    cause = {"reason": "FieldValueInvalid", "message": said, "field": "patch"}
    return Refused(422, "Invalid", f' "" is invalid: patch: {said}', {"causes": [cause]})


def rejected_patch() -> Refused:
    message = "the server rejected our request due to an error in our request"
    return Refused(422, "Invalid", message, {})


def forbidden(user: str, verb: str, resource: Resource, place: tuple[str, str, str]) -> Refused:
    """`place` is the namespace, the object's name and the subresource, each possibly empty."""
    namespace, name, sub = place
    plural = f"{resource.plural}/{sub}" if sub else resource.plural
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    what = f'{resource.qualified} "{name}"' if name else resource.qualified
    message = (
        f'{what} is forbidden: User "{user}" cannot {verb} resource "{plural}" '
        f'in API group "{resource.group}"{where}'
    )
    return Refused(403, "Forbidden", message, _details(resource, name))


def terminating(resource: Resource, name: str, namespace: str) -> Refused:
    why = f"namespace {namespace} is being terminated"
    message = (
        f'{resource.qualified} "{name}" is forbidden: unable to create new content in '
        f"namespace {namespace} because it is being terminated"
    )
    cause = {"reason": "NamespaceTerminating", "message": why, "field": "metadata.namespace"}
    return Refused(403, "Forbidden", message, {**_details(resource, name), "causes": [cause]})


def unauthorized() -> Refused:
    return Refused(401, "Unauthorized", "Unauthorized")


def unsupported_media_type() -> Refused:
    return Refused(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def bad_request(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


def method_not_allowed() -> Refused:
    message = "the server does not allow this method on the requested resource"
    return Refused(405, "MethodNotAllowed", message, {})


def expired(given: int, oldest: int) -> Refused:
    return Refused(410, "Expired", f"too old resource version: {given} ({oldest})")


def expired_continue() -> Refused:
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can "
        "start a new list without the continue parameter, or use the continue token in this "
        "response to retrieve the remainder of the results. Continuing with the provided token "
        "results in an inconsistent list - objects that were created, modified, or deleted "
        "between the time the first chunk was returned and now may show up in the list."
    )
    return Refused(410, "Expired", message)


def too_large_version(given: int, current: int) -> Refused:
    message = f"Timeout: Too large resource version: {given}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return Refused(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


def budget_exceeded(budget: str, needs: int, healthy: int) -> Refused:
    said = f"The disruption budget {budget} needs {needs} healthy pods and has {healthy} currently"
    return _not_evicted(said)


def budget_unknown(budget: str) -> Refused:
    return _not_evicted(f"The disruption budget {budget} is still being processed by the server.")


def _not_evicted(said: str) -> Refused:
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    cause = {"reason": "DisruptionBudget", "message": said}
    return Refused(429, "TooManyRequests", message, {"causes": [cause]})
