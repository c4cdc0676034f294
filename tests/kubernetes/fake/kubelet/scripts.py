"""What containers do, told by tests: how they start, become ready, end, fail and what they say."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from pathlib import Path

from tests.kubernetes.fake.resources import Json


@dataclass(frozen=True)
class Script:
    """How the containers it matches behave; times in seconds.

    Matching, all that are given: image (with * and ?), container (its name), labels and
    annotations of the pod, pod (its name, with * and ?).

    start_after: from being scheduled until it runs. ready_after: from running until ready;
    None: never. run_for and exit_code: it ends by itself after that long (None: never).
    stop_after: how long it takes after TERM; more than the grace period means it is killed.
    stuck: doesn't end whatever is done, until the test releases it.
    backoff: the first waiting time of CrashLoopBackOff as it really passes; then twice as long.

    image_error, config_error, mount_error, unschedulable: it never gets that far, and this is
    the message. image_error keeps ErrImagePull and ImagePullBackOff coming.

    log: what it says at each start. log_every: seconds after which it says its last line again.

    process: its command and arguments are really run, as a local process. Paths below its mounts
    are replaced by the claims' directories, in arguments and environment; `programs` is put in
    front of PATH, `env` is added, `cwd` is where it runs (the image's working directory). A
    readinessProbe of kind exec is run as well, again and again until it ends well.
    exec_results: what `exec` answers, by the command's words joined with blanks.
    exec_process: other words are really run by `exec`, as with `process`, the container's own not.
    """

    image: str = "*"
    container: str = "*"
    pod: str = "*"
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    start_after: float = 0.02
    ready_after: float | None = 0.02
    run_for: float | None = None
    exit_code: int = 0
    oom_killed: bool = False
    stop_after: float = 0.02
    stuck: bool = False
    backoff: float = 0.1

    image_error: str | None = None
    config_error: str | None = None
    mount_error: str | None = None
    unschedulable: str | None = None

    log: str = ""
    log_every: float | None = None

    process: bool = False
    programs: Path | None = None
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    exec_results: dict[str, tuple[int, str]] = field(default_factory=dict)
    exec_process: bool = False

    def matches(self, pod: Json, container: Json) -> bool:
        meta = pod["metadata"]
        return (
            fnmatch.fnmatchcase(container["image"], self.image)
            and fnmatch.fnmatchcase(container["name"], self.container)
            and fnmatch.fnmatchcase(meta["name"], self.pod)
            and _holds(meta.get("labels") or {}, self.labels)
            and _holds(meta.get("annotations") or {}, self.annotations)
        )


def _holds(held: dict[str, str], wanted: dict[str, str]) -> bool:
    return all(held.get(key) == value for key, value in wanted.items())


def script_for(scripts: list[Script], pod: Json, container: Json) -> Script:
    """The one put in last that matches; a container of a Job's pod else ends with 0 at once."""
    for script in reversed(scripts):
        if script.matches(pod, container):
            return script
    if pod["spec"].get("restartPolicy") != "Always" and not _stays(container):
        return Script(run_for=0.02)
    return Script()


def _stays(container: Json) -> bool:
    words = " ".join([*(container.get("command") or []), *(container.get("args") or [])])
    return "sleep" in words
