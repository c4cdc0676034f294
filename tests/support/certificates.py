"""Certificates that vouch for themselves, for servers and clients on 127.0.0.1."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


def make_certificates(folder: Path, *names: str) -> Path:
    """NAME.pem and NAME.key for each name; the folder."""
    for name in names:
        words = "req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
        subprocess.run(
            [
                *("openssl", *words.split(), "-subj", f"/CN={name}"),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
                *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
                *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
            ],
            cwd=folder,
            check=True,
            capture_output=True,
        )
    return folder


def server_context(folder: Path) -> ssl.SSLContext:
    """What serves with server.pem."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context
