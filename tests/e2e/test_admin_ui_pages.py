"""Every page, full and empty: what it shows, and what no page does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browsers import SECRETS, Visitor, log_in
from tests.support.orchestrator import Service

TABS = ("dashboard", "providers", "models", "associations", "logs", "settings")
FORMS = (
    "providers/new",
    "providers/4/edit",
    "providers/4/delete",
    "models/new",
    "models/1/edit",
    "models/1/delete",
    "associations/new",
    "associations/1/edit",
    "associations/1/delete",
)
EMPTY = {
    "dashboard": ("No requests in this time", "Add the first provider"),
    "providers": ("No providers yet", "Add the first provider"),
    "models": ("No models yet", "Add the first model"),
    "associations": ("Nothing to associate yet", "Go to providers"),
    "logs": ("No requests yet", None),
}
# Contrast of each text with what stands behind it, as WCAG 2 counts it; those below 4.5.
CONTRAST = """() => {
  const channels = (color) => {
    const found = color.match(/[\\d.]+/g).map(Number);
    return {rgb: found.slice(0, 3), alpha: found.length > 3 ? found[3] : 1};
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map(
      (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const {rgb, alpha} = channels(getComputedStyle(e).backgroundColor);
      if (alpha === 1) return rgb;
      if (alpha !== 0) throw new Error("half transparent: " + e.outerHTML.slice(0, 80));
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const front = element.closest("svg") ? style.fill : style.color;
    const [a, b] = [light(channels(front).rgb), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen += 1;
    if (ratio < 4.5) found.push(node.textContent.trim() + ": " + ratio.toFixed(2));
  }
  return [seen, found];
}"""


def api(service: Service, path: str) -> Any:
    """What the admin API answers."""
    with service.admin() as client:
        return client.get(f"/api/admin/{path}").json()


@pytest.mark.parametrize("tab", TABS)
def test_every_page_with_rows(visit: Visitor, filled: Service, tab: str) -> None:
    page = visit(filled).goto(tab)
    expect(page.get_by_role("heading", level=1)).to_have_text(tab.capitalize())
    expect(page).to_have_title(f"{tab.capitalize()} · LLM Orchestrator")
    current = page.get_by_role("navigation", name="Pages").locator("[aria-current=page]")
    expect(current).to_have_text(tab.capitalize())
    expect(page.locator("table").first).to_be_attached()


@pytest.mark.parametrize("tab", EMPTY)
def test_every_page_without_rows_says_what_to_do(visit: Visitor, empty: Service, tab: str) -> None:
    page = visit(empty).goto(tab)
    heading, way_on = EMPTY[tab]
    expect(page.get_by_role("heading", name=heading)).to_be_visible()
    if way_on:
        expect(page.get_by_role("link", name=way_on)).to_be_visible()
    expect(page.locator("table")).to_have_count(0)


def test_dashboard_counts_what_the_api_counts(visit: Visitor, filled: Service) -> None:
    stats = api(filled, "stats?hours=24")
    page = visit(filled).goto("dashboard?hours=24")
    tile = page.locator(".tile", has_text="Requests")
    expect(tile).to_contain_text(f"{stats['total_requests']:,}")
    expect(page.locator(".tile", has_text="Success rate")).to_contain_text(
        f"{stats['success_rate']:.1f} %"
    )
    # The bars add up to the same.
    page.get_by_text("The same as a table").click()
    rows = page.locator(".figures tbody tr").all_inner_texts()
    counted = [[int(text.replace(",", "")) for text in row.split("\t")[1:]] for row in rows]
    assert sum(map(sum, counted)) == stats["total_requests"]
    assert len(rows) == page.locator(".plot g").count() == 25
    failing = page.get_by_role("row", name=re.compile("vLLM in the cellar.*Failing", re.DOTALL))
    expect(failing).to_contain_text("connection refused")


@pytest.mark.parametrize(("label", "hours", "columns"), [("1 h", 1, 13), ("7 days", 168, 29)])
def test_dashboard_shows_another_span(
    visit: Visitor, filled: Service, label: str, hours: int, columns: int
) -> None:
    page = visit(filled).goto("dashboard")
    page.get_by_role("link", name=label, exact=True).click()
    page.wait_for_url(f"**/dashboard?hours={hours}")
    assert page.locator(".plot g").count() == columns
    expect(page.get_by_role("img", name="Requests over the last")).to_be_visible()


def test_dashboard_renews_itself_without_losing_its_place(visit: Visitor, filled: Service) -> None:
    seen = visit(filled)
    seen.page.clock.install()
    page = seen.goto("dashboard")
    page.get_by_text("The same as a table").click()
    with page.expect_response("**/dashboard?hours=24"):
        page.clock.run_for(31_000)
    expect(page.locator("details")).to_have_attribute("open", "")


def test_status_bars_show_the_last_outcomes(visit: Visitor, filled: Service) -> None:
    page = visit(filled).goto("associations")
    row = page.get_by_role("row", name="chat-small").filter(has_text="qwen3-8b-instruct")
    bars = row.get_by_role("img")
    (association,) = [
        each
        for each in api(filled, "model-providers")
        if each["provider_model"] == "qwen3-8b-instruct"
    ]
    outcomes = api(filled, f"model-providers/{association['id']}/status?limit=30")["outcomes"]
    good = sum(each["success"] for each in outcomes)
    expect(bars.locator("rect.good")).to_have_count(good)
    expect(bars.locator("rect.bad")).to_have_count(len(outcomes) - good)
    assert 0 < good < len(outcomes) == 30
    summary = f"Last 30 outcomes: {good} succeeded, {30 - good} failed"
    expect(bars).to_have_attribute("aria-label", re.compile(summary))
    # The newest is on the right.
    assert str(outcomes[0]["status_code"]) in bars.locator("title").last.text_content()
    unused = page.get_by_role("row", name="gpt-3.5-turbo")
    expect(unused).to_contain_text("No requests yet")


@pytest.mark.parametrize("rows", ["filled", "empty"])
def test_no_page_is_wider_than_a_small_telephone(
    visit: Visitor, rows: str, request: pytest.FixtureRequest
) -> None:
    service: Service = request.getfixturevalue(rows)
    seen = visit(service, viewport={"width": 360, "height": 740})
    for path in (*TABS, *(FORMS if rows == "filled" else ("providers/new",))):
        page = seen.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    page.goto("/admin-ui/providers")
    page.get_by_role("link", name=re.compile("^Add ")).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("dialog").evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")


@pytest.mark.parametrize("width", [820, 1080])
def test_nothing_is_cut_off_on_a_small_screen(visit: Visitor, filled: Service, width: int) -> None:
    seen = visit(filled, viewport={"width": width, "height": 740})
    for path in TABS:
        page = seen.goto(path)
        hidden = page.locator(".card").evaluate_all(
            "cards => cards.filter(card => card.scrollWidth > card.clientWidth).length"
        )
        assert hidden == 0, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_the_longest_names_fit(visit: Visitor, service: Service) -> None:
    """A hundred letters without a space, which is what the columns hold."""
    name = "W" * 100
    with service.admin() as admin:
        admin.base_url = admin.base_url.join("/api/admin/")
        facts = {"name": name, "type": "openai", "api_key": "k", "base_url": f"http://{name}"}
        provider = admin.post("providers", json=facts).json()
        admin.post(f"providers/{provider['id']}/models/import", json={"models": [name]})
    seen = visit(service, viewport={"width": 360, "height": 740})
    for width in (360, 1280):
        seen.page.set_viewport_size({"width": width, "height": 740})
        for path in ("providers", "models", "associations"):
            cut = seen.goto(path).evaluate(
                "[document.documentElement, ...document.querySelectorAll('.card')]"
                ".filter(each => each.scrollWidth > each.clientWidth).length"
            )
            assert cut == 0, (path, width)
    with service.admin() as admin:
        admin.delete(f"/api/admin/providers/{provider['id']}")
        for model in admin.get("/api/admin/models").json():
            if model["name"] == name:
                admin.delete(f"/api/admin/models/{model['id']}")


def test_the_sign_in_page_fits_as_well(visit: Visitor, empty: Service) -> None:
    page = visit(empty, signed_in=False, viewport={"width": 360, "height": 740}).goto("login")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(
    visit: Visitor, filled: Service, scheme: str
) -> None:
    seen = visit(filled, color_scheme=scheme)
    for path in (*TABS, "providers/new", "providers/4/delete"):
        page = seen.goto(path)
        count, faint = page.evaluate(CONTRAST)
        assert count > 10
        assert faint == [], path


def test_every_control_has_a_name(visit: Visitor, filled: Service) -> None:
    seen = visit(filled)
    for path in (*TABS, *FORMS):
        page = seen.goto(path)
        tree = page.locator("body").aria_snapshot()
        # A control without a name ends right after its role.
        control = re.compile(r"- (textbox|combobox|checkbox|spinbutton|button|link|img)(:|$)", re.M)
        assert not control.search(tree), tree
        assert page.locator("h1, h2").count() > 0
        for table in page.locator("table").all():
            assert table.locator("th[scope=col]").count() > 2


def test_no_answer_has_a_secret_in_it(filled: Service) -> None:
    with filled.client() as client:
        log_in(client)
        for path in (*TABS, *FORMS, "settings/template"):
            answer = client.get(f"/admin-ui/{path}")
            assert answer.status_code == 200, path
            assert not [secret for secret in SECRETS if secret.encode() in answer.content], path
            assert answer.headers["cache-control"] == "no-store"


def test_the_policy_forbids_what_the_pages_do_without(filled: Service) -> None:
    with filled.client() as client:
        log_in(client)
        answer = client.get("/admin-ui/dashboard")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", answer.text)
    assert not re.search(r"""(?:src|href|action)=["'](?!/admin-ui|#|\?)""", answer.text)


def test_an_inline_script_would_be_heard(visit: Visitor, empty: Service) -> None:
    """The watch over the console is awake."""
    seen = visit(empty)
    page = seen.goto("models")
    page.evaluate("document.body.setAttribute('onclick', 'window.ran = true')")
    page.locator("h1").click()
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in error for error in seen.errors)
    seen.errors.clear()


@pytest.mark.parametrize("path", ["providers/999/edit", "providers/x/edit", "nowhere", "static/x"])
def test_what_is_not_there_says_so(visit: Visitor, filled: Service, path: str) -> None:
    seen = visit(filled)
    seen.expected.add(404)
    page = seen.goto(path)
    expect(page.get_by_role("heading", name="Nothing here")).to_be_visible()
    page.get_by_role("link", name="Go to the dashboard").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def test_assets_are_kept_until_they_change(filled: Service) -> None:
    with filled.client() as client:
        page = client.get("/admin-ui/login").text
        for path in re.findall(r'"(/admin-ui/static/[^"]+)"', page):
            assert "immutable" in client.get(path).headers["cache-control"]
        assert client.get("/admin-ui/static/app.css").headers["cache-control"] == "no-cache"
        assert "Zero-Clause BSD" in client.get("/admin-ui/static/htmx.LICENSE.txt").text


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.innerText || document.activeElement.id")


def test_the_content_is_one_key_away(visit: Visitor, filled: Service) -> None:
    page = visit(filled).goto("providers")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    assert page.locator(".skip").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert focused(page) == "Add provider"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
