"""Which cluster, as whom, and which namespace: a kubeconfig, or the pod that orchctl runs in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchctl.config import masked_url
from orchctl.errors import ConfigurationError

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class ClusterChoice:
    """What was typed.

    Attributes:
        context: Of the kubeconfig; None means its current one.
        kubeconfig: The file; None means `KUBECONFIG`, else `~/.kube/config`, else the cluster that
            orchctl runs in.
        namespace: None means the context's, else `default`.
    """

    context: str | None = None
    kubeconfig: Path | None = None
    namespace: str | None = None


@dataclass(frozen=True)
class Connection:
    """How to reach a cluster.

    Attributes:
        configuration: The client library's.
        host: Its URL, without a password.
        context: Its name; "" in a cluster.
        namespace: In which names are looked up.
    """

    configuration: Any
    host: str
    context: str
    namespace: str


def find_cluster(
    choice: ClusterChoice, environment: Mapping[str, str], home: Path, account: Path = _ACCOUNT
) -> Connection:
    """The cluster that kubectl would use.

    Args:
        choice: What was typed.
        environment: `KUBECONFIG` and `KUBERNETES_SERVICE_HOST` are looked up in it.
        home: The user's folder.
        account: Where a pod has its service account.

    Raises:
        ConfigurationError: `kubeconfig`, `no-cluster`.
    """
    files = _files(choice, environment, home)
    if files:
        return _from_file(choice, files)
    if environment.get("KUBERNETES_SERVICE_HOST") and choice.context is None:
        return _from_within(choice, environment, account)
    raise ConfigurationError(
        "There is no cluster: no kubeconfig, and this is no pod",
        code="no-cluster",
        hint="--kubeconfig FILE, KUBECONFIG=FILE or ~/.kube/config",
    )


def _files(choice: ClusterChoice, environment: Mapping[str, str], home: Path) -> str:
    if choice.kubeconfig is not None:
        if not choice.kubeconfig.is_file():
            raise _unusable(str(choice.kubeconfig), "there is no such file")
        return str(choice.kubeconfig)
    # As kubectl: of several files those that are not there are passed over.
    named = [one for one in environment.get("KUBECONFIG", "").split(":") if one]
    there = [one for one in named if Path(one).is_file()]
    if named and not there:
        raise _unusable(":".join(named), "there is no such file (KUBECONFIG)")
    own = home / ".kube" / "config"
    return ":".join(there) or (str(own) if own.is_file() else "")


def _from_file(choice: ClusterChoice, files: str) -> Connection:
    import yaml
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        name, context = _context(files, choice.context)
        with _told_by_library() as told:
            config.load_kube_config(
                files, name, client_configuration=configuration, persist_config=False
            )
    except (config.ConfigException, yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise _unusable(files, " ".join(str(error).split())) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unusable(files, "it is no kubeconfig") from error
    if told and not (configuration.api_key or configuration.cert_file):
        raise _unusable(files, f"it gives no credentials: {' '.join(told[-1].split())}")
    namespace = choice.namespace or context.get("namespace") or "default"
    return _connection(configuration, name, namespace)


def _context(files: str, wanted: str | None) -> tuple[str, dict[str, Any]]:
    """The name of the context to use, and the context: what an earlier file says goes first.

    https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
    """
    import yaml

    contexts: dict[str, dict[str, Any]] = {}
    current = ""
    for path in files.split(":"):
        said = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        for one in said.get("contexts") or ():
            contexts.setdefault(one["name"], one.get("context") or {})
        current = current or said.get("current-context") or ""
    name = wanted or current
    if name in contexts:
        return name, contexts[name]
    raise ConfigurationError(
        f"{files} has no context {name}" if name else f"{files} has no current context",
        code="kubeconfig",
        hint=f"--context {' or '.join(sorted(contexts))}"
        if contexts
        else "kubectl config get-contexts",
    )


@contextlib.contextmanager
def _told_by_library() -> Iterator[list[str]]:
    """What the library only logs: that an exec plugin failed, and it goes on as nobody."""
    import logging

    told: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    kept = Kept(logging.ERROR)
    logging.getLogger().addHandler(kept)
    try:
        yield told
    finally:
        logging.getLogger().removeHandler(kept)


def _from_within(
    choice: ClusterChoice, environment: Mapping[str, str], account: Path
) -> Connection:
    from kubernetes import client, config
    from kubernetes.config.incluster_config import InClusterConfigLoader

    configuration = client.Configuration()
    loader = InClusterConfigLoader(
        str(account / "token"), str(account / "ca.crt"), environ=environment
    )
    try:
        loader.load_and_set(configuration)
    except (config.ConfigException, OSError) as error:
        raise ConfigurationError(
            f"The pod's service account can't be used: {error}",
            code="no-cluster",
            hint="automountServiceAccountToken: true in the pod's spec, or --kubeconfig FILE",
        ) from error
    own = ""
    with contextlib.suppress(OSError):
        own = (account / "namespace").read_text(encoding="utf-8").strip()
    return _connection(configuration, "", choice.namespace or own or "default")


def _connection(configuration: Any, context: str, namespace: str) -> Connection:
    # Trouble is met by client.py, which knows until when trying again makes sense.
    configuration.retries = False
    configuration.refresh_api_key_hook = _stripping(configuration.refresh_api_key_hook)
    return Connection(configuration, masked_url(configuration.host), context, namespace)


def _stripping(renewing: Callable[[Any], None] | None) -> Callable[[Any], None]:
    """Asked before each request: a file with a token often ends with a new line, which in a header
    would end it, too early."""

    def strip(configuration: Any) -> None:
        if renewing is not None:
            renewing(configuration)
            configuration.refresh_api_key_hook = strip  # which in a pod has just put itself back
        for name, value in configuration.api_key.items():
            configuration.api_key[name] = value.strip()

    return strip


def _unusable(files: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The kubeconfig {files} can't be used: {why}",
        code="kubeconfig",
        hint="kubectl config view shows what kubectl makes of it",
    )
