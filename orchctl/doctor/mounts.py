"""On what a database lies: read from /proc/self/mountinfo (proc(5)), and judged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchctl.doctor.findings import Finding, found
from orchctl.doctor.subject import Subject
from orchctl.errors import typed

_MOUNTINFO = Path("/proc/self/mountinfo")
_LAYERS = ("overlay", "overlayfs", "aufs", "fuse.fuse-overlayfs")
# Where engines keep the layers of containers.
_ENGINES = re.compile(
    r"/docker/(overlay2|rootfs|vfs)/|/containers/storage/|io\.containerd\.|/var/lib/rancher/"
)
# The same as subvolumes: btrfs and ZFS drivers.
_OTHER_LAYERS = re.compile(r"/btrfs/subvolumes/|/docker/[0-9a-f]{64}|/[0-9a-f]{64}$")
_MEMORY = ("tmpfs", "ramfs")
# POSIX locks and shared memory across machines: missing, or wrong often enough
# (https://www.sqlite.org/wal.html, https://www.sqlite.org/howtocorrupt.html section 2.1).
_NETWORK = set(
    """
    nfs nfs4 cifs smb smb3 smbfs ncpfs afs ceph lustre gpfs beegfs ocfs2 gfs2 coda davfs
    fuse.sshfs fuse.glusterfs fuse.ceph fuse.s3fs fuse.rclone fuse.gcsfuse fuse.juicefs
    fuse.mount-s3 fuse.davfs2 fuse.mfs fuse.seaweedfs
""".split()
)
# A folder of the host, seen from a virtual machine (Docker Desktop, VirtualBox, WSL).
_VIRTUAL = set(
    """
    9p virtiofs vboxsf vmhgfs fuse.vmhgfs-fuse prl_fs drvfs grpcfuse fuse.grpcfuse osxfs
    fuse.osxfs fakeowner
""".split()
)


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo.

    Attributes:
        point: Where it is mounted.
        kind: The filesystem's type.
        source: What is mounted.
        root: Which folder or file of that.
        options: Of this mount and of the filesystem.
    """

    point: Path
    kind: str
    source: str
    root: str
    options: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.point} is {self.kind} from {self.source}"


def read_mounts(text: str) -> tuple[Mount, ...]:
    """The mounts of a mountinfo text, in its order.

    Args:
        text: `36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/vda rw`, a line each.
    """
    mounts = []
    for line in text.splitlines():
        left, separator, right = line.partition(" - ")
        words, rest = left.split(" "), right.split(" ")
        if not separator or len(words) < 6 or len(rest) < 2:
            continue
        options = (*words[5].split(","), *",".join(rest[2:]).split(","))
        kind, source, root, point = map(_plain, (rest[0], rest[1], words[3], words[4]))
        mounts.append(Mount(Path(point), kind, source, root, options))
    return tuple(mounts)


def mount_of(path: Path, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that a path is on: the deepest, of several at one point the last.

    Args:
        path: Absolute, symbolic links followed.
        mounts: From `read_mounts`.
    """
    best = None
    for mount in mounts:
        deeper = best is None or len(mount.point.parts) >= len(best.point.parts)
        if deeper and path.is_relative_to(mount.point):
            best = mount
    return best


def check_place(subject: Subject) -> Iterator[Finding]:
    """D01, D02, D04: what kind of mount the database is on.

    Raises:
        OSError: There is no /proc.
    """
    mounts = read_mounts(_MOUNTINFO.read_text(errors="surrogateescape"))
    yield from judge_place(subject.real, mounts, wal=subject.wal)


def judge_place(real: Path, mounts: Sequence[Mount], *, wal: bool) -> Iterator[Finding]:
    """What the mounts say about a database's place.

    Args:
        real: The database, symbolic links followed.
        mounts: All of them.
        wal: Whether it is in WAL mode.
    """
    mount = mount_of(real, mounts)
    if mount is None:
        return
    evidence = (str(mount),)
    if mount.point == real:
        yield found(
            "single-file-mount",
            f"{real} is a mount of its own: -wal and -journal lie outside it",
            evidence=evidence,
            command=f"Mount the directory instead: -v DIRECTORY:{real.parent}",
        )
        mount = mount_of(real.parent, mounts) or mount
    yield from _layer(real, mount)
    if mount.kind in _NETWORK | _VIRTUAL:
        yield _remote(real, mount, wal=wal)
    if mount.kind in _MEMORY:
        yield found(
            "memory-filesystem",
            f"{real} is in memory ({mount.kind}): a restart empties it",
            evidence=evidence,
            command=f"Mount a volume at {real.parent}",
        )
    if "ro" in mount.options:
        yield found(
            "read-only-filesystem",
            f"{mount.point} is mounted read-only",
            evidence=(f"{mount} ({','.join(mount.options[:3])})",),
            command=f"mount -o remount,rw {typed(mount.point)}",
        )


def _layer(real: Path, mount: Mount) -> Iterator[Finding]:
    root = mount.point == Path("/")
    # /.dockerenv proves nothing: a virtual machine made of an image has it too.
    other = root and _OTHER_LAYERS.search(f"{mount.root} {mount.source}")
    if mount.kind not in _LAYERS and not other:
        return
    upper = next((one for one in mount.options if one.startswith("upperdir=")), "")
    sure = root or _ENGINES.search(f"{mount.point}/ {upper}/") is not None
    yield found(
        "container-layer",
        f"{real} is on the container's own layer: gone when it is recreated"
        if sure
        else f"{real} is on an overlay, which lasts as long as its upper directory",
        evidence=(str(mount), *([upper] if upper else [])),
        command=f"Mount a volume there (docker run -v NAME:{real.parent}), and first take the "
        f"data out: docker cp CONTAINER:{typed(real.parent)} .",
        level="error" if sure else "warning",
    )


def _remote(real: Path, mount: Mount, *, wal: bool) -> Finding:
    what = "a network filesystem" if mount.kind in _NETWORK else "a folder of another machine"
    return found(
        "network-filesystem",
        f"{real} is on {what} ({mount.kind})"
        + (", in WAL mode, which needs memory that all who use it share" if wal else ""),
        evidence=(str(mount), f"journal mode {'wal' if wal else 'delete'}"),
        command=f"sqlite3 {typed(real)} 'PRAGMA journal_mode=DELETE' with all users stopped, "
        "or better a local disk"
        if wal
        else "Move it to a local disk: orchctl backup create, then restore there",
        level="error" if wal else "warning",
    )


def _plain(text: str) -> str:
    r"""A field with its escapes undone: `\040` is a blank."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
