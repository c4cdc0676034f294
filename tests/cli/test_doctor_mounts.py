"""What the doctor says of places: real mounts in a namespace of their own, and mountinfo texts."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchctl.doctor.mounts import judge_place, mount_of, read_mounts
from tests.support.projects import clean_environment
from tests.support.sqlite_files import make

MOUNTINFO = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 0:40 / /data rw,relatime shared:5 - nfs4 server:/export rw,vers=4.2
31 27 0:41 / /with\\040blank rw - 9p host rw,trans=virtio
32 27 0:42 / /deep rw - tmpfs tmpfs rw,size=4k
33 32 254:0 /srv/real /deep/er rw - ext4 /dev/vda rw
34 27 0:43 / /twice rw - nfs server:/a rw
35 34 254:1 / /twice rw - xfs /dev/vdb rw
36 27 254:0 /srv/app.db /one/app.db rw - ext4 /dev/vda rw
37 27 0:44 / /ro ro,relatime - ext4 /dev/vdc rw
38 27 0:45 / /fs-ro rw,relatime - ext4 /dev/vdc ro
a line that is none of these
"""
OVERLAY = "50 1 0:50 / {point} rw - overlay overlay rw,lowerdir=/l,upperdir={upper},workdir=/w\n"
LAYER = "/var/lib/docker/overlay2/0123abcd/diff"


def ids(path: str, text: str = MOUNTINFO, *, wal: bool = True) -> dict[str, str]:
    return {one.id: one.level for one in judge_place(Path(path), read_mounts(text), wal=wal)}


@pytest.mark.parametrize(
    ("path", "point"),
    [
        ("/srv/app.db", "/"),
        ("/data/app.db", "/data"),
        ("/database/app.db", "/"),
        ("/with blank/app.db", "/with blank"),
        ("/deep/er/app.db", "/deep/er"),
        ("/deep/app.db", "/deep"),
    ],
)
def test_the_mount_of_a_path_is_the_deepest(path: str, point: str) -> None:
    mount = mount_of(Path(path), read_mounts(MOUNTINFO))
    assert mount is not None
    assert mount.point == Path(point)


@pytest.mark.parametrize(
    ("path", "wal", "found"),
    [
        ("/srv/app.db", True, {}),
        ("/data/app.db", True, {"network-filesystem": "error"}),
        ("/data/app.db", False, {"network-filesystem": "warning"}),
        ("/with blank/app.db", True, {"network-filesystem": "error"}),
        ("/deep/app.db", True, {"memory-filesystem": "warning"}),
        ("/deep/er/app.db", True, {}),
        ("/twice/app.db", True, {}),  # the last mount at one point is the one that is seen
        ("/one/app.db", True, {"single-file-mount": "error"}),
        ("/ro/app.db", True, {"read-only-filesystem": "error"}),
        ("/fs-ro/app.db", True, {"read-only-filesystem": "error"}),
    ],
)
def test_what_a_place_means(path: str, wal: bool, found: dict[str, str]) -> None:
    assert ids(path, wal=wal) == found


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (OVERLAY.format(point="/", upper="/any"), "error"),
        (OVERLAY.format(point="/var/lib/docker/overlay2/0123abcd/merged", upper=LAYER), "error"),
        (OVERLAY.format(point="/elsewhere", upper=LAYER), "error"),
        (OVERLAY.format(point="/elsewhere", upper="/srv/upper"), "warning"),
        ("50 1 0:50 /@/var/lib/docker/btrfs/subvolumes/ab12 / rw - btrfs /dev/vda rw\n", "error"),
        (f"50 1 0:50 / / rw - zfs tank/docker/{'ab12' * 16} rw\n", "error"),
    ],
)
def test_a_container_s_own_layer(line: str, level: str) -> None:
    point = line.split()[4]
    found = ids(f"{point.rstrip('/')}/app.db", line)
    assert found == {"container-layer": level}


def test_a_volume_inside_a_container_is_no_layer() -> None:
    text = OVERLAY.format(point="/", upper=LAYER) + "51 50 254:0 /v /data rw - ext4 /dev/vda rw\n"
    assert ids("/data/app.db", text) == {}


def in_namespace(folder: Path, script: str, database: str) -> dict[str, str]:
    """What doctor finds after a script has mounted things where nobody else sees it."""
    url = shlex.quote(f"sqlite:///{database}")
    command = f"{shlex.quote(sys.executable)} -m orchctl --url {url} doctor --json"
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f"{script}\n{command}"],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return {one["id"]: one["level"] for one in answer["findings"]}


def test_a_real_overlay(tmp_path: Path) -> None:
    script = """
    mkdir base && mount -t tmpfs none base && mkdir base/l base/u base/w merged
    mount -t overlay overlay -o lowerdir=base/l,upperdir=base/u,workdir=base/w merged
    cp app.db merged/
    """
    make(tmp_path / "app.db", "wal")
    found = in_namespace(tmp_path, script, f"{tmp_path}/merged/app.db")
    assert found["container-layer"] == "warning"
    assert "wal-left" not in found


def test_a_real_mount_of_the_file_alone(tmp_path: Path) -> None:
    make(tmp_path / "app.db", "wal")
    script = "mkdir at && touch at/app.db && mount --bind app.db at/app.db"
    found = in_namespace(tmp_path, script, f"{tmp_path}/at/app.db")
    assert found["single-file-mount"] == "error"


def test_a_real_file_system_that_is_full_read_only_and_in_memory(tmp_path: Path) -> None:
    make(tmp_path / "app.db")
    script = "mkdir at && mount -t tmpfs -o size=1m,nr_inodes=9 none at && cp app.db at/ && {}"
    full = "mount -o remount,ro at"
    found = in_namespace(tmp_path, script.format(full), f"{tmp_path}/at/app.db")
    assert found["memory-filesystem"] == "warning"
    assert found["no-space"] == found["no-inodes"] == found["read-only-filesystem"] == "error"


def test_a_disk_with_room_for_the_data_but_not_for_an_upgrade(tmp_path: Path) -> None:
    make(tmp_path / "app.db", rows=1000)  # 1.7 MB
    script = "mkdir at && mount -t tmpfs -o size=6m none at && cp app.db at/"
    found = in_namespace(tmp_path, script, f"{tmp_path}/at/app.db")
    assert found["little-space"] == "warning"
    assert "no-space" not in found
