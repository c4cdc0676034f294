"""What the next container is created from, out of what `docker inspect` says of this one."""

from __future__ import annotations

from typing import Any

from orchctl.workloads.docker.configuration import recipe_of

IMAGE = {
    "Config": {
        "Entrypoint": ["/start"],
        "Cmd": ["serve"],
        "Healthcheck": {"Test": ["CMD", "old"], "Interval": 30, "Retries": 3},
    }
}


def container(config: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    host = {"NetworkMode": "default"} | more.pop("HostConfig", {})
    mine = {"Hostname": "0123456789ab"} | (config or {})
    return {"Id": "0123456789ab" + 52 * "c", "Config": mine, "HostConfig": host} | more


def test_an_entrypoint_that_was_taken_away_stays_away() -> None:
    taken = container({"Entrypoint": None, "Cmd": ["sh", "-c", "mine"]})
    body = recipe_of(taken, IMAGE, "new").body
    # What the engine is asked for by `--entrypoint ""`; without it the image's would come back.
    assert (body["Entrypoint"], body["Cmd"]) == ([""], ["sh", "-c", "mine"])
    kept = container({"Entrypoint": ["/start"], "Cmd": ["serve"]})
    assert {"Entrypoint", "Cmd"}.isdisjoint(recipe_of(kept, IMAGE, "new").body)
    assert "Entrypoint" not in recipe_of(container({"Cmd": ["x"]}), {"Config": {}}, "new").body


def test_a_health_check_in_part_the_image_s_gets_the_rest_from_the_new_one() -> None:
    mixed = container({"Healthcheck": {"Test": ["CMD", "old"], "Interval": 5, "Retries": 3}})
    assert recipe_of(mixed, IMAGE, "new").body["Healthcheck"] == {"Interval": 5}
    off = container({"Healthcheck": {"Test": ["NONE"]}})
    assert recipe_of(off, IMAGE, "new").body["Healthcheck"] == {"Test": ["NONE"]}


def test_a_volume_named_with_a_slash_at_its_end_is_mounted_once() -> None:
    mounted = [
        {"Type": "volume", "Name": name, "Destination": place, "RW": True}
        for name, place in (("data", "/data"), ("unnamed", "/more"), ("third", "/third"))
    ]
    asked = {
        "Binds": ["data:/data/", "third:/./third:rw"],
        "Mounts": [{"Type": "volume", "Target": "/more/"}],
    }
    host = recipe_of(container(HostConfig=asked, Mounts=mounted), None, "new").body["HostConfig"]
    assert host["Binds"] == asked["Binds"]
    assert host["Mounts"] == [{"Type": "volume", "Target": "/more/", "Source": "unnamed"}]


def test_names_that_somebody_chose_are_kept() -> None:
    def names(config: dict[str, Any], **host: Any) -> tuple[Any, Any]:
        body = recipe_of(container(config, HostConfig=host), None, "new").body
        return body.get("Hostname"), body.get("Domainname")

    assert names({"Domainname": "net"}) == (None, "net")
    chosen = {"Hostname": "web", "Domainname": "net"}
    assert names(chosen, NetworkMode="host") == ("web", "net")
    assert names(chosen, NetworkMode="host", UTSMode="host") == (None, None)
    assert names(chosen, NetworkMode="container:1") == (None, None)
