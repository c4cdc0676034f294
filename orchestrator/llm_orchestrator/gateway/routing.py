"""Which providers a request may go to, and in which order."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from llm_orchestrator.errors import ApiError
from llm_orchestrator.gateway.request import ChatRequest, RoutedRequest
from llm_orchestrator.routes_table import Link, ProviderRoute, Routes

# Whether a provider is healthy, by its id; None while nobody knows.
Healthy = Callable[[int], bool | None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider that may be asked, and its own name of the model."""

    provider: ProviderRoute
    model: str


@dataclass(frozen=True, slots=True)
class Needs:
    """What the provider of a request must be able to do."""

    tools: bool = False
    structured: bool = False
    images: bool = False

    def met_by(self, link: Link) -> bool:
        """Tell whether a provider can do all of it with the model."""
        return (
            (link.tool_call or not self.tools)
            and (link.structured_output or not self.structured)
            and (link.image or not self.images)
        )

    def __str__(self) -> str:
        """Name the needs."""
        named = {
            "tools": self.tools,
            "response_format": self.structured,
            "images": self.images,
        }
        return " and ".join(name for name, needed in named.items() if needed)


def read_needs(request: ChatRequest) -> Needs:
    """Read off a chat request what it needs."""
    wanted = (request.response_format or {}).get("type")
    extra = request.model_extra or {}
    return Needs(
        tools=bool(request.tools or extra.get("functions")),
        structured=wanted in {"json_object", "json_schema"},
        images=any(
            part.get("type") == "image_url"
            for message in request.messages
            if isinstance(message.content, list)
            for part in message.content
        ),
    )


def plan(
    routes: Routes, request: RoutedRequest, needs: Needs, healthy: Healthy, chance: random.Random
) -> list[Candidate]:
    """Return who is asked, one after the other.

    The model's providers come first, by priority and chance, or only the one that the caller names;
    then the caller's fallbacks. None of them is disabled or known to be unhealthy.

    Raises ApiError: 404 for a model or provider that is not there, 400 when no provider of the
    model can do what is needed, 503 when those that could are unhealthy.
    """
    if request.model not in routes.models:
        raise ApiError(
            404,
            f"The model {request.model!r} does not exist here.",
            code="model_not_found",
            param="model",
        )
    links = [link for link in routes.links.get(request.model, ()) if link.enabled]
    if request.provider is not None:
        links = [_pinned(routes, links, request)]
    able = [link for link in links if needs.met_by(link)]
    candidates = [
        Candidate(link.provider, link.provider_model)
        for link in order(filter(lambda link: healthy(link.provider.id) is not False, able), chance)
    ]
    for name in request.fallback_providers or ():
        fallback = _fall_back(routes, request.model, name, needs)
        if fallback and healthy(fallback.provider.id) is not False:
            candidates.append(fallback)
    if not candidates:
        raise _nobody(request.model, links, able, needs)
    # Whoever has failed once is not asked again as a fallback.
    first: dict[int, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.provider.id, candidate)
    return list(first.values())


def _pinned(routes: Routes, links: list[Link], request: RoutedRequest) -> Link:
    for link in links:
        if link.provider.name == request.provider:
            return link
    known = request.provider in routes.providers
    what = f"does not serve {request.model!r}" if known else "does not exist here"
    raise ApiError(
        404,
        f"The provider {request.provider!r} {what}.",
        code="provider_not_found",
        param="provider",
    )


def _fall_back(routes: Routes, model: str, name: str, needs: Needs) -> Candidate | None:
    """Find a fallback; one that isn't associated with the model is asked by the model's own name.

    One that is, but disabled or unable to do what is needed, is left out: that was decided.
    """
    provider = routes.providers.get(name)
    if provider is None:
        raise ApiError(
            404,
            f"The provider {name!r} does not exist here.",
            code="provider_not_found",
            param="fallback_providers",
        )
    for link in routes.links.get(model, ()):
        if link.provider.id == provider.id:
            usable = link.enabled and needs.met_by(link)
            return Candidate(provider, link.provider_model) if usable else None
    return Candidate(provider, model)


def _nobody(model: str, links: list[Link], able: list[Link], needs: Needs) -> ApiError:
    if links and not able:
        return ApiError(
            400,
            f"No provider of the model {model!r} can do what this asks for: {needs}.",
            code="unsupported_by_model",
            param="model",
        )
    why = "all its providers are unhealthy" if able else "it has no provider"
    return ApiError(
        503,
        f"The model {model!r} can't be reached: {why}.",
        code="no_provider",
        headers={"Retry-After": "5"} if able else {},
    )


def order(links: Iterable[Link], chance: random.Random) -> list[Link]:
    """Order links by their provider's priority, within one at random by weight.

    Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006: the first of each
    order is picked with a probability in proportion to its weight, so is the second among the
    rest, and so on. A weight of 0 comes after all others.
    """
    ordered: list[Link] = []
    by_priority = sorted(links, key=lambda link: link.provider.priority)
    for _, group in groupby(by_priority, key=lambda link: link.provider.priority):
        same = list(group)
        if len(same) > 1:
            same.sort(key=lambda link: _key(link, chance))
        ordered.extend(same)
    return ordered


def _key(link: Link, chance: random.Random) -> float:
    weight = link.provider.weight * link.weight
    return chance.expovariate(weight) if weight > 0 else math.inf
