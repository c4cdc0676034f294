"""LLM Orchestrator: an OpenAI-compatible gateway in front of several LLM providers."""

__version__ = "0.1.0"
