"""Signing in: right, wrong, too often; the cookie; signing out."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support.browsers import SESSION, Visitor, log_in, sign_in
from tests.support.orchestrator import ADMIN_KEY, Service


def test_right_key_opens_the_page_that_was_wanted(visit: Visitor, empty: Service) -> None:
    seen = visit(empty, signed_in=False)
    page = seen.goto("logs?status=failed")
    assert page.url.startswith(f"{empty.url}/admin-ui/login?next=")
    page.get_by_label("Admin key").fill(ADMIN_KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Logs")).to_be_visible()
    assert page.url == f"{empty.url}/admin-ui/logs?status=failed"


def test_root_leads_to_the_sign_in_page(visit: Visitor, empty: Service) -> None:
    page = visit(empty, signed_in=False).page
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_label("Admin key")).to_be_focused()


def test_cookie_is_kept_from_scripts_and_other_sites(visit: Visitor, empty: Service) -> None:
    seen = visit(empty)
    seen.goto("dashboard")
    (cookie,) = [each for each in seen.context.cookies() if each["name"] == SESSION]
    assert cookie["httpOnly"] is True
    assert cookie["sameSite"] == "Strict"
    assert cookie["path"] == "/admin-ui"
    assert cookie["secure"] is False  # plain http here; see the next test
    assert cookie["expires"] > 0
    assert seen.page.evaluate("document.cookie") == ""


def test_cookie_is_secure_behind_https(empty: Service) -> None:
    with empty.client(**{"X-Forwarded-Proto": "https"}) as client:
        page = client.get("/admin-ui/login")
        assert "Secure" in page.headers["set-cookie"]


def test_wrong_keys_are_counted_then_refused(visit: Visitor, empty: Service) -> None:
    elsewhere = {"X-Forwarded-For": "203.0.113.7"}
    seen = visit(empty, signed_in=False, extra_http_headers=elsewhere)
    seen.expected |= {403, 429}
    page = seen.page
    for left in ("4 more tries", "3 more tries", "2 more tries", "1 more try"):
        sign_in(page, "wrong")
        expect(page.get_by_role("alert")).to_contain_text(f"not the admin key. {left}")
    sign_in(page, "wrong")
    refusal = re.compile(r"Too many wrong keys from this address. Try again in \d minutes?\.")
    expect(page.get_by_role("alert")).to_contain_text(refusal)
    # Now the right one is not even looked at.
    sign_in(page)
    expect(page.get_by_role("alert")).to_contain_text(refusal)
    with empty.client(**elsewhere) as client:
        assert 0 < int(log_in(client).headers["retry-after"]) <= 300
    # Others may go on.
    with empty.client() as client:
        assert log_in(client).status_code == 303
    log = empty.log.read_text()
    assert "wrong admin key" in log
    assert "203.0.113.7" in log
    assert ADMIN_KEY not in log


def test_sign_out_ends_every_copy_of_the_session(visit: Visitor, empty: Service) -> None:
    seen = visit(empty, signed_in=False)
    sign_in(seen.page)
    expect(seen.page.get_by_role("heading", name="Dashboard")).to_be_visible()
    copies = {c["name"]: c["value"] for c in seen.context.cookies()}
    seen.page.get_by_role("button", name="Sign out").click()
    expect(seen.page.get_by_text("You are signed out.")).to_be_visible()
    assert SESSION not in {each["name"] for each in seen.context.cookies()}
    with empty.client() as client:
        headers = {"cookie": f"{SESSION}={copies[SESSION]}"}
        answer = client.get("/admin-ui/dashboard", headers=headers)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/admin-ui/login")


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/admin-ui/\\evil"])
def test_signing_in_leads_nowhere_else(empty: Service, target: str) -> None:
    with empty.client() as client:
        assert log_in(client, next=target).headers["location"] == "/admin-ui/dashboard"


def test_a_script_is_led_on_as_well(filled: Service) -> None:
    with filled.client(**{"HX-Request": "true"}) as client:
        log_in(client)
        answer = client.get("/admin-ui/login", params={"next": "/admin-ui/logs?model=\u65e5"})
        assert answer.headers["hx-redirect"] == "/admin-ui/logs?model=%E6%97%A5"


def test_nobody_has_a_long_form_read_before_signing_in(empty: Service) -> None:
    """Five million fields would keep the service from answering anybody for seconds."""
    fields = b"a=1&" * 20_000
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    with empty.client(**form) as client:
        for content in (fields, iter([fields[:40_000], fields[40_000:]])):
            assert client.post("/admin-ui/login", content=content).status_code == 413


def test_forms_without_their_token_change_nothing(filled: Service) -> None:
    with filled.client() as client:
        log_in(client)
        for data in ({}, {"csrf_token": "0" * 64}):
            answer = client.post("/admin-ui/providers/1/delete", data=data)
            assert answer.status_code == 403
            assert "Load the page again" in answer.text
        assert client.get("/admin-ui/providers/1/edit").status_code == 200
    with filled.client() as client:
        answer = client.post("/admin-ui/login", data={"admin_key": ADMIN_KEY})
        assert answer.status_code == 403
        assert SESSION not in answer.cookies


def test_forged_and_foreign_cookies_open_nothing(filled: Service, empty: Service) -> None:
    with filled.client() as client:
        log_in(client)
        good = client.cookies[SESSION]
        client.cookies.clear()
        client.get("/admin-ui/login")
        of_a_visit = client.cookies["llm_orchestrator_visit"]
    id_, expires, signature = good.split(".")
    assert opened(filled, good.encode())
    for forged in (
        f"{id_}.{int(expires) + 1}.{signature}".encode(),
        f"{id_}.{expires}.{'0' * 64}".encode(),
        of_a_visit.encode(),
        b"",
        b"..",
        b"\xe9.1.\xff",
    ):
        assert not opened(filled, forged), forged
    # Each process signs with a key of its own.
    assert not opened(empty, good.encode())


def opened(service: Service, cookie: bytes) -> bool:
    """Whether a session's cookie opens a page."""
    with service.client() as client:
        headers = {"cookie": SESSION.encode() + b"=" + cookie}
        status = client.get("/admin-ui/models", headers=headers).status_code
    assert status in {200, 303}
    return status == 200
