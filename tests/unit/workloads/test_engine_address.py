"""Which engine is meant: what the docker CLI would use."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from orchctl.errors import ConfigurationError
from orchctl.workloads.docker.address import DEFAULT_SOCKET, find_engine


def context(home: Path, name: str, host: str, *, tls: bool = False, skip: bool = False) -> None:
    hashed = hashlib.sha256(name.encode()).hexdigest()
    folder = home / ".docker" / "contexts"
    meta = folder / "meta" / hashed / "meta.json"
    meta.parent.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": skip}
    meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    if tls:
        files = folder / "tls" / hashed / "docker"
        files.mkdir(parents=True)
        for one in ("ca.pem", "cert.pem", "key.pem"):
            (files / one).touch()


def current(home: Path, name: str) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))


def test_without_anything_it_is_the_socket_of_this_machine(tmp_path: Path) -> None:
    found = find_engine({}, tmp_path)
    assert (found.host, found.origin, found.local) == (DEFAULT_SOCKET, "default", True)


def test_docker_host_comes_before_every_context(tmp_path: Path) -> None:
    context(tmp_path, "far", "tcp://far:2375")
    current(tmp_path, "far")
    variables = {"DOCKER_HOST": "tcp://here:2375", "DOCKER_CONTEXT": "far"}
    found = find_engine(variables, tmp_path)
    assert (found.host, found.tls, found.local) == ("tcp://here:2375", False, False)


def test_the_variable_comes_before_the_current_context(tmp_path: Path) -> None:
    context(tmp_path, "far", "tcp://far:2375")
    context(tmp_path, "near", "unix:///near.sock")
    current(tmp_path, "far")
    assert find_engine({}, tmp_path).host == "tcp://far:2375"
    assert find_engine({"DOCKER_CONTEXT": "near"}, tmp_path).origin == "context near"
    assert find_engine({"DOCKER_CONTEXT": "default"}, tmp_path).host == DEFAULT_SOCKET


def test_docker_config_names_another_folder(tmp_path: Path) -> None:
    context(tmp_path / "other", "far", "tcp://far:2375")
    current(tmp_path / "other", "far")
    variables = {"DOCKER_CONFIG": str(tmp_path / "other" / ".docker")}
    assert find_engine(variables, tmp_path).host == "tcp://far:2375"


def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no docker context gone"):
        find_engine({"DOCKER_CONTEXT": "gone"}, tmp_path)


def test_tls_by_the_variables(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    variables = {
        "DOCKER_HOST": "tcp://far:2376",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(tmp_path),
    }
    found = find_engine(variables, tmp_path)
    assert (found.tls, found.verify, found.authority) == (True, True, tmp_path / "ca.pem")
    assert found.certificate == (tmp_path / "cert.pem", tmp_path / "key.pem")
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        find_engine(variables, tmp_path)


def test_tls_of_a_context(tmp_path: Path) -> None:
    context(tmp_path, "far", "tcp://far:2376", tls=True)
    context(tmp_path, "lax", "tcp://far:2376", skip=True)
    found = find_engine({"DOCKER_CONTEXT": "far"}, tmp_path)
    assert found.tls
    assert found.verify
    assert found.certificate is not None
    lax = find_engine({"DOCKER_CONTEXT": "lax"}, tmp_path)
    assert (lax.tls, lax.verify, lax.certificate) == (True, False, None)


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"config\.json cannot be read"):
        find_engine({}, tmp_path)
