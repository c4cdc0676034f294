"""`python -m llm_orchestrator` is `llm-orchestrator`."""

from __future__ import annotations

from llm_orchestrator.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
