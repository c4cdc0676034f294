"""`orchctl k8s rollback`: the image alone, or the last run with its database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.invocation import Invocation, Json, begin
from orchctl.cli.kubernetes_change import change_workloads
from orchctl.cli.kubernetes_cluster import (
    Context,
    DryRun,
    Kubeconfig,
    Namespace,
    Place,
    TargetArgument,
    Timeout,
    Wait,
    is_dry,
)
from orchctl.cli.kubernetes_upgrade import (
    Abort,
    AcceptOwner,
    JobTimeout,
    LockTimeout,
    Resume,
    Waits,
    carried_out,
    job_seconds,
)
from orchctl.cli.workload import Headers, HealthUrl, chosen_check
from orchctl.errors import UsageError

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster
    from orchctl.workloads.kubernetes.find import Found
    from orchctl.workloads.kubernetes.restart import Change, Patience


def rollback(
    context: typer.Context,
    target: TargetArgument = None,
    to_revision: Annotated[
        int | None, typer.Option(min=1, help="Whose images (the newest that had others).")
    ] = None,
    database: Annotated[
        bool,
        typer.Option(
            "--database", help="Take back the last upgrade or deploy: image and database together."
        ),
    ] = False,
    accept_data_loss: Annotated[
        bool,
        typer.Option(
            "--accept-data-loss", help="Put aside what was written since (kept as a snapshot)."
        ),
    ] = False,
    wait: Wait = True,
    timeout: Timeout = None,
    job_timeout: JobTimeout = "1h",
    lock_timeout: LockTimeout = "0s",
    health: HealthUrl = None,
    header: Headers = None,
    accept_owner: AcceptOwner = False,
    resume: Resume = False,
    abort: Abort = False,
    dry_run: DryRun = None,
    namespace: Namespace = None,
    cluster_context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Go back to the images before, and wait as `restart` does; --database: the database too.

    With --database everything is done, put back and gone on with as `deploy` does it.
    """
    from orchctl.deploy.kubernetes.goal import Wish

    invocation = begin(context, as_json)
    place = Place(target, None, namespace, cluster_context, kubeconfig)
    if not database:
        if accept_data_loss or resume or abort or accept_owner:
            raise UsageError("That goes with --database", hint="orchctl k8s rollback --database")
        check = chosen_check(health, header, invocation.settings.workload)

        def how(cluster: Cluster, found: Found, patience: Patience) -> Change:
            from orchctl.workloads.kubernetes.image import rollback as roll_back

            _warn(invocation, found)
            return roll_back(cluster, found, patience, to_revision=to_revision)

        dry = is_dry(dry_run)
        return change_workloads(
            invocation, place, how, check, wait=wait, timeout=timeout, dry_run=dry
        )
    if to_revision is not None or not wait:
        raise UsageError("--database takes back the last run: neither --to-revision nor --no-wait")
    seconds = job_seconds(job_timeout)
    wish = Wish("rollback", None, "", None, accept_owner, seconds, None, accept_data_loss)
    waits = Waits(invocation, timeout, lock_timeout, health, header)
    going = {"resume": resume, "abort": abort}
    return carried_out(invocation, place, wish, waits, dry_run=is_dry(dry_run), **going)


def _warn(invocation: Invocation, found: Found) -> None:
    """An older image may not know the revision that the last run has brought."""
    from orchctl.deploy.kubernetes.record import LAST, read_record

    last = read_record(found.object, LAST)
    if last is not None and last.changed:
        [one, *_] = last.answer["databases"]
        invocation.output.warning(
            f"The last {last.command} took the database of {found} from {one['from'] or 'base'} to "
            f"{one['to'] or 'base'}, and it stays there; --database takes it back, too"
        )
