"""What every page has: its frame, its reader's session, and what becomes of errors."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import structlog
from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy.exc import OperationalError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from llm_orchestrator.errors import ApiError
from llm_orchestrator.web.assets import assets
from llm_orchestrator.web.login_attempts import LoginAttempts
from llm_orchestrator.web.sessions import Session, Sessions
from llm_orchestrator.web.wording import FILTERS

logger = structlog.stdlib.get_logger(__name__)

BASE = "/admin-ui"
# What stays as it is in an address that is one already, as in Starlette's redirects.
_SAFE = ":/%#?=@[]!$&'()*+,;"
SESSION_COOKIE = "llm_orchestrator_session"
NOTICE_COOKIE = "llm_orchestrator_notice"
TABS = (
    ("dashboard", "Dashboard"),
    ("providers", "Providers"),
    ("models", "Models"),
    ("associations", "Associations"),
    ("logs", "Logs"),
    ("settings", "Settings"),
)


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass
class Pages:
    """What the pages keep between requests; `app.state.pages`."""

    sessions: Sessions = field(default_factory=Sessions)
    attempts: LoginAttempts = field(default_factory=LoginAttempts)
    now: Callable[[], dt.datetime] = _utc_now


class Answered(Exception):
    """Ends a request with a response, from anywhere in it."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


@dataclass(frozen=True)
class Notice:
    """One line above a page: what has been done, or why it was not."""

    kind: Literal["good", "bad", "warn"]
    text: str


def pages_of(request: Request) -> Pages:
    """Return what the pages of this app keep."""
    pages = request.app.state.pages
    assert isinstance(pages, Pages)  # noqa: S101
    return pages


def signed_in(request: Request) -> Session:
    """Return the reader's session; without one the answer is the way to the sign-in page."""
    session = pages_of(request).sessions.read(request.cookies.get(SESSION_COOKIE), "session")
    if session is None:
        raise Answered(_to_sign_in(request))
    request.state.session = session
    return session


SignedIn = Annotated[Session, Depends(signed_in)]


async def checked_form(request: Request, session: SignedIn) -> FormData:
    """Return a form's fields; one that was not made for this session is refused."""
    form = await request.form(max_files=1, max_fields=60)
    token = form.get("csrf_token")
    if not isinstance(token, str) or not pages_of(request).sessions.is_form_token(session, token):
        raise ApiError(403, "This form was made for another session. Load the page again.")
    return form


Form = Annotated[FormData, Depends(checked_form)]


def render(
    request: Request, template: str, *, title: str, tab: str = "", status: int = 200, **facts: Any
) -> HTMLResponse:
    """Answer with a page; a notice that was left for it is shown once."""
    pages = pages_of(request)
    session: Session | None = getattr(request.state, "session", None)
    left = request.cookies.get(NOTICE_COOKIE)
    context: dict[str, Any] = {
        "base": BASE,
        "tabs": TABS,
        "tab": tab,
        "title": title,
        "csrf_token": pages.sessions.form_token(session) if session else "",
        "notice": _left_notice(pages, left),
        "now": pages.now(),
        **facts,
    }
    page = HTMLResponse(_templates().get_template(template).render(context), status)
    page.headers["Cache-Control"] = "no-store"
    if left:
        page.delete_cookie(NOTICE_COOKIE, path=BASE)
    return page


def go_to(request: Request, path: str, notice: Notice | None = None) -> Response:
    """Send the browser to another of our pages, leaving a notice for it to show."""
    answer: Response
    if request.headers.get("HX-Request") == "true":
        # A redirect would be followed by the script, not by the browser.
        answer = Response(status_code=204, headers={"HX-Redirect": quote(BASE + path, safe=_SAFE)})
    else:
        answer = RedirectResponse(BASE + path, 303)
    if notice:
        sealed = pages_of(request).sessions.seal(json.dumps([notice.kind, notice.text]))
        set_cookie(request, answer, NOTICE_COOKIE, sealed, seconds=60)
    return answer


def set_cookie(request: Request, answer: Response, name: str, value: str, *, seconds: int) -> None:
    """Set a cookie that scripts can't read and other sites can't send."""
    answer.set_cookie(
        name,
        value,
        max_age=seconds,
        path=BASE,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def problem(request: Request, status: int, title: str, text: str) -> HTMLResponse:
    """Answer with a page that says what is wrong, and a way on."""
    known = pages_of(request).sessions.read(request.cookies.get(SESSION_COOKIE), "session")
    request.state.session = known
    return render(
        request,
        "problem.html" if known else "problem_outside.html",
        title=title,
        status=status,
        text=text,
        href=f"{BASE}/dashboard" if known else f"{BASE}/login",
        label="Go to the dashboard" if known else "Go to the sign-in page",
    )


class PageRoute(APIRoute):
    """A route whose errors are pages; elsewhere they are JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with the errors around it."""
        answer = super().get_route_handler()

        async def answer_or_say_why(request: Request) -> Response:
            try:
                return await answer(request)
            except Answered as answered:
                return answered.response
            except RequestValidationError:
                return not_found(request)
            except ApiError as error:
                return problem(request, error.status, "That did not work", error.message)
            except HTTPException as error:
                return problem(request, error.status_code, "That did not work", error.detail)
            except OperationalError as error:
                logger.warning("database", error=str(error.orig), path=request.url.path)
                text = "The database does not answer. The service's log says why."
                return problem(request, 503, "Not now", text)

        return answer_or_say_why


def not_found(request: Request) -> HTMLResponse:
    """Answer where there is no such page."""
    return problem(request, 404, "Nothing here", "There is no such page, or it has been deleted.")


def _to_sign_in(request: Request) -> Response:
    """Lead to the sign-in page, and from there back, unless a form was sent."""
    if request.headers.get("HX-Request") == "true" or request.method != "GET":
        return go_to(request, "/login")
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return go_to(request, "/login?" + urlencode({"next": wanted}))


def _left_notice(pages: Pages, left: str | None) -> Notice | None:
    text = pages.sessions.unseal(left) if left else None
    return Notice(*json.loads(text)) if text else None


def static_url(name: str) -> str:
    """Return an asset's address, which changes with its content."""
    return f"{BASE}/static/{name}?v={assets()[name].version}"


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("llm_orchestrator.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals["static"] = static_url
    return environment
