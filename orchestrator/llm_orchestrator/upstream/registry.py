"""Which adapter speaks a provider's protocol."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from llm_orchestrator.upstream.anthropic import Anthropic
from llm_orchestrator.upstream.gemini import Gemini
from llm_orchestrator.upstream.openai import OpenAI
from llm_orchestrator.upstream.protocol import Upstream


def make_upstreams(client: aiohttp.ClientSession) -> Mapping[str, Upstream]:
    """Make one adapter for each provider type, all over one client."""
    return {
        "openai": OpenAI(client),
        "anthropic": Anthropic(client),
        "gemini": Gemini(client),
    }
