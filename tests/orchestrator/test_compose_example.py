"""examples/compose: what it says is what the image, the service and its metrics have."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from llm_orchestrator.background.log_writer import LogWriter
from llm_orchestrator.metrics import Metrics
from llm_orchestrator.settings import Settings
from tests.support.migration_chain import ROOT

FOLDER = ROOT / "examples" / "compose"


@functools.cache
def compose() -> dict[str, Any]:
    """The example as compose reads it."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True)
    program = ["docker-compose"] if plugin.returncode else ["docker", "compose"]
    profiles = ["--profile", "redis", "--profile", "prometheus"]
    done = subprocess.run(
        [*program, "--file", str(FOLDER / "compose.yaml"), *profiles, "config"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "ADMIN_KEY": "a", "API_KEYS": "b"},
    )
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load(done.stdout)
    assert isinstance(found, dict)
    return found


def test_compose_takes_it_and_what_is_optional_is() -> None:
    everything = compose()["services"]
    optional = {name: service.get("profiles") for name, service in everything.items()}
    assert optional == {"orchestrator": None, "redis": ["redis"], "prometheus": ["prometheus"]}
    for service in everything.values():
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


def test_without_keys_it_does_not_start() -> None:
    text = (FOLDER / "compose.yaml").read_text()
    assert re.findall(r"\$\{(ADMIN_KEY|API_KEYS):\?", text) == ["ADMIN_KEY", "API_KEYS"]
    assert not re.search(r"_KEYS?: (?!\$\{)", text)


def test_every_variable_is_a_setting() -> None:
    names = compose()["services"]["orchestrator"]["environment"]
    assert {name.lower() for name in names} <= set(Settings.model_fields)


def test_it_asks_for_health_as_the_image_does() -> None:
    (line,) = re.findall(r'CMD (\["python3".*\])', (ROOT / "Dockerfile").read_text())
    program = compose()["services"]["orchestrator"]["healthcheck"]["test"][-1]
    compile(program, "healthcheck", "exec")
    asked = yaml.safe_load(line)[-1].replace("int(os.environ['PORT'])", "8000")
    assert program == asked.replace("import http.client, os, sys", "import http.client, sys")


def test_alerts_watch_metrics_that_there_are() -> None:
    alerts = yaml.safe_load((FOLDER / "alerts.yml").read_text())
    asked = {
        name
        for group in alerts["groups"]
        for rule in group["rules"]
        for name in re.findall(r"\bllm_\w+", rule["expr"])
    }
    metrics = Metrics()
    metrics.watch_logs(LogWriter(engine=None))  # type: ignore[arg-type]
    told = metrics.render().decode()
    assert len(asked) >= 4
    assert {name for name in asked if f"# TYPE {name} " not in told} == set()


def test_what_it_mounts_is_there() -> None:
    volumes = compose()["services"]["prometheus"]["volumes"]
    sources = [entry if isinstance(entry, str) else entry["source"] for entry in volumes]
    files = [Path(source.split(":")[0]) for source in sources if source.startswith("/")]
    assert files
    assert all(file.is_file() for file in files)
