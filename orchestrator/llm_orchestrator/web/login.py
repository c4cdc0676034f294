"""Signing in with the admin key, and out."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from llm_orchestrator.auth import is_admin_key
from llm_orchestrator.state import CurrentState
from llm_orchestrator.web.pages import (
    BASE,
    SESSION_COOKIE,
    Form,
    Notice,
    PageRoute,
    SignedIn,
    go_to,
    pages_of,
    render,
    set_cookie,
)
from llm_orchestrator.web.sessions import SECONDS, VISIT_SECONDS

logger = structlog.stdlib.get_logger(__name__)
router = APIRouter(prefix=BASE, route_class=PageRoute)

# Ties the sign-in form to the browser that was given it, before there is a session.
VISIT_COOKIE = "llm_orchestrator_visit"


@router.get("/login")
async def show_login(request: Request, state: CurrentState, next: str = "") -> Response:  # noqa: A002
    """Show the sign-in form; who is signed in already goes on."""
    if pages_of(request).sessions.read(request.cookies.get(SESSION_COOKIE), "session"):
        return go_to(request, _inside(next))
    return _form(request, enabled=state.settings.admin_key is not None, target=next)


@router.post("/login")
async def log_in(request: Request, state: CurrentState) -> Response:
    """Open a session for the right key; wrong ones are counted by their address."""
    pages = pages_of(request)
    form = await request.form(max_files=0, max_fields=10)
    key, target, token = (str(form.get(name, "")) for name in ("admin_key", "next", "csrf_token"))
    if state.settings.admin_key is None:
        return _form(request, enabled=False, target=target, status=503)
    visit = pages.sessions.read(request.cookies.get(VISIT_COOKIE), "visit")
    if visit is None or not pages.sessions.is_form_token(visit, token):
        text = "This page had been open too long, or cookies are off. Please try again."
        return _form(request, target=target, notice=Notice("bad", text), status=403)
    address = request.client.host if request.client else ""
    if wait := pages.attempts.wait(address):
        return _refuse(request, target, wait)
    if not is_admin_key(state, key):
        left = pages.attempts.note_failure(address)
        logger.warning("wrong admin key", address=address, attempts_left=left)
        if not left:
            return _refuse(request, target, pages.attempts.wait(address))
        text = f"This is not the admin key. {left} more {'try' if left == 1 else 'tries'}."
        return _form(request, target=target, notice=Notice("bad", text), status=403)
    pages.attempts.note_success(address)
    answer = go_to(request, _inside(target))
    value = pages.sessions.cookie(pages.sessions.open(), "session")
    set_cookie(request, answer, SESSION_COOKIE, value, seconds=SECONDS)
    answer.delete_cookie(VISIT_COOKIE, path=BASE)
    return answer


@router.post("/logout")
async def log_out(request: Request, session: SignedIn, _form: Form) -> Response:
    """End the session, here and in every copy of its cookie."""
    pages_of(request).sessions.end(session)
    answer = go_to(request, "/login", Notice("good", "You are signed out."))
    answer.delete_cookie(SESSION_COOKIE, path=BASE)
    return answer


def _refuse(request: Request, target: str, wait: int) -> Response:
    minutes = -(-wait // 60)
    text = (
        "Too many wrong keys from this address. "
        f"Try again in {minutes} minute{'' if minutes == 1 else 's'}."
    )
    answer = _form(request, target=target, notice=Notice("bad", text), status=429)
    answer.headers["Retry-After"] = str(wait)
    return answer


def _form(
    request: Request,
    *,
    target: str,
    enabled: bool = True,
    notice: Notice | None = None,
    status: int = 200,
) -> Response:
    sessions = pages_of(request).sessions
    visit = sessions.open(VISIT_SECONDS)
    facts: dict[str, Any] = {"notice": notice} if notice else {}
    answer = render(
        request,
        "login.html",
        title="Sign in",
        status=status,
        enabled=enabled,
        next=target,
        csrf_token=sessions.form_token(visit),
        **facts,
    )
    set_cookie(
        request, answer, VISIT_COOKIE, sessions.cookie(visit, "visit"), seconds=VISIT_SECONDS
    )
    return answer


def _inside(target: str) -> str:
    """Return where to go on, below BASE; only our own pages are taken."""
    inside = target.startswith(f"{BASE}/") and "\\" not in target and target.isprintable()
    return target.removeprefix(BASE) if inside else "/dashboard"
