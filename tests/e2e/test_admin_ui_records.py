"""Adding, changing and deleting providers, models and associations."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browsers import SECRETS, Visitor, log_in, token_of
from tests.support.migration_chain import query
from tests.support.orchestrator import Service
from tests.support.processes import wait_until


def row(page: Page, name: str) -> Locator:
    """The row that is headed by a name."""
    heading = page.get_by_role("rowheader", name=re.compile(f"^{re.escape(name)}"))
    return page.get_by_role("row").filter(has=heading)


def opened(page: Page, link: str) -> Locator:
    """The dialog that a link opens."""
    page.get_by_role("link", name=link, exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("form")).to_be_visible()
    return dialog


def confirm(page: Page, link: str, warning: str) -> None:
    dialog = opened(page, link)
    expect(dialog).to_contain_text(warning)
    dialog.get_by_role("button", name="Delete").click()


def api(service: Service, path: str) -> Any:
    with service.admin() as client:
        return client.get(f"/api/admin/{path}").json()


def key_of(service: Service, name: str) -> str:
    ((key,),) = query(service.database, f"SELECT api_key FROM providers WHERE name = '{name}'")
    return key


def test_a_provider_from_its_beginning_to_its_end(visit: Visitor, service: Service) -> None:
    seen = visit(service)
    page = seen.goto("providers")
    dialog = opened(page, "Add provider")
    dialog.get_by_label("Name").fill("Mistral")
    dialog.get_by_label("Address").fill("https://api.mistral.example/v1")
    dialog.get_by_label("API key").fill("key-that-was-typed")
    dialog.get_by_label("Priority").fill("5")
    dialog.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_have_text("Mistral has been added.")
    expect(row(page, "Mistral")).to_contain_text("https://api.mistral.example/v1")
    assert key_of(service, "Mistral") == "key-that-was-typed"

    dialog = opened(page, "Edit Mistral")
    expect(dialog.get_by_label("New API key")).to_have_value("")
    dialog.get_by_label("Name").fill("Mistral EU")
    dialog.get_by_label("Kind").select_option(label="Anthropic")
    dialog.get_by_label("Rate limit").fill("60")
    dialog.get_by_label("Enabled").uncheck()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Mistral EU has been changed.")
    expect(row(page, "Mistral EU")).to_contain_text("Disabled")
    (provider,) = [each for each in api(service, "providers") if each["name"] == "Mistral EU"]
    assert (provider["type"], provider["rate_limit"], provider["enabled"]) == (
        "anthropic",
        60,
        False,
    )
    # Left empty, the key stayed; nothing of it came back to the browser.
    assert key_of(service, "Mistral EU") == "key-that-was-typed"
    assert "key-that-was-typed" not in page.content()

    dialog = opened(page, "Edit Mistral EU")
    dialog.get_by_label("New API key").fill("another-key")
    dialog.get_by_label("Rate limit").fill("")
    dialog.get_by_role("button", name="Save").click()
    wait_until(lambda: key_of(service, "Mistral EU") == "another-key")
    expect(page.get_by_role("status")).to_be_visible()

    confirm(page, "Delete Mistral EU", "Mistral EU will be deleted. It serves no model.")
    expect(page.get_by_role("status")).to_have_text("Mistral EU has been deleted.")
    expect(row(page, "Mistral EU")).to_have_count(0)


def test_a_model_from_its_beginning_to_its_end(visit: Visitor, service: Service) -> None:
    page = visit(service).goto("models")
    dialog = opened(page, "Add model")
    dialog.get_by_label("Name").fill("chat-mini")
    dialog.get_by_label("Remark").fill('<b>not bold</b> & "quoted"')
    dialog.get_by_role("button", name="Add").click()
    expect(row(page, "chat-mini")).to_contain_text('<b>not bold</b> & "quoted"')

    dialog = opened(page, "Edit chat-mini")
    expect(dialog.get_by_label("Remark")).to_have_value('<b>not bold</b> & "quoted"')
    dialog.get_by_label("Timeout").fill("45")
    dialog.get_by_label("Remark").fill("")
    dialog.get_by_role("button", name="Save").click()
    expect(row(page, "chat-mini")).to_contain_text("45 s")

    confirm(page, "Delete chat-mini", "No provider serves it.")
    expect(page.get_by_role("status")).to_have_text("chat-mini has been deleted.")
    assert "chat-mini" not in [each["name"] for each in api(service, "models")]


def test_an_association_from_its_beginning_to_its_end(visit: Visitor, service: Service) -> None:
    page = visit(service).goto("models")
    # From the model that nobody serves yet: it is chosen already.
    dialog = opened(page, "Associate a provider with chat-next")
    expect(dialog.get_by_label("Model", exact=True).locator("option:checked")).to_have_text(
        "chat-next"
    )
    dialog.get_by_label("Provider", exact=True).select_option(label="Gemini")
    dialog.get_by_label("Name at the provider").fill("gemini-next")
    dialog.get_by_label("It can see images").check()
    dialog.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_have_text("chat-next at Gemini has been added.")
    expect(page.get_by_role("heading", level=1)).to_have_text("Associations")
    expect(row(page, "chat-next")).to_contain_text("gemini-next")
    expect(row(page, "chat-next")).to_contain_text("tools, JSON, images")

    dialog = opened(page, "Edit chat-next at Gemini")
    expect(dialog.get_by_label("Model", exact=True)).to_have_count(0)
    dialog.get_by_label("Weight").fill("7")
    dialog.get_by_label("It can call tools").uncheck()
    dialog.get_by_role("button", name="Save").click()
    expect(row(page, "chat-next")).to_contain_text("JSON, images")
    (association,) = [
        each for each in api(service, "model-providers") if each["model_name"] == "chat-next"
    ]
    assert (association["weight"], association["tool_call"]) == (7, False)

    confirm(page, "Delete chat-next at Gemini", "No provider will serve chat-next any more.")
    expect(row(page, "chat-next")).to_have_count(0)


def test_what_goes_with_a_provider_is_said_before(visit: Visitor, service: Service) -> None:
    page = visit(service).goto("providers")
    dialog = opened(page, "Delete OpenAI")
    expect(dialog).to_contain_text("It no longer serves chat-large, chat-small, vision.")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_be_hidden()
    expect(row(page, "OpenAI")).to_be_visible()


def test_what_is_wrong_is_said_at_its_field(visit: Visitor, service: Service) -> None:
    seen = visit(service)
    seen.expected.add(422)
    page = seen.goto("providers")
    dialog = opened(page, "Add provider")
    # The browser's own checks are for convenience; the service's are for good.
    dialog.locator("form").evaluate("form => form.noValidate = true")
    dialog.get_by_label("Address").fill("ftp://example.com")
    dialog.get_by_label("API key").fill("typed-but-wrong-elsewhere")
    dialog.get_by_label("Retries").fill("11")
    dialog.get_by_label("Timeout").fill("")
    dialog.get_by_role("button", name="Add").click()
    for label, text in (
        ("Name", "This is needed."),
        (
            "Address",
            "This must be an address such as https://host/v1, without a query or a password.",
        ),
        ("Retries", "At most 10."),
    ):
        field = dialog.get_by_label(label)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description(re.compile(re.escape(text)))
    expect(dialog.get_by_label("Name")).to_be_focused()
    # What was typed is still there, but for the key.
    expect(dialog.get_by_label("Address")).to_have_value("ftp://example.com")
    expect(dialog.get_by_label("API key")).to_have_value("")

    dialog.get_by_label("Name").fill("OpenAI")
    dialog.get_by_label("Address").fill("")
    dialog.get_by_label("Retries").fill("3")
    dialog.get_by_label("Timeout").fill("60")
    dialog.get_by_label("API key").fill("x")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_label("Name")).to_have_accessible_description(
        "There is a provider 'OpenAI' already."
    )


def test_the_same_association_twice_is_refused(visit: Visitor, service: Service) -> None:
    seen = visit(service)
    seen.expected.add(422)
    page = seen.goto("associations")
    dialog = opened(page, "Add association")
    dialog.get_by_label("Model", exact=True).select_option(label="embed")
    dialog.get_by_label("Provider", exact=True).select_option(label="vLLM in the cellar")
    dialog.get_by_label("Name at the provider").fill("bge-m3")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog).to_contain_text("serves the model under that name already")
    # The choices stand as they were made.
    expect(dialog.get_by_label("Model", exact=True).locator("option:checked")).to_have_text("embed")


def test_a_record_that_is_gone_meanwhile(visit: Visitor, service: Service) -> None:
    with service.admin() as client:
        made = client.post("/api/admin/models", json={"name": "short-lived"}).json()
        seen = visit(service)
        seen.expected.add(404)
        page = seen.goto("models")
        dialog = opened(page, "Edit short-lived")
        client.delete(f"/api/admin/models/{made['id']}")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("it has been deleted")


def test_a_session_that_ended_leads_to_the_sign_in_page(visit: Visitor, service: Service) -> None:
    seen = visit(service)
    page = seen.goto("models")
    seen.context.clear_cookies()
    page.get_by_role("link", name="Add model").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_everything_by_keyboard(visit: Visitor, service: Service) -> None:
    page = visit(service).goto("models")
    keys = page.keyboard
    for key in ("Tab", "Enter", "Tab"):  # to the content, and its first control
        keys.press(key)
    expect(page.get_by_role("link", name="Add model")).to_be_focused()
    keys.press("Enter")
    dialog = page.get_by_role("dialog", name="Add model")
    expect(dialog.get_by_label("Name")).to_be_focused()
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("link", name="Add model")).to_be_focused()
    keys.press("Enter")
    expect(dialog.get_by_label("Name")).to_be_focused()
    keys.type("typed-only")
    for _ in range(4):
        keys.press("Tab")
    expect(dialog.get_by_label("Enabled")).to_be_focused()
    keys.press("Space")
    keys.press("Enter")
    expect(page.get_by_role("status")).to_have_text("typed-only has been added.")
    expect(row(page, "typed-only")).to_contain_text("Disabled")
    # The dialog keeps the focus to itself.
    row(page, "typed-only").get_by_role("link", name="Delete").focus()
    keys.press("Enter")
    expect(page.get_by_role("link", name="Cancel")).to_be_focused()
    keys.press("Tab")
    expect(page.get_by_role("button", name="Delete")).to_be_focused()
    keys.press("Enter")
    expect(page.get_by_role("status")).to_have_text("typed-only has been deleted.")


def test_without_scripts_each_form_is_a_page(visit: Visitor, service: Service) -> None:
    page = visit(service, java_script_enabled=False).goto("models")
    page.get_by_role("link", name="Add model").click()
    page.wait_for_url("**/models/new")
    page.get_by_label("Name").fill("plain")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_have_text("plain has been added.")
    page.get_by_role("link", name="Delete plain").click()
    page.wait_for_url("**/delete")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_have_text("plain has been deleted.")
    page.reload()
    expect(page.get_by_role("status")).to_have_count(0)


@pytest.mark.parametrize("path", ["providers/1/edit", "providers/1/delete", "models/1/delete"])
def test_reading_a_form_changes_nothing(service: Service, path: str) -> None:
    before = api(service, "providers"), api(service, "models")
    with service.client() as client:
        log_in(client)
        assert client.get(f"/admin-ui/{path}").status_code == 200
    assert (api(service, "providers"), api(service, "models")) == before


def test_a_refused_form_does_not_repeat_its_key(service: Service) -> None:
    with service.client() as client:
        log_in(client)
        token = token_of(client.get("/admin-ui/providers/new"))
        data = {"csrf_token": token, "name": "", "type": "nonsense", "api_key": SECRETS[2]}
        answer = client.post("/admin-ui/providers/new", data=data)
    assert answer.status_code == 422
    assert SECRETS[2] not in answer.text
    assert "nonsense" not in answer.text
