"""A Docker engine for the tests, and images made of what this machine has: nothing is pulled."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_LOCK = Path(tempfile.gettempdir()) / "orchctl-tests-docker.lock"
# What Dockerfiles and entrypoints of the tests run besides Python.
_PROGRAMS = ("sh", "cat", "chown", "env", "id", "ls", "mkdir", "rm", "sleep")
# What wheels expect of any Linux (manylinux), and what looks up names.
_LIBRARIES = """
libdl.so.2 libgcc_s.so.1 libm.so.6 libnss_dns.so.2 libnss_files.so.2 libpthread.so.0 libresolv.so.2
librt.so.1 libstdc++.so.6 libutil.so.1
""".split()
_LEFT_OUT = {"test", "site-packages", "dist-packages", "idlelib", "tkinter", "turtledemo"}


def docker(*words: str, stdin: bytes | None = None) -> str:
    """Run docker and return what it says; a failure shows all of it."""
    done = subprocess.run(["docker", *words], input=stdin, capture_output=True)
    assert done.returncode == 0, f"docker {' '.join(words)}: {(done.stdout + done.stderr).decode()}"
    return done.stdout.decode().strip()


@contextlib.contextmanager
def running_engine() -> Iterator[None]:
    """Use the machine's engine, or one that is started for the tests.

    Several test processes may share what one of them started: it ends when all are done.
    """
    with _LOCK.open("a") as lock:
        started = None
        fcntl.flock(lock, fcntl.LOCK_SH)
        while not _answers():
            fcntl.flock(lock, fcntl.LOCK_EX)
            started = None if _answers() else _start()
            fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            yield
        finally:
            if started is not None:
                # Waits for the other processes that use it.
                fcntl.flock(lock, fcntl.LOCK_EX)
                started.terminate()
                started.wait(60)


def python_image() -> str:
    """Make an image of this Python with a shell, once for a machine; return its tag."""
    content = _Content()
    digest = hashlib.sha256(repr(sorted(content.files)).encode()).hexdigest()[:12]
    tag = f"orchctl-tests-python:{digest}"
    with _LOCK.with_suffix(".image").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not docker("images", "--quiet", tag):
            with tempfile.TemporaryFile() as archive:
                content.write(archive)
                archive.seek(0)
                words = ["docker", "import", "--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin"]
                subprocess.run([*words, "-", tag], stdin=archive, check=True, capture_output=True)
    return tag


def busybox_image() -> str:
    """Make an image of Debian's static busybox alone, once for a machine; return its tag.

    It has `sh`, `httpd`, `sleep` and the like, and starts in a tenth of the time of the other.
    """
    program = Path(shutil.which("busybox") or "")
    assert program.is_file(), "apt-get install busybox-static"
    digest = hashlib.sha256(program.read_bytes()).hexdigest()[:12]
    tag = f"orchctl-tests-busybox:{digest}"
    with _LOCK.with_suffix(".busybox").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not docker("images", "--quiet", tag):
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode="w") as tar:
                _folder(tar, "tmp", 0o1777)
                _folder(tar, "bin", 0o755)
                tar.add(program, "bin/busybox", filter=_as_root)
                told = subprocess.run([program, "--list"], check=True, capture_output=True)
                for name in told.stdout.decode().split():
                    if name != "busybox":
                        link = tarfile.TarInfo(f"bin/{name}")
                        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                        tar.addfile(link)
            docker("import", "--change", "ENV PATH=/bin", "-", tag, stdin=archive.getvalue())
    return tag


def _folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    folder = tarfile.TarInfo(name)
    folder.type, folder.mode = tarfile.DIRTYPE, mode
    tar.addfile(folder)


class _Content:
    """The files of the image, as (name in the image, path here)."""

    def __init__(self) -> None:
        self.files: set[tuple[str, str]] = set()
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        executable = Path(sys.executable).resolve()
        library = Path(sysconfig.get_path("stdlib"))
        self._add_program(executable, f"usr/local/bin/{version}")
        for path in _standard_library(library):
            self.files.add((f"usr/local/lib/{version}/{path.relative_to(library)}", str(path)))
        self._add_libraries([str(path) for path in (library / "lib-dynload").glob("*.so")])
        beside_libc = Path("/usr/lib", _triplet())
        self._add_libraries([str(beside_libc / "libstdc++.so.6")])
        for name in _LIBRARIES:
            self.files.add((f"{beside_libc}/{name}"[1:], str((beside_libc / name).resolve())))
        # Where Debian keeps the pip that venv installs.
        for wheel in Path("/usr/share/python-wheels").glob("*.whl"):
            self.files.add((f"usr/share/python-wheels/{wheel.name}", str(wheel)))
        for name in _PROGRAMS:
            found = shutil.which(name)
            assert found, name
            self._add_program(Path(found).resolve(), f"usr/bin/{name}")
        self.links = {"usr/local/bin/python3": version, "usr/local/bin/python": version}
        self.links |= {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}

    def _add_program(self, path: Path, name: str) -> None:
        self.files.add((name, str(path)))
        self._add_libraries([str(path)])

    def _add_libraries(self, paths: Sequence[str]) -> None:
        """Take the shared libraries that these files need, to where the loader looks by itself."""
        told = subprocess.run(["ldd", *paths], check=True, capture_output=True, text=True).stdout
        for path in set(re.findall(r"(?:=> |^\s*)(/\S+) \(0x", told, re.MULTILINE)):
            # The loader's own path stands in every program; libraries are found by their name.
            loader = Path(path).name.startswith("ld-")
            folder = Path(path).parent if loader else Path("/usr/lib", _triplet())
            name = str(folder / Path(path).name).lstrip("/")
            name = re.sub(r"^lib", "usr/lib", name)
            self.files.add((name, str(Path(path).resolve())))

    def write(self, archive: io.BufferedRandom) -> None:
        """Write the image's root as a tar."""
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, mode in (("tmp", 0o1777), ("etc", 0o755), ("usr", 0o755)):
                _folder(tar, name, mode)
            for name, target in self.links.items():
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, target
                tar.addfile(link)
            for name, text in {
                "etc/passwd": "root:x:0:0:root:/:/bin/sh\n",
                "etc/group": "root:x:0:\n",
            }.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
            for name, path in sorted(self.files):
                tar.add(path, name, recursive=False, filter=_as_root)


def _triplet() -> str:
    """Name the folder of this architecture's libraries, as x86_64-linux-gnu."""
    triplet = sysconfig.get_config_var("MULTIARCH")
    assert isinstance(triplet, str)
    return triplet


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _standard_library(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = set(path.relative_to(folder).parts)
        # Compiled without options alone: -O and tests want others, the image does not.
        if parts & _LEFT_OUT or ".opt-" in path.name or path.suffix == ".a" or path.is_dir():
            continue
        yield path


def _answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True).returncode == 0


def _start() -> subprocess.Popen[bytes]:
    log = _LOCK.with_suffix(".log")
    with log.open("wb") as output:
        engine = subprocess.Popen(["dockerd"], stdout=output, stderr=output)
    until = time.monotonic() + 60
    while not _answers():
        assert engine.poll() is None, f"dockerd ended: {log.read_text()[-3000:]}"
        assert time.monotonic() < until, f"dockerd does not answer: {log.read_text()[-3000:]}"
        time.sleep(0.2)
    return engine
