"""`orchctl k8s restart | status | logs | wait | set-image | rollback | events`, and the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli import kubernetes_backup
from orchctl.cli.invocation import Json, begin, heard_or_not
from orchctl.cli.kubernetes_change import change_workloads, healthy
from orchctl.cli.kubernetes_cluster import (
    Context,
    DryRun,
    Kubeconfig,
    Labels,
    Namespace,
    Place,
    TargetArgument,
    Timeout,
    Wait,
    deadline_of,
    in_place,
    is_dry,
    looked_up,
)
from orchctl.cli.kubernetes_logs import logs
from orchctl.cli.kubernetes_manifests import manifests
from orchctl.cli.kubernetes_rollback import rollback
from orchctl.cli.kubernetes_text import (
    event_object,
    show_events,
    show_statuses,
    show_waited,
    status_object,
    waited_object,
)
from orchctl.cli.kubernetes_upgrade import deploy, downgrade, upgrade
from orchctl.cli.workload import Headers, HealthUrl, chosen_check

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster
    from orchctl.workloads.kubernetes.find import Found
    from orchctl.workloads.kubernetes.restart import Change, Patience


def register(app: typer.Typer) -> None:
    """Add the command group to the tree."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("restart")(restart)
    group.command("status")(status)
    group.command("logs")(logs)
    group.command("wait")(wait)
    group.command("set-image")(set_image)
    group.command("rollback")(rollback)
    group.command("events")(events)
    group.command("upgrade")(upgrade)
    group.command("deploy")(deploy)
    group.command("downgrade")(downgrade)
    kubernetes_backup.register(group)
    group.command("manifests")(manifests)
    app.add_typer(group, name="k8s", help="Deployments, StatefulSets, DaemonSets and pods.")


def restart(
    context: typer.Context,
    target: TargetArgument = None,
    wait: Wait = True,
    timeout: Timeout = None,
    health: HealthUrl = None,
    header: Headers = None,
    dry_run: DryRun = None,
    selector: Labels = None,
    namespace: Namespace = None,
    cluster_context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Restart as kubectl does, and wait until the new pods are ready and the old ones gone.

    Exit 9 as soon as it will not get ready by itself, with events and last lines; 10 when time is
    over. A pod is deleted, and its successor waited for.
    """
    invocation = begin(context, as_json)
    place = Place(target, selector, namespace, cluster_context, kubeconfig)
    check = chosen_check(health, header, invocation.settings.workload)

    def how(cluster: Cluster, found: Found, patience: Patience) -> Change:
        from orchctl.workloads.kubernetes.restart import restart as restart_workload

        return restart_workload(cluster, found, patience)

    dry = is_dry(dry_run)
    change_workloads(invocation, place, how, check, wait=wait, timeout=timeout, dry_run=dry)


def set_image(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="statefulset/NAME …")],
    image: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE…", help="IMAGE, with several containers CONTAINER=IMAGE."),
    ],
    wait: Wait = True,
    timeout: Timeout = None,
    health: HealthUrl = None,
    header: Headers = None,
    dry_run: DryRun = None,
    namespace: Namespace = None,
    cluster_context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Give containers another image, and wait as `restart` does. The database is left alone."""
    invocation = begin(context, as_json)
    place = Place(target, None, namespace, cluster_context, kubeconfig)
    check = chosen_check(health, header, invocation.settings.workload)

    def how(cluster: Cluster, found: Found, patience: Patience) -> Change:
        from orchctl.workloads.kubernetes.image import set_image as set_images

        return set_images(cluster, found, image, patience)

    dry = is_dry(dry_run)
    change_workloads(invocation, place, how, check, wait=wait, timeout=timeout, dry_run=dry)


def wait(
    context: typer.Context,
    target: TargetArgument = None,
    timeout: Timeout = None,
    health: HealthUrl = None,
    header: Headers = None,
    selector: Labels = None,
    namespace: Namespace = None,
    cluster_context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Wait until a rollout is over, or a pod ready, changing nothing. Exits as `restart`."""
    invocation = begin(context, as_json)
    output = invocation.output
    place = Place(target, selector, namespace, cluster_context, kubeconfig)
    check = chosen_check(health, header, invocation.settings.workload)
    deadline, note = deadline_of(invocation, timeout), heard_or_not(output.note)
    done = []
    with looked_up(invocation, place, patient_until=deadline) as (cluster, every):
        from orchctl.workloads.kubernetes.kinds import POD
        from orchctl.workloads.kubernetes.rollout import standstill
        from orchctl.workloads.kubernetes.waiting import wait_for_pod, wait_for_rollout

        for found in every:
            held = None if found.kind is POD else standstill(found.kind, found.object)
            rolled, answer = None, None
            if found.kind is POD:
                rolled = wait_for_pod(cluster, found.object, deadline=deadline, on_line=note)
            elif held is None or not held.whole:
                rolled = wait_for_rollout(
                    cluster, found.kind, found.object, deadline=deadline, on_line=note
                )
            if check is not None and rolled is not None:
                answer = healthy(invocation, str(found), check, deadline)
            if held is not None:
                output.warning(f"{held.told} ({in_place(invocation, place, held.hint)})")
            done.append((str(found), rolled, held, answer))
    output.result(
        {"ok": True, "workloads": [waited_object(*one) for one in done]},
        lambda: show_waited(output, done),
    )


def status(
    context: typer.Context,
    target: TargetArgument = None,
    database: Annotated[
        bool,
        typer.Option("--database", help="Ask a ready pod's orchctl for its database's revision."),
    ] = False,
    selector: Labels = None,
    namespace: Namespace = None,
    cluster_context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Rollout, pods with why they are not ready, images, claims. Exit 1 when all is not ready."""
    invocation = begin(context, as_json)
    place = Place(target, selector, namespace, cluster_context, kubeconfig)
    with looked_up(invocation, place) as (cluster, every):
        from orchctl.workloads.kubernetes.status import read_status

        statuses = [read_status(cluster, found, ask_pods=database) for found in every]
    good = all(one.good for one in statuses)
    invocation.output.result(
        {"ok": good, "workloads": [status_object(one) for one in statuses]},
        lambda: show_statuses(
            invocation.output,
            statuses,
            asked=database,
            typed=lambda hint: in_place(invocation, place, hint),
        ),
    )
    if not good:
        raise typer.Exit(1)


def events(
    context: typer.Context,
    target: TargetArgument = None,
    warnings: Annotated[bool, typer.Option("--warnings", help="Only warnings.")] = False,
    tail: Annotated[int | None, typer.Option(min=1, help="Only the last N.")] = None,
    selector: Labels = None,
    namespace: Namespace = None,
    cluster_context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """What the cluster says has happened to a workload and its pods, the newest last."""
    invocation = begin(context, as_json)
    place = Place(target, selector, namespace, cluster_context, kubeconfig)
    with looked_up(invocation, place) as (cluster, every):
        from orchctl.workloads.kubernetes.events import events_about

        found = [one for each in every for one in events_about(cluster, each, warnings=warnings)]
    found = found[-(tail or 0) :]
    invocation.output.result(
        {"ok": True, "events": [event_object(one) for one in found]},
        lambda: show_events(invocation.output, found),
    )
