"""What a run is asked to do, and what that comes to: images, a revision, a command. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchctl.deploy.kubernetes.job import chosen_container, new_images
from orchctl.deploy.kubernetes.record import ROLLBACK
from orchctl.workloads.kubernetes.find import Found
from orchctl.workloads.kubernetes.kinds import images_of

LAST_RUN = "last-run"  # the snapshot that the journal beside the database names


@dataclass(frozen=True)
class Wish:
    """What was asked for.

    Attributes:
        command: `upgrade`, `deploy`, `downgrade` or `rollback`.
        image: The new image; None keeps the one there is.
        revision: Where to, in Alembic's notation.
        container: Which container has the database; None where there is but one.
        accept_owner: Go on although something else may set the workload back.
        job_seconds: How long a Job may take.
        folder: Where snapshots are copied to; None leaves them on the claim alone.
        accept_loss: Of a rollback, whether what was written since may be put aside.
        allow_loss: Of an upgrade, the tables and columns whose loss is meant.
    """

    command: str
    image: str | None
    revision: str = "head"
    container: str | None = None
    accept_owner: bool = False
    job_seconds: int = 3600
    folder: Path | None = None
    accept_loss: bool = False
    allow_loss: tuple[str, ...] = ()


@dataclass(frozen=True)
class Goal:
    """What a wish comes to.

    Attributes:
        container: Which container has the database.
        job_image: What Jobs run.
        old_images: Those that change, by container, as they are.
        new_images: The same, as they are to be.
        revision: Where to, in Alembic's notation.
        snapshot: Of a rollback, what is put back; "" leaves the database.
        allow_loss: Of an upgrade, the tables and columns whose loss is meant.
    """

    container: str
    job_image: str
    old_images: dict[str, str]
    new_images: dict[str, str]
    revision: str
    snapshot: str = ""
    allow_loss: tuple[str, ...] = ()


def goal_ahead(found: Found, wish: Wish) -> Goal:
    """What an upgrade, a deploy or a downgrade is to do.

    Raises:
        UsageError: `no-such-container`.
    """
    container = chosen_container(found.object, wish.container)
    old = images_of(found.object)
    images = new_images(found.object, container, wish.image) if wish.image else {}
    return Goal(
        container=container,
        job_image=wish.image or old[container],
        old_images={name: old[name] for name in images},
        new_images=images,
        revision=wish.revision,
        allow_loss=wish.allow_loss,
    )


def job_command(
    command: str, revision: str, snapshot: str = "", allow_loss: Sequence[str] = ()
) -> tuple[str, ...]:
    """What the Job runs; nothing where the database is to stay as it is."""
    if command == ROLLBACK:
        return restore_command(snapshot) if snapshot else ()
    if command == "downgrade":
        return ("orchctl", "downgrade", "--json", "--yes", revision)
    allowed = [word for one in allow_loss for word in ("--allow-loss", one)]
    return ("orchctl", "upgrade", "--json", *allowed, revision)


def restore_command(snapshot: str) -> tuple[str, ...]:
    """What puts a snapshot back; what is there before is kept as a snapshot, too.

    Args:
        snapshot: Its id; LAST_RUN or "" for the one before the last run.
    """
    words = ("orchctl", "rollback", "--accept-data-loss", "--yes", "--json")
    return words if snapshot in ("", LAST_RUN) else (*words, "--to", snapshot)
