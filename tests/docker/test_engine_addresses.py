"""Where the engine is: TCP with TLS, contexts with certificates, ssh; as the docker CLI has it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.containers import failed, succeeded
from tests.support.docker_engine import docker
from tests.support.private_engine import PrivateEngine, private_engine
from tests.support.projects import clean_environment

ADDRESS = "tcp://127.0.0.1:2376"
# In place of ssh: what it was told, and the same command without another machine.
SSH = """#!/bin/sh
echo "$*" >> {folder}/said
[ -e {folder}/refuses ] && echo "web@far: Permission denied (publickey)." >&2 && exit 255
unset DOCKER_HOST
while [ "$1" != docker ]; do shift; done
shift
exec docker --host {host} "$@"
"""


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def authority(folder: Path, name: str) -> Path:
    """A certificate that others are signed with; its key is beside it."""
    made = folder / f"{name}.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words = ["-x509", *curve, "-subj", f"/CN={name}", "-out", str(made)]
    openssl("req", *words, "-keyout", str(made.with_suffix(".key")))
    return made


def signed(by: Path, folder: Path, use: str) -> None:
    """`ca.pem`, `cert.pem` and `key.pem`, as DOCKER_CERT_PATH wants them."""
    folder.mkdir()
    (folder / "ca.pem").write_bytes(by.read_bytes())
    extension = folder / "extension"
    extension.write_text(f"subjectAltName=IP:127.0.0.1\nextendedKeyUsage={use}\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    request = [*curve, "-subj", "/CN=test", "-keyout", str(folder / "key.pem")]
    openssl("req", *request, "-out", str(folder / "request"))
    words = ["-in", str(folder / "request"), "-CA", str(by), "-CAkey", str(by.with_suffix(".key"))]
    words += ["-CAcreateserial", "-extfile", str(extension), "-out", str(folder / "cert.pem")]
    openssl("x509", "-req", *words)


class Far:
    """An engine to be reached in several ways, with a container `web`."""

    def __init__(self, engine: PrivateEngine, folder: Path) -> None:
        self.engine, self.folder = engine, folder

    def orchctl(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.engine.inside, sys.executable, "-m", "orchctl", *words, "--json"],
            cwd=self.folder,
            env=clean_environment() | {"DOCKER_CONFIG": str(self.folder / "config")} | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )

    def sees(self, **env: str) -> None:
        told = succeeded(self.orchctl("docker", "status", "web", **env))
        assert told["containers"][0]["state"] == "running"

    def refused(self, code: int = 9, **env: str) -> str:
        error = failed(self.orchctl("docker", "status", "web", **env), code)
        return f"{error['code']}: {error['message']}; {error['hint']}"

    def docker(self, *words: str) -> None:
        docker("--config", str(self.folder / "config"), *words)


@pytest.fixture(scope="module")
def far(busybox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    folder = tmp_path_factory.mktemp("far")
    known = authority(folder, "known")
    signed(known, folder / "engine", "serverAuth")
    signed(known, folder / "client", "clientAuth")
    signed(authority(folder, "strange"), folder / "stranger", "clientAuth")
    own = folder / "engine"
    words = ["--host", ADDRESS, "--tlsverify", "--tlscacert", f"{own}/ca.pem"]
    words += ["--tlscert", f"{own}/cert.pem", "--tlskey", f"{own}/key.pem"]
    with private_engine(*words) as engine:
        engine.load(busybox)
        words = ["--detach", "--name", "web", "--network", "none", busybox]
        engine.docker("run", *words, "sleep", "100000")
        yield Far(engine, folder)


def test_tls_by_variables(far: Far) -> None:
    def tls(name: str) -> dict[str, str]:
        return {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(far.folder / name)}

    far.sees(DOCKER_HOST=ADDRESS, **tls("client"))
    assert "certificate verify failed" in far.refused(DOCKER_HOST=ADDRESS, **tls("stranger"))
    assert "It speaks TLS alone, perhaps" in far.refused(DOCKER_HOST=ADDRESS)
    nobody = far.folder / "nobody"
    nobody.mkdir()
    (nobody / "ca.pem").write_bytes((far.folder / "client" / "ca.pem").read_bytes())
    assert "engine-away" in far.refused(DOCKER_HOST=ADDRESS, **tls("nobody"))
    assert "docker-tls" in far.refused(3, DOCKER_HOST=ADDRESS, **tls("nowhere"))
    # Encrypted, and whoever it is: DOCKER_TLS alone.
    trusting = {"DOCKER_TLS": "1", "DOCKER_CERT_PATH": str(far.folder / "client")}
    far.sees(DOCKER_HOST=ADDRESS, **trusting)


def test_a_context_with_its_certificates(far: Far) -> None:
    own = far.folder / "client"
    files = f"ca={own}/ca.pem,cert={own}/cert.pem,key={own}/key.pem"
    far.docker("context", "create", "far", "--docker", f"host={ADDRESS},{files}")
    far.docker("context", "create", "bare", "--docker", f"host={ADDRESS}")
    far.sees(DOCKER_CONTEXT="far")
    assert "It speaks TLS alone, perhaps" in far.refused(DOCKER_CONTEXT="bare")
    assert "docker-context" in far.refused(3, DOCKER_CONTEXT="none")
    far.docker("context", "use", "far")
    far.sees()
    # DOCKER_HOST comes before any context.
    far.sees(DOCKER_HOST=far.engine.host)


def test_ssh(far: Far, tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(SSH.format(folder=tmp_path, host=far.engine.host))
    ssh.chmod(0o755)
    path = f"{tmp_path}:{clean_environment()['PATH']}"
    far.sees(DOCKER_HOST="ssh://web@far:2222", PATH=path)
    said = (tmp_path / "said").read_text().splitlines()
    assert set(said) == {"-o ConnectTimeout=30 -T -l web -p 2222 -- far docker system dial-stdio"}
    words = ["docker", "restart", "web", "--grace", "1s", "--timeout", "20s"]
    done = succeeded(far.orchctl(*words, DOCKER_HOST="ssh://far", PATH=path))
    assert done["containers"][0]["state"] == "running"
    (tmp_path / "refuses").touch()
    told = far.refused(DOCKER_HOST="ssh://web@far", PATH=path)
    assert told.startswith("engine-away: ")
    assert "web@far: Permission denied (publickey)." in told
    assert "docker-host" in far.refused(3, DOCKER_HOST="ssh://", PATH=path)
    assert "no ssh here" in far.refused(3, DOCKER_HOST="ssh://far", PATH="/nowhere")
