"""`make serve`: the LLM Orchestrator for a person, with the demo's data, until Ctrl-C.

Everything is in `.serve/` and stays there: the database, its snapshots, and the keys that were made
up at the first start. Two providers on loopback serve the model `demo`, of which one always fails.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from provider import provider
from run import ROOT, build_project, environment, retire_made_up_providers
from service import MODEL, Keys, Service, make_keys, running

FOLDER = ROOT / ".serve"
PORT = int(os.environ.get("PORT", "8000"))


def main() -> int:
    if not (FOLDER / "keys.json").exists():
        FOLDER.mkdir(exist_ok=True)
        build_project(FOLDER)
        retire_made_up_providers(FOLDER)
        write_keys(FOLDER / "keys.json")
    keys = Keys(**json.loads((FOLDER / "keys.json").read_text()))
    with (
        provider(failing=True) as failing,
        provider() as answering,
        running(FOLDER, environment(), PORT, keys) as (service, process),
    ):
        use(service, failing, answering)
        tell(keys)
        try:
            return process.wait()
        except KeyboardInterrupt:
            print("\nThe database and the keys stay in .serve/", flush=True)
            return 0


def use(service: Service, failing: str, answering: str) -> None:
    """Have the model served by the providers of this run, which are at other ports each time."""
    known = {one["name"]: one["id"] for one in service.admin("providers")}
    if "demo-answering" not in known:
        service.add_providers(failing, answering)
        return
    for name, address in (("failing", failing), ("answering", answering)):
        service.change_provider(known[f"demo-{name}"], {"base_url": address})


def tell(keys: Keys) -> None:
    print(
        f"""
Admin pages  http://127.0.0.1:{PORT}/admin-ui
             key: {keys.admin}
A chat       curl http://127.0.0.1:{PORT}/v1/chat/completions \\
               -H 'Authorization: Bearer {keys.api}' -H 'Content-Type: application/json' \\
               -d '{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
Ctrl-C ends it; .serve/ holds everything.""",
        flush=True,
    )


def write_keys(path: Path) -> None:
    """Write new keys where only this user reads them."""
    keys = make_keys()
    path.touch(mode=0o600)
    path.write_text(json.dumps({"admin": keys.admin, "api": keys.api}))


if __name__ == "__main__":
    sys.exit(main())
