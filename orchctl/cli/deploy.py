"""`orchctl deploy`, and `orchctl deploy lock`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.deploy_text import (
    show_lock,
    show_nothing_to_do,
    show_plan,
    show_plan_back,
    show_report,
    show_undone,
)
from orchctl.cli.invocation import Invocation, Json, Yes, begin, listener
from orchctl.cli.workload import (
    Headers,
    HealthUrl,
    Timeout,
    chosen_check,
    chosen_seconds,
    chosen_target,
    docker_engine,
    settle_upgrade,
)
from orchctl.errors import Refused, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.config import Settings
    from orchctl.deploy.means import Means
    from orchctl.deploy.place import DeployedDatabase
    from orchctl.deploy.plan import DeployPlan
    from orchctl.deploy.record import Deployment
    from orchctl.deploy.run import DeployReport
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.docker.listening import Check
    from orchctl.workloads.target import Target


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("deploy")(deploy)


@dataclass(frozen=True)
class _Asked:
    """What was asked for on the command line."""

    target: Target
    check: Check | None
    image: str | None
    revision: str
    build: Path | None
    wait_image: bool
    timeout: float
    grace: float | None
    chain: str | None


def deploy(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TARGET] | lock status|release [TARGET]",
            help="docker:NAME, compose:PROJECT/SERVICE or docker:label=KEY=VALUE; else the one "
            "in the settings.",
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="REF", help="The new image; else what its name means by now."),
    ] = None,
    build: Annotated[
        bool, typer.Option("--build", help="Build it first: docker build in --context.")
    ] = False,
    build_context: Annotated[
        Path, typer.Option("--context", metavar="DIR", help="What --build builds from.")
    ] = Path(),
    wait_image: Annotated[
        str | None,
        typer.Option(metavar="REF", help="The new image, pulled as soon as it is there."),
    ] = None,
    to: Annotated[str, typer.Option(metavar="REVISION", help="Where to: head, an id …")] = "head",
    chain: Annotated[
        str | None,
        typer.Option(
            metavar="here|image",
            help="Whose revision files count: this project's (if there is one), or the image's.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; write nothing.")] = (
        False
    ),
    resume: Annotated[
        bool, typer.Option("--resume", help="Finish a deploy that was killed.")
    ] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Undo a deploy that was killed.")] = False,
    health: HealthUrl = None,
    header: Headers = None,
    timeout: Timeout = None,
    grace: Annotated[
        str | None,
        typer.Option(help="Time to end before it is killed (the container's own, else 10s)."),
    ] = None,
    rehearse: Annotated[
        bool | None,
        typer.Option("--rehearse/--no-rehearse", help="Run on a copy first (default)."),
    ] = None,
    lock_timeout: Annotated[
        str | None, typer.Option(help="How long to wait for whoever holds the database.")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """A new image and its revisions into service; any failure puts both back together.

    Exit 9: it did not come up, and was undone. Exit 7: the upgrade failed, and was undone.
    """
    invocation = begin(context, as_json, rehearse=rehearse, lock_timeout=lock_timeout)
    given = list(words or ())
    if given[:1] == ["lock"]:
        return _lock(invocation, given[1:], yes=yes)
    _require_one(resume=resume, abort=abort, dry_run=dry_run, words=given)
    if wait_image and (image or build):
        raise UsageError("--wait-image names the image; --image and --build don't go with it")
    if chain not in (None, "here", "image"):
        raise UsageError(f"--chain {chain}: it is here or image", code="bad-chain")
    workload = invocation.settings.workload
    asked = _Asked(
        chosen_target(given[0] if given else None, workload, bare="docker"),
        chosen_check(health, header, workload),
        image or wait_image,
        to,
        build_context if build else None,
        wait_image is not None,
        chosen_seconds(timeout, "--timeout", workload.timeout) or 0.0,
        chosen_seconds(grace, "--grace", workload.grace),
        chain,
    )
    with docker_engine() as engine:
        if dry_run:
            return _show_only(invocation, engine, asked)
        _settle_upgrade(invocation, engine, asked.target)
        if resume or abort:
            return _bring_to_an_end(invocation, engine, asked, forward=resume)
        return _deploy(invocation, engine, asked)


def _require_one(*, resume: bool, abort: bool, dry_run: bool, words: Sequence[str]) -> None:
    if resume + abort + dry_run > 1:
        raise UsageError("--resume, --abort and --dry-run exclude each other")
    if len(words) > 1:
        raise UsageError(f"One target, not {len(words)}: {' '.join(words)}", code="bad-target")


def _settle_upgrade(invocation: Invocation, engine: Engine, target: Target) -> None:
    """Before anything else: what a `docker upgrade` has stopped that was killed runs again."""
    from orchctl.errors import WorkloadFailed
    from orchctl.workloads.docker.find import find

    try:
        found = find(engine, target)
    except WorkloadFailed as error:
        if error.code != "no-such-container":  # a deploy that was killed may have set it aside
            raise
        return
    settle_upgrade(engine, found, invocation.output)


def _show_only(invocation: Invocation, engine: Engine, asked: _Asked) -> None:
    from orchctl.deploy.plan import plan_deploy
    from orchctl.deploy.unfinished import find_place, running_deploy

    settings = invocation.settings
    running = running_deploy(find_place(settings, engine, asked.target).file)
    if running is not None:
        raise Refused(
            f"A deploy is not over: {running.told}",
            code="deploy-unfinished",
            state="Nothing was changed",
            hint=f"{running.command} --abort undoes it, --resume finishes it",
        )
    plan, _ = plan_deploy(
        settings,
        engine,
        asked.target,
        image=asked.image,
        revision=asked.revision,
        chain=asked.chain,
    )
    show_plan(invocation.output, plan)


def _deploy(invocation: Invocation, engine: Engine, asked: _Asked) -> None:
    from orchctl.deploy.lock import deploying
    from orchctl.deploy.plan import plan_deploy
    from orchctl.deploy.run import begun
    from orchctl.deploy.run import deploy as carry_out
    from orchctl.deploy.unfinished import find_place

    settings, output = invocation.settings, invocation.output
    place = find_place(settings, engine, asked.target)
    with deploying(place.file, f"deploy of {asked.target}"):
        _settle(invocation, engine, asked, place)
        _provide_image(invocation, engine, asked)
        plan, settings = plan_deploy(
            settings,
            engine,
            asked.target,
            image=asked.image,
            revision=asked.revision,
            chain=asked.chain,
        )
        if plan.nothing_to_do:
            return show_nothing_to_do(output, plan)
        _tell(invocation, plan)
        with _means(invocation, settings, engine, asked.check) as means:
            deployment = begun(plan, means, timeout=asked.timeout, grace=asked.grace)
            report = carry_out(means, deployment)
    show_report(output, report)
    if report.trouble is not None:
        raise report.trouble
    return None


def _settle(invocation: Invocation, engine: Engine, asked: _Asked, place: DeployedDatabase) -> None:
    """Before a new deploy: one that was killed is finished where it serves already, or undone."""
    from orchctl.deploy.unfinished import running_deploy

    running = running_deploy(place.file)
    if running is None:
        return
    listener(invocation.output).warning(f"An earlier deploy was killed: {running.told}")
    _end(invocation, engine, asked, place, running, forward=running.stage == "healthy")


def _bring_to_an_end(
    invocation: Invocation, engine: Engine, asked: _Asked, *, forward: bool
) -> None:
    from orchctl.deploy.lock import deploying
    from orchctl.deploy.unfinished import find_place, require_running

    place = find_place(invocation.settings, engine, asked.target)
    with deploying(place.file, f"deploy --{'resume' if forward else 'abort'}"):
        running = require_running(place.file)
        done = _end(invocation, engine, asked, place, running, forward=forward)
    if isinstance(done, str):
        return show_undone(invocation.output, running, done)
    show_report(invocation.output, done)
    if done.trouble is not None:
        raise done.trouble
    return None


def _end(
    invocation: Invocation,
    engine: Engine,
    asked: _Asked,
    place: DeployedDatabase,
    running: Deployment,
    *,
    forward: bool,
) -> DeployReport | str:
    from orchctl.deploy.unfinished import abort, resume

    settings = _settings_for(invocation.settings, place)
    check = asked.check or chosen_check(running.health, None, settings.workload)
    with _means(invocation, settings, engine, check) as means:
        return resume(means, running) if forward else abort(means, running)


def _provide_image(invocation: Invocation, engine: Engine, asked: _Asked) -> None:
    from orchctl.deploy.images import build_image, wait_for_image
    from orchctl.workloads.docker.find import find

    told = listener(invocation.output)
    if asked.build is not None:
        reference = asked.image or find(engine, asked.target)[0].image
        told.running(f"Building {reference}")
        build_image(reference, asked.build, told.running)
        told.step(f"Built {reference}")
    elif asked.wait_image and asked.image:
        wait_for_image(engine, asked.image, asked.timeout, told.running)


def _tell(invocation: Invocation, plan: DeployPlan) -> None:
    names = ", ".join(one.name for one in plan.replaced)
    told = listener(invocation.output)
    told.step(f"Plan: {names} to {plan.image}, {_steps(plan)}")
    if plan.others:
        others = ", ".join(one.name for one in plan.others)
        told.step(f"Also on this database, stopped meanwhile: {others}")


def _steps(plan: DeployPlan) -> str:
    if plan.pending is None:
        return "the revisions of the image"
    return " -> ".join(one for one, _ in plan.pending) or "no revisions"


def _settings_for(settings: Settings, place: DeployedDatabase) -> Settings:
    """The settings with the containers' database in them."""
    from orchctl.deploy.plan import settings_for

    return settings_for(settings, place)


