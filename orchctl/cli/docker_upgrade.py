"""`orchctl docker upgrade`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchctl.cli.invocation import Json, begin, listener
from orchctl.cli.workload import chosen_seconds, chosen_target, docker_engine, settle_upgrade


def upgrade(
    context: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            help="NAME, label=KEY=VALUE or compose:PROJECT/SERVICE; else the one in the settings.",
        ),
    ] = None,
    to: Annotated[str, typer.Option(metavar="REVISION", help="Where to: head, an id …")] = "head",
    image: Annotated[
        str | None, typer.Option(metavar="REF", help="Whose revisions run; else the service's own.")
    ] = None,
    copy_to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder here that gets the snapshot, too.")
    ] = None,
    rehearse: Annotated[
        bool, typer.Option("--rehearse/--no-rehearse", help="Run on a copy first (default).")
    ] = True,
    allow_loss: Annotated[
        list[str] | None,
        typer.Option(metavar="TABLE[.COLUMN]", help="Loss of this data is meant; repeatable."),
    ] = None,
    grace: Annotated[
        str | None,
        typer.Option(help="Time to end before it is killed (the container's own, else 10s)."),
    ] = None,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="An upgrade that another machine began is no more: end it here."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Upgrade inside: orchctl runs in a one-off container of the image, on the same mounts.

    For a database in a volume that can't be reached from here, or revisions that only the image
    has. The service is stopped meanwhile; the exit code is that of the orchctl inside. One that was
    killed is brought to an end first.
    """
    invocation = begin(context, as_json)
    output, workload = invocation.output, invocation.settings.workload
    chosen = chosen_target(target, workload, bare="docker")
    allowed = chosen_seconds(grace, "--grace", workload.grace)
    words = [to, *([] if rehearse else ["--no-rehearse"])]
    words += [word for one in allow_loss or () for word in ("--allow-loss", one)]
    if output.as_json or copy_to:
        words.append("--json")  # names the snapshot; without it the log is shown as it comes
    from orchctl.deploy.stopped import upgrade_stopped
    from orchctl.workloads.docker.find import find_one

    with docker_engine() as engine:
        service = find_one(engine, chosen)
        if settle_upgrade(engine, [service], output, take_over=take_over):
            service = find_one(engine, chosen)
        done = upgrade_stopped(
            engine,
            service,
            words,
            listener(output).running,
            image=image,
            copy_to=copy_to,
            grace=allowed,
        )
    data = {
        "ok": True,
        "container": done.container,
        "image": done.image,
        "upgrade": done.told,
        "stopped": list(done.started),
        "copied": done.copied and str(done.copied),
    }
    told = (
        done.told.get("text")
        or f"{done.told.get('from') or 'base'} -> {done.told.get('to') or 'base'}"
    )
    copied = f"; snapshot copied to {done.copied}" if done.copied else ""
    output.result(data, lambda: output.line(f"{done.container} ({done.image}): {told}{copied}"))
