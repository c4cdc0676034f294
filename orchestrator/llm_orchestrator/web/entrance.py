"""The way in, the files that pages load, and what is no page at all."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from llm_orchestrator.web.assets import assets
from llm_orchestrator.web.pages import BASE, PageRoute, not_found

router = APIRouter(prefix=BASE, route_class=PageRoute)


@router.get("")
@router.get("/")
async def enter() -> Response:
    """Lead to the dashboard, and from there to the sign-in page where needed."""
    return RedirectResponse(f"{BASE}/dashboard", 303)


@router.get("/static/{name}")
async def load(request: Request, name: str) -> Response:
    """Answer with a file of the package; its address changes when it does, so it may be kept."""
    asset = assets().get(name)
    if asset is None:
        return not_found(request)
    fresh = request.query_params.get("v") == asset.version
    keep = "public, max-age=31536000, immutable" if fresh else "no-cache"
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": keep})


@router.api_route("/{path:path}", methods=["GET", "POST"])
async def miss(request: Request, path: str) -> Response:
    """Answer wherever there is nothing."""
    return not_found(request)