@contextlib.contextmanager
def _means(
    invocation: Invocation, settings: Settings, engine: Engine, check: Check | None
) -> Iterator[Means]:
    from orchctl.deploy.hooks import Hooks
    from orchctl.deploy.means import Means

    hooks = Hooks(settings.deploy.hooks, settings.deploy.folder, dict(os.environ))
    yield Means(settings, engine, listener(invocation.output), hooks, check)


def take_back_last(
    invocation: Invocation, target: str | None, *, dry_run: bool, accept: bool
) -> None:
    """`rollback --image`: database and image back to where the last deploy began.

    Args:
        invocation: The run of the command line.
        target: As typed; None takes the one in the settings.
        dry_run: Only show what would be done.
        accept: Whether writes made since may be put aside.
    """
    from orchctl.deploy.back import last_deploy, plan_back, take_back
    from orchctl.deploy.lock import deploying
    from orchctl.deploy.unfinished import find_place

    workload = invocation.settings.workload
    chosen = chosen_target(target, workload, bare="docker")
    with docker_engine() as engine:
        place = find_place(invocation.settings, engine, chosen)
        if dry_run:
            plan = plan_back(engine, place, last_deploy(place.file))
            return show_plan_back(invocation.output, plan)
        with deploying(place.file, "rollback --image"):
            plan = plan_back(engine, place, last_deploy(place.file))
            settings = _settings_for(invocation.settings, place)
            check = chosen_check(plan.deployment.health, None, workload)
            with _means(invocation, settings, engine, check) as means:
                now = take_back(means, plan, accept_data_loss=accept)
    return show_undone(invocation.output, plan.deployment, now)


