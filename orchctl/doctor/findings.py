"""What the doctor can find: every kind with its id, and a finding of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
MendKind = Literal["sidecars", "recover", "unfinished", "rehearsals"]


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes:
        id: Stable, kebab-case; docs/doctor.md lists them all.
        level: How bad it usually is. Error: data is lost, or the service or the next upgrade fails.
        meaning: What it means, for the documentation.
        fixable: Whether `--fix` mends it.
    """

    id: str
    level: Level
    meaning: str
    fixable: bool = False


@dataclass(frozen=True)
class Mend:
    """What `--fix` would do about a finding.

    Attributes:
        kind: `sidecars` gets them the database's owner and mode, `recover` has SQLite take in a
            journal or WAL, `unfinished` and `rehearsals` remove what killed runs left.
        path: The database, or the directory with the leftovers.
    """

    kind: MendKind
    path: Path


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        id: Of its kind.
        level: `error`, `warning` or `note`.
        what: What is wrong, one sentence, no final period.
        evidence: What was seen that says so.
        command: What to type; a sentence where no one command does it.
        mend: What `--fix` would do; None when that is for a person.
        subject: The database or container it is about.
    """

    id: str
    level: Level
    what: str
    evidence: tuple[str, ...] = ()
    command: str | None = None
    mend: Mend | None = None
    subject: str | None = None


KINDS = (
    # where the file is
    Kind(
        "container-layer",
        "error",
        "The database is on the container's own layer: it is gone when the container is recreated",
    ),
    Kind(
        "single-file-mount",
        "error",
        "The database file itself is mounted: -wal and -journal stay outside the mount, so that "
        "commits are lost with the container, and two containers corrupt the file",
    ),
    Kind(
        "network-filesystem",
        "error",
        "Locks, and the shared memory that WAL needs, don't work reliably there; a warning where "
        "the database is not in WAL mode",
    ),
    Kind("memory-filesystem", "warning", "The database is in memory: a restart empties it"),
    Kind("read-only-filesystem", "error", "The filesystem is mounted read-only"),
    Kind("no-space", "error", "Next to nothing can be written any more"),
    Kind("little-space", "warning", "An upgrade with its snapshot and rehearsal may not fit"),
    Kind("no-inodes", "error", "The filesystem has no inodes left for a journal or a snapshot"),
    # the files
    Kind("no-directory", "error", "The database's directory does not exist"),
    Kind("no-database", "note", "There is no database yet"),
    Kind(
        "orphan-sidecars",
        "error",
        "There is a journal or WAL, but no database: what is in it is lost when one is made",
    ),
    Kind("not-a-file", "error", "A directory or a device is where the database should be"),
    Kind("hard-links", "warning", "The file has two names: each would have a journal of its own"),
    Kind("world-writable", "warning", "Every user of the machine may write to the database"),
    Kind("directory-not-writable", "error", "A user of the database can't make journals there"),
    Kind("database-not-writable", "error", "A user of the database can't write to it"),
    Kind(
        "foreign-sidecar",
        "error",
        "A -wal, -shm or -journal has another owner or mode than the database; a warning where "
        "everybody concerned can use it all the same",
        fixable=True,
    ),
    Kind(
        "hot-journal", "warning", "A writer died half-way; what it did is still to be undone", True
    ),
    Kind("wal-left", "warning", "The last commits are in a -wal that nobody has open", True),
    Kind("wal-large", "warning", "The WAL isn't taken into the database: some reader never ends"),
    # processes
    Kind("held", "note", "Other processes have the database open"),
    Kind("two-containers", "warning", "Several containers use one database"),
    Kind("locked-by-orchctl", "note", "An orchctl holds its lock on the database"),
    Kind(
        "deleted-but-open",
        "error",
        "A process works on a file that was deleted or replaced: its rows are gone when it ends",
    ),
    Kind(
        "locks-dropped",
        "error",
        "A process has a WAL database open, but no lock on it: it opened and closed the file "
        "beside its connection, or was forked with one",
    ),
    # SQLite
    Kind("cannot-open", "error", "The database can't be opened"),
    Kind("damaged", "error", "SQLite finds the file damaged"),
    Kind("foreign-key-violations", "warning", "Rows refer to rows that are not there (`--full`)"),
    Kind("wal-reset-bug", "warning", "This SQLite can damage a WAL database; a note without WAL"),
    Kind("rollback-journal", "note", "Without WAL, readers and writers wait for each other"),
    Kind("synchronous-off", "warning", "This SQLite is built not to wait for the disk"),
    # the chain
    Kind("chain-broken", "error", "The revision files don't fit together"),
    Kind("wrong-stamp", "error", "The database's revision is unknown, missing, or there twice"),
    Kind("pending", "warning", "The database is behind the chain"),
    Kind(
        "schema-differs",
        "error",
        "The schema is not what the database's revision makes: a revision ran in part, or was "
        "stamped only. A warning where there merely is more than the chain makes",
    ),
    Kind(
        "leftover-tables",
        "warning",
        "Tables `_alembic_tmp_*` of an interrupted batch operation; an error where the table they "
        "were to replace is gone, since the rows are in them alone",
    ),
    Kind("killed-run", "warning", "The last run of orchctl was killed"),
    Kind("stale-rehearsal", "note", "A copy of the data that a killed rehearsal left", True),
    # snapshots
    Kind("no-snapshot", "warning", "There is nothing to go back to"),
    Kind("snapshot-old", "warning", "The newest snapshot is older than a week"),
    Kind("snapshot-unverified", "note", "The newest snapshot was never verified"),
    Kind("snapshot-damaged", "warning", "A snapshot can't be restored"),
    Kind("snapshot-unfinished", "note", "A snapshot that was never finished", True),
    Kind("snapshots-same-disk", "note", "A disk that fails takes database and snapshots"),
    # the container (`--target`)
    Kind("anonymous-volume", "warning", "A recreated container gets another, empty volume"),
    Kind("not-running", "note", "The container does not run"),
    Kind(
        "upgrade-unfinished",
        "error",
        "An `orchctl docker upgrade` was killed: what it stopped is stopped still; a note where it "
        "is at work",
    ),
    Kind("crash-loop", "error", "The container ends and is started again and again"),
    Kind("oom-killed", "warning", "The kernel ended the container for want of memory"),
    Kind("unhealthy", "error", "The container's own health check fails"),
    Kind("no-admin-key", "warning", "ADMIN_KEY is not set: the service's admin side is off"),
    Kind("no-api-keys", "warning", "API_KEYS is empty: the service refuses every request"),
    Kind("weak-secret", "warning", "A key or password is a placeholder that everybody knows"),
    Kind("migration-skipped", "note", "SKIP_MIGRATION is on: nobody upgrades at the start"),
    # the workload of a cluster (`--target k8s:…`)
    Kind("several-writers", "error", "Several pods on one claim write to one database"),
    Kind(
        "rolling-update",
        "error",
        "A Deployment with a claim and strategy RollingUpdate: its new pod starts while the old "
        "one still writes",
    ),
    Kind("several-databases", "warning", "Each replica of a StatefulSet has a database of its own"),
    Kind("read-write-many", "warning", "Any number of pods, on any node, may mount the claim"),
    Kind("claim-shared", "error", "Something else has the workload's claim, or may come to"),
    Kind(
        "claim-deleted-when-scaled",
        "error",
        "`whenScaled: Delete`: at zero replicas the claim is deleted, and the database with it; a "
        "warning for `whenDeleted`",
    ),
    Kind("claim-not-bound", "error", "A claim has no volume (yet), or is not there"),
    Kind("empty-dir", "error", "The database is on a volume that is deleted with its pod"),
    Kind("host-path", "warning", "The database is on the disk of the node that the pod is on"),
    Kind("no-fs-group", "warning", "No `fsGroup`: a new volume belongs to root"),
    Kind("runs-as-root", "note", "The container runs as root, or nothing says that it doesn't"),
    Kind("image-latest", "warning", "An image without a version: the next pod may have another"),
    Kind("no-readiness-probe", "warning", "Pods count as ready once they were started"),
    Kind(
        "no-startup-probe",
        "warning",
        "A liveness probe without a startup probe kills an upgrade that takes long",
    ),
    Kind("not-ready", "error", "A pod is not ready; a warning as long as it may become so"),
    Kind(
        "workload-owned",
        "note",
        "Something else decides on its replicas or its image: an autoscaler (a warning), Argo CD, "
        "Flux, an operator",
    ),
    Kind("unfinished-run", "warning", "An `orchctl k8s` upgrade or deploy is not over"),
)
_BY_ID = {kind.id: kind for kind in KINDS}


def found(
    id_: str,
    what: str,
    *,
    evidence: tuple[str, ...] = (),
    command: str | None = None,
    level: Level | None = None,
    mend: Mend | None = None,
) -> Finding:
    """A finding of a kind.

    Args:
        id_: Of its kind.
        what: What is wrong, one sentence, no final period.
        evidence: What was seen that says so.
        command: What to type.
        level: Where it is another than usual.
        mend: What `--fix` would do.
    """
    return Finding(id_, level or _BY_ID[id_].level, what, evidence, command, mend)
