"""The log: its pages and its filters."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.support.browsers import Visitor
from tests.support.migration_chain import query
from tests.support.orchestrator import Service

TO = "\N{EN DASH}"


def times(page: Page) -> list[str]:
    return page.locator("#results time").all_inner_texts()


def counted(service: Service, condition: str) -> int:
    ((number,),) = query(service.database, f"SELECT count(*) FROM request_logs WHERE {condition}")
    return number


def shown(page: Page, total: int) -> Any:
    """Wait until the pager counts so many."""
    last = min(total, 50)
    expect(page.locator(".pager")).to_contain_text(f"1{TO}{last} of {total:,}")


def test_pages_follow_one_another(visit: Visitor, filled: Service) -> None:
    page = visit(filled).goto("logs")
    total = counted(filled, "1")
    shown(page, total)
    first = times(page)
    assert len(first) == 50
    assert first == sorted(first, reverse=True)
    expect(page.get_by_role("link", name="Newer")).to_have_count(0)
    page.get_by_role("link", name="Older").click()
    expect(page.locator(".pager")).to_contain_text(f"51{TO}100 of {total}")
    assert page.url.endswith("/logs?page=2")
    assert max(times(page)) <= min(first)
    page.get_by_role("link", name="Newer").click()
    shown(page, total)
    assert times(page) == first
    # The browser's own way back works as well.
    page.go_back()
    expect(page.locator(".pager")).to_contain_text(f"51{TO}100 of {total}")
    pages = -(-total // 50)
    page.goto(f"/admin-ui/logs?page={pages}")
    expect(page.get_by_role("link", name="Older")).to_have_count(0)
    assert len(times(page)) == total - (pages - 1) * 50


def test_filters_answer_at_once_and_stay_in_the_address(visit: Visitor, filled: Service) -> None:
    page = visit(filled).goto("logs")
    page.get_by_label("Provider").select_option(label="vLLM in the cellar")
    shown(page, counted(filled, "provider_id = 4"))
    page.get_by_label("Status").select_option(label="Failed")
    shown(page, counted(filled, "provider_id = 4 AND status_code >= 400"))
    page.get_by_label("Model").select_option(label="embed")
    failed = "provider_id = 4 AND model = 'embed' AND status_code >= 400"
    shown(page, counted(filled, failed))
    assert 0 < counted(filled, failed) < 50
    page.reload()
    shown(page, counted(filled, failed))
    expect(page.get_by_label("Status").locator("option:checked")).to_have_text("Failed")
    assert {*page.locator("#results td[data-label=Model]").all_inner_texts()} == {
        "embed\n/v1/embeddings"
    }
    page.get_by_role("link", name="Clear").click()
    shown(page, counted(filled, "1"))


def test_filter_by_status(visit: Visitor, filled: Service) -> None:
    page = visit(filled).goto("logs")
    for label, condition in (
        ("Succeeded", "status_code BETWEEN 200 AND 399"),
        ("4xx, refused", "status_code BETWEEN 400 AND 499"),
        ("503 Unavailable", "status_code = 503"),
    ):
        page.get_by_label("Status").select_option(label=label)
        shown(page, counted(filled, condition))


def test_filter_by_time(visit: Visitor, filled: Service) -> None:
    page = visit(filled).goto("logs")
    ((since, until),) = query(
        filled.database,
        "SELECT strftime('%Y-%m-%dT%H:%M', max(created_at), '-6 hours'),"
        " strftime('%Y-%m-%dT%H:%M', max(created_at), '-1 hours') FROM request_logs",
    )
    page.get_by_label("From (UTC)").fill(since)
    within = f"datetime(created_at) >= datetime('{since}')"
    shown(page, counted(filled, within))
    page.get_by_label("To (UTC)").fill(until)
    shown(page, counted(filled, f"{within} AND datetime(created_at) < datetime('{until}')"))


def test_nothing_found_says_how_to_go_on(visit: Visitor, filled: Service) -> None:
    page = visit(filled).goto("logs?status=404&model=chat-next")
    expect(page.get_by_role("heading", name="No request matches")).to_be_visible()
    page.get_by_role("link", name="Clear the filters").click()
    shown(page, counted(filled, "1"))


def test_what_can_not_be_looked_for_is_said(visit: Visitor, filled: Service) -> None:
    seen = visit(filled)
    page = seen.goto("logs?since=yesterday")
    expect(page.get_by_role("alert")).to_contain_text("A time is written like")
    page = seen.goto("logs?until=0001-01-01T00:00%2B14:00")
    expect(page.get_by_role("alert")).to_contain_text("A time is written like")
    page = seen.goto("logs?status=<script>&provider_id=77&model=%22%3E")
    expect(page.get_by_role("alert")).to_contain_text("This status is not known.")
    expect(page.get_by_label("Provider").locator("option:checked")).to_have_text(
        "Deleted provider 77"
    )
    seen.goto(f"logs?page={10**40}&provider_id={10**30}")
    shown(page, counted(filled, "1"))


def test_filters_work_without_scripts(visit: Visitor, filled: Service) -> None:
    page = visit(filled, java_script_enabled=False).goto("logs")
    page.get_by_label("Provider").select_option(label="Anthropic")
    page.get_by_role("button", name="Filter").click()
    shown(page, counted(filled, "provider_id = 2"))