def _lock(invocation: Invocation, words: Sequence[str], *, yes: bool) -> None:
    from orchctl.deploy.lock import deployer
    from orchctl.deploy.record import forget
    from orchctl.deploy.unfinished import find_place, running_deploy

    if not words or words[0] not in ("status", "release") or len(words) > 2:
        raise UsageError(
            f"lock {' '.join(words)}: it is lock status or lock release", code="bad-lock"
        )
    settings, output = invocation.settings, invocation.output
    target = chosen_target(words[1] if words[1:] else None, settings.workload, bare="docker")
    with docker_engine() as engine:
        file = find_place(settings, engine, target).file
    holder = deployer(file)
    if words[0] == "status":
        return show_lock(output, file, holder, running_deploy(file))
    if holder is not None:
        raise Refused(
            f"{holder} is deploying: its lock goes with it",
            code="deploy-running",
            state="Nothing was changed",
            hint=f"kill {holder.pid} stops it, and what it has done is undone",
        )
    if not yes and not (output.can_ask() and output.ask("Forget what a killed deploy has done?")):
        raise Refused(
            "A killed deploy would be forgotten as it stands",
            code="needs-yes",
            state="Nothing was changed",
            hint=f"orchctl deploy {target} --abort undoes it; --yes forgets it",
        )
    aside = forget(file)
    text = f"The record is now {aside}" if aside else "There was no record"
    return output.result({"ok": True, "record": aside and str(aside)}, lambda: output.line(text))
